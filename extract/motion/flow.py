"""Tracking of facial sample points from every frame to all later frames within a snippet's reach.

Each frame of a segment is a *reference*: its sample points are tracked from its own picture straight to later
pictures, never chained from frame to frame, so that errors do not add up and slow motion accumulates. Where pictures
follow each other as fast as 28 a second that is every second one, and the last before a gap or the segment's end.

All pictures of a segment are cut to one square window around the face and resized to `CROP_SIZE`. When the face drifts
out of place the window moves and every picture still in reach is cut again, so that any two pictures that are
compared share one window and its moves never show up as motion.

Sparse Lucas-Kanade is the default: on a rendered portrait (`benchmarks/flow_noise.py`) dense inverse search showed only
about half of a small local motion, because it smooths across the face, left no less noise and took five times as long.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import cv2
import numpy as np

from ..features import SNIPPET_STEPS
from ..reading.frames import FaceFrame
from ..regions import EYE_CORNERS, ROI_MESH_POINTS
from ..timebase import CLOCK_HZ, DENSE_PERIOD_S
from .alignment import ANCHOR_MESH_POINTS

FlowMethod = Literal["lk", "dis"]
FLOW_METHODS: tuple[FlowMethod, ...] = get_args(FlowMethod)

HORIZON_S = (SNIPPET_STEPS - 1) / CLOCK_HZ
CROP_SIZE = 256  # px: the side every cut is resized to; with 192 the intervals found are fewer (docs/speed.md)
_CROP_SIDE = 3.4  # x inter-ocular distance: forehead to chin with room for half a second of head motion
_CROP_DRIFT = 0.12  # of the side: how far the face may stray from the middle before the window follows
_CROP_ZOOM = 1.2  # how much larger or smaller the face may get before the window is resized
_IOD_FRAMES = 15  # running median: half a second at 30 fps
_SLACK_S = 1e-6  # rounding of frame times

# Where an ROI is sampled, in fractions of the inter-ocular distance along and across the line of the eyes.
_SAMPLE_PATTERN = np.array([(0.0, 0.0), (-0.06, 0.0), (0.06, 0.0), (0.0, -0.05), (0.0, 0.05)], np.float32)
N_ROI = len(ROI_MESH_POINTS)
N_SAMPLES = len(_SAMPLE_PATTERN)
# Every mesh point that some way of removing head motion reads.
TRACKED_ANCHORS = tuple(dict.fromkeys(point for anchors in ANCHOR_MESH_POINTS.values() for point in anchors))
N_POINTS = N_ROI * N_SAMPLES + len(TRACKED_ANCHORS)
# A track further than this from where the face mesh sees the point is lost: mesh errors stay well below it.
_STRAY_LIMIT = 0.25  # x inter-ocular distance


# The same as index arrays: the first mesh point of each ROI, then which ROIs have a second, a third and so on, and how
# many each has, (10, 1).
_ROI_FIRST = np.array([mesh[0] for mesh in ROI_MESH_POINTS.values()])
_ROI_FURTHER = [
    tuple(np.array([(roi, mesh[k]) for roi, mesh in enumerate(ROI_MESH_POINTS.values()) if k < len(mesh)]).T)
    for k in range(1, max(len(mesh) for mesh in ROI_MESH_POINTS.values()))
]
_ROI_POINTS = np.array([[len(mesh)] for mesh in ROI_MESH_POINTS.values()], np.float32)
_ANCHOR_ROWS = np.array(TRACKED_ANCHORS)


def eye_distance(landmarks: np.ndarray) -> float:
    """Inter-ocular distance of (478, 3) mesh points in their unit.

    Depth counts too: the distance in the picture alone shrinks as the head turns and would inflate all motion.
    """
    left, right = (landmarks[list(EYE_CORNERS[side])].mean(0) for side in ("image_left", "image_right"))
    return float(np.linalg.norm(right - left))


def sample_points(landmarks: np.ndarray, iod: float) -> np.ndarray:
    """Picture positions to track and their depth, (P, 3) px: `N_SAMPLES` for each ROI, then `TRACKED_ANCHORS`."""
    left, right = (landmarks[list(EYE_CORNERS[side]), :2].mean(0) for side in ("image_left", "image_right"))
    along = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    axes = np.array([[*along, 0.0], [-along[1], along[0], 0.0]]) * iod
    centres = landmarks[_ROI_FIRST]
    for roi, mesh in _ROI_FURTHER:
        centres[roi] += landmarks[mesh]
    centres /= _ROI_POINTS
    samples = centres[:, None] + _SAMPLE_PATTERN @ axes
    return np.concatenate([samples.reshape(-1, 3), landmarks[_ANCHOR_ROWS]]).astype(np.float32)


@dataclass(frozen=True)
class CropWindow:
    """A square of the picture (may reach over its edge) and the exact map between its pixels and the resized cut."""

    x: int
    y: int
    side: int

    @property
    def scale(self) -> float:
        """Cut pixels per picture pixel."""
        return CROP_SIZE / self.side

    def cut(self, gray: np.ndarray) -> np.ndarray:
        """(CROP_SIZE, CROP_SIZE) uint8; beyond the picture its edge is repeated."""
        height, width = gray.shape
        top, left = max(0, -self.y), max(0, -self.x)
        bottom, right = max(0, self.y + self.side - height), max(0, self.x + self.side - width)
        inner = gray[max(self.y, 0) : self.y + self.side - bottom, max(self.x, 0) : self.x + self.side - right]
        if top or left or bottom or right:
            inner = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REPLICATE)
        how = cv2.INTER_AREA if self.side > CROP_SIZE else cv2.INTER_LINEAR
        return cv2.resize(inner, (CROP_SIZE, CROP_SIZE), interpolation=how)

    def into(self, points: np.ndarray) -> np.ndarray:
        """Picture positions (..., 2) to cut positions; pixel centres are at whole numbers in both."""
        return (points - (self.x, self.y) + 0.5) * self.scale - 0.5

    def holds(self, centre: np.ndarray, iod: float) -> bool:
        """Whether a face (centre and inter-ocular distance in the picture) still sits well in the window."""
        drift = np.abs(centre - (self.x + self.side / 2, self.y + self.side / 2)).max() / self.side
        zoom = _CROP_SIDE * iod / self.side
        return bool(drift <= _CROP_DRIFT and 1 / _CROP_ZOOM <= zoom <= _CROP_ZOOM)

    @classmethod
    def around(cls, centre: np.ndarray, iod: float) -> "CropWindow":
        side = max(round(_CROP_SIDE * iod), 16)
        x, y = np.rint(centre - side / 2).astype(int)
        return cls(int(x), int(y), side)


class Tracker(Protocol):
    """How points of some cuts are found in another."""

    def __call__(
        self,
        references: Sequence[np.ndarray],
        current: np.ndarray,
        points: np.ndarray,
        guess: np.ndarray,
        contrast: np.ndarray,
        rough: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions (R, P, 2) in `current` and whether each is trusted (R, P) bool, for R of at least 1.

        references, current: cuts; points: (R, P, 2) in each of `references`; guess: (R, P, 2) where they may be in
        `current`; contrast: (R, P) standard deviation of the gray levels around each in its reference;
        rough: the guess comes from the face mesh and may be some pixels off.
        """


