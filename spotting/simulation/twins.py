"""Twins of real data sets: the timelines that coders wrote down, acted by simulated people.

Subjects, videos, expressions (onset, apex, offset, type) and action units are the data set's own. Faces, cameras, head
motion, blinks, gaze and everything else come from the simulator. The sheets do not tell how long the videos are: their
lengths can be given, and without them a video ends some seconds after its last expression.
"""

import csv
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import AnnotationError
from ...extract.cache import SIDECAR, CacheKey, DamagedEntryError, FeatureCache
from ...extract.features import FaceFeatures
from ...extract.timebase import Timebase
from ...version import __version__
from ..datasets.aus import ActionUnit
from ..datasets.prepared import INDEX_NAME, PreparedSet, PreparedVideo, read_index, write_index
from ..datasets.records import close_open_offsets, tick_of_frame
from ..intervals import ExpressionType
from .anatomy import PAIRED_AUS, SINGLE_AUS, Person, draw_person, random_field, roi_means
from .expressions import envelope
from .sensor import observe
from .stage import Event, Performance
from .timeline import perform

if TYPE_CHECKING:
    import pandas as pd

TAIL_S = 5.0
# Largest displacement of a region (IOD) at the apex: of coded intensities A to E, and where none was coded. A full
# smile moves a mouth corner by 0.2 to 0.3, micro-expressions by 0.01 to 0.04.
_BY_LEVEL: dict[ExpressionType, tuple[float, ...]] = {
    "macro": (0.03, 0.06, 0.10, 0.17, 0.28),
    "micro": (0.010, 0.016, 0.025, 0.035, 0.05),
}
_UNCODED: dict[ExpressionType, tuple[float, float]] = {"macro": (0.04, 0.25), "micro": (0.01, 0.04)}
_SPREAD = 0.25  # of the logarithm of an amplitude, between expressions that were coded alike
# What the coders of the sheets also wrote, by the nearest motion the simulator knows.
_NEAREST = {11: "AU10", 13: "AU12", 38: "AU9", 39: "AU9", 41: "AU43", 42: "AU43", 44: "AU7", 45: "AU43", 46: "AU43"}
_EXPRESSION_AUS = frozenset((*PAIRED_AUS, *SINGLE_AUS))


@dataclass(frozen=True)
class TwinEvent:
    """One coded expression on the clock."""

    onset: int
    apex: int
    offset: int
    type: ExpressionType
    aus: tuple[ActionUnit, ...]


def simulate_twins(
    records: "pd.DataFrame",
    output: str | os.PathLike[str],
    *,
    seed: int = 0,
    lengths: Mapping[str, float] | None = None,
    tail_s: float = TAIL_S,
    progress: Callable[[str], None] | None = None,
) -> PreparedSet:
    """Make a prepared set that stands for the recordings of a table of annotations.

    lengths: seconds by video, where they are known; never less than the annotations need. tail_s: seconds after the
    last expression of the others. progress: called with the name of each video that is there. What is in `output`
    already from the same table and seed is kept, and so are twins of other videos. The same arguments give the same
    bytes; a video depends only on its own rows and its subject's name. The result holds all twins of the folder.
    Raises AnnotationError without rows, for rows without onset and offset, and for an `output` with features of real
    recordings.
    """
    if records.empty:
        raise AnnotationError("the annotations hold no expression to act")
    if records["onset"].isna().any():
        raise AnnotationError("a twin needs onset and offset of every expression; these annotations are points")
    records = close_open_offsets(records)
    earlier = _earlier_twins(Path(output))
    cache, lines = FeatureCache(output), []
    for (dataset, subject, video), rows in records.groupby(["dataset", "subject", "video"], sort=True):
        last = float((rows[["onset", "apex", "offset"]].max(axis=1) / rows["fps"]).max())
        seconds = max((lengths or {}).get(video, last + tail_s), last + 0.5)
        fps = float(rows["fps"].iloc[0])
        clock = Timebase(np.arange(round(seconds * fps) + 1) / fps)
        events = [_event(row, clock) for row in rows.itertuples(index=False)]
        key = _key(str(dataset), str(subject), str(video), events, clock, seed)
        try:
            features = cache.load(key)
        except DamagedEntryError:
            features = None
        if features is None:
            features = simulate_twin(str(subject), str(video), events, clock, seed)
            cache.store(key, features)
        lines.append(PreparedVideo(dataset, subject, video, key.entry_name, clock.n_ticks, 1.0))
        if progress is not None:
            progress(str(video))
    acted = {(line.dataset, line.video) for line in lines}
    write_index(Path(output), [*lines, *(video for video in earlier if (video.dataset, video.video) not in acted)])
    cache.remove_abandoned()
    return PreparedSet(output)


