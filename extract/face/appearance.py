"""What a face looks like, so that it is known again in another shot: in another size, light and pose.

A view of it is the skin's brightness and two differences of its colours, read where the points of the face mesh lie.
Wherever the head turns and whatever it does, a point of the mesh stays on the same bit of skin. So no picture need be
turned upright, and what is compared is eyebrow with eyebrow. Logarithms, of which a plane across the face is taken
off, leave little of exposure, white balance and light from one side.
"""

import numpy as np

from ..regions import EYE_CORNERS

_BLUR = 2.0  # pixels of the crop that `detection.FaceCheck` reads, in which eyes are about thirty apart
_DARK = 8.0  # gray levels added before a logarithm, so that noise in the dark is not made large
_COLOUR_WEIGHT = 1.5
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
    """(1176,) float32 of unit length, to be compared by `resemblance`; None for a face turned too far aside.

    rgb: (256, 256, 3) uint8 crop as `detection.FaceCheck` reads it. landmarks: (478, 3) mesh in its pixels.
    """
    import cv2

    axes = _face_axes(landmarks)
    if abs(np.arcsin(np.clip(axes[0, 2], -1, 1))) > _WIDEST_YAW:
        return None
    points = landmarks[_READ_POINTS]
    at = points[:, None, :2].astype(np.float32)
    seen = cv2.remap(cv2.GaussianBlur(rgb, (0, 0), _BLUR), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[
        :, 0
    ]
    red, green, blue = np.log(seen.astype(np.float64) + _DARK).T
    values = np.stack(
        [(red + green + blue) / 3, _COLOUR_WEIGHT * (red - green), _COLOUR_WEIGHT * (blue - green)], axis=1
    )
    plane = np.column_stack([np.ones(len(points)), (points - points.mean(axis=0)) @ axes[:2].T])
    values -= plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    bound = _CLIP * values.std(axis=0)
    view = np.clip(values, -bound, bound).ravel()
    return (view / max(float(np.linalg.norm(view)), 1e-6)).astype(np.float32)


def resemblance(a: np.ndarray, b: np.ndarray) -> float:
    """Of two views: 1 the same picture, about 0 two different people."""
    return float(a @ b)


def _face_axes(landmarks: np.ndarray) -> np.ndarray:
    """(3, 3) unit vectors of the head in its rows: from eye to eye, down the face, and into it."""
    left, right = (landmarks[list(EYE_CORNERS[side])].mean(axis=0) for side in ("image_left", "image_right"))
    across = (right - left) / np.linalg.norm(right - left)
    down = landmarks[_CHIN] - landmarks[_TOP]
    down = down - across * (down @ across)
    down /= np.linalg.norm(down)
    return np.stack([across, down, np.cross(across, down)])
