"""Where every pixel of a still goes when the face moves: smooth skin, lips and lids that part, a head that turns.

The skin's displacement is interpolated from the given mesh points. It is smooth everywhere but across the lip line
and the lid lines,
where two smooth fields meet: one that does not know the points below the line and one that does not know those above.
Between the two lies
whatever the opening shows: the eyeball, the teeth, or the dark of the mouth.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from ...extract.regions import IRIS_CENTRES, KEPT_MESH_POINTS
from .still import Still

# The outline of the face, around once.
_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377)
_OVAL += (152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)
_LOWER_LIP = (14, 87, 317, 17, 84, 314, 91, 321, 18)
_UPPER_LIP = (13, 82, 312, 0, 37, 267, 40, 270)
_LOWER_LIDS = (144, 145, 153, 373, 374, 380)
_UPPER_LIDS = (158, 159, 160, 385, 386, 387)
_IRISES = tuple(IRIS_CENTRES.values())

_SKIN_REACH = (1.12, 1.5)  # skin moves fully up to the first multiple of the outline, not at all beyond the second
_HEAD_REACH = (1.35, 2.4)  # the same for head motion before a background that stays
_MESH_SPACING = 1 / 24  # nodes of the coarse fields, in IOD
_DAMPED_STEPS, _NEWTON_STEPS = 4, 4
_BOX_BESIDE, _BOX_MOUTH, _BOX_LIDS = 0.3, 0.65, 0.38  # what is drawn anew around an opening: beyond it, above and below
_SEAM_SOFTNESS = 1.0  # pixels over which skin gives way to what lies behind it
_MOUTH_COLOUR = (46.0, 20.0, 20.0)
_TEETH_BEHIND_LIPS = 0.05  # how far teeth seen in the still reach behind the lips, in IOD
_PIVOT_DEPTH = 0.9  # how far behind the eyes the head turns, in IOD


@dataclass(frozen=True)
class _OpeningRing:
    """Mesh points of an opening's upper and lower edge, from the corner nearer the picture's left edge to the other."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    iris: int | None  # the point that moves with what is inside; None for what moves with the head


_RINGS = (
    _OpeningRing(
        (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308), None
    ),
    _OpeningRing((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133), 468),
    _OpeningRing((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263), 473),
)


def _smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