def _earlier_twins(output: Path) -> list[PreparedVideo]:
    """What a folder's index lists. Raises AnnotationError if that is not twins alone: those of the same data set would
    take the places of its recordings."""
    if not (output / INDEX_NAME).exists():
        return []
    kept = []
    for video in read_index(output):
        try:
            source = json.loads((output / video.entry / SIDECAR).read_bytes())["provenance"].get("source", {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # gone or damaged: there is nothing to lose
        if not source.get("simulated"):
            raise AnnotationError(f"{output}: holds features of recordings ({video.video}); use another folder")
        kept.append(video)
    return kept


def simulate_twin(subject: str, video: str, events: Sequence[TwinEvent], clock: Timebase, seed: int) -> FaceFeatures:
    """Features of one video: this subject's face, exactly these expressions, and everyday motion between them."""
    person = draw_person(_generator(seed, subject))
    rng = _generator(seed, subject, video)
    performance = act(person, events, clock.n_ticks, rng)
    # Turns of the head are logistic curves, and in minutes of video their far ends overflow to the 0 they should be.
    with np.errstate(over="ignore"):
        seen = observe(person, performance, rng, laboratory=True)
    source = {"simulated": True, "path": video, "seed": seed}
    provenance = {"facespot": __version__, "source": source, "subject": subject, "warnings": []}
    return FaceFeatures(seen.snippets, seen.landmarks, np.zeros(clock.n_ticks, np.int32), clock, provenance)


def act(person: Person, events: Sequence[TwinEvent], ticks: int, rng: np.random.Generator) -> Performance:
    """A performance of these expressions and no others, amid blinks, glances and slow changes of the resting face."""
    performance = perform(person, ticks, rng, busy=0.0, speech=0.03)
    acted = []
    for event in events:
        amplitude = draw_amplitude(event, rng)
        shape = au_shape(person, event.aus, rng)
        reach = np.linalg.norm(roi_means(shape)[:, :2], axis=1).max()
        shape = shape * (amplitude / max(reach, 0.02))
        hold = int(rng.uniform(0.0, 0.4) * (event.offset - event.apex)) if event.type == "macro" else 0
        curve = envelope(event.onset, event.apex, hold, event.offset, ticks, rng)
        performance.displacement += curve[:, None, None] * shape
        performance.intensity = np.maximum(performance.intensity, curve)
        acted.append(Event(event.onset, event.apex, event.offset, event.type, amplitude))
    performance.events = sorted(acted)
    return performance


def draw_amplitude(event: TwinEvent, rng: np.random.Generator) -> float:
    """IOD, from the strongest coded intensity, or from the type's range where none was coded."""
    levels = [unit.level for unit in event.aus if unit.level is not None]
    jitter = float(np.exp(rng.normal(0, _SPREAD)))
    if levels:
        return float(np.interp(max(levels), np.arange(1, 6), _BY_LEVEL[event.type])) * jitter
    low, high = np.log(_UNCODED[event.type])
    return float(np.exp(rng.uniform(low, high)))


def au_shape(person: Person, aus: Sequence[ActionUnit], rng: np.random.Generator) -> np.ndarray:
    """(K, 3) motion of a combination of action units on this face; a random motion if the simulator knows none of them.

    Units the coder was sure of come before alternatives. The sides of the sheets are the subject's, the patterns' the
    viewer's, so they swap.
    """
    known = [u for u in aus if _name(u) in _EXPRESSION_AUS]
    chosen = [u for u in known if u.certain] or known[:1]
    if not chosen:
        return random_field(rng)
    strongest = max((u.level or 3.0) for u in chosen)
    shape = np.zeros_like(person.shape)
    for unit in chosen:
        name, strength = _name(unit), (unit.level or 3.0) / strongest
        if name not in PAIRED_AUS:
            shape = shape + strength * rng.choice([-1, 1]) * person.fields[name, "both"]
            continue
        left, right = {"left": (0.1, 1.0), "right": (1.0, 0.1), "asymmetric": (1.0, 0.5)}.get(unit.side, (1.0, 1.0))
        shape = shape + strength * (left * person.fields[name, "left"] + right * person.fields[name, "right"])
    return shape


def read_lengths(path: str | os.PathLike[str]) -> dict[str, float]:
    """Seconds by video from a CSV table with the columns `video` and `duration_s`. Raises AnnotationError."""
    try:
        rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
        return {row["video"]: float(row["duration_s"]) for row in rows}
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{path}: needs columns video and duration_s (seconds): {error}") from error


def _name(unit: ActionUnit) -> str:
    return _NEAREST.get(unit.number, f"AU{unit.number}")


def _event(row: "pd.Series", clock: Timebase) -> TwinEvent:
    import pandas as pd

    onset, offset = (tick_of_frame(int(frame), row.fps, clock) for frame in (row.onset, row.offset))
    apex = (onset + offset) // 2 if pd.isna(row.apex) else tick_of_frame(int(row.apex), row.fps, clock)
    return TwinEvent(onset, min(max(apex, onset), offset), offset, row.type, tuple(row.aus))


def _generator(seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def _key(dataset: str, subject: str, video: str, events: Sequence[TwinEvent], clock: Timebase, seed: int) -> CacheKey:
    identity = f"{__version__}|{dataset}|{subject}|{video}|{list(events)}|{clock.n_frames}|{clock.fps}|{seed}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return CacheKey(video, digest, {"kind": "twin", "dataset": dataset, "video": video}, {"seed": seed})