def track_lk(
    references: Sequence[np.ndarray],
    current: np.ndarray,
    points: np.ndarray,
    guess: np.ndarray,
    contrast: np.ndarray,
    rough: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Pyramidal Lucas-Kanade. Unless the guess is rough the finest level alone is enough.

    It prepares each whole reference anew for every picture, so it is shown only where the points are.
    """
    ends = np.concatenate([points, guess]).reshape(-1, 2)
    left, top = np.maximum(ends.min(0).astype(int) - _LK_MARGIN, 0)
    right, bottom = ends.max(0).astype(int) + _LK_MARGIN
    shown = slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))
    corner = np.array([left, top], np.float32)
    starts, founds = points - corner, guess - corner
    status = np.empty((*points.shape[:2], 1), np.uint8)
    error = np.empty((*points.shape[:2], 1), np.float32)
    there = current[shown]
    for k, reference in enumerate(references):
        cv2.calcOpticalFlowPyrLK(
            reference[shown],
            there,
            starts[k],
            founds[k],
            status[k],
            error[k],
            (_LK_WINDOW, _LK_WINDOW),
            _LK_ROUGH_LEVELS if rough else 0,
            (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, _LK_PRECISION),
            cv2.OPTFLOW_USE_INITIAL_FLOW,
            1e-4,
        )
    # Lucas-Kanade calls anything with texture found. What it found must look like what it sought.
    limit = np.maximum(_LK_ERROR_FLOOR, _LK_ERROR_LIMIT * contrast)
    return founds + corner, (status[..., 0] > 0) & (error[..., 0] < limit)


def _contrast(cut: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P,) standard deviation of the gray levels in the tracking window around each point."""
    columns, rows = np.clip(np.rint(points), 0, CROP_SIZE - 1).astype(int).T
    sums, squares = cv2.integral2(cut)
    half = _LK_WINDOW // 2
    top, bottom = np.maximum(rows - half, 0), np.minimum(rows + half + 1, CROP_SIZE)
    left, right = np.maximum(columns - half, 0), np.minimum(columns + half + 1, CROP_SIZE)
    area = (bottom - top) * (right - left)
    mean, power = (
        (table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]) / area
        for table in (sums, squares)
    )
    return np.sqrt(np.maximum(power - mean**2, 0.0))


