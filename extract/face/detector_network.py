"""MediaPipe's face detectors (BlazeFace, Bazarevsky et al. 2019) run by LiteRT, without MediaPipe's graph around them.

What the graph does before and after the networks is here, after `mediapipe/modules/face_detection`: the picture is
fitted into a square, boxes are read off a grid of anchors, and those that overlap are averaged.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from .litert import Network
from .mediapipe_graphs import mediapipe_file

DetectorRange = Literal["short", "full"]
_OVERLAP = 0.3  # intersection over union from which two boxes are of one face
_TO_TWO = np.float32(2 / 255)  # brightness as the networks read it, from -1 to 1
_N_EYES = 2  # the first of the six points it gives, left in the image first


@dataclass(frozen=True)
class _Kind:
    """side: pixels across the picture it reads. layers: (cells across the grid, anchors in a cell).

    least_score: that of MediaPipe's graphs. The setting that its Python interface has for it does nothing.
    """

    file: str
    side: int
    least_score: float
    layers: tuple[tuple[int, int], ...]


_KINDS: dict[DetectorRange, _Kind] = {
    "short": _Kind("face_detection/face_detection_short_range.tflite", 128, 0.5, ((16, 2), (8, 6))),
    "full": _Kind("face_detection/face_detection_full_range_sparse.tflite", 192, 0.6, ((48, 1),)),
}


class SeenFace(NamedTuple):
    """box: (4,) left, top, right, bottom. eyes: (2, 2) x, y, left in the image first. All in pixels."""

    box: np.ndarray
    eyes: np.ndarray
    score: float


class DetectorNetwork:
    """One of the two: of faces near the camera, or of smaller ones as well. Not for several threads at once."""

    def __init__(self, reach: DetectorRange) -> None:
        kind = _KINDS[reach]
        self._least_score, self._side = kind.least_score, kind.side
        self._network = Network(mediapipe_file(kind.file))
        self._read = np.empty((1, kind.side, kind.side, 3), np.float32)
        self._anchors = np.concatenate([_anchors(*layer) for layer in kind.layers])

    def __call__(self, rgb: np.ndarray) -> list[SeenFace]:
        """Faces in an (H, W, 3) picture, the surest first."""
        height, width = rgb.shape[:2]
        longer, side = max(height, width), self._side
        scale = side / longer
        to_square = np.array([[scale, 0, (side - scale * width) / 2], [0, scale, (side - scale * height) / 2]])
        square = cv2.warpAffine(rgb, to_square, (side, side), flags=cv2.INTER_LINEAR)
        np.multiply(square, _TO_TWO, out=self._read[0], dtype=np.float32)
        self._read -= 1
        raw, logits = self._network(self._read)
        scores = 1 / (1 + np.exp(-np.minimum(np.maximum(logits.ravel(), -80), 80)))
        kept = np.flatnonzero(scores >= self._least_score)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        # (K, 8, 2): centre, extent and six points, all but the extent seen from their anchor.
        places = raw[0, kept].reshape(-1, 8, 2).astype(np.float64) / side
        places[:, [0, *range(2, 8)]] += self._anchors[kept, None]
        centre, extent = places[:, 0], places[:, 1]
        corners = np.stack([centre - extent / 2, centre + extent / 2, *places[:, 2 : 2 + _N_EYES].swapaxes(0, 1)], 1)
        found = _merged(corners * longer - [(longer - width) / 2, (longer - height) / 2], scores[kept])
        return [SeenFace(points[:2].ravel(), points[2:], float(score)) for points, score in found]


def _anchors(cells: int, count: int) -> np.ndarray:
    """(cells * cells * count, 2) x, y of a grid's anchors in parts of the picture, row after row."""
    at = (np.arange(cells) + 0.5) / cells
    rows, columns = np.meshgrid(at, at, indexing="ij")
    return np.repeat(np.stack([columns.ravel(), rows.ravel()], 1), count, axis=0)


def _merged(points: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, np.float32]]:
    """One face of each group that overlaps with its surest one: the mean by score. points: (K, P, 2), box corners
    first, in order of falling scores (K,)."""
    found = []
    while len(points):
        low, high = points[:, 0], points[:, 1]
        shared = np.maximum(np.minimum(high, high[0]) - np.maximum(low, low[0]), 0).prod(1)
        areas = (high - low).prod(1)
        same = shared > _OVERLAP * (areas + areas[0] - shared)
        same[0] = True
        found.append((np.average(points[same], axis=0, weights=scores[same]), scores[0]))
        points, scores = points[~same], scores[~same]
    return found
