"""What a face looks like, so that it is known again in another shot: in another size, light and pose.

A view of it has two parts. The first is the skin's brightness and two differences of its colours, read where the points
of the face mesh lie: wherever the head turns and whatever it does, a point stays on the same bit of skin, so that
eyebrow is compared with eyebrow. What varies broadly across the face is taken off; it tells of the light more than of
the person, and faces filmed in one studio have it in common. The second is the upright picture of the whole head, in
which hair and beard weigh more.
"""

import math

import numpy as np

from ..extent import extent
from ..regions import EYE_CORNERS
from .portraits import portrait

# Pixels of the crop that `detection.FaceCheck` reads, in which eyes are about thirty apart: finer is noise and the
# mesh's error, broader is light.
_FINE, _BROAD = 1.2, 5.0
_BLUR_REACH = 3.0  # of a blur, in its own unit: OpenCV's goes no further on bytes
_DARK = 8.0  # gray levels added before a logarithm, so that noise in the dark is not made large
_COLOUR_WEIGHT = 1.5
_SKIN_SHARE = 2 / 3  # of a resemblance; the rest is the portrait's
_CLIP = 2.5  # standard deviations; a highlight or a nostril must not outweigh the face
_WIDEST_YAW = np.deg2rad(40)  # beyond it the mesh guesses at the hidden half
_TOP, _CHIN = 10, 152
# Points at the outline, where hair and background begin as the head turns.
_OUTLINE = (
    *(10, 21, 34, 54, 58, 63, 67, 68, 70, 71, 93, 103, 104, 109, 127, 132, 135, 136, 137, 138, 139, 140, 148, 149, 150),
    *(152, 156, 162, 171, 172, 175, 176, 177, 215, 227, 234, 251, 264, 276, 284, 288, 293, 297, 298, 299, 300, 301),
    *(323, 332, 333, 338, 345, 356, 361, 364, 365, 366, 367, 368, 369, 372, 377, 378, 379, 383, 389, 394, 395, 396),
    *(397, 400, 401, 433, 435, 447, 454),
)
_READ_POINTS = np.setdiff1d(np.arange(468), _OUTLINE)


def appearance(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray | None:
    """(1752,) float32 of unit length, to be compared by `resemblance`; None for a face turned too far aside.

    rgb: (256, 256, 3) uint8 crop as `detection.FaceCheck` reads it. landmarks: (478, 3) mesh in its pixels.
    """
    import cv2

    axes = _face_axes(landmarks)
    if abs(np.arcsin(np.clip(axes[0, 2], -1, 1))) > _WIDEST_YAW:
        return None
    points = landmarks[_READ_POINTS]
    values = _skin(rgb, points, _FINE) - _skin(rgb, points, _BROAD)
    plane = np.column_stack([np.ones(len(points)), (points - points.mean(axis=0)) @ axes[:2].T])
    values -= plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    bound = _CLIP * values.std(axis=0)
    skin = _of_length(np.clip(values, -bound, bound), _SKIN_SHARE)
    eyes = np.stack([landmarks[list(EYE_CORNERS[side]), :2].mean(axis=0) for side in ("image_left", "image_right")])
    head = _of_length(portrait(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), eyes), 1 - _SKIN_SHARE)
    return np.concatenate([skin, head]).astype(np.float32)


def _skin(rgb: np.ndarray, points: np.ndarray, blur: float) -> np.ndarray:
    """(N, 3) brightness, red over green and blue over green, as logarithms, at (N, 3) points."""
    import cv2

    at = points[:, None, :2].astype(np.float32)
    # Blurred only where it is read and as far around as that reaches: the same, in an eighth of the time.
    margin = math.ceil(_BLUR_REACH * blur) + 2
    last = np.array(rgb.shape[1::-1]) - 1
    low, high = (np.clip(np.floor(end), 0, last).astype(int) for end in extent(points))
    (left, top), (right, bottom) = np.maximum(low - margin, 0).tolist(), (high + margin + 1).tolist()
    smooth = cv2.GaussianBlur(rgb[top:bottom, left:right], (0, 0), blur)
    at -= np.array([left, top], np.float32)
    seen = cv2.remap(smooth, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    red, green, blue = np.log(seen.astype(np.float64) + _DARK).T
    brightness = (red + green + blue) / 3
    return np.stack([brightness, _COLOUR_WEIGHT * (red - green), _COLOUR_WEIGHT * (blue - green)], axis=1)


def _of_length(part: np.ndarray, square: float) -> np.ndarray:
    """An array as a vector whose squared length is `square`; zeros stay zeros."""
    return part.ravel() * (np.sqrt(square) / max(float(np.linalg.norm(part)), 1e-6))


def resemblance(a: np.ndarray, b: np.ndarray) -> float:
    """Of two views: 1 the same picture, about 0.5 two different people."""
    return float(a @ b)


def _face_axes(landmarks: np.ndarray) -> np.ndarray:
    """(3, 3) unit vectors of the head in its rows: from eye to eye, down the face, and into it."""
    left, right = (landmarks[list(EYE_CORNERS[side])].mean(axis=0) for side in ("image_left", "image_right"))
    across = (right - left) / np.linalg.norm(right - left)
    down = landmarks[_CHIN] - landmarks[_TOP]
    down = down - across * (down @ across)
    down /= np.linalg.norm(down)
    return np.stack([across, down, np.cross(across, down)])
