"""Pose-normalised face geometry: what the landmarks say about the face once head pose is taken out.

Flow sees what is brief and subtle but is blind to a held state of the face; landmarks see the state but are too noisy
below some hundredths of the inter-ocular distance (IOD). The channels below are computed from the cached landmarks
alone, so they cost next to nothing.

Directions: x right as the viewer sees it, y down the upright face, z square to both and away from the camera. A head
turns from its own frame to the camera's by roll after yaw after pitch. Positive yaw brings the nose to the viewer's
left, positive pitch brings it down, positive roll leans the head clockwise as the viewer sees it.
"""

from collections import deque

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..mapped import release
from ..regions import (
    EYE_CORNERS,
    EYE_LIDS,
    INNER_LIPS,
    IRIS_CENTRES,
    KEPT_INDEX,
    RIGID_MESH_POINTS,
    ROI_MESH_POINTS,
    ROI_MIRROR,
    ROI_NAMES,
)
from ..timebase import CLOCK_HZ

BASELINE_SECONDS = 8.0  # window of the running median that stands for the face at rest
# A second, longer one: an expression held for more than half of the first window would become its face at rest.
HELD_SECONDS = 30.0
_BASELINE_STRIDE = 5  # the median is slow: every fifth tick is enough
_HELD_STRIDE = 15  # and the longer one is slower still
_SHAPE_SAMPLE = 300  # ticks that estimate a segment's rigid shape
_CHUNK = 2000  # ticks whose points are turned at once, a multiple of the stride; more changes only the memory needed

_DEVIATIONS = (
    "mouth_width",
    "eye_aperture_image_left",
    "eye_aperture_image_right",
    "chin_x",
    "chin_y",
    "nose_wings_y",
    "cheek_y_image_left",
    "cheek_y_image_right",
    "lips_depth",
    "gaze_x",
    "gaze_y",
)
# Absolute: what a running median cannot tell when a face is in expression for most of a short clip. Offset by a mean
# neutral face.
_LEVELS = {
    "mouth_opening_level": 0.034,
    "mouth_width_level": 0.788,
    "corner_lift_level": 0.013,
    "brow_height_level": 0.320,
    "eye_aperture_level": 0.162,
}
# Radians by which the ridge of the mean face's nose leans out of the vertical.
_NOSE_LEAN = 0.626
_POSE_CHANNELS = ("yaw", "pitch", "roll", "rotation_speed", "translation_speed", "scale_speed")

_MOVING = (*(f"{roi}_{axis}" for roi in ROI_NAMES for axis in "xy"), *_DEVIATIONS)
# What networks read whose configuration names no channels.
FIRST_CHANNELS: tuple[str, ...] = (*_MOVING, *_LEVELS, *_POSE_CHANNELS)
# ROI and feature channels are deviations from the running median in IOD, "held" ones from the longer running median,
# levels are absolute; angles are radians from the segment's median, speeds are per second (radians, IOD, fraction).
GEOMETRY_CHANNELS: tuple[str, ...] = (*FIRST_CHANNELS, *(f"{name}_held" for name in _MOVING))
_SLOW_AT = slice(0, len(_MOVING))  # what is taken as a deviation from its running median
_LEVELS_AT = slice(_SLOW_AT.stop, _SLOW_AT.stop + len(_LEVELS))
_POSE_AT = slice(_LEVELS_AT.stop, len(FIRST_CHANNELS))
_HELD_AT = slice(len(FIRST_CHANNELS), len(GEOMETRY_CHANNELS))


def _mirror() -> tuple[tuple[int, ...], tuple[float, ...]]:
    index = {name: i for i, name in enumerate(GEOMETRY_CHANNELS)}
    source, sign = list(range(len(index))), [1.0] * len(index)
    for held in ("", "_held"):
        for roi, mirrored in enumerate(ROI_MIRROR):
            for axis in "xy":
                source[index[f"{ROI_NAMES[roi]}_{axis}{held}"]] = index[f"{ROI_NAMES[mirrored]}_{axis}{held}"]
            sign[index[f"{ROI_NAMES[roi]}_x{held}"]] = -1.0
        for stem in ("eye_aperture", "cheek_y"):
            left, right = (index[f"{stem}_image_{side}{held}"] for side in ("left", "right"))
            source[left], source[right] = right, left
        for name in ("chin_x", "gaze_x"):
            sign[index[f"{name}{held}"]] = -1.0
    for name in ("yaw", "roll"):
        sign[index[name]] = -1.0
    return tuple(source), tuple(sign)


