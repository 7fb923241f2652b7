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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from ..features import SNIPPET_REACH, SNIPPET_STEPS
from ..reading.frames import FaceFrame
from ..regions import KEPT_MESH_POINTS
from ..timebase import CLOCK_HZ
from .alignment import ALIGNMENTS, ANCHOR_MESH_POINTS, Alignment, masked_median, remove_head_motion
from .flow import HORIZON_S, N_ROI, N_SAMPLES, TRACKED_ANCHORS, FlowMethod, FlowTracker, FrameMotion

MAX_GAP_S = 0.25  # frames further apart are not interpolated between: slower than this no micro-expression survives
_TOGETHER = 4  # frames whose head motion is removed in one go: on arrays this small the calls are what takes the time
_SLACK_S = 1e-6  # rounding of frame times
_END_SLACK_S = 1e-3  # the slack with which Timebase counts its last tick
_STEP_S = np.arange(SNIPPET_STEPS) / CLOCK_HZ


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
) -> Iterator[TickRow]:
    """One row for every tick of the recording, in order.

    frames: in order of time; those without landmarks only tell how long the recording is. Rows come about half a second
    behind the frames, several at a time, and only that much is held in memory.
    n_ticks: asked once the frames have run out, how many ticks there are (`Timebase.n_ticks`); by default those up
    to the last frame. Thinned video can end a little before the recording does.
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
            segment = _Segment(frame, n_segments, tick, flow, alignment)
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
        self._offsets: list[float] = []  # seconds after the reference
        self._residuals: list[np.ndarray] = []  # (10, 2) each

    def append(self, time: float, residual: np.ndarray, known: np.ndarray) -> None:
        """residual: (10, 2); an ROI that is not known (10,) keeps its last value."""
        if not known.all():
            residual = np.where(known[:, None], residual, self._residuals[-1] if self._residuals else 0.0)
        self._offsets.append(time - self.time)
        self._residuals.append(residual)

    @property
    def is_complete(self) -> bool:
        return bool(self._offsets) and self._offsets[-1] + _SLACK_S >= HORIZON_S

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """(17, 10, 2) at whole ticks after the reference, the last value held; (17,) bool, which of them were seen."""
        offsets = np.array(self._offsets)
        seen = offsets[-1] + _SLACK_S >= _STEP_S
        return _interpolate(np.minimum(_STEP_S, offsets[-1]), offsets, np.stack(self._residuals)), seen


def _interpolate(at: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear interpolation of values (T, ...) known at times (T,), at times (S,) clamped to their range -> (S, ...)."""
    if len(times) == 1:
        return np.repeat(values, len(at), axis=0)
    right = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    weight = np.clip((at - times[right - 1]) / (times[right] - times[right - 1]), 0.0, 1.0)
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    return (1 - weight) * values[right - 1] + weight * values[right]


class _Segment:
    """One segment while it is read: its trajectories, and the ticks that wait for them."""

    def __init__(self, first: FaceFrame, number: int, free_tick: int, flow: FlowMethod, alignment: Alignment) -> None:
        """free_tick: the first tick that no earlier segment has taken."""
        self._number = number
        self._source_segment = first.segment
        self._alignment = alignment
        self._tracker = FlowTracker(flow)
        self._trajectories: deque[_Trajectory] = deque()
        # Motions, and the trajectories they continue; None for those that no tick will ask for any more.
        self._waiting: list[tuple[FrameMotion, list[_Trajectory | None]]] = []
        self._mesh: deque[tuple[float, np.ndarray]] = deque()  # (time, (K, 3) landmarks)
        # A tick up to half a period before the first frame still belongs to it.
        self._first_tick = max(math.ceil((first.time - _SLACK_S) * CLOCK_HZ - 0.5), free_tick)
        self._tick = self._first_tick  # the next to be given out
        self._start: tuple[int, np.ndarray] | None = None  # (tick, (17, 10, 2)) last displacements from a start tick
        self.last_time = first.time

    def continues(self, frame: FaceFrame) -> bool:
        return frame.segment == self._source_segment and frame.time - self.last_time <= MAX_GAP_S

    def add(self, frame: FaceFrame) -> Iterator[TickRow]:
        """The rows that this frame completes."""
        self.last_time = frame.time
        self._mesh.append((frame.time, frame.landmarks[list(KEPT_MESH_POINTS)]))
        self._trajectories.append(_Trajectory(frame.time))
        self._wait(self._tracker.add(frame))
        if len(self._waiting) < _TOGETHER:
            return
        self._settle()
        while self._is_known_from(self._start_tick()):
            yield self._row(last_tick=None)

    def _wait(self, motions: list[FrameMotion]) -> None:
        """Keep the motions until several can be aligned at once."""
        wanted = {trajectory.time: trajectory for trajectory in self._trajectories}
        self._waiting += [(motion, [wanted.get(time) for time in motion.times]) for motion in motions]

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
        ends = np.cumsum([len(motion.times) for motion in motions])[:-1]
        for (motion, trajectories), *seen in zip(
            self._waiting, np.split(residuals, ends), np.split(known, ends), strict=True
        ):
            for trajectory, residual, where in zip(trajectories, *seen, strict=True):
                if trajectory is not None:
                    trajectory.append(motion.time, residual, where)
        self._waiting = []

    def finish(self, halfway: float = math.inf, end: float = math.inf) -> Iterator[TickRow]:
        """The remaining rows. halfway: seconds where the next segment's realm begins; end: ticks in the recording."""
        self._wait(self._tracker.catch_up())
        self._settle()
        reach = min(self.last_time + 0.5 / CLOCK_HZ, halfway) + _SLACK_S
        last_tick = min(math.floor(reach * CLOCK_HZ), end - 1)
        while self._tick <= last_tick:
            yield self._row(last_tick)

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

    def _row(self, last_tick: int | None) -> TickRow:
        """The next tick's row. last_tick: of the segment, None while it lies beyond the snippet's reach."""
        start = self._start_tick()
        moved = self._displacements_from(start)
        step = np.maximum(self._tick - SNIPPET_REACH + np.arange(SNIPPET_STEPS) - start, 0)
        if last_tick is not None:
            step = np.minimum(step, max(last_tick - start, 0))
        row = TickRow(self._tick, self._number, moved[step].astype(np.float32), self._landmarks_at(self._tick))
        self._tick += 1
        return row

    def _displacements_from(self, tick: int) -> np.ndarray:
        """(17, 10, 2) from a tick to the ones after it, between the two references around it."""
        if self._start is None or self._start[0] != tick:
            time = tick / CLOCK_HZ
            while len(self._trajectories) > 1 and self._trajectories[1].time <= time + _SLACK_S:
                self._trajectories.popleft()
            before = self._trajectories[0]
            moved, _ = before.steps()
            if before.time < time - _SLACK_S and len(self._trajectories) > 1:
                after = self._trajectories[1]
                later, seen = after.steps()
                # At the end of a segment the later reference sees one frame less ahead than the earlier one.
                weight = np.where(seen, (time - before.time) / (after.time - before.time), 0.0)
                moved = moved + weight[:, None, None] * (later - moved)
            self._start = (tick, moved)
        return self._start[1]

    def _landmarks_at(self, tick: int) -> np.ndarray:
        time = tick / CLOCK_HZ
        while len(self._mesh) > 1 and self._mesh[1][0] <= time:
            self._mesh.popleft()
        near = list(self._mesh)[:2]
        times, meshes = np.array([t for t, _ in near]), np.stack([m for _, m in near])
        return _interpolate(np.array([time]), times, meshes)[0].astype(np.float32)


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
