"""Face pictures at chosen source frames, for the result's plot."""

import os
from collections.abc import Iterable

import numpy as np

from ...extract.features import FaceFeatures
from ...extract.reading.video import open_video

STILL_SIZE = 192  # pixels a side
_MARGIN = 1.35  # side of the square cut-out over the face's larger extent


def face_squares(features: FaceFeatures, frames: Iterable[int]) -> dict[int, tuple[float, float, float]]:
    """Source frame -> (centre x, centre y, side) of a square around the face, in pixels; without a face, no entry."""
    squares = {}
    for frame in frames:
        points = features.landmarks[features.timebase.tick_of_frame(frame)][:, :2]
        if not np.isfinite(points).all():
            continue
        low, high = points.min(axis=0), points.max(axis=0)
        x, y = (low + high) / 2
        squares[frame] = (float(x), float(y), float(_MARGIN * (high - low).max()))
    return squares


def read_stills(
    path: str | os.PathLike[str], squares: dict[int, tuple[float, float, float]], *, fps: float | None = None
) -> dict[int, np.ndarray]:
    """Source frame -> (STILL_SIZE, STILL_SIZE, 3) uint8 cut-out of the video, black beyond the picture's edge.

    Reads from the beginning to the last frame asked for: only counting decoded frames is sure to hit the right one.
    Raises VideoNotFoundError, NotAVideoError.
    """
    stills: dict[int, np.ndarray] = {}
    if not squares:
        return stills
    with open_video(path, fps) as stream:
        for frame in stream.pending():
            if frame.index in squares and (developed := frame.develop()) is not None:
                stills[frame.index] = _cut(developed.rgb, *squares[frame.index])
            if frame.index >= max(squares):
                break
    return stills


def _cut(rgb: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    import cv2

    scale = STILL_SIZE / side
    matrix = np.array([[scale, 0, STILL_SIZE / 2 - scale * x], [0, scale, STILL_SIZE / 2 - scale * y]])
    return cv2.warpAffine(rgb, matrix, (STILL_SIZE, STILL_SIZE), flags=cv2.INTER_AREA)