# A mirrored face has channels[:, GEOMETRY_MIRROR[0]] * GEOMETRY_MIRROR[1].
GEOMETRY_MIRROR = _mirror()

_RIGID = np.array([KEPT_INDEX[p] for p in RIGID_MESH_POINTS])
_EYE_LEFT = np.array([KEPT_INDEX[p] for p in EYE_CORNERS["image_left"]])
_EYE_RIGHT = np.array([KEPT_INDEX[p] for p in EYE_CORNERS["image_right"]])


def similarity_to(shape: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares 3-D similarity of each frame's points onto one shape (Umeyama 1991).

    shape: (R, 3); points: (N, R, 3). Returns rotation (N, 3, 3), scale (N,), centre of points (N, 3), centre of shape
    (3,), so that scale * (points - centre) @ rotation + shape_centre is the fit. As a matrix before a column vector,
    the rotation takes the shape's frame to that of the points: it is how the head is turned.
    """
    centre = points.mean(axis=1)
    shape_centre = shape.mean(axis=0)
    a = points - centre[:, None]
    b = shape - shape_centre
    u, s, vt = np.linalg.svd(np.einsum("nri,rj->nij", a, b))
    # A reflection would fit better than any rotation only for degenerate points; forbid it.
    sign = np.sign(np.linalg.det(u @ vt))
    s = s * np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=1)
    u = u.copy()
    u[:, :, 2] *= sign[:, None]
    rotation = u @ vt
    scale = s.sum(axis=1) / np.maximum((a**2).sum(axis=(1, 2)), 1e-12)
    return rotation, scale, centre, shape_centre


def _rigid_sample(landmarks: np.ndarray) -> np.ndarray:
    """(S, R, 3) rigid points of some frames, evenly spaced over those of (N, K, 3)."""
    chosen = np.linspace(0, len(landmarks) - 1, min(len(landmarks), _SHAPE_SAMPLE)).astype(int)
    return np.asarray(landmarks[chosen[:, None], _RIGID], np.float64)


def _rigid_shape(sample: np.ndarray) -> np.ndarray:
    """The segment's own rigid shape (R, 3), unit IOD, from frames aligned to their median.

    Origin between the eyes, x along the eyes, y down the upright face, z away from the camera.
    """
    shape = sample[len(sample) // 2]
    for _ in range(3):
        rotation, scale, centre, shape_centre = similarity_to(shape, sample)
        aligned = scale[:, None, None] * np.einsum("nri,nij->nrj", sample - centre[:, None], rotation) + shape_centre
        shape = np.median(aligned, axis=0)
    left = np.mean([shape[RIGID_MESH_POINTS.index(p)] for p in EYE_CORNERS["image_left"]], axis=0)
    right = np.mean([shape[RIGID_MESH_POINTS.index(p)] for p in EYE_CORNERS["image_right"]], axis=0)
    bridge = shape[RIGID_MESH_POINTS.index(168)]
    tip = shape[RIGID_MESH_POINTS.index(4)]
    iod = np.linalg.norm(right - left)
    x = (right - left) / iod
    down = tip - bridge
    down = down - x * (x @ down)
    ridge = down / np.linalg.norm(down)
    # Noses lean forward. Measured along the ridge, the mesh's depth, its noisiest coordinate, would pass for height.
    y = np.cos(_NOSE_LEAN) * ridge + np.sin(_NOSE_LEAN) * np.cross(x, ridge)
    frame = np.stack([x, y, np.cross(x, y)], axis=1)
    return (shape - (left + right) / 2) @ frame / iod


def _median_size(seconds: float, stride: int = _BASELINE_STRIDE) -> int:
    """How many of every stride-th tick the running median is of."""
    return round(seconds * CLOCK_HZ / stride) | 1


def _median_at(start: int, stop: int, coarse: np.ndarray, size: int, stride: int = _BASELINE_STRIDE) -> np.ndarray:
    """(stop - start, C) running median at some ticks. coarse: (n, C) every stride-th tick of the segment, to its end
    or as far as `_median_reach` says."""
    ticks = np.arange(start, stop)
    left = np.clip(ticks // stride, 0, max(len(coarse) - 2, 0))
    first, last, half = left[0], min(left[-1] + 2, len(coarse)), size // 2
    low = max(first - half, 0)
    around = np.pad(coarse[low : last + half], ((half, half), (0, 0)), mode="symmetric")
    windows = sliding_window_view(around[first - low : last - low + 2 * half], size, axis=0)  # (n, C, size)
    # As fast as SciPy's filter, whose import is a tenth of the time that a short clip takes.
    median = np.partition(windows, half, axis=-1)[..., half]
    if len(coarse) == 1:
        return np.repeat(median, len(ticks), axis=0)
    weight = np.clip((ticks - left * stride) / stride, 0, 1)[:, None]
    return median[left - first] * (1 - weight) + median[left - first + 1] * weight


def _median_reach(size: int) -> int:
    """Ticks that have to be known beyond those the running median is asked at."""
    return (size // 2 + 2) * _BASELINE_STRIDE


def _speed(values: np.ndarray) -> np.ndarray:
    """Length per second of the change of (N, C) values, over three ticks to quiet landmark noise."""
    padded = np.pad(values, ((2, 1), (0, 0)), mode="edge")
    return np.linalg.norm(padded[3:] - padded[:-3], axis=1) * CLOCK_HZ / 3.0


def _write_channels(landmarks: np.ndarray, channels: np.ndarray) -> None:
    """Fill in the channels (N, len(GEOMETRY_CHANNELS)) of the landmarks (N, K, 3) of one unbroken segment.

    A few thousand ticks at a time, so that of a long segment little more than its channels is in memory.
    """
    n, size = len(landmarks), _median_size(BASELINE_SECONDS)
    shape = _rigid_shape(_rigid_sample(landmarks))
    release(landmarks)
    coarse: list[np.ndarray] = []
    head: list[np.ndarray] = []
    waiting: deque[tuple[int, np.ndarray]] = deque()  # first tick and values of chunks without their running median
    for start in range(0, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        slow, levels, *pose = _posed_face(landmarks[np.clip(np.arange(start - 1, stop + 1), 0, n - 1)], shape)
        release(landmarks)
        channels[start:stop, _LEVELS_AT] = levels
        head.append(np.column_stack([*_angles(pose[0]), *pose[1:]]))
        coarse.append(slow[::_BASELINE_STRIDE])
        waiting.append((start, slow))
        known = n + _median_reach(size) if stop == n else stop
        while waiting and waiting[0][0] + len(waiting[0][1]) + _median_reach(size) <= known:
            first, values = waiting.popleft()
            last = first + len(values)
            channels[first:last, _SLOW_AT] = values - _median_at(first, last, np.concatenate(coarse), size)
        # The place itself for now: its running median takes ticks that are not known yet.
        channels[start:stop, _HELD_AT] = slow
    channels[:, _POSE_AT] = _pose(np.concatenate(head))
    _subtract_held(channels[:, _HELD_AT])


def _subtract_held(places: np.ndarray) -> None:
    """Make places (N, C) of one stretch, in place, deviations from their running median over `HELD_SECONDS`."""
    coarse, size = places[::_HELD_STRIDE].astype(np.float64), _median_size(HELD_SECONDS, _HELD_STRIDE)
    for start in range(0, len(places), _CHUNK):
        stop = min(start + _CHUNK, len(places))
        places[start:stop] -= _median_at(start, stop, coarse, size, _HELD_STRIDE)


def _posed_face(landmarks: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of landmarks (n + 2, K, 3), which go one tick beyond those asked for at either end, and the rigid shape:
    ROI places and features (n, C), levels (n, len(_LEVELS)), and the head's rotation, scale and centre
    as in `similarity_to`."""
    landmarks = np.asarray(landmarks, np.float64)
    rotation, scale, centre, shape_centre = similarity_to(shape, landmarks[:, _RIGID])
    points = scale[:, None, None] * ((landmarks - centre[:, None]) @ rotation) + shape_centre
    # The mesh's errors flip between two states from one frame to the next; a binomial filter removes just that.
    points = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]

    def at(mesh: tuple[int, ...] | list[int]) -> np.ndarray:
        return points[:, [KEPT_INDEX[p] for p in mesh]].mean(axis=1)

    roi = np.stack([at(mesh)[:, :2] for mesh in ROI_MESH_POINTS.values()], axis=1).reshape(len(points), -1)
    gaps = [
        at((INNER_LIPS[f"lower{end}"],))[:, 1] - at((INNER_LIPS[f"upper{end}"],))[:, 1]
        for end in ("", "_image_left", "_image_right")
    ]
    chin = at((152, 199, 175))
    iris = [at((IRIS_CENTRES[side],))[:, :2] - at(EYE_CORNERS[side])[:, :2] for side in ("image_left", "image_right")]
    gaze = np.mean(iris, axis=0)
    apertures = [
        np.mean([at((low,))[:, 1] - at((up,))[:, 1] for up, low in EYE_LIDS[side]], axis=0)
        for side in ("image_left", "image_right")
    ]
    features = np.stack(
        [
            at((291,))[:, 0] - at((61,))[:, 0],
            *apertures,
            chin[:, 0],
            chin[:, 1],
            at((98, 327))[:, 1],
            at((50, 205))[:, 1],
            at((280, 425))[:, 1],
            at((0, 17))[:, 2],
            gaze[:, 0],
            gaze[:, 1],
        ],
        axis=1,
    )
    width = features[:, 0]
    lips_y = 0.5 * (at((INNER_LIPS["upper"],)) + at((INNER_LIPS["lower"],)))[:, 1]
    brow_y = np.mean([at(mesh)[:, 1] for name, mesh in ROI_MESH_POINTS.items() if "brow" in name], axis=0)
    levels = np.stack(
        [
            np.mean(gaps, axis=0),
            width,
            lips_y - 0.5 * (at((61,)) + at((291,)))[:, 1],
            -brow_y,
            np.mean(apertures, axis=0),
        ],
        axis=1,
    ) - list(_LEVELS.values())
    return np.concatenate([roi, features], axis=1), levels, rotation[1:-1], scale[1:-1], centre[1:-1]


