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

import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import cv2
import numpy as np

from ..extent import extent
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


# The same as index arrays: the points of all ROIs in a row, where each ROI begins, and how many it has, (10, 1).
_ROI_ROWS = np.concatenate([*map(np.array, ROI_MESH_POINTS.values())])
_ROI_POINTS = np.array([[len(mesh)] for mesh in ROI_MESH_POINTS.values()], np.float32)
_ROI_FIRST = np.cumsum([0, *map(len, ROI_MESH_POINTS.values())])[:-1]
_ANCHOR_ROWS = np.array(TRACKED_ANCHORS)
_CORNER_ROWS = np.array([*EYE_CORNERS["image_left"], *EYE_CORNERS["image_right"]])


def _between_eyes(landmarks: np.ndarray) -> tuple[float, float, float]:
    """x, y, z from the middle of the left eye in the image to that of the right one, of (478, 3) mesh points."""
    # Single numbers: on arrays this small the calls are what takes the time.
    first, second, third, fourth = landmarks[_CORNER_ROWS].tolist()
    x, y, z = ((c + d - a - b) / 2 for a, b, c, d in zip(first, second, third, fourth, strict=True))
    return x, y, z


def eye_distance(landmarks: np.ndarray) -> float:
    """Inter-ocular distance of (478, 3) mesh points in their unit.

    Depth counts too: the distance in the picture alone shrinks as the head turns and would inflate all motion.
    """
    return math.hypot(*_between_eyes(landmarks))


