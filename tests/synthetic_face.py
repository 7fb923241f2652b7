"""A textured surface that moves as told, with the face mesh that goes with it: exact ground truth for flow."""

from collections.abc import Callable, Iterable
from functools import cache

import cv2
import numpy as np
from facespot.extract.reading.frames import FaceFrame
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.spotting.simulation.anatomy import neutral_face

IOD = 60.0  # px
MIDDLE = 160.0  # px, both ways: between the eyes and the mouth
Motion = Callable[[np.ndarray, float], np.ndarray]  # positions (..., 2) px at rest, seconds -> shifts (..., 2) px


@cache
def synthetic_mesh() -> np.ndarray:
    """(478, 3) px; points that nothing reads lie in the middle of the face."""
    mesh = np.zeros((478, 3))
    mesh[list(KEPT_MESH_POINTS)] = neutral_face()
    mesh *= IOD
    return (mesh + np.array([MIDDLE, MIDDLE - 0.4 * IOD, 0.0])).astype(np.float32)


@cache
def texture(size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 smooth noise with detail at several scales."""
    rng = np.random.default_rng(3)
    layers = [cv2.GaussianBlur(rng.normal(size=size), (0, 0), sigma) * sigma for sigma in (1.5, 3.0, 6.0)]
    noise = sum(layers)
    return np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)


def face_frames(
    motion: Motion,
    n: int | None = None,
    *,
    times: Iterable[float] | None = None,
    size: tuple[int, int] = (320, 320),
    segment: int = 0,
) -> list[FaceFrame]:
    """Frames at `times`, or `n` of them at 30 fps. size: (height, width) px."""
    times = [i / 30 for i in range(n)] if times is None else list(times)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    grid = np.stack([columns, rows], -1).astype(float)
    frames = []
    for index, time in enumerate(times):
        source = grid
        for _ in range(8):  # where the content that arrives here was at rest
            source = grid - motion(source, time)
        gray = cv2.remap(texture(size), source.astype(np.float32), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        mesh = synthetic_mesh().copy()
        mesh[:, :2] += motion(mesh[:, :2].astype(float), time)
        frames.append(FaceFrame(index, time, gray, mesh, segment))
    return frames
