"""Tracking of facial sample points from every frame to all later frames within a snippet's reach.

Each frame of a segment is a *reference*: its sample points are tracked from its own picture straight to each later
picture, never chained from frame to frame, so that errors do not add up and slow motion accumulates.

All pictures of a segment are cut to one square window around the face and resized to `CROP_SIZE`. When the face drifts
out of place the window moves and every picture still in reach is cut again, so that any two pictures that are
compared share one window and its moves never show up as motion.

Sparse Lucas-Kanade is the default: on a rendered portrait (`benchmarks/flow_noise.py`) dense inverse search showed only
about half of a small local motion, because it smooths across the face, left no less noise and took five times as long.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import cv2
import numpy as np

from ..features import SNIPPET_STEPS
from ..reading.frames import FaceFrame
from ..regions import EYE_CORNERS, ROI_MESH_POINTS
from ..timebase import CLOCK_HZ
from .alignment import ANCHOR_MESH_POINTS

FlowMethod = Literal["lk", "dis"]
FLOW_METHODS: tuple[FlowMethod, ...] = get_args(FlowMethod)

HORIZON_S = (SNIPPET_STEPS - 1) / CLOCK_HZ
CROP_SIZE = 256  # px: the side every cut is resized to
_CROP_SIDE = 3.4  # x inter-ocular distance: forehead to chin with room for half a second of head motion
_CROP_DRIFT = 0.12  # of the side: how far the face may stray from the middle before the window follows
_CROP_ZOOM = 1.2  # how much larger or smaller the face may get before the window is resized
_IOD_FRAMES = 15  # running median: half a second at 30 fps

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
    """Pyramidal Lucas-Kanade. Unless the guess is rough the finest level alone is enough."""
    tracks = [
        cv2.calcOpticalFlowPyrLK(
            reference,
            current,
            start,
            around.copy(),
            winSize=(_LK_WINDOW, _LK_WINDOW),
            maxLevel=_LK_ROUGH_LEVELS if rough else 0,
            criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.02),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            minEigThreshold=1e-4,
        )
        for reference, start, around in zip(references, points, guess, strict=True)
    ]
    found, status, error = (np.stack(part) for part in zip(*tracks, strict=True))
    # Lucas-Kanade calls anything with texture found. What it found must look like what it sought.
    limit = np.maximum(_LK_ERROR_FLOOR, _LK_ERROR_LIMIT * contrast)
    return found, (status[..., 0] > 0) & (error[..., 0] < limit)


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


@dataclass(eq=False)
class _Reference:
    """One earlier picture whose points are being followed."""

    time: float
    gray: np.ndarray
    samples: np.ndarray  # (P, 3) the sample points, laid on its own face mesh, px of the picture
    iod: float
    # The same picture as `place` last cut it, and the sample points in the cut.
    cut: np.ndarray = field(init=False)
    start: np.ndarray = field(init=False)
    contrast: np.ndarray = field(init=False)

    def place(self, window: CropWindow) -> None:
        """Cut the picture by a window."""
        self.cut = window.cut(self.gray)
        self.start = window.into(self.samples[:, :2]).astype(np.float32)
        self.contrast = _contrast(self.cut, self.start)


@dataclass(frozen=True, eq=False)
class FrameMotion:
    """How the points of each reference in reach moved up to one frame.

    times: (R,) seconds of the references, oldest first, the frame itself last. iod: (R,) px.
    points: (R, P, 3) px as laid out by `sample_points`; displacements: (R, P, 2) px; trusted: (R, P) bool.
    """

    times: np.ndarray
    iod: np.ndarray
    points: np.ndarray
    displacements: np.ndarray
    trusted: np.ndarray


class FlowTracker:
    """Follows the sample points of the frames of one segment. Holds the pictures of about half a second.

    Raises ValueError for an unknown method.
    """

    def __init__(self, method: FlowMethod = "lk") -> None:
        if method not in FLOW_METHODS:
            raise ValueError(f"flow must be one of {FLOW_METHODS}, got {method!r}")
        self._track = _TRACKERS[method]()
        self._references: list[_Reference] = []  # oldest first
        # Where the points of each reference are in the latest frame, px, and which of them are still followed.
        self._found = np.empty((0, N_POINTS, 2), np.float32)
        self._trusted = np.empty((0, N_POINTS), bool)
        self._iods: deque[float] = deque(maxlen=_IOD_FRAMES)
        self._window: CropWindow | None = None

    def add(self, frame: FaceFrame) -> FrameMotion:
        """Track every reference in reach to `frame`, which then becomes a reference itself. Needs its landmarks."""
        landmarks = frame.landmarks
        self._iods.append(eye_distance(landmarks))
        iod = float(np.median(self._iods))
        samples = sample_points(landmarks, iod)
        mesh = samples[:, :2]
        # A reference whose last step the previous frame already reached is complete.
        done = 0
        while done < len(self._references) and self._is_complete(self._references[done]):
            done += 1
        del self._references[:done]
        found, trusted = self._found[done:], self._trusted[done:]
        self._aim(mesh, iod)
        current = _Reference(frame.time, frame.gray, samples, iod)
        current.place(self._window)
        if self._references:
            # The newest reference starts from the mesh; its step then carries every older track to this frame.
            last = self._references[-1:]
            newest = self._follow(last, current, mesh[None], rough=True)
            before = last[0].samples[:, :2]
            step = np.where(newest[1][0, :, None], newest[0][0], mesh) - before
            guess = np.where(trusted[:-1, :, None], found[:-1] + step, mesh)
            older = self._follow(self._references[:-1], current, guess, rough=False)
            found, trusted = (np.concatenate(pair) for pair in zip(older, newest, strict=True))
        self._references.append(current)
        self._found = np.concatenate([found, mesh[None]])
        self._trusted = np.concatenate([trusted, np.ones((1, len(mesh)), bool)])
        points = np.stack([r.samples for r in self._references])
        return FrameMotion(
            times=np.array([r.time for r in self._references]),
            iod=np.array([r.iod for r in self._references]),
            points=points,
            displacements=self._found - points[..., :2],
            trusted=self._trusted,
        )

    def _is_complete(self, reference: _Reference) -> bool:
        return reference.time + HORIZON_S <= self._references[-1].time + 1e-6

    def _aim(self, mesh: np.ndarray, iod: float) -> None:
        """Move the window when the face has strayed, and cut every picture in reach anew."""
        centre = mesh.mean(0)
        if self._window is not None and self._window.holds(centre, iod):
            return
        self._window = CropWindow.around(centre, iod)
        for reference in self._references:
            reference.place(self._window)

    def _follow(
        self, references: list[_Reference], current: _Reference, guess: np.ndarray, rough: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where each reference's points are in the current picture, (R, P, 2) px, and which are trusted, (R, P)."""
        if not references:
            return np.empty((0, N_POINTS, 2), np.float32), np.empty((0, N_POINTS), bool)
        guess = self._window.into(guess).astype(np.float32)
        start = np.stack([r.start for r in references])
        contrast = np.stack([r.contrast for r in references])
        end, tracked = self._track([r.cut for r in references], current.cut, start, guess, contrast, rough)
        found = np.stack([r.samples[:, :2] for r in references]) + (end - start) / self._window.scale
        stray = np.linalg.norm(found - current.samples[:, :2], axis=-1)
        return found, tracked & (stray < _STRAY_LIMIT * np.array([[r.iod] for r in references]))
