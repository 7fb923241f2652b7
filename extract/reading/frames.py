"""What travels between the stages of extraction, one frame at a time."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One decoded picture. index: 0-based decoded order; time: seconds since frame 0; rgb: (H, W, 3) uint8, upright."""

    index: int
    time: float
    rgb: np.ndarray


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """One picture with the followed subject's face in it, or without.

    gray: (H, W) uint8, upright. landmarks: (478, 3) float32 mesh points in pixels of this frame (z in the same unit,
    negative towards the camera), None where the subject is not seen. segment: number of the unbroken segment this
    frame belongs to; it changes at every cut, jump or return of the face. -1 where landmarks is None.
    """

    index: int
    time: float
    gray: np.ndarray
    landmarks: np.ndarray | None
    segment: int
