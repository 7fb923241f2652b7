"""Pictures that show only the followed person."""

import cv2
import numpy as np

_WIDER, _TALLER = 0.85, 0.95  # half axes of what stays visible, in widths and heights of the face's points
_BLOCK = 3.0  # pieces across a face that blurring leaves


def blur_others(rgb: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """The picture with all but the followed head made unrecognisable; all of it where there is no usable face.

    No other face is looked for, so none can be overlooked. rgb: (H, W, 3) uint8. points: (K, 2) pixels.
    """
    height, width = rgb.shape[:2]
    extent = np.array([width, height]) / 4.0 if points is None else np.ptp(points, axis=0)
    pieces = max(float(extent.max()) / _BLOCK, 1.0)
    small = cv2.resize(
        rgb, (max(round(width / pieces), 1), max(round(height / pieces), 1)), interpolation=cv2.INTER_AREA
    )
    blurred = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    if points is None:
        return blurred
    mask = np.zeros((height, width), np.uint8)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    axes = (max(round(_WIDER * extent[0]), 1), max(round(_TALLER * extent[1]), 1))
    cv2.ellipse(mask, (round(centre[0]), round(centre[1])), axes, 0, 0, 360, 255, -1)
    return np.where(mask[..., None] > 0, rgb, blurred)
