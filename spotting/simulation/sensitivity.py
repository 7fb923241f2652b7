"""How small and how short an expression of this recording may be and still be found.

The answer depends on the camera, the light, the face and how still it is held, so it is measured on the recording
itself: simulated expressions of known size and duration are added to its own measured motion where nothing happens, the
spotter reads the result, and hits are counted by the usual metric. Nothing else of the features changes, so the noise
in them is the recording's own. What is added is damped at random, as trackers damp what is small, and the mesh answers
to it as to others (`sensor`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import TooShortError
from ...extract.features import SNIPPET_REACH, SNIPPET_STEPS, FaceFeatures
from ...extract.motion.geometry import similarity_to
from ...extract.regions import KEPT_INDEX, RIGID_MESH_POINTS
from ...extract.timebase import CLOCK_HZ
from ..intervals import ExpressionType, Interval
from ..spotter import Spotter
from ..thresholds import Confidence
from .anatomy import Person, draw_person, neutral_face, roi_means
from .expressions import draw_expression, envelope
from .mesh import mesh_answer
from .stage import MICRO_MAX_TICKS

AMPLITUDES = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
DURATIONS_S = (0.2, 0.3, 0.4, 0.75, 1.5)  # not at 0.5 s, where a tick decides the type
HIT_IOU = 0.5
_MARGIN = 12  # ticks of neutral face on either side of what is added, also towards what is found
_SPACING = 45  # further ticks between two additions of one reading, which must not disturb each other
_QUIET_CONFIDENCE = 0.5  # where the spotter suspects nothing even at this confidence, the face is taken as neutral
_FLOW_GAIN = (0.6, 1.05)  # how much of a small movement shows in flow, as in `sensor`
_RIGID_ROWS = np.array([KEPT_INDEX[p] for p in RIGID_MESH_POINTS])


@dataclass(frozen=True)
class Addition:
    """One simulated expression in the recording: where it is, and its displacement and what a mesh reports of it, both
    (T, K, 2) in IOD in the picture."""

    truth: Interval
    amplitude: float
    displacement: np.ndarray
    reported: np.ndarray


@dataclass(frozen=True)
class Cell:
    """Of `trials` expressions of one size (IOD) and duration, `found` were reported, by the metric's rule."""

    amplitude: float
    duration_s: float
    type: ExpressionType
    trials: int
    found: int

    @property
    def share(self) -> float:
        return self.found / self.trials

    @property
    def bounds(self) -> tuple[float, float]:
        """95 % interval of the share (Wilson 1927)."""
        z2, n = 1.96**2, self.trials
        centre = (self.share + z2 / (2 * n)) / (1 + z2 / n)
        half = 1.96 / (1 + z2 / n) * np.sqrt(self.share * (1 - self.share) / n + z2 / (4 * n * n))
        return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def measure_sensitivity(
    features: FaceFeatures,
    spotter: Spotter,
    *,
    amplitudes: Sequence[float] = AMPLITUDES,
    durations_s: Sequence[float] = DURATIONS_S,
    trials: int = 20,
    seed: int = 0,
    min_confidence: Confidence | None = None,
    read: Callable[[FaceFeatures, list[Addition]], FaceFeatures] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Cell]:
    """How often expressions of each amplitude (IOD) and duration are found in one recording, durations slowest.

    Durations for which no stretch of a neutral face is long enough are left out.

    min_confidence: as of `Spotter.spot`. read: makes the features in which the additions show; by default they are
    added to the measured motion, `pixel_additions.pixel_reader` adds them to the pixels. progress: (trials done, in
    all).
    Raises TooShortError if no duration fits into a neutral stretch, ValueError for sizes that are not positive.
    """
    if trials < 1 or min(*amplitudes, *durations_s) <= 0:
        raise ValueError("amplitudes, durations and the number of trials must be positive")
    rng = np.random.default_rng(seed)
    read = read or add_to_features
    quiet = neutral_ticks(features, spotter)
    pose = _head_axes(features)
    lengths = {duration_s: max(3, round(duration_s * CLOCK_HZ)) for duration_s in durations_s}
    fitting = {d: ticks for d, ticks in lengths.items() if _places(quiet, ticks, 1, rng)}
    if not fitting:
        raise TooShortError(
            f"no stretch of a neutral face is long enough for an expression of {min(durations_s):g} s; "
            "choose shorter durations or a calmer recording"
        )
    cells, done, in_all = [], 0, trials * len(amplitudes) * len(fitting)
    for duration_s, ticks in fitting.items():
        kind: ExpressionType = "micro" if ticks <= MICRO_MAX_TICKS else "macro"
        for amplitude in amplitudes:
            found = tried = 0
            while tried < trials:
                starts = _places(quiet, ticks, trials - tried, rng)
                additions = [_addition(start, ticks, amplitude, kind, pose, rng) for start in starts]
                seen, _ = spotter.intervals(read(features, additions), min_confidence)
                hits = [any(s.type == kind and s.iou(a.truth) >= HIT_IOU for s in seen) for a in additions]
                found, tried = found + sum(hits), tried + len(additions)
                if progress is not None:
                    progress(done + tried, in_all)
            done += trials
            cells.append(Cell(amplitude, duration_s, kind, tried, found))
    return cells


