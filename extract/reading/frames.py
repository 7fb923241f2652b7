"""What travels between the stages of extraction, one frame at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


class Picture:
    """An upright picture, in colour and in brightness, each made when it is first asked for and then kept.

    rgb: makes it. gray: makes it where there is a quicker way than from `rgb`.
    """

    def __init__(self, rgb: Callable[[], np.ndarray], gray: Callable[[], np.ndarray] | None = None) -> None:
        self._make_rgb, self._make_gray = rgb, gray

    @cached_property
    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self._make_rgb()

    @cached_property
    def gray(self) -> np.ndarray:
        """(H, W) uint8."""
        if self._make_gray is not None:
            return self._make_gray()
        import cv2

        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One decoded picture. index: 0-based decoded order; time: seconds since frame 0."""

    index: int
    time: float
    picture: Picture

    @property
    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8, upright."""
        return self.picture.rgb

    @property
    def gray(self) -> np.ndarray:
        """(H, W) uint8, upright."""
        return self.picture.gray


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