class _Opening:
    """An opening of one still: its edges as signed distances, and a picture of its inside."""

    def __init__(self, ring: _OpeningRing, canvas: np.ndarray, points: np.ndarray, iod: float) -> None:
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
        self.edges = from_upper.astype(np.float32), from_lower.astype(np.float32)
        self.inside = self._inside(canvas[y0:y1, x0:x1], from_upper, from_lower, grid, ring.iris is not None, iod)

    def _local(self, points: np.ndarray) -> np.ndarray:
        return (points - self._origin) @ self._frame

    def _box(self, iod: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        centre = self._origin + self._frame[:, 0] * self._width / 2
        half = np.array([self._width * 0.5 + _BOX_BESIDE * iod, (_BOX_MOUTH if self.iris is None else _BOX_LIDS) * iod])
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
        outside = _smoothstep(below / (2.5 * beyond + 1e-6), -0.5, 0.5)
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


@dataclass(frozen=True)
class HeadPose:
    """Head against the still: shift (x, y) in IOD, roll, yaw and pitch in radians, scale as a factor.

    Positive roll turns clockwise in the picture, positive yaw moves the nose to the picture's right, positive pitch
    moves it down.
    """

    x: float = 0.0
    y: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    yaw: float = 0.0
    pitch: float = 0.0


class _Nodes:
    """Coarse nodes laid over the output picture: the centres of step x step blocks, with one block of margin all round.

    Enlarging a field on them by `step` then puts every value at its pixel.
    """

    def __init__(self, size: tuple[int, int], step: int, view: np.ndarray) -> None:
        self.step = step
        x, y = ((np.arange(-(-side // step) + 2) - 0.5) * step - 0.5 for side in size)
        at = np.stack(np.meshgrid(x, y), axis=-1)
        self.shown = (at @ view[:, :2].T + view[:, 2]).astype(np.float32)

    def enlarge(
        self,
        values: np.ndarray,
        corner: tuple[int, int],
        extent: tuple[int, int],
        part: tuple[slice, slice] = (slice(0, None), slice(0, None)),
    ) -> np.ndarray:
        """Node values (of the rows and columns `part`) at the pixels of a box: corner (x, y), extent (width,
        height).
        """
        step = self.step
        rows, columns = values.shape[:2]
        full = cv2.resize(values, (columns * step, rows * step), interpolation=cv2.INTER_CUBIC)
        x, y = (corner[i] + step * (1 - part[1 - i].start) for i in (0, 1))
        return full[y : y + extent[1], x : x + extent[0]]

    def block(self, source: np.ndarray, box: tuple[int, int, int, int]) -> tuple[slice, slice] | None:
        """Rows and columns of the nodes that show a box (x0, y0, x1, y1) of the canvas, one more all round; None
        when none does.
        """
        x0, y0, x1, y1 = box
        hit = (source[..., 0] >= x0) & (source[..., 0] < x1) & (source[..., 1] >= y0) & (source[..., 1] < y1)
        rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
        if rows.size == 0:
            return None
        grown = [slice(max(int(i[0]) - 1, 0), int(i[-1]) + 2) for i in (rows, columns)]
        return grown[0], grown[1]

    def pixels(self, part: tuple[slice, slice], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Corner and extent of the output pixels that lie within the blocks of some rows and columns."""
        low = [max((part[1 - i].start - 1) * self.step, 0) for i in (0, 1)]
        high = [min((part[1 - i].stop - 1) * self.step, size[i]) for i in (0, 1)]
        return (low[0], low[1]), (high[0] - low[0], high[1] - low[1])


class FaceWarp:
    """Moves the face of one still; everything that does not change from frame to frame is worked out once.

    Build it on the still at about the size at which it will be shown: nothing here scales.
    """

    def __init__(self, still: Still) -> None:
        self._canvas = still.image
        self.iod = still.iod
        points = still.landmarks
        oval = points[list(_OVAL), :2]
        self.centre = oval.mean(axis=0)
        outward = oval - self.centre
        reach = _HEAD_REACH[1] * np.abs(outward).max(axis=0)
        self._step = self.iod * _MESH_SPACING
        self._origin = self.centre - reach
        nodes = np.ceil(2 * reach / self._step).astype(int) + 1
        xs, ys = (self._origin[i] + self._step * np.arange(nodes[i]) for i in (0, 1))
        self._grid = np.stack(np.meshgrid(xs, ys), axis=-1)

        ratio = self._outline_ratio(oval)
        self._skin_weight = 1.0 - _smoothstep(ratio, *_SKIN_REACH)
        self._moving = self._skin_weight.ravel() > 0
        self._head_weight = 1.0 - _smoothstep(ratio, *_HEAD_REACH)
        self._depth = self._head_depth(points, oval)
        self._openings = [_Opening(ring, self._canvas, points, self.iod) for ring in _RINGS]
        self._fields = self._operators(points, oval)

    def _outline_ratio(self, oval: np.ndarray) -> np.ndarray:
        """Distance of each node from the face's centre as a multiple of the outline's in that direction."""
        outward = oval - self.centre
        angle = np.arctan2(outward[:, 1], outward[:, 0])
        order = np.argsort(angle)
        offset = self._grid - self.centre
        radius = np.interp(
            np.arctan2(offset[..., 1], offset[..., 0]),
            angle[order],
            np.hypot(*outward.T)[order],
            period=2 * np.pi,
        )
        return np.hypot(offset[..., 0], offset[..., 1]) / radius

    def _head_depth(self, points: np.ndarray, oval: np.ndarray) -> np.ndarray:
        """Depth of each node in pixels, from the pivot the head turns about; flat beyond the outline."""
        mesh = points[:468]
        rim = np.column_stack([self.centre + 1.3 * (oval - self.centre), points[list(_OVAL), 2]])
        far = np.column_stack([self.centre + 2.0 * (oval - self.centre), points[list(_OVAL), 2]])
        known = np.concatenate([mesh, rim, far])
        surface = RBFInterpolator(known[:, :2] / self.iod, known[:, 2], kernel="linear", smoothing=0.02)
        rows, columns = self._grid.shape[:2]
        x, y = (self._origin[i] + self._step * (3 * np.arange((columns, rows)[i] // 3 + 1) + 1) for i in (0, 1))
        # Depth is smooth: every third node is enough, the middle one of three, so that a plain enlargement fits.
        coarse = surface(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) / self.iod).reshape(len(y), len(x))
        depth = cv2.resize(coarse, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR)[:rows, :columns]
        eyes = points[[33, 133, 263, 362], 2].mean()
        return cv2.GaussianBlur(depth, (0, 0), 0.06 / _MESH_SPACING) - eyes - _PIVOT_DEPTH * self.iod

    def _operators(self, points: np.ndarray, oval: np.ndarray) -> dict[str, np.ndarray]:
        """Matrices (nodes that move, K) from the kept points' displacements to the skin's, for each side of the
        openings."""
        nodes = self._grid.reshape(-1, 2)
        rest = np.concatenate([self.centre + f * (oval[::3] - self.centre) for f in (1.3, 1.6)])
        lips = self._lip_edge(points)

        def operator(without: tuple[int, ...], where: np.ndarray) -> np.ndarray:
            used = [row for row, mesh in enumerate(KEPT_MESH_POINTS) if mesh not in without and mesh not in _IRISES]
            at = points[[KEPT_MESH_POINTS[row] for row in used], :2]
            values = np.zeros((len(used), len(KEPT_MESH_POINTS)))
            values[np.arange(len(used)), used] = 1.0
            between = [(mesh, row) for mesh, row in lips if not set(without) & set(np.array(KEPT_MESH_POINTS)[row > 0])]
            at = np.concatenate([at, points[[mesh for mesh, _ in between], :2].reshape(-1, 2), rest])
            values = np.concatenate(
                [values, *(row[None] for _, row in between), np.zeros((len(rest), values.shape[1]))]
            )
            smooth = RBFInterpolator(at / self.iod, values, kernel="multiquadric", epsilon=8.0, degree=0)
            field = np.zeros((len(nodes), len(KEPT_MESH_POINTS)))
            field[where] = smooth(nodes[where] / self.iod)
            return field

        to_mouth = _smoothstep(self._face_height(points), 0.3, 0.6)
        moving = self._moving
        near_mouth, near_eyes = moving & (to_mouth > 0), moving & (to_mouth < 1)
        above_mouth, below_mouth = operator(_LOWER_LIP, near_mouth), operator(_UPPER_LIP, near_mouth)
        above_eyes = operator(_LOWER_LIDS + _LOWER_LIP, near_eyes)
        below_eyes = operator(_UPPER_LIDS + _LOWER_LIP, near_eyes)
        mouth, left, right = self._openings
        middle = np.stack([o._origin + o._frame[:, 0] * o._width / 2 for o in (left, right)])
        nearer_left = np.linalg.norm(nodes - middle[0], axis=1) < np.linalg.norm(nodes - middle[1], axis=1)
        fields = {}
        for name, within in (("cut", np.nan), ("above", 0.0), ("below", 1.0)):
            eye_side = np.where(nearer_left, left.side(nodes, within), right.side(nodes, within))[:, None]
            mouth_side = mouth.side(nodes, within)[:, None]
            upper_face = above_eyes * (1 - eye_side) + below_eyes * eye_side
            lower_face = above_mouth * (1 - mouth_side) + below_mouth * mouth_side
            field = upper_face + (lower_face - upper_face) * to_mouth[:, None]
            field *= self._skin_weight.reshape(-1, 1)
            fields[name] = field[moving].astype(np.float32)
        return fields

    @staticmethod
    def _lip_edge(points: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Inner lip points that are not given, each with its weights (K,) of given ones.

        Between a corner and the next given point lips bow outward: a quarter of a sine, not the straight line that
        would open a beak.
        """
        edge = []
        for side in (_RINGS[0].upper, _RINGS[0].lower):
            for ring in (side, side[::-1]):
                corner, *between = ring[:4]
                given = ring[4]
                span = points[given, :2] - points[corner, :2]
                for mesh in between:
                    part = float(np.clip((points[mesh, :2] - points[corner, :2]) @ span / (span @ span), 0, 1))
                    weights = np.zeros(len(KEPT_MESH_POINTS))
                    share = np.sin(part * np.pi / 2)
                    weights[KEPT_MESH_POINTS.index(given)] = share
                    weights[KEPT_MESH_POINTS.index(corner)] = 1 - share
                    edge.append((mesh, weights))
        return edge

    def _face_height(self, points: np.ndarray) -> np.ndarray:
        """Where each node lies between the eyes (0) and the lip line (1)."""
        eyes = points[[33, 133, 263, 362], :2].mean(axis=0)
        axis = points[[13, 14], :2].mean(axis=0) - eyes
        return (self._grid.reshape(-1, 2) - eyes) @ axis / (axis @ axis)

    def _forward(self, field: str | None, move: np.ndarray, pose: HeadPose) -> np.ndarray:
        """Displacement (rows, columns, 2) float32 in pixels of the coarse nodes: the skin field of that name, if
        any, then the head's pose.
        """
        skin = None
        if field is not None:
            skin = np.zeros(self._grid.shape, np.float32)
            skin.reshape(-1, 2)[self._moving] = self._fields[field] @ move
        here = self._grid if skin is None else self._grid + skin
        offset = here - self.centre
        cy, sy, cp, sp = np.cos(pose.yaw), np.sin(pose.yaw), np.cos(pose.pitch), np.sin(pose.pitch)
        depth = self._depth
        x = offset[..., 0] * cy - depth * sy
        z = offset[..., 0] * sy + depth * cy
        y = offset[..., 1] * cp - z * sp
        # The pivot lies behind the face, so a turn also carries the face along; the eyes' own share is left in, as on
        # a neck.
        cr, sr = np.cos(pose.roll) * pose.scale, np.sin(pose.roll) * pose.scale
        turned = np.stack([cr * x - sr * y + pose.x * self.iod, sr * x + cr * y + pose.y * self.iod], axis=-1)
        moved = (turned - offset) * self._head_weight[..., None]
        return (moved if skin is None else moved + skin).astype(np.float32)

    def _invert(self, forward: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Canvas positions (..., 2) that a forward field brings to the positions `shown`.

        Damped steps bring every node near, Newton's then make it exact; plain repetition would diverge where skin is
        stretched to more than
        twice its length, as above a raised brow's eye.
        """
        slope_y, slope_x = np.gradient(forward, self._step, axis=(0, 1))
        jacobian = np.concatenate([slope_x, slope_y], axis=-1).astype(np.float32)
        inverse_step = np.float32(1 / self._step)
        origin = (self._origin / self._step).astype(np.float32)
        source = shown.copy()
        for step in range(_DAMPED_STEPS + _NEWTON_STEPS):
            at = source * inverse_step - origin
            missed = shown - source - cv2.remap(forward, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            if step < _DAMPED_STEPS:
                source += 0.6 * missed
                continue
            xx, yx, xy, yy = cv2.split(cv2.remap(jacobian, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))
            xx, yy = 1 + xx, 1 + yy
            # Where the skin would fold over, no inverse exists: the floor keeps the step short there.
            determinant = np.maximum(xx * yy - xy * yx, 0.15)
            source[..., 0] += (yy * missed[..., 0] - xy * missed[..., 1]) / determinant
            source[..., 1] += (xx * missed[..., 1] - yx * missed[..., 0]) / determinant
        return source

    def render(self, displacement: np.ndarray, pose: HeadPose, view: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """One picture (height, width, 3) uint8 of the moved face.

        displacement: (K, 2) of `KEPT_MESH_POINTS` in IOD, x right, y down, from where they are in the still. view:
        (2, 3) affine from output pixels to
        canvas pixels. size: (width, height) of the output.
        """
        move = (displacement * self.iod).astype(np.float32)
        scale = float(np.sqrt(abs(np.linalg.det(view[:, :2]))))
        nodes = _Nodes(size, max(2, round(self._step / scale)), view)
        coarse = self._invert(self._forward("cut", move, pose), nodes.shown)
        source = nodes.enlarge(coarse, (0, 0), size)
        picture = cv2.remap(self._canvas, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        layers = [self._forward(name, move, pose) for name in ("above", "below", None)]
        for opening in self._openings:
            part = nodes.block(coarse, opening.box)
            if part is None:
                continue
            corner, extent = nodes.pixels(part, size)
            above, below, rigid = (
                nodes.enlarge(self._invert(forward, nodes.shown[part]), corner, extent, part) for forward in layers
            )
            if opening.iris is not None:
                rigid = rigid - move[opening.iris]
            box = slice(corner[1], corner[1] + extent[1]), slice(corner[0], corner[0] + extent[0])
            picture[box] = self._compose(opening, above, below, rigid, picture[box], scale)
        return picture

    def _compose(
        self,
        opening: _Opening,
        above: np.ndarray,
        below: np.ndarray,
        rigid: np.ndarray,
        plain: np.ndarray,
        scale: float,
    ) -> np.ndarray:
        """The skin above and below an opening, and its inside where neither reaches."""
        corner = np.array(opening.box[:2], np.float32)

        def look(image: np.ndarray, at: np.ndarray, interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
            border = cv2.BORDER_REFLECT_101 if image is self._canvas else cv2.BORDER_REPLICATE
            return cv2.remap(image, np.ascontiguousarray(at), None, interpolation, borderMode=border)

        past_upper = look(opening.edges[0], above - corner, cv2.INTER_LINEAR)
        past_lower = look(opening.edges[1], below - corner, cv2.INTER_LINEAR)
        soft = np.float32(_SEAM_SOFTNESS * scale)
        gap = np.clip(np.minimum(past_upper, -past_lower) / soft, 0, 1)
        lower_share = np.clip(np.float32(0.5) + (past_upper + past_lower) / (2 * soft), 0, 1)
        # Below a closed lid line the lower skin shows only where it really is; the upper one covers the rest.
        lower_share = np.where(
            past_lower < 0, np.minimum(lower_share, np.clip(1 + past_lower / soft, 0, 1)), lower_share
        )
        inside = look(opening.inside, rigid - corner, cv2.INTER_LINEAR)
        skin = cv2.blendLinear(look(self._canvas, above), look(self._canvas, below), 1 - lower_share, lower_share)
        picture = cv2.blendLinear(skin, inside, 1 - gap, gap)
        # The box ends where the fields agree only nearly: fade into the plain picture over its rim.
        keep = _faded_rim(*gap.shape)
        return cv2.blendLinear(picture, np.ascontiguousarray(plain), keep, 1 - keep)


@lru_cache(maxsize=32)
def _faded_rim(rows: int, columns: int) -> np.ndarray:
    """(rows, columns) float32: 1 within, falling to 0 at the edge."""
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in (rows, columns))
    return np.clip(np.minimum.outer(y, x) / (0.15 * min(rows, columns)), 0, 1).astype(np.float32)
