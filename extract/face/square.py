"""Squares of a picture: upright ones, and the turned ones that a face mesh is read from."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..extent import extent
from .mesh_network import NETWORK_PIXELS

CROP_PER_DETECTION = 3.3  # side of a crop that shows a face with room around it, in widths of the detector's box
# MediaPipe's: 1.5 times the larger extent of mesh or detection, turned until the eyes lie level.
_SIDE_PER_FACE = 1.5
_OUTER_EYE_CORNERS = (33, 263)  # left in the image first
_TO_NETWORK = np.float32([-NETWORK_PIXELS / 2, -NETWORK_PIXELS / 2, 0])


def square_crop(rgb: np.ndarray, centre_x: float, centre_y: float, side: float) -> tuple[np.ndarray, int, int]:
    """A square part of a picture, edge pixels repeated beyond its border: crop, left, top (which may be negative)."""
    side = max(round(side), 2)
    left, top = round(centre_x - side / 2), round(centre_y - side / 2)
    return part_of(rgb, left, top, side, side), left, top


def part_of(rgb: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """(height, width, 3) of a picture, which it may reach beyond: there its edge pixels are repeated."""
    (y0, y1, above), (x0, x1, before) = (
        _inside(top, height, rgb.shape[0]),
        _inside(left, width, rgb.shape[1]),
    )
    part = rgb[y0:y1, x0:x1]
    pads = (above, height - above - (y1 - y0), before, width - before - (x1 - x0))
    return cv2.copyMakeBorder(part, *pads, cv2.BORDER_REPLICATE) if any(pads) else part


def _inside(start: int, length: int, size: int) -> tuple[int, int, int]:
    """First and end of the pixels of a stretch that lie in the picture, at least one, and how many come before them."""
    first = min(max(start, 0), size - 1)
    end = max(min(start + length, size), first + 1)
    return first, end, min(first - min(start, first), length - (end - first))


@dataclass(frozen=True)
class TurnedSquare:
    """centre_x, centre_y and side in pixels of the picture; turn in radians, clockwise as the viewer sees it."""

    centre_x: float
    centre_y: float
    side: float
    turn: float

    @classmethod
    def around(cls, points: np.ndarray, eye_axis: np.ndarray) -> "TurnedSquare":
        """The one to read a face in that lies within points, (K, 2) or with their depth. eye_axis: (2,) x, y from the
        left eye in the image to the right one."""
        low, high = extent(points)
        centre = (low + high) / 2
        turn = float(np.arctan2(eye_axis[1], eye_axis[0]))
        return cls(float(centre[0]), float(centre[1]), _SIDE_PER_FACE * float((high - low).max()), turn)

    @classmethod
    def around_mesh(cls, landmarks: np.ndarray) -> "TurnedSquare":
        """The one to read a face in that was last seen with these (478, 3) landmarks."""
        left, right = (landmarks[corner, :2] for corner in _OUTER_EYE_CORNERS)
        return cls.around(landmarks, right - left)

    def cut(self, rgb: np.ndarray) -> np.ndarray:
        """(192, 192, 3) uint8: what an (H, W, 3) picture shows there, its edge repeated beyond it."""
        axes = self._axes()
        corner = np.array([self.centre_x, self.centre_y]) - axes @ np.full(2, NETWORK_PIXELS / 2)
        return cv2.warpAffine(
            rgb,
            np.column_stack([axes, corner]),
            (NETWORK_PIXELS, NETWORK_PIXELS),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def reach(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the pixels that it lies in."""
        half = self.side / 2 * (abs(np.cos(self.turn)) + abs(np.sin(self.turn)))
        return self.centre_x - half, self.centre_y - half, self.centre_x + half, self.centre_y + half

    def into_picture(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) float32 points of the cut in pixels of the picture, depth in the same unit."""
        axes = np.zeros((3, 3), np.float32)
        axes[:2, :2] = self._axes()
        axes[2, 2] = self.side / NETWORK_PIXELS
        return (points + _TO_NETWORK) @ axes.T + np.float32([self.centre_x, self.centre_y, 0])

    def _axes(self) -> np.ndarray:
        """(2, 2) what a pixel to the right and one down in the cut are in the picture, in its columns."""
        along = self.side / NETWORK_PIXELS * np.array([np.cos(self.turn), np.sin(self.turn)])
        return np.array([[along[0], -along[1]], [along[1], along[0]]])
