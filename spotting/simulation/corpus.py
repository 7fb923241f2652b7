"""A corpus of simulated clips to learn from: features, truth and lengths, reproducible clip by clip from one seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...extract.features import SNIPPET_STEPS
from ...extract.motion.geometry import GEOMETRY_CHANNELS, geometry_channels
from ...extract.regions import ROI_NAMES
from ...processes import process_pool
from .anatomy import Person, draw_person
from .sensor import Observation, observe
from .stage import Event, Performance
from .timeline import perform

# Ticks of a clip -> share of all clips. Short clips are common among users' files, and there the running median that
# stands for the resting face is at its weakest; in long ones there is room for what is held for ten seconds.
CLIP_TICKS: dict[int, float] = {720: 0.16, 480: 0.2, 240: 0.26, 120: 0.23, 72: 0.15}
# Share of clips as laboratories record them: only there, with a calm head before a good camera, is a micro-expression
# of 1 % of the inter-ocular distance above the noise and worth learning from.
LABORATORY_SHARE = 0.3
# Of the other clips, those of silent faces that show little and slowly; more than half of them have a good camera.
CALM_SHARE = 0.2
_CALM_FILMED_WELL = 0.6
# And those in which nothing is an expression, beside what is empty by chance: most of them people who talk.
_QUIET_SHARE = 0.18
_QUIET_SPEECH = 0.6
_QUIET_FILMED_WELL = 0.15

# Snippets, geometry, intensity, events, speaking of one clip.
Clip = tuple[np.ndarray, np.ndarray, np.ndarray, list[Event], np.ndarray]


@dataclass(eq=False)
class ClipBatch:
    """n clips of T ticks, float16: snippets (n, T, 17, 10, 2) in IOD, geometry (n, T, G) as `GEOMETRY_CHANNELS`,
    intensity (n, T) in 0..1; the events of each clip; and speaking (n, T) bool."""

    snippets: np.ndarray
    geometry: np.ndarray
    intensity: np.ndarray
    events: list[list[Event]]
    speaking: np.ndarray

    def __len__(self) -> int:
        return len(self.snippets)

    @property
    def ticks(self) -> int:
        return self.snippets.shape[1]


def clip_counts(clips: int) -> dict[int, int]:
    """How many clips of each length make up a corpus of about `clips`."""
    return {ticks: max(1, round(clips * share)) for ticks, share in CLIP_TICKS.items()}


def draw_performance(
    ticks: int, rng: np.random.Generator, laboratory_share: float
) -> tuple[Person, Performance, bool, bool]:
    """Somebody, what happens in their clip, whether it is of a laboratory, and whether of a calm face elsewhere."""
    person = draw_person(rng)
    laboratory = bool(rng.random() < laboratory_share)
    kind = 1.0 if laboratory else rng.random()
    calm, quiet = kind < CALM_SHARE, CALM_SHARE <= kind < CALM_SHARE + _QUIET_SHARE
    silence = {"busy": 0.0, "speech": _QUIET_SPEECH} if quiet else {}
    return person, perform(person, ticks, rng, laboratory=laboratory, calm=calm, **silence), laboratory, calm


def film_clip(
    ticks: int, seed: tuple[int, ...], laboratory_share: float = LABORATORY_SHARE
) -> tuple[Performance, Observation]:
    """What happens in one clip of T ticks, and what the pipeline would have cached of it."""
    rng = np.random.default_rng(seed)
    person, performance, laboratory, calm = draw_performance(ticks, rng, laboratory_share)
    filmed_well = laboratory or (calm and bool(rng.random() < _CALM_FILMED_WELL))
    return performance, observe(person, performance, rng, laboratory=filmed_well)


def simulate_clip(ticks: int, seed: tuple[int, ...], laboratory_share: float = LABORATORY_SHARE) -> Clip:
    """One clip of T ticks: snippets (T, 17, 10, 2) and geometry (T, G) float32, intensity (T,), events, speaking (T,)
    bool."""
    performance, seen = film_clip(ticks, seed, laboratory_share)
    return clip_of(performance, seen)


def clip_of(performance: Performance, seen: Observation) -> Clip:
    """What happened and was seen, as `simulate_clip` gives it."""
    geometry = geometry_channels(seen.landmarks, [(0, len(seen.landmarks))])
    return seen.snippets, geometry, performance.intensity, performance.events, performance.speaking


def draw_quiet_performance(ticks: int, rng: np.random.Generator) -> tuple[Person, Performance]:
    """Somebody, and what happens in their clip, in which nothing is an expression; in six of ten they talk."""
    person = draw_person(rng)
    return person, perform(person, ticks, rng, busy=0.0, speech=_QUIET_SPEECH)


def film_quiet_clip(ticks: int, seed: tuple[int, ...]) -> tuple[Performance, Observation]:
    """As `film_clip`, of `draw_quiet_performance`."""
    rng = np.random.default_rng(seed)
    person, performance = draw_quiet_performance(ticks, rng)
    return performance, observe(person, performance, rng, laboratory=bool(rng.random() < _QUIET_FILMED_WELL))


def batch_of(ticks: int, clips: Sequence[Clip]) -> ClipBatch:
    """Clips of as many ticks together."""
    n = len(clips)
    batch = ClipBatch(
        np.empty((n, ticks, SNIPPET_STEPS, len(ROI_NAMES), 2), np.float16),
        np.empty((n, ticks, len(GEOMETRY_CHANNELS)), np.float16),
        np.empty((n, ticks), np.float16),
        [],
        np.empty((n, ticks), bool),
    )
    for i, clip in enumerate(clips):
        batch.snippets[i], batch.geometry[i], batch.intensity[i], events, batch.speaking[i] = clip
        batch.events.append(events)
    return batch


def joined(batches: Sequence[ClipBatch]) -> ClipBatch:
    """The clips of several batches of one length."""
    return ClipBatch(
        np.concatenate([b.snippets for b in batches]),
        np.concatenate([b.geometry for b in batches]),
        np.concatenate([b.intensity for b in batches]),
        [events for b in batches for events in b.events],
        np.concatenate([b.speaking for b in batches]),
    )


def _simulate_many(ticks: int, seeds: list[tuple[int, ...]], laboratory_share: float) -> ClipBatch:
    return batch_of(ticks, [simulate_clip(ticks, seed, laboratory_share) for seed in seeds])


def _chunks(counts: Mapping[int, int], seed: int, size: int) -> Iterator[tuple[int, list[tuple[int, ...]]]]:
    for ticks, count in counts.items():
        for start in range(0, count, size):
            yield ticks, [(seed, ticks, i) for i in range(start, min(start + size, count))]


def simulate_corpus(
    clips: int, seed: int, workers: int = 1, laboratory_share: float = LABORATORY_SHARE
) -> dict[int, ClipBatch]:
    """About `clips` clips in the lengths of CLIP_TICKS, by length; laboratory_share of them from the laboratory.

    The same seed gives the same clips whatever the number of workers (processes).
    """
    counts = clip_counts(clips)
    jobs = [(*chunk, laboratory_share) for chunk in _chunks(counts, seed, 25)]
    if workers == 1:
        parts = [_simulate_many(*job) for job in jobs]
    else:
        with process_pool(workers) as pool:
            parts = list(pool.map(_simulate_many, *zip(*jobs, strict=True)))
    return {ticks: joined([part for part in parts if part.ticks == ticks]) for ticks in counts}
