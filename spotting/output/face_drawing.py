"""The face as lines: which of the kept mesh points a drawing joins, and where each region's arrow starts."""

import numpy as np

from ...extract.features import FaceFeatures
from ...extract.regions import EYE_CORNERS, IRIS_CENTRES, KEPT_INDEX, ROI_MESH_POINTS
from ..facial_motion import REGIONS

# Mesh points joined in this order; brows, eyes, lips, nose and the outline of the face.
FACE_LINES: tuple[tuple[int, ...], ...] = (
    (70, 63, 105, 66, 107), (46, 53, 52, 65, 55), (300, 293, 334, 296, 336), (276, 283, 282, 295, 285),
    (33, 160, 159, 158, 133, 153, 145, 144, 33), (263, 387, 386, 385, 362, 380, 374, 373, 263),
    (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 61), (78, 82, 13, 312, 308, 317, 14, 87, 78),
    (168, 6, 197, 195, 5, 4, 1), (64, 98, 1, 327, 294),
    (10, 162, 127, 172, 148, 152, 377, 397, 356, 389, 10),
)  # fmt: skip
LINES: tuple[tuple[int, ...], ...] = tuple(tuple(KEPT_INDEX[p] for p in line) for line in FACE_LINES)
PUPILS: tuple[int, ...] = tuple(KEPT_INDEX[p] for p in IRIS_CENTRES.values())
ROI_ROWS: tuple[tuple[int, ...], ...] = tuple(tuple(KEPT_INDEX[p] for p in mesh) for mesh in ROI_MESH_POINTS.values())
_REGION_ROWS = tuple(
    ROI_ROWS[region.rois[0]] if region.rois else tuple(KEPT_INDEX[p] for p in region.mesh) for region in REGIONS
)
_EYES = [[KEPT_INDEX[p] for p in EYE_CORNERS[side]] for side in ("image_left", "image_right")]
_MARGIN = 1.5  # side of the square cut-out over the face's larger extent


def face_at(features: FaceFeatures, frame: int) -> np.ndarray | None:
    """(K, 2) places in pixels of the kept mesh points at the tick nearest to a source frame, None without a face."""
    points = np.asarray(features.landmarks[features.timebase.tick_of_frame(frame)], np.float64)[:, :2]
    return points if np.isfinite(points).all() else None


def square_around(points: np.ndarray) -> tuple[float, float, float]:
    """(centre x, centre y, side) in pixels of a square with the face in its middle."""
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    return float(x), float(y), float(_MARGIN * (high - low).max())


def region_centres(points: np.ndarray) -> np.ndarray:
    """(R, 2) where the regions of `facial_motion` are, pixels."""
    return np.stack([points[list(rows)].mean(axis=0) for rows in _REGION_ROWS])


def in_picture(ways: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Ways (R, 2) on the upright face, in IOD, as pixels of the picture that the face's points (K, 2) are in."""
    across = points[_EYES[1]].mean(axis=0) - points[_EYES[0]].mean(axis=0)
    return ways @ np.array([across, [-across[1], across[0]]])
