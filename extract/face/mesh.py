"""The face mesh of one subject, followed from picture to picture."""

import math
from types import TracebackType

import cv2
import numpy as np

from ..extent import extent
from ..regions import EYE_CORNERS, RIGID_MESH_POINTS, ROI_MESH_POINTS
from .mesh_reader import MeshReader
from .square import CROP_PER_DETECTION, TurnedSquare, part_of
from .subjects import SMALLEST_EYE_DISTANCE

# The crop. MediaPipe's own tracker reads 1.5 times the mesh's extent, so this leaves room for motion before a move.
_CROP_PER_MESH = 2.6
_MOVE_REACH = 0.18  # crop sides the face may drift before the crop follows
_MOVE_RATIO = 1.25  # change of face size before it does
_RELOOK_SHIFT = 0.04  # mesh extents a face may move between two readings that agree
_MOST_READS = 4
_SMALLEST_READ, _LARGEST_READ = 256, 384  # pixels across the crop as it is read, 192 of them
# The crop is so many cells across, each of whole pixels before and after it is resized: any part of it can be resized
# by itself. Both sizes above are multiples of it.
_CELLS = 32

_INTERPOLATED = 3  # pixels around a square that interpolating, twice, may look at

_MOST_OUTSIDE = 0.2  # share of the points that matter that may lie outside the picture
_NEEDED_POINTS = np.array(sorted({*RIGID_MESH_POINTS, *(p for points in ROI_MESH_POINTS.values() for p in points)}))
_EYES_TO_MOUTH = (0.55, 2.2)  # eye-mouth distance over inter-ocular distance, both in depth; adults' is 0.9-1.3
_FACE_WIDTH = (1.4, 3.6)  # cheek to cheek over inter-ocular distance; adults' is 2.0-2.6
_MOUTH_CORNERS = (61, 291)
_CHEEKS = (234, 454)
_FIRST_CORNERS, _SECOND_CORNERS = np.array([EYE_CORNERS["image_left"], EYE_CORNERS["image_right"]]).T
_SHAPE_POINTS = np.array([*EYE_CORNERS["image_left"], *EYE_CORNERS["image_right"], *_MOUTH_CORNERS, *_CHEEKS])

# Crop as centre x, centre y and side; the square in it that was read; `mesh_box` of the answer.
Place = tuple[tuple[float, float, float] | None, TurnedSquare | None, np.ndarray | None]


def eye_centres(landmarks: np.ndarray) -> np.ndarray:
    """(2, 3) midpoints between the corners of each eye, left in the image first, from a (478, 3) mesh."""
    return (landmarks[_FIRST_CORNERS] + landmarks[_SECOND_CORNERS]) / 2


def mesh_box(landmarks: np.ndarray) -> np.ndarray:
    """(3,) centre x, centre y and larger extent of a mesh, in pixels."""
    low, high = extent(landmarks)
    return np.array([*((low + high) / 2), (high - low).max()])


def implausibility(landmarks: np.ndarray, height: int, width: int) -> str | None:
    """Why a (478, 3) mesh cannot be used in a picture of that size, in one word; None if it can.

    "small": the eyes are under 20 pixels apart (in depth, so that a turned head is not a small one). "outside": over a
    fifth of the rigid and ROI points are out of the picture. "shape": the mesh has no face's proportions.
    """
    # Single numbers: on arrays this small the calls are what takes the time.
    a, b, c, d, *mouth, cheek, other_cheek = landmarks[_SHAPE_POINTS].tolist()
    left, right, mouth = _middle(a, b), _middle(c, d), _middle(*mouth)
    distance = math.dist(left, right)
    if distance < SMALLEST_EYE_DISTANCE:
        return "small"
    x, y = landmarks[_NEEDED_POINTS, 0], landmarks[_NEEDED_POINTS, 1]
    outside = np.count_nonzero((x < 0) | (y < 0) | (x > width - 1) | (y > height - 1))
    if outside > _MOST_OUTSIDE * len(_NEEDED_POINTS):
        return "outside"
    to_mouth = math.dist(mouth, _middle(left, right)) / distance
    across = math.dist(cheek, other_cheek) / distance
    if not (_EYES_TO_MOUTH[0] <= to_mouth <= _EYES_TO_MOUTH[1] and _FACE_WIDTH[0] <= across <= _FACE_WIDTH[1]):
        return "shape"
    return None


def _middle(a: list[float], b: list[float]) -> list[float]:
    return [(p + q) / 2 for p, q in zip(a, b, strict=True)]


