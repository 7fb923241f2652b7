"""What is interrupted: each stage of the work, small, in a folder, with equal bytes for equal inputs."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from facespot.errors import FacespotError
from facespot.extract.cache import CacheKey, FeatureCache
from facespot.extract.features import SNIPPET_STEPS, FaceFeatures
from facespot.extract.regions import KEPT_MESH_POINTS, ROI_NAMES
from facespot.extract.timebase import Timebase

JOURNAL = "clip.labels.jsonl"
_ACTS = [
    *({"act": "add", "onset": 10 * i, "offset": 10 * i + 8, "type": "macro", "key": f"a{i}"} for i in range(6)),
    *({"act": "change", "id": i + 1, "offset": 10 * i + 6, "key": f"c{i}"} for i in range(4)),
    {"act": "undo", "key": "u"},
]


@dataclass(frozen=True)
class Stage:
    """A piece of work. load: what is needed beforehand, once. work: does it in a folder, or goes on with it there.

    growing: names of files that are replaced by later ones or grow while it is at work; all others are final at once.
    """

    load: Callable[[], None]
    work: Callable[[Path], None]
    growing: tuple[str, ...] = ()


def _features(seed: int, n: int = 600) -> FaceFeatures:
    rng = np.random.default_rng(seed)
    return FaceFeatures(
        rng.random((n, SNIPPET_STEPS, len(ROI_NAMES), 2), dtype=np.float32),
        rng.random((n, len(KEPT_MESH_POINTS), 3), dtype=np.float32),
        np.zeros(n, np.int32),
        Timebase(np.arange(n) / 30.0),
        {"source": {"path": f"{seed}.mp4"}, "warnings": []},
    )


def _key(seed: int) -> CacheKey:
    return CacheKey(f"clip{seed}", f"{seed:064d}"[::-1], {"kind": "file"}, {"face": "longest"})


def _load_extraction() -> None:
    import facespot.extract.pipeline
    import facespot.spotting.spotter  # noqa: F401 - loaded before the fork, so that moments fall into the work


def _extract(folder: Path) -> None:
    from click.testing import CliRunner
    from facespot.cli import main as cli

    sample = files("facespot.samples") / "astronaut.mp4"
    from facespot.tests.media import excerpt

    (folder.parent / "input").mkdir(exist_ok=True)
    clip = folder.parent / "input" / "clip.mp4"
    if not clip.exists():
        excerpt(Path(str(sample)), clip, 1.0)
    words = ["run", "--device", "cpu", "--cache", str(folder / "cache"), "-o", str(folder / "out"), str(clip)]
    done = CliRunner().invoke(cli, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if "please report" in done.output:
        raise RuntimeError(done.output)
    if done.exit_code or "could not be cached" in done.output:
        raise FacespotError(done.output)


def _store(folder: Path) -> None:
    cache = FeatureCache(folder)
    for seed in range(4):
        cache.store(_key(seed), _features(seed))


def _prepare(folder: Path) -> None:
    from facespot.extract.options import ExtractOptions
    from facespot.spotting.datasets.layouts import scan_dataset
    from facespot.spotting.datasets.prepare import prepare_one
    from facespot.spotting.datasets.prepared import update_index

    root = folder.parent / "input"
    root.mkdir(exist_ok=True)
    for number in range(4):
        if not (path := root / f"v{number}.mp4").exists():
            path.write_text(f"{number}", encoding="utf-8")

    def extract(path: Path, options: object, fps: float | None = None) -> FaceFeatures:
        return _features(int(path.read_text(encoding="utf-8")))

    found = scan_dataset(root)
    folder.mkdir(exist_ok=True)
    outcomes = [prepare_one(r, root=root, output=folder, options=ExtractOptions(), extract=extract) for r in found]
    update_index(folder, [(r.dataset, r.video) for r in found], [o.prepared for o in outcomes if o.prepared])
    FeatureCache(folder).remove_abandoned()
    if failed := [o.message for o in outcomes if o.prepared is None]:
        raise FacespotError("; ".join(failed))


def _load_training() -> None:
    import facespot.spotting.learning.from_points
    import facespot.tests.small_set  # noqa: F401 - as above
    import torch

    torch.set_num_threads(1)


def _train(folder: Path) -> None:
    from facespot.spotting.datasets.sampling import sample_points
    from facespot.spotting.learning.from_points import train
    from facespot.spotting.learning.point_videos import pair_points
    from facespot.tests.small_set import small_records, store_features, tiny

    prepared = folder.parent / "features"
    videos, _ = pair_points(store_features(prepared, 2), sample_points(small_records(2), 0))
    train(videos, tiny("context", 4), folder)


def _label(folder: Path) -> None:
    """Every act is journalled and the files beside it are written; what was done before is not done again."""
    from facespot.spotting.labelling import recording as module

    folder.mkdir(exist_ok=True)
    module._now = lambda: "2026-01-01T00:00:00.000+00:00"  # a clock that stands, so that bytes can be compared
    timebase = Timebase(np.arange(300) / 30.0)
    opened = module.LabelledRecording.open(folder / "clip.mp4", folder / "clip", module.Task(), timebase)
    try:
        table = module.PointsTable(folder, module.Task(), [opened])
        for act in _ACTS:
            opened.act(act)
            opened.write()
            table.write()
    finally:
        opened.close()


def answered(folder: Path) -> bytes:
    """The whole lines of a journal."""
    with suppress(FileNotFoundError):
        data = (folder / JOURNAL).read_bytes()
        return data[: data.rfind(b"\n") + 1]
    return b""


STAGES = {
    "storing": Stage(lambda: None, _store),
    "preparing": Stage(lambda: None, _prepare, ("index.csv",)),
    "labelling": Stage(
        lambda: None, _label, (JOURNAL, "clip.labels.csv", "clip.labels.eaf", "clip.labels.boris.tsv", "points.csv")
    ),
    "training": Stage(_load_training, _train, ("training.pt",)),
    "extraction": Stage(_load_extraction, _extract),
}
