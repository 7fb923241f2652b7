"""Faces in single pictures: MediaPipe's two detectors, and closer looks where they see nothing."""

import threading
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from .mediapipe_graphs import in_callers_thread, quiet_native
from .mediapipe_import import import_solution

_FULL_RANGE, _SHORT_RANGE = 1, 0  # MediaPipe's model numbers
_FULL_RANGE_SCORE = 0.5
_SHORT_RANGE_SCORE = 0.7  # it sees a face in many things; asked only where the full-range model is silent
_WIDEST_READ = 640  # pixels; the models read 192 and 128
_TILE_PIXELS = 480  # a usable face, 48 pixels wide, is then 19 of the 192 pixels the detector reads
_MOST_TILES_ACROSS = 4
_TILE_STEP = 0.75
CROP_PER_DETECTION = 3.3  # side of a crop that shows a face with room around it, in widths of the detector's box
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


def square_crop(rgb: np.ndarray, centre_x: float, centre_y: float, side: float) -> tuple[np.ndarray, int, int]:
    """A square part of a picture, edge pixels repeated beyond its border: crop, left, top (which may be negative)."""
    import cv2

    height, width = rgb.shape[:2]
    side = max(round(side), 2)
    left, top = round(centre_x - side / 2), round(centre_y - side / 2)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    part = rgb[y0:y1, x0:x1]
    pads = (max(-top, 0), side - (y1 - y0) - max(-top, 0), max(-left, 0), side - (x1 - x0) - max(-left, 0))
    if any(pads):
        part = cv2.copyMakeBorder(part, *(max(p, 0) for p in pads), cv2.BORDER_REPLICATE)
    return part, left, top


class FaceFinder:
    """Finds faces in one picture at a time. Use it as a context manager; threads that share it take turns."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        with quiet_native():
            make = in_callers_thread(import_solution("face_detection").FaceDetection)
            self._full = make(min_detection_confidence=_FULL_RANGE_SCORE, model_selection=_FULL_RANGE)
            self._short = make(min_detection_confidence=_SHORT_RANGE_SCORE, model_selection=_SHORT_RANGE)
            blank = np.zeros((64, 64, 3), np.uint8)
            self._full.process(blank)
            self._short.process(blank)

    def __enter__(self) -> "FaceFinder":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with quiet_native():
            self._full.close()
            self._short.close()

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

    def _look(self, detector: object, rgb: np.ndarray, left: int, top: int, scale: float) -> list[Detection]:
        size = np.array([rgb.shape[1], rgb.shape[0]], dtype=np.float64) / scale
        offset = np.array([left, top], dtype=np.float64)
        found = []
        with self._turn:
            detections = detector.process(np.ascontiguousarray(rgb)).detections
        for seen in detections or []:
            box = seen.location_data.relative_bounding_box
            corner = np.array([box.xmin, box.ymin]) * size
            extent = np.array([box.width, box.height]) * size
            centre = corner + extent / 2 + offset
            eyes = np.array([[p.x, p.y] for p in seen.location_data.relative_keypoints[:2]]) * size + offset
            found.append(Detection(np.array([*centre, extent[0]]), eyes, float(seen.score[0])))
        return found


class FaceCheck:
    """Second opinion on a detection: whether a face mesh can be fitted there. Use it as a context manager."""

    def __init__(self) -> None:
        with quiet_native():
            make = in_callers_thread(import_solution("face_mesh").FaceMesh)
            self._mesh = make(static_image_mode=True, max_num_faces=1)
            self._mesh.process(np.zeros((_CHECK_PIXELS, _CHECK_PIXELS, 3), np.uint8))

    def __enter__(self) -> "FaceCheck":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with quiet_native():
            self._mesh.close()

    def __call__(self, rgb: np.ndarray, box: np.ndarray) -> bool:
        """box: as in `Detection`."""
        import cv2

        crop, _, _ = square_crop(rgb, box[0], box[1], CROP_PER_DETECTION * box[2])
        crop = cv2.resize(crop, (_CHECK_PIXELS, _CHECK_PIXELS), interpolation=cv2.INTER_AREA)
        with quiet_native():
            return bool(self._mesh.process(crop).multi_face_landmarks)


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