class SubjectMesh:
    """Runs the refined face mesh on a crop around one face, picture after picture.

    The crop keeps other faces out, makes a small face large enough for the model and costs the same in a picture of any
    size. It stays put until the face has drifted or grown, so that the pixels it is read at do too. Within it a picture
    is read where the one before left the face. Nothing is smoothed over time: a move is there in full at once.
    Use it as a context manager; not for several threads at once.
    """

    def __init__(self) -> None:
        self._reader = MeshReader()
        self._crop: tuple[float, float, float] | None = None  # centre x, centre y, side
        self._square: TurnedSquare | None = None  # where in the crop the face was last seen
        self._box: np.ndarray | None = None
        self._canvas = np.zeros((0, 0, 3), np.uint8)  # the crop as it is read, as far as it is looked at

    def __enter__(self) -> "SubjectMesh":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        del self._reader

    @property
    def box(self) -> np.ndarray | None:
        """`mesh_box` of the landmarks given last; None where no face was seen."""
        return self._box

    @property
    def place(self) -> Place:
        """Where the face was seen last; set it to one from before and the next call starts from there."""
        return self._crop, self._square, self._box

    @place.setter
    def place(self, place: Place) -> None:
        self._crop, self._square, self._box = place

    def forget(self) -> None:
        """Let the next call start from the expected place, not from where the face was."""
        self._crop = None

    def __call__(self, rgb: np.ndarray, expected: np.ndarray | None) -> np.ndarray | None:
        """(478, 3) float32 landmarks in pixels of the (H, W, 3) picture, z in the same unit; None if no face is seen.

        expected: (3,) centre x, centre y and width a detector would see, used while no face is being tracked.
        """
        before = None if self._crop is None else self._box
        if self._crop is None:
            if expected is None:
                return None
            self._place((expected[0], expected[1], CROP_PER_DETECTION * expected[2]))
        landmarks = None
        # The model is biased, by up to hundredths of the face, where its tracker was not centred on it. So a picture is
        # read until the face stays put: once, mostly.
        for _ in range(_MOST_READS):
            landmarks = self._read(rgb)
            if landmarks is None:
                if before is None:
                    break
                before = None
                continue
            face = mesh_box(landmarks)
            settled = before is not None and not has_moved(face, before)
            before = face
            if self._must_move(face):
                self._place((face[0], face[1], _CROP_PER_MESH * face[2]))
            elif settled:
                break
        self._box = None if landmarks is None else before
        if landmarks is None:
            self._crop = None
        return landmarks

    def _place(self, crop: tuple[float, float, float]) -> None:
        """Set the crop, and look for the face again, whose place was one in the old one."""
        self._crop, self._square = crop, None

    def _must_move(self, face: np.ndarray) -> bool:
        """Whether the face has drifted or grown so far that the crop must follow."""
        x, y, side = self._crop
        ratio = _CROP_PER_MESH * face[2] / side
        drift = max(abs(face[0] - x), abs(face[1] - y)) / side
        return drift > _MOVE_REACH or not 1 / _MOVE_RATIO <= ratio <= _MOVE_RATIO

    def _read(self, rgb: np.ndarray) -> np.ndarray | None:
        x, y, side = self._crop
        # A whole number of pixels is averaged into one first, which is fast and keeps fine texture from aliasing; what
        # remains, less than half, is interpolated. An area average over broken pixels alone took longer than the mesh.
        shrink = max(int(side // _LARGEST_READ), 1)
        coarse = max(round(side / (shrink * _CELLS)), 1)  # pixels across a cell
        side = shrink * coarse * _CELLS
        left, top = round(x - side / 2), round(y - side / 2)
        read = min(max(coarse * _CELLS, _SMALLEST_READ), _LARGEST_READ)
        fine = read // _CELLS
        if self._canvas.shape[0] != read:
            self._canvas = np.zeros((read, read, 3), np.uint8)
        # Where the square is known already, nothing else of the crop is looked at; what it shows there is of no matter.
        (first_column, end_column), (first_row, end_row) = _shown(self._square, fine)
        width, height = end_column - first_column, end_row - first_row
        cell = shrink * coarse
        part = part_of(rgb, left + cell * first_column, top + cell * first_row, cell * width, cell * height)
        if shrink > 1:
            part = cv2.resize(part, (coarse * width, coarse * height), interpolation=cv2.INTER_AREA)
        if fine != coarse:
            part = cv2.resize(part, (fine * width, fine * height), interpolation=cv2.INTER_LINEAR)
        crop = self._canvas
        crop[fine * first_row : fine * end_row, fine * first_column : fine * end_column] = part
        square = self._square or self._reader.find(crop)
        landmarks = None if square is None else self._reader.read(crop, square)
        if landmarks is None:
            self._square = None
            return None
        self._square = TurnedSquare.around_mesh(landmarks)
        return landmarks * np.float32(side / read) + np.array([left, top, 0], dtype=np.float32)


def _shown(square: TurnedSquare | None, fine: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and end of the columns and of the rows of cells, `fine` pixels across, that a square shows of the crop in
    which it lies; all without one."""
    if square is None:
        return (0, _CELLS), (0, _CELLS)
    left, top, right, bottom = square.reach()
    return _cells(left, right, fine), _cells(top, bottom, fine)


def _cells(low: float, high: float, fine: int) -> tuple[int, int]:
    """First and end of the cells between two places, at least one."""
    first = min(max(math.floor((low - _INTERPOLATED) / fine), 0), _CELLS - 1)
    return first, min(max(math.ceil((high + _INTERPOLATED) / fine), first + 1), _CELLS)


def has_moved(face: np.ndarray, before: np.ndarray) -> bool:
    """Whether a face, as `mesh_box`, has moved or grown by more than a few hundredths of its size."""
    (x, y, size), (x_before, y_before, size_before) = face.tolist(), before.tolist()
    shift = math.hypot(x - x_before, y - y_before) / size_before
    return shift > _RELOOK_SHIFT or abs(size / size_before - 1) > _RELOOK_SHIFT