def sample_points(landmarks: np.ndarray, iod: float) -> np.ndarray:
    """Picture positions to track and their depth, (P, 3) px: `N_SAMPLES` for each ROI, then `TRACKED_ANCHORS`."""
    x, y, _ = _between_eyes(landmarks)
    unit = iod / max(math.hypot(x, y), 1e-6)
    axes = np.array([[x * unit, y * unit, 0.0], [-y * unit, x * unit, 0.0]], np.float32)
    centres = np.add.reduceat(landmarks[_ROI_ROWS], _ROI_FIRST, axis=0) / _ROI_POINTS
    samples = centres[:, None] + _SAMPLE_PATTERN @ axes
    return np.concatenate([samples.reshape(-1, 3), landmarks[_ANCHOR_ROWS]], dtype=np.float32)


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
        if self.side <= CROP_SIZE:
            return cv2.resize(inner, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
        # Averaged over whole pixels only, interpolated in between: an area average over broken ones alone took as long
        # as a third of the tracking.
        shrunk = self.side // _shrink(self.side)
        if shrunk < self.side:
            inner = cv2.resize(inner, (shrunk, shrunk), interpolation=cv2.INTER_AREA)
        inner = cv2.resize(inner, (2 * CROP_SIZE, 2 * CROP_SIZE), interpolation=cv2.INTER_LINEAR)
        return cv2.resize(inner, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)

    def into(self, points: np.ndarray) -> np.ndarray:
        """Picture positions (..., 2) to cut positions; pixel centres are at whole numbers in both."""
        offset = np.array([self.x - 0.5, self.y - 0.5]) * self.scale + 0.5
        return points * self.scale - offset

    def holds(self, centre: np.ndarray, iod: float) -> bool:
        """Whether a face (centre and inter-ocular distance in the picture) still sits well in the window."""
        x, y = centre.tolist()
        drift = max(abs(x - self.x - self.side / 2), abs(y - self.y - self.side / 2)) / self.side
        zoom = _CROP_SIDE * iod / self.side
        return drift <= _CROP_DRIFT and 1 / _CROP_ZOOM <= zoom <= _CROP_ZOOM

    @classmethod
    def around(cls, centre: np.ndarray, iod: float) -> "CropWindow":
        side = max(round(_CROP_SIDE * iod), 16)
        side -= side % _shrink(side)
        x, y = np.rint(centre - side / 2).astype(int)
        return cls(int(x), int(y), side)


def _shrink(side: int) -> int:
    """How many pixels across are averaged into one before a window of that side is interpolated."""
    return max(side // (2 * CROP_SIZE), 1)


class Tracker(Protocol):
    """How points of some cuts are found in another."""

    def __call__(
        self,
        references: Sequence[np.ndarray],
        current: np.ndarray,
        points: np.ndarray,
        guess: np.ndarray,
        limit: np.ndarray,
        rough: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions (R, P, 2) in `current` and whether each is trusted (R, P) bool, for R of at least 1.

        references, current: cuts; points: (R, P, 2) in each of `references`; guess: (R, P, 2) where they may be in
        `current`; limit: (R, P) mean gray level difference from which on what is found is something else;
        rough: the guess comes from the face mesh and may be some pixels off.
        """


def track_lk(
    references: Sequence[np.ndarray],
    current: np.ndarray,
    points: np.ndarray,
    guess: np.ndarray,
    limit: np.ndarray,
    rough: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Pyramidal Lucas-Kanade. Unless the guess is rough the finest level alone is enough.

    It prepares each whole reference anew for every picture, so it is shown only where the points are.
    """
    margin = _LK_ROUGH_MARGIN if rough else _LK_MARGIN
    (left, top), (right, bottom) = (end.tolist() for end in extent(np.concatenate([points, guess]).reshape(-1, 2)))
    left, top = max(int(left) - margin, 0), max(int(top) - margin, 0)
    right, bottom = max(int(right) + margin, left + 1), max(int(bottom) + margin, top + 1)
    shown = slice(top, bottom), slice(left, right)
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
            _LK_WINDOW,
            _LK_ROUGH_LEVELS if rough else 0,
            _LK_CRITERIA,
            cv2.OPTFLOW_USE_INITIAL_FLOW,
            1e-4,
        )
    # Lucas-Kanade calls anything with texture found. What it found must look like what it sought.
    return founds + corner, status[..., 0].view(bool) & (error[..., 0] < limit)


def _error_limits(cut: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P,) `limit` of a tracker, by the contrast of the cut, the standard deviation of its gray levels, around each."""
    at = np.rint(points.T).astype(np.intp)
    low = np.minimum(np.maximum(at - _LK_REACH, 0), CROP_SIZE - 1)
    high = np.minimum(np.maximum(at + (_LK_REACH + 1), 1), CROP_SIZE)
    # Summed up only where the points are.
    first, end = np.minimum.reduce(low, axis=1), np.maximum.reduce(high, axis=1)
    tables = cv2.integral2(cut[first[1] : end[1], first[0] : end[0]])
    (left, top), (right, bottom) = low - first[:, None], high - first[:, None]
    width, area = end[0] - first[0] + 1, (right - left) * (bottom - top)
    top, bottom = top * width, bottom * width
    corners = np.stack([bottom + right, top + left, bottom + left, top + right])
    mean, power = ((at[0] + at[1] - at[2] - at[3]) / area for at in (table.ravel().take(corners) for table in tables))
    return np.maximum(_LK_ERROR_FLOOR, _LK_ERROR_LIMIT * np.sqrt(np.maximum(power - mean**2, 0.0)))


# px of the cut, width and height: a fifth of the inter-ocular distance. OpenCV takes eight columns at a time and what
# is left of them one by one, so that 16 columns take two thirds of the time of 15.
_LK_WINDOW = (16, 15)
_LK_REACH = 7  # px of the cut around a point, in which its contrast is measured
_LK_ROUGH_LEVELS = 2
_LK_PRECISION = 0.02  # px of the cut a step of the search may still move
_LK_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, _LK_PRECISION)
# px of the cut shown around the outermost points: the window, and how far from its guess a track may be found.
_LK_ROUGH_MARGIN, _LK_MARGIN = 24, 16
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
        limit: np.ndarray,
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


# A picture whose points are tracked to later ones. seen: when it was tracked last, s; end: where its points were then;
# trusted: which of them are still followed. start, end: in the cut; samples: laid on its own face mesh, px of the
# picture; limit: see `Tracker`.
_REFERENCE = np.dtype(
    [
        ("time", np.float64),
        ("seen", np.float64),
        ("iod", np.float64),
        ("samples", np.float32, (N_POINTS, 3)),
        ("start", np.float32, (N_POINTS, 2)),
        ("end", np.float32, (N_POINTS, 2)),
        ("limit", np.float32, (N_POINTS,)),
        ("trusted", np.bool_, (N_POINTS,)),
    ]
)


class FlowTracker:
    """Follows the sample points of one segment. Holds the pictures of about half a second.

    Raises ValueError for an unknown method.
    """

    def __init__(self, method: FlowMethod = "lk") -> None:
        if method not in FLOW_METHODS:
            raise ValueError(f"flow must be one of {FLOW_METHODS}, got {method!r}")
        self._track = _TRACKERS[method]()
        # The references, oldest first: what is known of them, their pictures, and these as the window last cut them.
        self._references = np.empty(0, _REFERENCE)
        self._grays: list[np.ndarray] = []
        self._cuts: list[np.ndarray] = []
        self._iods: deque[float] = deque(maxlen=_IOD_FRAMES)
        self._window: CropWindow | None = None

    def add(self, frame: FaceFrame) -> list[FrameMotion]:
        """Track references in reach to `frame`, which then becomes one itself. Needs its landmarks.

        Gives those that were tracked, and `frame`, which has not moved. Before it, where the frame comes after a gap,
        what `catch_up` says.
        """
        motions = []
        if len(self._references) and frame.time - self._references["time"][-1] > DENSE_PERIOD_S:
            motions += self.catch_up()
        incomplete = self._forget_complete()
        landmarks = frame.landmarks
        self._iods.append(eye_distance(landmarks))
        iod = statistics.median(self._iods)
        samples = sample_points(landmarks, iod)
        self._aim(samples[:, :2], iod)
        cut = self._window.cut(frame.gray)
        start = self._window.into(samples[:, :2]).astype(np.float32)
        due = np.flatnonzero((frame.time - self._references["seen"] > DENSE_PERIOD_S) & incomplete)
        self._follow(due, frame.time, cut, start)
        self._grays.append(frame.gray)
        self._cuts.append(cut)
        # Not `np.concatenate`, which compares all fields of both by name first.
        known, self._references = self._references, np.empty(len(self._references) + 1, _REFERENCE)
        self._references[:-1] = known
        self._references[-1] = (frame.time, frame.time, iod, samples, start, start, _error_limits(cut, start), True)
        return [*motions, self._motion(np.append(due, len(self._references) - 1))]

    def catch_up(self) -> list[FrameMotion]:
        """Track to the latest frame what has not been: nothing comes after it, or not soon."""
        known = self._references
        due = np.flatnonzero((known["seen"] < known["time"][-1]) & ~_complete(known))
        if not len(due):
            return []
        self._follow(due, known["time"][-1], self._cuts[-1], known["start"][-1])
        return [self._motion(due)]

    def _motion(self, rows: np.ndarray) -> FrameMotion:
        """Of those references, as they were tracked to the latest frame."""
        moved = self._references[rows]
        return FrameMotion(
            time=float(self._references["time"][-1]),
            times=moved["time"],
            iod=moved["iod"],
            points=moved["samples"],
            displacements=self._displacements(moved),
            trusted=moved["trusted"],
        )

    def _displacements(self, references: np.ndarray) -> np.ndarray:
        """(R, P, 2) px of the picture."""
        return (references["end"] - references["start"]) / np.float32(self._window.scale)

    def _forget_complete(self) -> np.ndarray:
        """Leave out the oldest references as far as they are complete; (R,) bool which of the others are not."""
        complete = _complete(self._references)
        done = len(complete) if complete.all() else int(complete.argmin())
        del self._grays[:done], self._cuts[:done]
        self._references = self._references[done:]
        return ~complete[done:]

    def _aim(self, mesh: np.ndarray, iod: float) -> None:
        """Move the window when the face has strayed, and cut every picture in reach anew."""
        centre = np.add.reduce(mesh, axis=0) / len(mesh)
        if self._window is not None and self._window.holds(centre, iod):
            return
        known = self._references
        found = known["samples"][..., :2] + self._displacements(known) if len(known) else known["end"]
        self._window = CropWindow.around(centre, iod)
        self._cuts = [self._window.cut(gray) for gray in self._grays]
        known["start"] = self._window.into(known["samples"][..., :2])
        known["end"] = self._window.into(found)
        for k, cut in enumerate(self._cuts):
            known["limit"][k] = _error_limits(cut, known["start"][k])

    def _follow(self, rows: np.ndarray, time: float, cut: np.ndarray, mesh: np.ndarray) -> None:
        """Track some references, at least none, to a picture.

        rows: (K,) which, oldest first. time: of the picture, s. cut: of it. mesh: (P, 2) its own points in the cut.
        """
        if not len(rows):
            return
        known = self._references[rows]
        older, newest = known[:-1], known[-1:]
        # The newest starts from the mesh; its step then carries every older track to this picture.
        end, tracked = self._track([self._cuts[rows[-1]]], cut, newest["start"], mesh[None], newest["limit"], True)
        newest_before = newest["start"][0]
        sure = tracked & self._near(end, mesh, newest["iod"])
        if len(older):
            # Its step, where it is trusted: this far from the mesh a track is lost. It carries those that were tracked
            # last when it begins; the others, which only uneven pictures leave behind, start from the mesh.
            step = np.where(sure[0, :, None], end[0], mesh) - newest_before
            carried = older["trusted"] & (older["seen"] == newest["time"])[:, None]
            guess = np.where(carried[..., None], older["end"] + step, mesh)
            cuts = [self._cuts[row] for row in rows[:-1].tolist()]
            older["end"], followed = self._track(cuts, cut, older["start"], guess, older["limit"], False)
            older["trusted"] = followed & self._near(older["end"], mesh, older["iod"])
        newest["end"], newest["trusted"] = end, sure
        known["seen"] = time
        self._references[rows] = known

    def _near(self, points: np.ndarray, mesh: np.ndarray, iod: np.ndarray) -> np.ndarray:
        """(R, P) which points of the cut (R, P, 2) lie where the mesh (P, 2) sees them, by the distance between the
        eyes (R,)."""
        away = points - mesh
        return np.einsum("rpc,rpc->rp", away, away) < (_STRAY_LIMIT * self._window.scale * iod[:, None]) ** 2


def _complete(references: np.ndarray) -> np.ndarray:
    """(R,) bool which have been tracked as far as a snippet reaches."""
    return references["seen"] + _SLACK_S >= references["time"] + HORIZON_S
