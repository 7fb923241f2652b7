"""Snippets on the 30 Hz clock from a stream of followed faces (SW-MRO features, section 3.1 of the ICLR paper).

The snippet of tick i holds the displacement of ten ROIs from tick i-8 to each of the ticks i-8 .. i+8. Pictures are
never interpolated. Every source frame is the reference of one trajectory, known at the real times of later frames;
trajectories are interpolated linearly to whole ticks after their reference and then between the two references
around the snippet's first tick. At 30 frames a second every second later frame is known, and an odd step is the mean of
its two neighbours.

A segment of frames that has a gap of more than `MAX_GAP_S` in it becomes two segments of ticks. Each segment is treated
as a video of its own: before its first and after its last tick the edge tick is repeated.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice

import numpy as np

from ..features import SNIPPET_REACH, SNIPPET_STEPS
from ..reading.frames import FaceFrame
from ..regions import KEPT_MESH_POINTS
from ..timebase import CLOCK_HZ
from .alignment import ALIGNMENTS, ANCHOR_MESH_POINTS, Alignment, masked_median, remove_head_motion
from .flow import HORIZON_S, N_ROI, N_SAMPLES, TRACKED_ANCHORS, FlowMethod, FlowTracker, FrameMotion

MAX_GAP_S = 0.25  # frames further apart are not interpolated between: slower than this no micro-expression survives
# Frames whose head motion is removed in one go, where nobody waits for them: on arrays this small the calls are what
# takes the time.
TOGETHER = 16
_SLACK_S = 1e-6  # rounding of frame times
_END_SLACK_S = 1e-3  # the slack with which Timebase counts its last tick
_STEP_S = np.arange(SNIPPET_STEPS) / CLOCK_HZ
_KEPT_ROWS = np.array(KEPT_MESH_POINTS)


@dataclass(frozen=True, eq=False)
class TickRow:
    """The features of one tick.

    segment: number of the segment it lies in, counted from 0 in order of time; -1 where the face is not usable.
    snippet: (17, 10, 2) float32, x right, y down, fractions of the inter-ocular distance; zero where invalid.
    landmarks: (K, 3) float32 pixels, the mesh points `regions.KEPT_MESH_POINTS`; NaN where invalid.
    """

    tick: int
    segment: int
    snippet: np.ndarray
    landmarks: np.ndarray


def build_snippets(
    frames: Iterable[FaceFrame],
    *,
    flow: FlowMethod = "lk",
    alignment: Alignment = "pose",
    n_ticks: Callable[[], int] | None = None,
    together: int = TOGETHER,
) -> Iterator[TickRow]:
    """One row for every tick of the recording, in order.

    frames: in order of time; those without landmarks only tell how long the recording is. Rows come about half a second
    behind the frames, several at a time, and only that much is held in memory.
    n_ticks: asked once the frames have run out, how many ticks there are (`Timebase.n_ticks`); by default those up
    to the last frame. Thinned video can end a little before the recording does.
    together: frames that are taken together. More take less time and come later; the rows are the same.
    Raises ValueError for an unknown method or frames out of order.
    """
    if alignment not in ALIGNMENTS:
        raise ValueError(f"alignment must be one of {ALIGNMENTS}, got {alignment!r}")
    segment: _Segment | None = None
    n_segments = 0
    tick = 0  # the next to be given out
    last_time = -math.inf

    def upto(rows: Iterable[TickRow]) -> Iterator[TickRow]:
        """The rows, and before each an empty one for every tick that was passed over."""
        nonlocal tick
        for row in rows:
            yield from map(_empty_row, range(tick, row.tick))
            yield row
            tick = row.tick + 1

    for frame in frames:
        if frame.time <= last_time:
            raise ValueError(f"frame {frame.index} at {frame.time} s does not come after the one before it")
        last_time = frame.time
        if frame.landmarks is None:
            continue
        if segment is not None and not segment.continues(frame):
            yield from upto(segment.finish(halfway=(segment.last_time + frame.time) / 2))
            segment = None
        if segment is None:
            segment = _Segment(frame, n_segments, tick, flow, alignment, together)
            n_segments += 1
        yield from upto(segment.add(frame))
    if last_time < 0:
        return
    end = n_ticks() if n_ticks is not None else math.floor((last_time + _END_SLACK_S) * CLOCK_HZ) + 1
    if segment is not None:
        yield from upto(segment.finish(end=end))
    yield from map(_empty_row, range(tick, end))


def _empty_row(tick: int) -> TickRow:
    snippet = np.zeros((SNIPPET_STEPS, N_ROI, 2), np.float32)
    return TickRow(tick, -1, snippet, np.full((len(KEPT_MESH_POINTS), 3), np.nan, np.float32))


class _Trajectory:
    """Aligned ROI displacements of one reference, at the times of the frames after it."""

    def __init__(self, time: float) -> None:
        self.time = time
        self.offsets: list[float] = []  # seconds after the reference
        self.residuals: list[np.ndarray] = []  # (10, 2) each

    def append(self, time: float, residual: np.ndarray) -> None:
        """residual: (10, 2) fractions of the inter-ocular distance."""
        self.offsets.append(time - self.time)
        self.residuals.append(residual)

    def kept(self, residual: np.ndarray, known: np.ndarray) -> np.ndarray:
        """A residual (10, 2) in which an ROI that is not known (10,) keeps its last value."""
        return np.where(known[:, None], residual, self.residuals[-1] if self.residuals else 0.0)

    @property
    def is_complete(self) -> bool:
        return bool(self.offsets) and self.offsets[-1] + _SLACK_S >= HORIZON_S


def _steps(trajectories: Sequence[_Trajectory]) -> tuple[np.ndarray, np.ndarray]:
    """Of some trajectories (B), at least one: (B, 17, 10, 2) at whole ticks after the reference, the last value held;
    (B, 17) bool, which of them were seen."""
    counts = np.array([len(trajectory.offsets) for trajectory in trajectories])
    values = np.array([residual for trajectory in trajectories for residual in trajectory.residuals])
    flat = np.array([offset for trajectory in trajectories for offset in trajectory.offsets])
    ends = np.cumsum(counts)
    reached = flat[ends - 1][:, None]
    offsets = np.full((len(counts), counts.max()), np.inf)
    offsets[np.arange(counts.max()) < counts[:, None]] = flat
    at = np.minimum(_STEP_S, reached)
    right = (offsets[:, None] < at[..., None]).sum(-1)
    right = np.minimum(np.maximum(right, 1), counts[:, None] - 1) + (ends - counts)[:, None]
    return _between(values, flat, right, at), reached + _SLACK_S >= _STEP_S


def _between(values: np.ndarray, times: np.ndarray, right: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Linear interpolation of values (T, ...) known at times (T,), each between the one whose number `right` (...) says
    and the one before it, at times `at` (...) clamped to these two."""
    left = np.maximum(right - 1, 0)
    period = times[right] - times[left]
    weight = np.clip((at - times[left]) / np.where(period > 0, period, 1.0), 0.0, 1.0)
    weight = weight.reshape(*weight.shape, *[1] * (values.ndim - 1))
    return (1 - weight) * values[left] + weight * values[right]