def _angles(rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Yaw, pitch and roll (N,) in radians, none unwrapped, of rotations (N, 3, 3) as `similarity_to` gives them."""
    # rotation = roll (about z) @ yaw (about y) @ pitch (about x), on column vectors.
    yaw = np.arctan2(-rotation[:, 2, 0], np.hypot(rotation[:, 0, 0], rotation[:, 1, 0]))
    pitch = np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2])
    roll = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return yaw, pitch, roll


def _pose(head: np.ndarray) -> np.ndarray:
    """(N, len(_POSE_CHANNELS)) of a segment from its yaw, pitch, roll, scale and centre (N, 7)."""
    angles, scale, centre = np.unwrap(head[:, :3], axis=0), head[:, 3], head[:, 4:6]
    return np.column_stack(
        [
            angles - np.median(angles, axis=0),
            _speed(angles),
            _speed(centre * np.median(scale)),
            _speed(np.log(scale)[:, None]),
        ]
    )


def geometry_channels(landmarks: np.ndarray, segments: list[tuple[int, int]]) -> np.ndarray:
    """Geometry channels of one subject, (N, len(GEOMETRY_CHANNELS)) float32; zero outside the segments.

    landmarks: (N, K, 3) pixels of `regions.KEPT_MESH_POINTS`. segments: half-open tick ranges without NaN, none empty;
    each is normalised by its own rigid shape and its own baseline, so nothing leaks across a cut.
    No paper of the field has these; they stand beside the flow because flow cannot see a held state.
    """
    channels = np.zeros((len(landmarks), len(GEOMETRY_CHANNELS)), dtype=np.float32)
    for start, stop in segments:
        _write_channels(landmarks[start:stop], channels[start:stop])
    return channels


def head_shift(landmarks: np.ndarray, segments: list[tuple[int, int]]) -> float:
    """The median speed with which the head shifts in the picture, inter-ocular distances a second: that of the channel
    `translation_speed` of `geometry_channels`, whose arguments these are, over at least one segment."""
    speeds = []
    for start, stop in segments:
        shape = _rigid_shape(_rigid_sample(landmarks[start:stop]))
        scales, centres = [], []
        for first in range(start, stop, _CHUNK):
            rigid = np.asarray(landmarks[first : min(first + _CHUNK, stop)][:, _RIGID], np.float64)
            _, scale, centre, _ = similarity_to(shape, rigid)
            scales.append(scale)
            centres.append(centre[:, :2])
            release(landmarks)
        speeds.append(_speed(np.concatenate(centres) * np.median(np.concatenate(scales))))
    return float(np.median(np.concatenate(speeds)))
