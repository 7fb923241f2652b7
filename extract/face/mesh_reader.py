"""A face near a given place, and the mesh read in a given square: what following and checking have in common."""

import cv2
import numpy as np

from .detector_network import DetectorNetwork
from .mesh_network import MeshNetwork
from .square import TurnedSquare, square_crop

CROP_PER_DETECTION = 3.3  # side of a crop that shows a face with room around it, in widths of the detector's box
_LARGEST_CROP = 384  # pixels across it as the detector is given it, which reads 128
_LEAST_SURETY = 0.5  # that a square holds a face, as MediaPipe asks for


class MeshReader:
    """The short-range detector and the mesh network. Not for several threads at once."""

    def __init__(self) -> None:
        self._detector = DetectorNetwork("short")
        self._network = MeshNetwork()

    def find(self, rgb: np.ndarray, box: np.ndarray) -> TurnedSquare | None:
        """The square to read the surest face in that is near a box: (3,) centre x, centre y and width, in pixels."""
        crop, left, top = square_crop(rgb, box[0], box[1], CROP_PER_DETECTION * box[2])
        scale = min(1.0, _LARGEST_CROP / crop.shape[0])
        if scale < 1.0:
            crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = self._detector(crop)
        if not found:
            return None
        seen = found[0]
        return TurnedSquare.around(seen.box.reshape(2, 2) / scale + (left, top), seen.eyes[1] - seen.eyes[0])

    def read(self, rgb: np.ndarray, square: TurnedSquare) -> np.ndarray | None:
        """(478, 3) float32 landmarks in pixels of an (H, W, 3) picture, z in the same unit; None without a face."""
        points, surety = self._network(square.cut(rgb))
        return square.into_picture(points) if surety >= _LEAST_SURETY else None
