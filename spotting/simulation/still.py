"""A still photograph of one face with its mesh, ready to be animated."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...errors import FacespotError, NoFaceError, NotAVideoError, VideoNotFoundError
from ...extract.face.mediapipe_graphs import quiet_native
from ...extract.regions import EYE_CORNERS

MESH_POINTS = 478
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # ends of the names of files that are taken for some


@dataclass(frozen=True, eq=False)
class Still:
    """One upright picture and where its face is.

    image: (H, W, 3) uint8 RGB. landmarks: (478, 3) float64 mesh points in pixels, z in the same unit and negative
    towards the camera.
    """

    image: np.ndarray
    landmarks: np.ndarray

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"a still is (H, W, 3) uint8, got {self.image.shape} {self.image.dtype}")
        if self.landmarks.shape != (MESH_POINTS, 3):
            raise ValueError(f"a still needs {MESH_POINTS} mesh points, got {self.landmarks.shape}")

    @cached_property
    def eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (x, y) of the eye nearer the left and of the eye nearer the right edge of the picture."""
        left, right = (self.landmarks[list(EYE_CORNERS[s]), :2].mean(axis=0) for s in ("image_left", "image_right"))
        return left, right

    @cached_property
    def iod(self) -> float:
        """Inter-ocular distance in pixels."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


def load_still(source: str | Path | np.ndarray) -> Still:
    """Still from a picture file or an (H, W, 3) uint8 RGB array; the mesh is found by MediaPipe.

    Raises VideoNotFoundError when the file is missing, NotAVideoError when it is no picture, NoFaceError when no face
    is seen in it.
    """
    import cv2

    if isinstance(source, np.ndarray):
        image = np.ascontiguousarray(source)
    else:
        if not Path(source).is_file():
            raise VideoNotFoundError(f"{source} does not exist")
        bgr = cv2.imread(str(source), cv2.IMREAD_COLOR)
        if bgr is None:
            raise NotAVideoError(f"{source} is not a picture that can be read")
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    with quiet_native():
        from mediapipe.python.solutions.face_mesh import FaceMesh

        with FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True) as mesh:
            faces = mesh.process(image).multi_face_landmarks
    if not faces:
        raise NoFaceError("no face was found in the still picture")
    height, width = image.shape[:2]
    # MediaPipe scales z like x, with the picture's width.
    points = np.array([[p.x * width, p.y * height, p.z * width] for p in faces[0].landmark])
    return Still(image, points)


def load_stills(folder: Path, refused: Callable[[str], None]) -> dict[str, Still]:
    """Stills of a folder's pictures by name, in order. refused: told of each picture that has no face, in a line."""
    stills = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES):
        try:
            stills[path.stem] = load_still(path)
        except FacespotError as error:
            refused(f"{path.name}: {error}")
    return stills
