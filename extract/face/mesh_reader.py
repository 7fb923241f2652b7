"""The one face of a picture that shows little else, found and read: what following and checking have in common."""

import numpy as np

from .detector_network import DetectorNetwork
from .mesh_network import MeshNetwork
from .square import TurnedSquare

_LEAST_SURETY = 0.5  # that a square holds a face, as MediaPipe asks for


class MeshReader:
    """The short-range detector and the mesh network. Not for several threads at once."""

    def __init__(self) -> None:
        self._detector = DetectorNetwork("short")
        self._network = MeshNetwork()

    def find(self, rgb: np.ndarray) -> TurnedSquare | None:
        """The square to read the surest face of a picture in, which shows little else."""
        found = self._detector(rgb)
        if not found:
            return None
        return TurnedSquare.around(found[0].box.reshape(2, 2), found[0].eyes[1] - found[0].eyes[0])

    def read(self, rgb: np.ndarray, square: TurnedSquare) -> np.ndarray | None:
        """(478, 3) float32 landmarks in pixels of an (H, W, 3) picture, z in the same unit; None without a face."""
        points, surety = self._network(square.cut(rgb))
        return square.into_picture(points) if surety >= _LEAST_SURETY else None
