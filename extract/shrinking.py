"""Making pictures smaller without letting fine texture alias, quicker than by averaging over broken pixels."""

import cv2
import numpy as np

_LEAST_BLUR = 0.2  # pixels, standard deviation; less changes nothing
_NARROW_BLUR = 0.8  # up to here three pixels across are enough


def whole_shrink(ratio: float) -> int:
    """How many pixels across `shrinkable` averages into one for a picture to be read at 1 / ratio of its size."""
    return max(int(ratio), 1)


def shrinkable(picture: np.ndarray, ratio: float) -> np.ndarray:
    """A picture from which one of 1 / ratio of the size can be interpolated linearly.

    A whole number of pixels, by which the sides must be divisible, is averaged into one; what remains, less than
    half, is blurred away. Pixel centres are at whole numbers before and after.
    """
    shrink = whole_shrink(ratio)
    if shrink > 1:
        height, width = picture.shape[:2]
        picture = cv2.resize(picture, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
    sigma = 0.5 * np.sqrt(max((ratio / shrink) ** 2 - 1, 0))
    if sigma <= _LEAST_BLUR:
        return picture
    across = 3 if sigma < _NARROW_BLUR else 5
    return cv2.GaussianBlur(picture, (across, across), sigma, borderType=cv2.BORDER_REPLICATE)