def neutral_ticks(features: FaceFeatures, spotter: Spotter) -> np.ndarray:
    """(N,) bool: ticks with a usable face in which the spotter does not even suspect an expression."""
    quiet = np.asarray(features.segment) >= 0
    for suspect in spotter.intervals(features, _QUIET_CONFIDENCE)[0]:
        quiet[suspect.onset : suspect.offset + 1] = False
    # A new segment may begin in the very next tick.
    breaks = np.flatnonzero(np.diff(np.asarray(features.segment))) + 1
    quiet[breaks] = False
    return quiet


def smallest_found(cells: Sequence[Cell], duration_s: float, share: float = 0.8) -> float | None:
    """The smallest amplitude (IOD) of a duration from which on at least `share` are found; None if there is none."""
    found = None
    for cell in sorted((c for c in cells if c.duration_s == duration_s), key=lambda c: -c.amplitude):
        if cell.share < share:
            break
        found = cell.amplitude
    return found


def add_to_features(features: FaceFeatures, additions: Sequence[Addition]) -> FaceFeatures:
    """The same recording with the additions in its snippets and landmarks."""
    snippets = np.array(features.snippets, np.float32)
    landmarks = np.array(features.landmarks, np.float32)
    n = len(snippets)
    for addition in additions:
        first, last = addition.truth.onset, addition.truth.offset
        rng = np.random.default_rng([first, last, round(1e6 * addition.amplitude)])
        moved = np.zeros((n, addition.displacement.shape[1], 2), np.float32)
        moved[first : last + 1] = addition.displacement
        iod_px = _iod(landmarks[first : last + 1])
        landmarks[first : last + 1, :, :2] += addition.reported * iod_px
        roi = roi_means(moved) * rng.uniform(*_FLOW_GAIN)
        ticks = np.arange(max(first - SNIPPET_REACH, 0), min(last + SNIPPET_REACH + 1, n))
        start = np.clip(ticks - SNIPPET_REACH, 0, n - 1)
        target = np.clip(ticks[:, None] - SNIPPET_REACH + np.arange(SNIPPET_STEPS), 0, n - 1)
        snippets[ticks] += roi[target] - roi[start][:, None]
    return replace(features, snippets=snippets, landmarks=landmarks)


def _iod(landmarks: np.ndarray) -> float:
    """Pixels that stand for one IOD of the mean face, the median over frames (n, K, 3)."""
    rigid = neutral_face()[_RIGID_ROWS]
    _, scale, _, _ = similarity_to(rigid, np.asarray(landmarks[:, _RIGID_ROWS], np.float64))
    return float(1 / np.median(scale))


def _head_axes(features: FaceFeatures) -> np.ndarray:
    """(N, 3, 3) rotation from the upright face's frame to the camera's; the identity where there is no face."""
    axes = np.tile(np.eye(3), (features.timebase.n_ticks, 1, 1))
    rigid = neutral_face()[_RIGID_ROWS]
    for start, stop in features.segments():
        points = np.asarray(features.landmarks[start:stop][:, _RIGID_ROWS], np.float64)
        axes[start:stop] = similarity_to(rigid, points)[0]
    return axes


def _places(quiet: np.ndarray, ticks: int, most: int, rng: np.random.Generator) -> list[int]:
    """Random onsets of at most `most` additions of some ticks each, apart from each other and from what is not
    quiet."""
    free = quiet.copy()
    need = ticks + 2 * _MARGIN
    starts: list[int] = []
    while len(starts) < most:
        room = np.convolve(free, np.ones(need, int), mode="valid") == need
        candidates = np.flatnonzero(room)
        if candidates.size == 0:
            break
        start = int(rng.choice(candidates)) + _MARGIN
        starts.append(start)
        free[max(start - _MARGIN - _SPACING, 0) : start + ticks + _MARGIN + _SPACING] = False
    return starts


def _addition(
    start: int, ticks: int, amplitude: float, kind: ExpressionType, pose: np.ndarray, rng: np.random.Generator
) -> Addition:
    person: Person = draw_person(rng)
    field = draw_expression(person, amplitude, rng)
    rise = int(np.clip(round(ticks * rng.uniform(0.3, 0.6)), 1, ticks - 1))
    hold = 0 if kind == "micro" else int(rng.uniform(0, 0.4) * (ticks - rise))
    curve = envelope(0, rise, hold, ticks - 1, ticks, rng)
    in_head = curve[:, None, None] * field
    moved, reported = (
        np.einsum("nij,nkj->nki", pose[start : start + ticks], motion)[:, :, :2].astype(np.float32)
        for motion in (in_head, mesh_answer(in_head, rng))
    )
    truth = Interval(start, start + int(np.argmax(curve)), start + ticks - 1, kind)
    return Addition(truth, amplitude, moved, reported)
