"""What is mutated and how it is read: seeds of every kind of file, and what a user's commands do with them."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
from facespot.errors import FacespotError
from facespot.extract.cache import CacheKey, FeatureCache
from facespot.extract.features import SNIPPET_STEPS, FaceFeatures
from facespot.extract.regions import KEPT_MESH_POINTS, ROI_NAMES
from facespot.extract.timebase import Timebase
from facespot.spotting.datasets.prepared import PreparedVideo, write_index
from facespot.spotting.intervals import Interval
from facespot.spotting.output.archive import write_archive
from facespot.spotting.output.formats import WRITERS, get_writer
from facespot.spotting.result import SpotResult
from facespot.spotting.spotter import DEFAULT_WEIGHTS

from .mutations import mutate, mutate_zip
from .recordings import SEEDS as RECORDINGS

KEY = CacheKey("clip", "0123456789abcdef0123" + "0" * 44, {"kind": "file"}, {"face": "longest"})
_TEXTS = {".csv", ".tsv", ".eaf", ".json", ".textgrid", ".vtt", ".jsonl"}
_ZIPS = {".xlsx", ".npz"}
Seeds = Mapping[str, bytes]


class WrongAcceptError(Exception):
    """Something damaged was taken for whole."""


@dataclass(frozen=True)
class Kind:
    """A kind of input. weight: its share of the cases beside media. seeds: name -> bytes of whole files, made in an
    empty folder.

    use: reads the file at a path, alone in its folder, as a user's command does; a FacespotError or OSError is an
    answer, nothing else is. Its second argument are the seeds.
    """

    weight: int
    seeds: Callable[[Path], Seeds]
    use: Callable[[Path, Seeds], None]


def mutated(kind: str, seeds: Seeds, rng: Random) -> tuple[str, bytes]:
    """The name of a seed, and its bytes after something happened to them."""
    name = rng.choice(sorted(seeds))
    data, suffix = seeds[name], Path(name).suffix.lower()
    if kind == "checkpoint" and rng.random() < 0.5:
        return name, _forged(data, rng)
    if suffix in _ZIPS:
        return name, mutate_zip(data, rng, text=suffix == ".xlsx")
    return name, mutate(data, rng, seeds[rng.choice(sorted(seeds))], text=suffix in _TEXTS)


def _result() -> SpotResult:
    timebase = Timebase(np.arange(90) / 30.0)
    found = [Interval(10, 15, 40, "macro", 0.9), Interval(50, 53, 60, "micro", 0.4)]
    spots = tuple(interval.on(timebase) for interval in found)
    return SpotResult("clip.mp4", spots, np.zeros(90), np.zeros(90, np.int32), timebase, 1.0)


def _features() -> FaceFeatures:
    rng, n = np.random.default_rng(0), 40
    return FaceFeatures(
        rng.random((n, SNIPPET_STEPS, len(ROI_NAMES), 2), np.float32).astype(np.float16),
        rng.random((n, len(KEPT_MESH_POINTS), 3), np.float32),
        np.zeros(n, np.int32),
        Timebase(np.arange(n) / 30.0),
        {"source": {"path": "clip.mp4"}, "warnings": []},
    )


def _tables(folder: Path) -> Seeds:
    for name, writer in WRITERS.items():
        get_writer(name).write(_result(), folder / f"clip{writer.suffix}")
    (folder / "points.csv").write_text("video;type;time_s\nclip;macro;1,5\nclip;micro;2\n", encoding="utf-8")
    (folder / "frames.csv").write_text("vid,pred_onset,pred_offset,type\na,3,40,macro\na,50,60,me\n", encoding="utf-8")
    return _contents(folder)


def _read_table(path: Path, seeds: Seeds) -> None:
    from facespot.spotting.datasets.annotations import read_annotations

    read_annotations(path, fps=30.0)


def _coding_sheets(folder: Path) -> Seeds:
    """Workbooks with the columns of the published sheets, by name only."""
    import openpyxl

    rows = {
        "samm": [
            ("Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type", "Action Units"),
            ("006", "006_1_2", 1, 20, 40, 90, 70, "Macro", "4+7"),
            ("006", "006_1_2", 1, 200, 220, 240, 40, "Micro - 1/2", "12"),
        ],
        "casme3": [
            ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Type"),
            ("spNO.1", "a", 10, 20, 30, "12", "ME"),
        ],
    }
    for name, table in rows.items():
        book = openpyxl.Workbook()
        for row in table:
            book.active.append(row)
        book.save(folder / f"{name}.xlsx")
    return _contents(folder)


def _cache_files(folder: Path) -> Seeds:
    return _contents(FeatureCache(folder).store(KEY, _features()))


def _load_entry(path: Path, seeds: Seeds) -> None:
    """The mutated file between the others of its entry."""
    entry = path.parent / KEY.entry_name
    entry.mkdir()
    for name, data in seeds.items():
        (entry / name).write_bytes(data)
    path.replace(entry / path.name)
    found, kept = FeatureCache(path.parent).load(KEY), _features()
    same = found is not None and all(
        np.array_equal(getattr(found, name), getattr(kept, name)) for name in ("snippets", "landmarks", "segment")
    )
    if not same or found.provenance != kept.provenance or found.timebase.rate != kept.timebase.rate:
        raise WrongAcceptError("another entry than was stored")


def _checkpoints(folder: Path) -> Seeds:
    return {DEFAULT_WEIGHTS: (files("facespot.weights") / DEFAULT_WEIGHTS).read_bytes()}


def _forged(data: bytes, rng: Random) -> bytes:
    """A header whose descriptions are absurd and whose checksums are right, as whoever means harm would write it."""
    from facespot.models.checkpoint import _digest, _seal
    from safetensors.torch import load

    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    told = header["__metadata__"]
    told["config"] = mutate(told["config"].encode(), rng, text=True).decode("utf-8", "replace")
    if rng.random() < 0.3:
        told["kind"] = rng.choice(("gim", "auw-gcn", "context", "spotformer", ""))
    with suppress(Exception):
        told["digest"] = _digest(told["kind"], told["config"], load(data))
        told["seal"] = _seal(told["digest"], told["notes"])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _load_checkpoint(path: Path, seeds: Seeds) -> None:
    from facespot.spotting.spotter import Spotter

    spotter = Spotter.load(path, device="cpu")
    spotter.spot(_features())


def _saved_results(folder: Path) -> Seeds:
    write_archive(_result(), folder / "clip.npz")
    return _contents(folder)


def _load_result(path: Path, seeds: Seeds) -> None:
    result = SpotResult.load(path)
    result.headline(), result.hint(), repr(result)
    for name in ("csv", "json", "elan"):
        get_writer(name).write(result, path.parent / f"out{WRITERS[name].suffix}")


def _journals(folder: Path) -> Seeds:
    from facespot.spotting.labelling.events import machine_events
    from facespot.spotting.labelling.recording import LabelledRecording, Task

    timebase = Timebase(np.arange(90) / 30.0)
    found = machine_events(_result().spots)
    recording = LabelledRecording.open(folder / "clip.mp4", folder / "clip", Task(), timebase, found)
    for act in ({"act": "judge", "id": 1, "status": "accepted"}, {"act": "change", "id": 2, "offset": 70}):
        recording.act(act)
    recording.close()
    return _contents(folder)


def _open_journal(path: Path, seeds: Seeds) -> None:
    from facespot.spotting.labelling.recording import LabelledRecording, Task, coded_by

    with suppress(FacespotError, OSError):
        coded_by(path)
    base = path.with_name("clip")
    path.replace(Task().file(base, ".jsonl"))
    recording = LabelledRecording.open(path.with_name("clip.mp4"), base, Task(), Timebase(np.arange(90) / 30.0))
    recording.write()
    recording.close()


def _indexes(folder: Path) -> Seeds:
    write_index(folder, [PreparedVideo("own", f"p{i}", f"p{i}/v", f"v{i}-00", 90, 1.0) for i in range(3)])
    return {"index.csv": (folder / "index.csv").read_bytes()}


def _read_index(path: Path, seeds: Seeds) -> None:
    from facespot.spotting.datasets.prepared import PreparedSet

    prepared = PreparedSet(path.parent)
    for video in prepared:
        if not math.isfinite(video.coverage):
            raise WrongAcceptError(f"a coverage of {video.coverage}")
        with suppress(FacespotError, OSError):
            prepared.load(video)


def _stimuli(folder: Path) -> Seeds:
    (folder / "shown.csv").write_text(
        "stimulus,start_s,end_s,video\nfilm,0,1.5,clip\nrest,1.5,3,clip\n", encoding="utf-8"
    )
    return _contents(folder)


def _read_stimuli(path: Path, seeds: Seeds) -> None:
    from facespot.spotting.datasets.stimuli import read_stimuli

    read_stimuli(path)


def _recordings(folder: Path) -> Seeds:
    for name, make in RECORDINGS.items():
        make(folder / name)
    return _contents(folder)


def _extract(path: Path, seeds: Seeds) -> None:
    from facespot.extract.pipeline import extract_features

    extract_features(path, cache=path.parent / "cache")


def _contents(folder: Path) -> Seeds:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith(".")}


KINDS = {
    "media": Kind(0, _recordings, _extract),
    "cache": Kind(14, _cache_files, _load_entry),
    "table": Kind(42, _tables, _read_table),
    "coding sheet": Kind(8, _coding_sheets, _read_table),
    "checkpoint": Kind(10, _checkpoints, _load_checkpoint),
    "saved result": Kind(12, _saved_results, _load_result),
    "journal": Kind(6, _journals, _open_journal),
    "index": Kind(4, _indexes, _read_index),
    "stimuli": Kind(4, _stimuli, _read_stimuli),
}