class _Segment:
    """One segment while it is read: its trajectories, and the ticks that wait for them."""

    def __init__(
        self, first: FaceFrame, number: int, free_tick: int, flow: FlowMethod, alignment: Alignment, together: int
    ) -> None:
        """free_tick: the first tick that no earlier segment has taken."""
        self._number = number
        self._source_segment = first.segment
        self._alignment, self._together = alignment, together
        self._tracker = FlowTracker(flow)
        self._trajectories: deque[_Trajectory] = deque()
        # Motions, and the trajectories they continue; None for those that no tick will ask for any more.
        self._waiting: list[tuple[FrameMotion, list[_Trajectory | None]]] = []
        self._mesh: deque[tuple[float, np.ndarray]] = deque()  # (time, (K, 3) landmarks)
        # A tick up to half a period before the first frame still belongs to it.
        self._first_tick = max(math.ceil((first.time - _SLACK_S) * CLOCK_HZ - 0.5), free_tick)
        self._tick = self._first_tick  # the next to be given out
        self.last_time = first.time

    def continues(self, frame: FaceFrame) -> bool:
        return frame.segment == self._source_segment and frame.time - self.last_time <= MAX_GAP_S

    def add(self, frame: FaceFrame) -> Iterator[TickRow]:
        """The rows that this frame completes."""
        self.last_time = frame.time
        self._mesh.append((frame.time, frame.landmarks[_KEPT_ROWS]))
        self._trajectories.append(_Trajectory(frame.time))
        self._wait(self._tracker.add(frame))
        if len(self._waiting) < self._together:
            return
        self._settle()
        first = self._tick
        while self._is_known_from(self._start_tick()):
            self._tick += 1
        yield from self._rows(first, last_tick=None)

    def _wait(self, motions: list[FrameMotion]) -> None:
        """Keep the motions until several can be aligned at once."""
        wanted = {trajectory.time: trajectory for trajectory in self._trajectories}
        self._waiting += [(motion, [wanted.get(time) for time in motion.times.tolist()]) for motion in motions]

    def _settle(self) -> None:
        """Continue the trajectories by the motions that wait."""
        if not self._waiting:
            return
        motions = [motion for motion, _ in self._waiting]
        parts = {
            field.name: np.concatenate([getattr(motion, field.name) for motion in motions])
            for field in fields(FrameMotion)
            if field.name != "time"
        }
        residuals, known = roi_motion(FrameMotion(time=motions[-1].time, **parts), self._alignment)
        whole = known.all(1).tolist()
        row = 0
        for motion, trajectories in self._waiting:
            for trajectory in trajectories:
                if trajectory is not None:
                    seen = residuals[row]
                    trajectory.append(motion.time, seen if whole[row] else trajectory.kept(seen, known[row]))
                row += 1
        self._waiting = []

    def finish(self, halfway: float = math.inf, end: float = math.inf) -> Iterator[TickRow]:
        """The remaining rows. halfway: seconds where the next segment's realm begins; end: ticks in the recording."""
        self._wait(self._tracker.catch_up())
        self._settle()
        reach = min(self.last_time + 0.5 / CLOCK_HZ, halfway) + _SLACK_S
        last_tick = min(math.floor(reach * CLOCK_HZ), end - 1)
        first, self._tick = self._tick, max(last_tick + 1, self._tick)
        yield from self._rows(first, last_tick)

    def _start_tick(self) -> int:
        """Where the next tick's displacements are measured from."""
        return max(self._tick - SNIPPET_REACH, self._first_tick)

    def _is_known_from(self, tick: int) -> bool:
        """Whether the trajectories of the references around a tick are complete."""
        time = tick / CLOCK_HZ - _SLACK_S
        after = next((i for i, t in enumerate(self._trajectories) if t.time >= time), None)
        if after is None:
            return False
        return all(self._trajectories[i].is_complete for i in range(max(after - 1, 0), after + 1))

    def _rows(self, first: int, last_tick: int | None) -> Iterator[TickRow]:
        """The rows from a tick to the one before the next to be given out. last_tick: of the segment, None while it
        lies beyond the snippets' reach."""
        if first == self._tick:
            return
        ticks = np.arange(first, self._tick)
        starts = np.maximum(ticks - SNIPPET_REACH, self._first_tick)
        step = np.maximum((ticks - SNIPPET_REACH - starts)[:, None] + np.arange(SNIPPET_STEPS), 0)
        if last_tick is not None:
            step = np.minimum(step, np.maximum(last_tick - starts, 0)[:, None])
        moved = self._displacements_from(int(starts[0]), int(starts[-1]))
        snippets = moved[(starts - starts[0])[:, None], step].astype(np.float32)
        for tick, snippet, landmarks in zip(ticks.tolist(), snippets, self._landmarks_at(ticks), strict=True):
            yield TickRow(tick, self._number, snippet, landmarks)

    def _displacements_from(self, first: int, last: int) -> np.ndarray:
        """(last - first + 1, 17, 10, 2) from each tick to the ones after it, between the two references around it."""
        befores, weights = [], []  # numbers of the earlier references; how near the later ones are, 0 where it is alone
        ahead = 0
        for tick in range(first, last + 1):
            time = tick / CLOCK_HZ
            while len(self._trajectories) > ahead + 1 and self._trajectories[ahead + 1].time <= time + _SLACK_S:
                ahead += 1
            if tick == first:
                # Those before are of no use any more.
                for _ in range(ahead):
                    self._trajectories.popleft()
                ahead = 0
            weight = 0.0
            before = self._trajectories[ahead].time
            if before < time - _SLACK_S and len(self._trajectories) > ahead + 1:
                weight = (time - before) / (self._trajectories[ahead + 1].time - before)
            befores.append(ahead)
            weights.append(weight)
        used = min(ahead + 2, len(self._trajectories))
        moved, seen = _steps([*islice(self._trajectories, used)])
        before = np.array(befores)
        after = np.minimum(before + 1, used - 1)
        # At the end of a segment the later reference sees one frame less ahead than the earlier one.
        weight = np.where(seen[after], np.array(weights)[:, None], 0.0)[..., None, None]
        return moved[before] + weight * (moved[after] - moved[before])

    def _landmarks_at(self, ticks: np.ndarray) -> np.ndarray:
        """(N, K, 3) float32."""
        at = ticks / CLOCK_HZ
        while len(self._mesh) > 1 and self._mesh[1][0] <= at[0]:
            self._mesh.popleft()
        times = np.array([time for time, _ in self._mesh])
        right = np.minimum(np.maximum(np.searchsorted(times, at, "right"), 1), len(times) - 1)
        used = int(right[-1]) + 1
        meshes = np.array([mesh for _, mesh in islice(self._mesh, used)])
        return _between(meshes, times, right, at).astype(np.float32)


