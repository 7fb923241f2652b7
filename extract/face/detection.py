"""Faces in single pictures: MediaPipe's two detectors, and closer looks where they see nothing."""

import threading
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from .detector_network import DetectorNetwork
from .mesh_reader import MeshReader
from .square import CROP_PER_DETECTION, square_crop

_WIDEST_READ = 640  # pixels; the models read 192 and 128
_TILE_PIXELS = 480  # a usable face, 48 pixels wide, is then 19 of the 192 pixels the detector reads
_MOST_TILES_ACROSS = 4
_TILE_STEP = 0.75
_CHECK_PIXELS = 256


@dataclass(frozen=True, eq=False)
class Detection:
    """One face in one picture.

    box: (3,) centre x, centre y and width in pixels. eyes: (2, 2) x, y, the one on the left of the image first.
    """

    box: np.ndarray
    eyes: np.ndarray
    score: float

    @property
    def eye_distance(self) -> float:
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


class FaceFinder:
    """Finds faces in one picture at a time. Use it as a context manager; threads that share it take turns."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        # The short-range one sees a face in many things; it is asked only where the full-range one is silent.
        self._full, self._short = DetectorNetwork("full"), DetectorNetwork("short")

    def __enter__(self) -> "FaceFinder":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        del self._full, self._short

    def whole(self, rgb: np.ndarray) -> list[Detection]:
        """Faces seen in the whole (H, W, 3) picture."""
        import cv2

        height, width = rgb.shape[:2]
        scale = min(1.0, _WIDEST_READ / max(height, width))
        small = rgb if scale == 1.0 else cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return self._look(self._full, small, 0, 0, scale) or self._look(self._short, small, 0, 0, scale)

    def near(self, rgb: np.ndarray, box: np.ndarray) -> list[Detection]:
        """Faces seen in a crop three times as wide as `box`, centred on it."""
        return self._look_in_square(rgb, box[0], box[1], 3 * box[2])

    def tiles(self, rgb: np.ndarray) -> list[Detection]:
        """Faces seen in overlapping tiles: small ones, in a picture much wider than a tile. Slow (up to 30 looks)."""
        height, width = rgb.shape[:2]
        side = max(_TILE_PIXELS, max(height, width) / _MOST_TILES_ACROSS)
        if max(height, width) <= 1.25 * side:
            return []
        found: list[Detection] = []
        for centre_y in _centres(height, side):
            for centre_x in _centres(width, side):
                found += self._look_in_square(rgb, centre_x, centre_y, side)
        return without_repeats(found)

    def _look_in_square(self, rgb: np.ndarray, centre_x: float, centre_y: float, side: float) -> list[Detection]:
        import cv2

        crop, left, top = square_crop(rgb, centre_x, centre_y, side)
        scale = min(1.0, _WIDEST_READ / crop.shape[0])
        if scale < 1.0:
            crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return self._look(self._full, crop, left, top, scale)

    def _look(self, detector: DetectorNetwork, rgb: np.ndarray, left: int, top: int, scale: float) -> list[Detection]:
        with self._turn:
            seen = detector(rgb)
        offset = np.array([left, top], dtype=np.float64)
        found = []
        for face in seen:
            low, high = face.box.reshape(2, 2) / scale + offset
            found.append(
                Detection(np.array([*(low + high) / 2, high[0] - low[0]]), face.eyes / scale + offset, face.score)
            )
        return found


class FaceCheck:
    """Second opinion on a detection: whether a face mesh can be fitted there. Use it as a context manager."""

    def __init__(self) -> None:
        self._reader = MeshReader()

    def __enter__(self) -> "FaceCheck":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        del self._reader

    def __call__(self, rgb: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The crop that was read, (256, 256, 3) uint8, and the (478, 3) mesh in its pixels; None where none fits.

        box: as in `Detection`.
        """
        import cv2

        crop, _, _ = square_crop(rgb, box[0], box[1], CROP_PER_DETECTION * box[2])
        crop = cv2.resize(crop, (_CHECK_PIXELS, _CHECK_PIXELS), interpolation=cv2.INTER_AREA)
        square = self._reader.find(crop)
        landmarks = None if square is None else self._reader.read(crop, square)
        return None if landmarks is None else (crop, landmarks)


def _centres(length: int, side: float) -> np.ndarray:
    """Centres of the tiles that cover `length` pixels."""
    if length <= side:
        return np.array([length / 2])
    count = int(np.ceil((length - side) / (_TILE_STEP * side))) + 1
    return np.linspace(side / 2, length - side / 2, count)


def without_repeats(found: list[Detection]) -> list[Detection]:
    """The same detections with each face once, the surest first."""
    kept: list[Detection] = []
    for candidate in sorted(found, key=lambda d: -d.score):
        if all(np.hypot(*(candidate.box[:2] - k.box[:2])) > 0.5 * max(candidate.box[2], k.box[2]) for k in kept):
            kept.append(candidate)
    return kept
