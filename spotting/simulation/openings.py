"""Lips and lids of a still that part: where their edges are, and what shows between them."""

from dataclasses import dataclass

import cv2
import numpy as np

from ...extract.regions import KEPT_MESH_POINTS

_MOUTH_COLOUR = (46.0, 20.0, 20.0)
_TEETH_BEHIND_LIPS = 0.05  # how far teeth seen in the still reach behind the lips, in IOD


@dataclass(frozen=True)
class OpeningRing:
    """Mesh points of an opening's upper and lower edge, from the corner nearer the picture's left edge to the other."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    iris: int | None  # the point that moves with what is inside; None for what moves with the head


RINGS = (
    OpeningRing(
        (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308), None
    ),
    OpeningRing((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133), 468),
    OpeningRing((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263), 473),
)


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, and smooth in between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


class Opening:
    """An opening of one still: its edges as signed distances, and a picture of its inside."""

    def __init__(self, ring: OpeningRing, canvas: np.ndarray, points: np.ndarray, iod: float) -> None:
        self.iris = None if ring.iris is None else KEPT_MESH_POINTS.index(ring.iris)
        upper, lower = points[list(ring.upper), :2], points[list(ring.lower), :2]
        self._origin = upper[0]
        along = upper[-1] - upper[0]
        self._width = float(np.hypot(*along))
        self._frame = (
            np.stack([along, [-along[1], along[0]]], axis=1) / self._width
        )  # columns: right along, down across
        self._upper, self._lower = self._local(upper), self._local(lower)
        if ring.iris is None:
            middle = (self._upper[:, 1] + np.interp(self._upper[:, 0], *self._lower.T)) / 2
            # The mesh draws a thin slit along lips that touch; to open it would show a line of mouth at rest.
            if np.ptp(self._lower[:, 1] - self._upper[:, 1]) < 0.03 * iod:
                self._upper[:, 1] = middle
                self._lower = self._upper
        self.box = self._box(iod, canvas.shape)
        x0, y0, x1, y1 = self.box
        grid = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), axis=-1).astype(np.float64)
        from_upper, from_lower = self.distances(grid)
        self.edges = np.stack([from_upper, from_lower], axis=-1).astype(np.float32)
        self.inside = self._inside(canvas[y0:y1, x0:x1], from_upper, from_lower, grid, ring.iris is not None, iod)

    @property
    def middle(self) -> np.ndarray:
        """(x, y) half-way between its corners, in pixels."""
        return self._origin + self._frame[:, 0] * self._width / 2

    def _local(self, points: np.ndarray) -> np.ndarray:
        return (points - self._origin) @ self._frame

    def _box(self, iod: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        centre = self.middle
        half = np.array([self._width * 0.5 + 0.35 * iod, 0.65 * iod])
        low = np.maximum(np.floor(centre - half).astype(int), 0)
        high = np.minimum(np.ceil(centre + half).astype(int), shape[1::-1])
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def distances(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far below the upper and below the lower edge points (..., 2) lie, in pixels; negative above."""
        local = self._local(points)
        x, y = local[..., 0], local[..., 1]
        return y - np.interp(x, *self._upper.T), y - np.interp(x, *self._lower.T)

    def side(self, points: np.ndarray, within: float) -> np.ndarray:
        """0 above and 1 below, with the value `within` laid over the width of the opening; soft beyond the corners.

        within: 0 continues the upper field below the line, 1 the lower field above it, NaN cuts at the line.
        """
        x = self._local(points)[..., 0]
        below = sum(self.distances(points)) / 2
        beyond = np.maximum(np.maximum(-x, x - self._width), 0.0)
        outside = smoothstep(below / (2.5 * beyond + 1e-6), -0.5, 0.5)
        inside = (below > 0).astype(float) if np.isnan(within) else np.full_like(below, within)
        return np.where(beyond > 0, outside, inside)

    def _inside(
        self,
        patch: np.ndarray,
        from_upper: np.ndarray,
        from_lower: np.ndarray,
        grid: np.ndarray,
        eyeball: bool,
        iod: float,
    ) -> np.ndarray:
        """What shows between the edges: the still's own pixels, continued outward by their colour (eye) or
        darkness (mouth).
        """
        x = self._local(grid)[..., 0]
        # The rim is shaved off so that no skin is carried along.
        rim = 1 + 0.01 * iod
        shown = (from_upper > rim) & (from_lower < -rim) & (x > 0) & (x < self._width)
        mask = shown.astype(np.float32)
        spread = 0.06 * iod
        colour = cv2.GaussianBlur(patch.astype(np.float32) * mask[..., None], (0, 0), spread)
        share = cv2.GaussianBlur(mask, (0, 0), spread)[..., None]
        dark = np.array(_MOUTH_COLOUR) * np.clip(float(np.median(patch)) / 128.0, 0.3, 1.5)
        far = patch[shown].mean(axis=0) if eyeball and shown.any() else dark
        inside = np.where(shown[..., None], patch, (colour + 1e-3 * far) / (share + 1e-3))
        if not eyeball:
            # Teeth end somewhere behind the lips, and further in it is dark.
            behind = np.maximum(np.maximum(-from_upper, from_lower), 0) / (_TEETH_BEHIND_LIPS * iod)
            inside = dark + (inside - dark) * np.exp(-(behind**2))[..., None]
        return np.clip(inside + 0.5, 0, 255).astype(np.uint8)
