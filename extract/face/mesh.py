"""The face mesh of one subject, followed from picture to picture."""

from types import TracebackType

import numpy as np

from ..regions import EYE_CORNERS, RIGID_MESH_POINTS, ROI_MESH_POINTS
from .mesh_reader import MeshReader
from .square import TurnedSquare
from .subjects import SMALLEST_EYE_DISTANCE

_RELOOK_SHIFT = 0.04  # mesh extents a face may move between two readings that agree
_MOST_READS = 4
_MESH_PER_DETECTION = 1.3  # usual extent of the mesh over the width the detector sees

_MOST_OUTSIDE = 0.2  # share of the points that matter that may lie outside the picture
_NEEDED_POINTS = np.array(sorted({*RIGID_MESH_POINTS, *(p for points in ROI_MESH_POINTS.values() for p in points)}))
_EYES_TO_MOUTH = (0.55, 2.2)  # eye-mouth distance over inter-ocular distance, both in depth; adults' is 0.9-1.3
_FACE_WIDTH = (1.4, 3.6)  # cheek to cheek over inter-ocular distance; adults' is 2.0-2.6
_MOUTH_CORNERS = (61, 291)
_CHEEKS = (234, 454)


def eye_centres(landmarks: np.ndarray) -> np.ndarray:
    """(2, 3) midpoints between the corners of each eye, left in the image first, from a (478, 3) mesh."""
    return np.stack([landmarks[list(EYE_CORNERS[side])].mean(axis=0) for side in ("image_left", "image_right")])


def mesh_box(landmarks: np.ndarray) -> np.ndarray:
    """(3,) centre x, centre y and larger extent of a mesh, in pixels."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    return np.array([*((low + high) / 2), (high - low).max()])


def implausibility(landmarks: np.ndarray, height: int, width: int) -> str | None:
    """Why a (478, 3) mesh cannot be used in a picture of that size, in one word; None if it can.

    "small": the eyes are under 20 pixels apart (in depth, so that a turned head is not a small one). "outside": over a
    fifth of the rigid and ROI points are out of the picture. "shape": the mesh has no face's proportions.
    """
    eyes = eye_centres(landmarks)
    distance = float(np.linalg.norm(eyes[1] - eyes[0]))
    if distance < SMALLEST_EYE_DISTANCE:
        return "small"
    x, y = landmarks[_NEEDED_POINTS, 0], landmarks[_NEEDED_POINTS, 1]
    if np.mean((x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)) > _MOST_OUTSIDE:
        return "outside"
    mouth = landmarks[list(_MOUTH_CORNERS)].mean(axis=0)
    to_mouth = np.linalg.norm(mouth - eyes.mean(axis=0)) / distance
    across = np.linalg.norm(landmarks[_CHEEKS[0]] - landmarks[_CHEEKS[1]]) / distance
    if not (_EYES_TO_MOUTH[0] <= to_mouth <= _EYES_TO_MOUTH[1] and _FACE_WIDTH[0] <= across <= _FACE_WIDTH[1]):
        return "shape"
    return None


class SubjectMesh:
    """Runs the refined face mesh on one face, picture after picture, each read where the last one left the face.

    Reading around one face keeps others out, makes a small one large enough and costs the same in a picture of any
    size. Nothing is smoothed over time: a move is there in full in the picture it happens in.
    Use it as a context manager; not for several threads at once.
    """

    def __init__(self) -> None:
        self._reader = MeshReader()
        self._square: TurnedSquare | None = None  # where the face was last seen
        self._box: np.ndarray | None = None

    def __enter__(self) -> "SubjectMesh":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        del self._reader

    @property
    def box(self) -> np.ndarray | None:
        """`mesh_box` of the landmarks given last; None where no face was seen."""
        return self._box

    def forget(self) -> None:
        """Let the next call start from the expected place, not from where the face was."""
        self._square = None

    def __call__(self, rgb: np.ndarray, expected: np.ndarray | None) -> np.ndarray | None:
        """(478, 3) float32 landmarks in pixels of the (H, W, 3) picture, z in the same unit; None if no face is seen.

        expected: (3,) centre x, centre y and width a detector would see, used while no face is being tracked.
        """
        before = None if self._square is None else self._box
        landmarks = None
        # The model is biased, by up to hundredths of the face, where its square was not centred on it. So a picture is
        # read until the face stays put: once, mostly.
        for _ in range(_MOST_READS):
            if self._square is None:
                near = expected if before is None else _as_detected(before)
                before = None
                self._square = None if near is None else self._reader.find(rgb, near)
                if self._square is None:
                    landmarks = None
                    break
            landmarks = self._reader.read(rgb, self._square)
            if landmarks is None:
                self._square = None
                continue
            face = mesh_box(landmarks)
            settled = before is not None and not _moved(face, before)
            before, self._square = face, TurnedSquare.around_mesh(landmarks)
            if settled:
                break
        self._box = None if landmarks is None else before
        if landmarks is None:
            self._square = None
        return landmarks


def _as_detected(face: np.ndarray) -> np.ndarray:
    """(3,) box that a detector would give a face, known as `mesh_box`."""
    return face / (1, 1, _MESH_PER_DETECTION)


def _moved(face: np.ndarray, before: np.ndarray) -> bool:
    """Whether a face, as `mesh_box`, has moved or grown by more than a few hundredths of its size."""
    shift = float(np.hypot(*(face[:2] - before[:2]))) / before[2]
    return shift > _RELOOK_SHIFT or abs(face[2] / before[2] - 1) > _RELOOK_SHIFT
