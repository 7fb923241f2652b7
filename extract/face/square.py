"""The turned square of a picture that a face mesh is read from."""

from dataclasses import dataclass

import cv2
import numpy as np

from .detection import square_crop
from .mesh_network import NETWORK_PIXELS

# MediaPipe's: 1.5 times the mesh's larger extent, turned until the outer corners of the eyes lie level.
_SIDE_PER_MESH = 1.5
_OUTER_EYE_CORNERS = (33, 263)  # left in the image first
_TO_NETWORK = np.float32([-NETWORK_PIXELS / 2, -NETWORK_PIXELS / 2, 0])


@dataclass(frozen=True)
class TurnedSquare:
    """centre_x, centre_y and side in pixels of the picture; turn in radians, clockwise as the viewer sees it."""

    centre_x: float
    centre_y: float
    side: float
    turn: float

    @classmethod
    def around(cls, landmarks: np.ndarray) -> "TurnedSquare":
        """The one to read a face in that was last seen with these (478, 3) landmarks."""
        low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
        across, down = (landmarks[_OUTER_EYE_CORNERS[1]] - landmarks[_OUTER_EYE_CORNERS[0]])[:2]
        centre = (low + high) / 2
        turn = float(np.arctan2(down, across))
        return cls(float(centre[0]), float(centre[1]), _SIDE_PER_MESH * float((high - low).max()), turn)

    def cut(self, rgb: np.ndarray) -> np.ndarray:
        """(192, 192, 3) uint8: what an (H, W, 3) picture shows there, its edge repeated beyond it."""
        turned = self._axes()
        shrink = int(self.side // NETWORK_PIXELS)
        corner, step = np.array([self.centre_x, self.centre_y]) - turned @ np.full(2, NETWORK_PIXELS / 2), turned
        if shrink > 1:
            # A whole number of pixels is averaged into one first, to keep fine texture from aliasing and noise small.
            reach = shrink * (2 + self.side * (abs(np.cos(self.turn)) + abs(np.sin(self.turn))) // shrink)
            rgb, left, top = square_crop(rgb, self.centre_x, self.centre_y, reach)
            rgb = cv2.resize(rgb, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
            corner = (corner - (left, top) - (shrink - 1) / 2) / shrink
            step = turned / shrink
        return cv2.warpAffine(
            rgb,
            np.column_stack([step, corner]),
            (NETWORK_PIXELS, NETWORK_PIXELS),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

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
