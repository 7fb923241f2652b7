"""Removal of head motion from facial displacements, on whole arrays at once.

The face moves with the head, and that motion is usually many times larger than an expression. Points that no
muscle moves much (`ANCHOR_MESH_POINTS`) tell how the head moved; what remains of the other points' displacement is
the expression. Three methods:

- `nose`: subtract the mean displacement of the nose (the papers' way). Exact for a pure translation; a head that
  rolls or comes nearer leaves a residue that grows with the distance from the nose.
- `similarity`: fit translation, roll and scale to the anchors and subtract what the fit does at each point.
- `pose`: the same with yaw and pitch. A small turn moves a point in proportion to its depth, so one more term, linear
  in the depth that the face mesh gives, takes out the parallax between nose, eyes and mouth. It leans a little towards
  no turn, for few anchors stand out in depth and their noise would otherwise reach the mouth enlarged. The default: in
  `benchmarks/flow_noise.py` it halves what `similarity` leaves of a turn and leaves as little of sway, roll and scale.

Both fits are iteratively re-weighted least squares: anchors that disagree with the others (an eye corner pulled by a
squint, a nose tip behind a hand) lose their say through Tukey's biweight.
"""

from typing import Literal, get_args

import numpy as np

from ..regions import NOSE_MESH_POINTS, RIGID_MESH_POINTS

Alignment = Literal["nose", "similarity", "pose"]
ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)
# Rigid for the bones, but on the outline of the face: a tracking window there sees half background, which stays behind
# when the head moves. `benchmarks/flow_noise.py` measures less residue in every head motion without them.
_OUTLINE = (127, 356, 162, 389)
_INNER_RIGID = tuple(point for point in RIGID_MESH_POINTS if point not in _OUTLINE)
# Mesh points whose motion stands for the head's, per method.
ANCHOR_MESH_POINTS: dict[Alignment, tuple[int, ...]] = {
    "nose": NOSE_MESH_POINTS,
    "similarity": _INNER_RIGID,
    "pose": _INNER_RIGID,
}

_ITERATIONS = 5
_TUKEY = 4.685  # biweight cutoff in standard deviations: 95 % efficiency on Gaussian errors
_MEDIAN_TO_SIGMA = 1.0 / 1.1774  # the length of a 2-D Gaussian error has its median at 1.1774 sigma (Rayleigh)
_SCALE_FLOOR = 0.002  # of the anchors' spread: below this every anchor agrees and none is an outlier
_START_FLOOR = 0.05  # the same before the first fit, when roll, scale and turn still look like disagreement
# Squared units of the anchors' spread added to each term's normal equation. The first two only keep it solvable when
# anchors are lost; the third is the lean of `pose` towards no turn.
_RIDGE = (1e-9, 1e-4, 1.0)


def remove_head_motion(
    points: np.ndarray,
    displacements: np.ndarray,
    anchors: np.ndarray,
    anchor_displacements: np.ndarray,
    method: Alignment = "pose",
    anchor_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Displacements of `points` that the head's motion does not explain.

    points, anchors: (..., P, 2 or 3) and (..., M, 2 or 3) reference positions in any one unit, x right, y down; `pose`
    needs the depth (any sign and scale, the same for both), the others do not look at it.
    displacements, anchor_displacements: (..., P, 2) and (..., M, 2), how far each moved. The anchors are the points
    of `ANCHOR_MESH_POINTS[method]`.
    anchor_weights: (..., M) non-negative trust in each anchor, 0 for one that was lost; default 1. Where all are 0
    the head counts as still. Leading dimensions broadcast.
    Returns (..., P, 2) in the unit of the input. Raises ValueError for an unknown method or a missing depth.
    """
    if method not in ALIGNMENTS:
        raise ValueError(f"alignment must be one of {ALIGNMENTS}, got {method!r}")
    if method == "pose" and (points.shape[-1] < 3 or anchors.shape[-1] < 3):
        raise ValueError("alignment by pose needs the depth of the points and of the anchors")
    if anchor_weights is None:
        anchor_weights = np.ones(anchor_displacements.shape[:-1], anchor_displacements.dtype)
    if method == "nose":
        total = anchor_weights.sum(-1)[..., None]
        mean = np.einsum("...m,...mc->...c", anchor_weights, anchor_displacements) / np.where(total > 0, total, 1.0)
        return displacements - mean[..., None, :]
    centre = anchors.mean(-2, keepdims=True)
    spread = np.sqrt(np.mean(np.sum((anchors - centre)[..., :2] ** 2, -1), -1))[..., None, None]
    terms = 3 if method == "pose" else 2
    motion = _complex(anchor_displacements)
    effect = _fit(_terms((anchors - centre) / spread, terms), motion, anchor_weights, spread[..., 0])
    head = (_terms((points - centre) / spread, terms) @ effect)[..., 0]
    return displacements - np.stack([head.real, head.imag], axis=-1).astype(displacements.dtype)


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _terms(points: np.ndarray, count: int) -> np.ndarray:
    """What the head's motion is linear in, (..., P, count) complex: 1 (translation), x + iy (roll and scale: in complex
    numbers a similarity is one product and one sum) and depth (yaw and pitch)."""
    plane = _complex(points)
    return np.stack([np.ones_like(plane), plane, *([points[..., 2].astype(plane.dtype)] if count == 3 else [])], -1)


def _fit(terms: np.ndarray, motion: np.ndarray, trust: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(..., count, 1) complex factors of the terms (..., M, count) that best give the motion (..., M)."""
    known = trust > 0
    # Start from the anchors' median motion: one grossly wrong anchor would bend a plain least-squares start.
    start = (masked_median(motion.real, known) + 1j * masked_median(motion.imag, known))[..., None]
    weights = trust * _biweight(np.abs(motion - start), known, _START_FLOOR * spread)
    ridge = np.diag(_RIDGE[: terms.shape[-1]])
    for _ in range(_ITERATIONS):
        weighted = (weights[..., None] * terms).conj().swapaxes(-1, -2)
        effect = np.linalg.solve(weighted @ terms + ridge, weighted @ motion[..., None])
        error = np.abs(motion - (terms @ effect)[..., 0])
        weights = trust * _biweight(error, known, _SCALE_FLOOR * spread)
    return effect


def _biweight(error: np.ndarray, known: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Tukey weights from the known anchors' median error; `floor` is the least standard deviation assumed."""
    sigma = np.maximum(masked_median(error, known)[..., None] * _MEDIAN_TO_SIGMA, floor)
    ratio = np.minimum(error / (_TUKEY * sigma + 1e-30), 1.0)
    return (1.0 - ratio**2) ** 2


def masked_median(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Median over the last axis of the known values only; 0 where none is known. values, known: (..., M) -> (...).

    One sort of the whole array: numpy's nanmedian is many times slower on short axes.
    """
    if known.all():
        ordered, middle = np.sort(values, axis=-1), values.shape[-1]
        return (ordered[..., (middle - 1) // 2] + ordered[..., middle // 2]) / 2
    known = np.broadcast_to(known, values.shape)
    ordered = np.sort(np.where(known, values, np.inf), axis=-1)
    count = known.sum(-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, count // 2, axis=-1)
    return np.where(count > 0, (low + high) / 2, 0.0)[..., 0]