_LK_WINDOW = 15  # px of the cut: a fifth of the inter-ocular distance
_LK_ROUGH_LEVELS = 2
_LK_PRECISION = 0.02  # px of the cut a step of the search may still move
_LK_MARGIN = 24  # px of the cut shown around the outermost points; a track beyond it has strayed
_LK_ERROR_FLOOR = 8.0  # mean gray level difference that noise and light may cause
_LK_ERROR_LIMIT = 0.7  # x contrast: two unrelated patches differ by about 0.8 to 1.1
_DIS_PATCH = 9  # px of the cut: dense flow is averaged over this square around a point


class DenseTracker:
    """Dense inverse search (cv2.DISOpticalFlow) over the whole cut, averaged around each point."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def __call__(
        self,
        references: Sequence[np.ndarray],
        current: np.ndarray,
        points: np.ndarray,
        guess: np.ndarray,
        contrast: np.ndarray,
        rough: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        moved = np.stack([self._motion(*pair, current) for pair in zip(references, points, strict=True)])
        return points + moved, np.all((points >= 0) & (points < CROP_SIZE), axis=-1)

    def _motion(self, reference: np.ndarray, points: np.ndarray, current: np.ndarray) -> np.ndarray:
        flow = cv2.blur(self._dis.calc(reference, current, None), (_DIS_PATCH, _DIS_PATCH))
        at = cv2.remap(flow, points[:, None, 0], points[:, None, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return at[:, 0]


_TRACKERS: dict[FlowMethod, Callable[[], Tracker]] = {"lk": lambda: track_lk, "dis": DenseTracker}


@dataclass(frozen=True, eq=False)
class FrameMotion:
    """How the points of some references moved up to one frame.

    time: seconds of the frame. times: (R,) of the references, oldest first. iod: (R,) px.
    points: (R, P, 3) px as laid out by `sample_points`; displacements: (R, P, 2) px; trusted: (R, P) bool.
    """

    time: float
    times: np.ndarray
    iod: np.ndarray
    points: np.ndarray
    displacements: np.ndarray
    trusted: np.ndarray


class FlowTracker:
    """Follows the sample points of one segment. Holds the pictures of about half a second.

    Raises ValueError for an unknown method.
    """

    def __init__(self, method: FlowMethod = "lk") -> None:
        if method not in FLOW_METHODS:
            raise ValueError(f"flow must be one of {FLOW_METHODS}, got {method!r}")
        self._track = _TRACKERS[method]()
        # The references, oldest first: their pictures, and these as the window last cut them.
        self._grays: list[np.ndarray] = []
        self._cuts: list[np.ndarray] = []
        self._times, self._iod = np.empty(0), np.empty(0)
        self._samples = np.empty((0, N_POINTS, 3), np.float32)  # laid on each one's own face mesh, px of the picture
        self._start = np.empty((0, N_POINTS, 2), np.float32)  # the same in the cuts
        self._contrast = np.empty((0, N_POINTS))
        # When each was tracked last, where its points were then, px, and which of them are still followed.
        self._seen = np.empty(0)
        self._found = np.empty((0, N_POINTS, 2), np.float32)
        self._trusted = np.empty((0, N_POINTS), bool)
        self._iods: deque[float] = deque(maxlen=_IOD_FRAMES)
        self._window: CropWindow | None = None

    def add(self, frame: FaceFrame) -> list[FrameMotion]:
        """Track references in reach to `frame`, which then becomes one itself. Needs its landmarks.

        Gives those that were tracked, and `frame`, which has not moved. Before it, where the frame comes after a gap,
        what `catch_up` says.
        """
        motions = []
        if len(self._times) and frame.time - self._times[-1] > DENSE_PERIOD_S:
            motions += self.catch_up()
        self._forget_complete()
        landmarks = frame.landmarks
        self._iods.append(eye_distance(landmarks))
        iod = float(np.median(self._iods))
        samples = sample_points(landmarks, iod)
        self._aim(samples[:, :2], iod)
        cut = self._window.cut(frame.gray)
        start = self._window.into(samples[:, :2]).astype(np.float32)
        due = np.flatnonzero((frame.time - self._seen > DENSE_PERIOD_S) & ~self._complete())
        self._follow(due, frame.time, cut, start)
        self._grays.append(frame.gray)
        self._cuts.append(cut)
        self._times = np.append(self._times, frame.time)
        self._iod = np.append(self._iod, iod)
        self._samples = np.concatenate([self._samples, samples[None]])
        self._start = np.concatenate([self._start, start[None]])
        self._contrast = np.concatenate([self._contrast, _contrast(cut, start)[None]])
        self._seen = np.append(self._seen, frame.time)
        self._found = np.concatenate([self._found, samples[None, :, :2]])
        self._trusted = np.concatenate([self._trusted, np.ones((1, N_POINTS), bool)])
        return [*motions, self._motion(np.append(due, len(self._times) - 1))]

    def catch_up(self) -> list[FrameMotion]:
        """Track to the latest frame what has not been: nothing comes after it, or not soon."""
        due = np.flatnonzero((self._seen < self._times[-1]) & ~self._complete())
        if not len(due):
            return []
        self._follow(due, self._times[-1], self._cuts[-1], self._start[-1])
        return [self._motion(due)]

    def _motion(self, rows: np.ndarray) -> FrameMotion:
        """Of those references, as they were tracked to the latest frame."""
        return FrameMotion(
            time=float(self._times[-1]),
            times=self._times[rows],
            iod=self._iod[rows],
            points=self._samples[rows],
            displacements=self._found[rows] - self._samples[rows, :, :2],
            trusted=self._trusted[rows],
        )

    def _complete(self) -> np.ndarray:
        """(R,) which references have been tracked as far as a snippet reaches."""
        return self._seen + _SLACK_S >= self._times + HORIZON_S

    def _forget_complete(self) -> None:
        """Leave out the oldest references as far as they are complete."""
        complete = self._complete()
        done = len(complete) if complete.all() else int(complete.argmin())
        del self._grays[:done], self._cuts[:done]
        self._times, self._iod, self._samples = self._times[done:], self._iod[done:], self._samples[done:]
        self._start, self._contrast = self._start[done:], self._contrast[done:]
        self._seen, self._found, self._trusted = self._seen[done:], self._found[done:], self._trusted[done:]

    def _aim(self, mesh: np.ndarray, iod: float) -> None:
        """Move the window when the face has strayed, and cut every picture in reach anew."""
        centre = mesh.mean(0)
        if self._window is not None and self._window.holds(centre, iod):
            return
        self._window = CropWindow.around(centre, iod)
        self._cuts = [self._window.cut(gray) for gray in self._grays]
        self._start = self._window.into(self._samples[..., :2]).astype(np.float32)
        self._contrast = np.array([*map(_contrast, self._cuts, self._start)]).reshape(-1, N_POINTS)

    def _follow(self, rows: np.ndarray, time: float, cut: np.ndarray, mesh: np.ndarray) -> None:
        """Track some references, at least none, to a picture.

        rows: (K,) which, oldest first. time: of the picture, s. cut: of it. mesh: (P, 2) its own points in the cut.
        """
        if not len(rows):
            return
        older, newest = rows[:-1], rows[-1]
        # The newest starts from the mesh; its step then carries every older track to this picture.
        first = slice(newest, newest + 1)
        end, tracked = self._track(
            [self._cuts[newest]], cut, self._start[first], mesh[None], self._contrast[first], True
        )
        if len(older):
            # Its step, where it is trusted: this far from the mesh a track is lost. It carries those that were tracked
            # last when it begins; the others, which only uneven pictures leave behind, start from the mesh.
            sure = tracked[0] & self._near(end[0], mesh, self._iod[first])
            step = np.where(sure[:, None], end[0], mesh) - self._start[newest]
            carried = self._trusted[older] & (self._seen[older] == self._times[newest])[:, None]
            guess = np.where(carried[..., None], self._window.into(self._found[older]) + step, mesh)
            ends = self._track(
                [self._cuts[row] for row in older],
                cut,
                self._start[older],
                guess.astype(np.float32),
                self._contrast[older],
                False,
            )
            end, tracked = np.concatenate([ends[0], end]), np.concatenate([ends[1], tracked])
        start = self._start[rows]
        self._seen[rows] = time
        self._trusted[rows] = tracked & self._near(end, mesh, self._iod[rows, None])
        self._found[rows] = self._samples[rows, :, :2] + (end - start) / np.float32(self._window.scale)

    def _near(self, points: np.ndarray, mesh: np.ndarray, iod: np.ndarray) -> np.ndarray:
        """Which points of the cut (..., P, 2) lie where the mesh (P, 2) sees them, by the distance between the eyes."""
        away = points - mesh
        return np.hypot(away[..., 0], away[..., 1]) < _STRAY_LIMIT * self._window.scale * iod
