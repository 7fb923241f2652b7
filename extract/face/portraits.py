"""Small pictures of a face, turned upright, and how alike two of them are."""

import numpy as np

from .cuts import difference, standardised

_PORTRAIT_PIXELS = 24
_BETWEEN_EYES = np.array([0.5, 0.35]) * _PORTRAIT_PIXELS


def portrait(gray: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """(24, 24) standardised picture of a face with its eyes, (2, 2) x, y, at fixed places."""
    import cv2

    side = _PORTRAIT_PIXELS
    axis = eyes[1] - eyes[0]
    scale = 0.4 * side / max(float(np.hypot(*axis)), 1.0)
    angle = np.arctan2(axis[1], axis[0])
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # Shrunk through a picture twice the size: a bilinear read alone would alias on a large face.
    to_large = np.empty((2, 3))
    to_large[:, :2] = 2 * turn
    to_large[:, 2] = 2 * (_BETWEEN_EYES - turn @ (np.add.reduce(eyes, axis=0) / 2))
    large = cv2.warpAffine(gray, to_large, (2 * side, 2 * side), borderMode=cv2.BORDER_REPLICATE)
    return standardised(cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA))


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two portraits: 1 the same picture, about 0.3 two different people."""
    return 1.0 - difference(a, b)