_ANCHORS = slice(N_ROI * N_SAMPLES, None)
_MIN_ANCHORS = 3  # with fewer the head's motion is a guess, and nothing that is measured against it counts


def roi_motion(motion: FrameMotion, alignment: Alignment) -> tuple[np.ndarray, np.ndarray]:
    """ROI displacements free of head motion, (R, 10, 2) in fractions of the reference's inter-ocular distance, and
    which of them were seen, (R, 10) bool. An ROI moves like the median of its trusted samples."""
    shape = (len(motion.times), N_ROI, N_SAMPLES)
    points = motion.points[:, : N_ROI * N_SAMPLES].reshape(*shape, 3)
    moved = motion.displacements[:, : N_ROI * N_SAMPLES].reshape(*shape, 2)
    trusted = motion.trusted[:, : N_ROI * N_SAMPLES].reshape(shape)
    displacements = masked_median(np.moveaxis(moved, -1, -2), trusted[..., None, :])
    anchors = [TRACKED_ANCHORS.index(mesh) for mesh in ANCHOR_MESH_POINTS[alignment]]
    residuals = remove_head_motion(
        points.mean(2),
        displacements,
        motion.points[:, _ANCHORS][:, anchors],
        motion.displacements[:, _ANCHORS][:, anchors],
        alignment,
        motion.trusted[:, _ANCHORS][:, anchors].astype(motion.displacements.dtype),
    )
    held = motion.trusted[:, _ANCHORS][:, anchors].sum(-1) >= _MIN_ANCHORS
    return residuals / motion.iod[:, None, None], trusted.any(-1) & held[:, None]
