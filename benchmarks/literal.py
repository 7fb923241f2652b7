"""What facespot is compared with: the papers' features read literally, and MediaPipe's own graph.

`tvl1_snippets` computes the flow of every window as SpotFormer's authors describe it: dense TV-L1 (opencv-contrib) from
the window's first picture to each of the sixteen after it, in a face cut to 256 pixels, averaged around each region,
less that of the nose. `mediapipe_mesh` is the face mesh as MediaPipe ships it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from facespot.extract.face.following import choose_subject, follow_face, scan_subjects
from facespot.extract.features import SNIPPET_STEPS
from facespot.extract.reading.frames import FaceFrame
from facespot.extract.reading.video import open_video
from facespot.extract.regions import EYE_CORNERS, ROI_MESH_POINTS

CUT = 256  # pixels across the face
_CUT_PER_EYES = 3.4  # side of the cut over the inter-ocular distance
_PATCH = 7  # pixels around a point that its flow is averaged over
_NOSE = (1, 4, 5, 195)  # mesh points of its ridge and tip


@dataclass(frozen=True)
class Cost:
    """Milliseconds of wall and of processor time a frame, and how many frames they were measured on."""

    wall_ms: float
    processor_ms: float
    frames: int


def clocked(start: tuple[float, float], frames: int) -> Cost:
    """Cost since `start` = (time.perf_counter(), time.process_time())."""
    wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    return Cost(1e3 * wall / frames, 1e3 * processor / frames, frames)


def faces_of(video: Path, count: int) -> list[FaceFrame]:
    """The first frames of a recording with the landmarks of its face."""
    with open_video(video) as stream:
        pending = zip(stream.pending(), range(count), strict=False)
        frames = [frame for frame, _ in pending]
        developed = [frame for frame in (p.develop() for p in frames) if frame is not None]
    return list(follow_face(developed, choose_subject(scan_subjects(developed[::8]))))


def tvl1_snippets(faces: list[FaceFrame], windows: int) -> np.ndarray:
    """(windows, 17, 10, 2) in fractions of the inter-ocular distance, of the first windows."""
    tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()
    return np.stack([_window(tvl1, faces[i : i + SNIPPET_STEPS]) for i in range(windows)])


def _window(tvl1: "cv2.optflow.DualTVL1OpticalFlow", faces: list[FaceFrame]) -> np.ndarray:
    first = faces[0].landmarks
    eyes = [first[list(EYE_CORNERS[side]), :2].mean(axis=0) for side in ("image_left", "image_right")]
    distance = float(np.linalg.norm(eyes[1] - eyes[0]))
    scale = CUT / (_CUT_PER_EYES * distance)
    shift = CUT / 2 - scale * first[:, :2].mean(axis=0)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    cuts = [cv2.warpAffine(face.gray, matrix, (CUT, CUT), borderMode=cv2.BORDER_REPLICATE) for face in faces]
    at = scale * first[:, :2] + shift
    regions = [at[list(points)].mean(axis=0) for points in ROI_MESH_POINTS.values()]
    steps = [np.zeros((len(regions), 2), np.float32)]
    for cut in cuts[1:]:
        flow = tvl1.calc(cuts[0], cut, None)
        nose = np.mean([_around(flow, at[point]) for point in _NOSE], axis=0)
        steps.append(np.array([_around(flow, region) - nose for region in regions]))
    return np.stack(steps) / (scale * distance)


def _around(flow: np.ndarray, point: np.ndarray) -> np.ndarray:
    x, y = np.clip(np.round(point).astype(int), _PATCH // 2, CUT - 1 - _PATCH // 2)
    half = _PATCH // 2
    return flow[y - half : y + half + 1, x - half : x + half + 1].reshape(-1, 2).mean(axis=0)


def mediapipe_mesh(pictures: list[np.ndarray]) -> Iterator[np.ndarray | None]:
    """(478, 3) of each (H, W, 3) RGB picture, or None: the solution as its documentation uses it."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    with FaceMesh(refine_landmarks=True) as graph:
        for rgb in pictures:
            found = graph.process(rgb).multi_face_landmarks
            yield np.array([(p.x, p.y, p.z) for p in found[0].landmark]) if found else None
