"""Removal of head motion from facial displacements, on whole arrays at once.

The face moves with the head, and that motion is usually many times larger than an expression. Points that no
muscle moves much (`ANCHOR_MESH_POINTS`) tell how the head moved; what remains of the other points' displacement is
the expression. Two methods:

- `nose`: subtract the mean displacement of the nose (the papers' way). Exact for a pure translation; a head that
  rolls or comes nearer leaves a residue that grows with the distance from the nose.
- `similarity`: fit translation, roll and scale to the anchors by iteratively re-weighted least squares and subtract
  what the fitted transform does at each point. Anchors that disagree with the others (hair or background seen at a
  temple, an eye corner pulled by a squint) lose their say through Tukey's biweight.
"""

from typing import Literal, get_args

import numpy as np

from .regions import NOSE_MESH_POINTS, RIGID_MESH_POINTS

Alignment = Literal["nose", "similarity"]
ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)
# Mesh points whose motion stands for the head's, per method.
ANCHOR_MESH_POINTS: dict[Alignment, tuple[int, ...]] = {"nose": NOSE_MESH_POINTS, "similarity": RIGID_MESH_POINTS}

_ITERATIONS = 5
_TUKEY = 4.685  # biweight cutoff in standard deviations: 95 % efficiency on Gaussian errors
_MEDIAN_TO_SIGMA = 1.0 / 1.1774  # the length of a 2-D Gaussian error has its median at 1.1774 sigma (Rayleigh)
_SCALE_FLOOR = 0.002  # of the anchors' spread: below this every anchor agrees and none is an outlier


def remove_head_motion(
    points: np.ndarray,
    displacements: np.ndarray,
    anchors: np.ndarray,
    anchor_displacements: np.ndarray,
    method: Alignment = "similarity",
    anchor_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Displacements of `points` that the head's motion does not explain.

    points, displacements: (..., P, 2) reference positions and how far each moved, any one unit, x right and y down.
    anchors, anchor_displacements: (..., M, 2), the same for the points of `ANCHOR_MESH_POINTS[method]`.
    anchor_weights: (..., M) non-negative trust in each anchor, 0 for one that was lost; default 1. Where all are 0
    the head counts as still. Leading dimensions broadcast.
    Returns (..., P, 2) in the unit of the input. Raises ValueError for an unknown method.
    """
    if method not in ALIGNMENTS:
        raise ValueError(f"alignment must be one of {ALIGNMENTS}, got {method!r}")
    if anchor_weights is None:
        anchor_weights = np.ones(anchor_displacements.shape[:-1], anchor_displacements.dtype)
    if method == "nose":
        total = anchor_weights.sum(-1)[..., None]
        mean = np.einsum("...m,...mc->...c", anchor_weights, anchor_displacements) / np.where(total > 0, total, 1.0)
        return displacements - mean[..., None, :]
    centre, slope, shift = _fit_similarity(_complex(anchors), _complex(anchor_displacements), anchor_weights)
    head = shift + slope * (_complex(points) - centre)
    return displacements - np.stack([head.real, head.imag], axis=-1).astype(displacements.dtype)


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _fit_similarity(
    anchors: np.ndarray, motion: np.ndarray, trust: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(centre, slope, shift), each (..., 1) complex: a point p moves by shift + slope * (p - centre).

    In complex numbers a similarity is one product and one sum, so each weighted least-squares step is closed form.
    """
    anchors, motion, trust = np.broadcast_arrays(anchors, motion, trust)
    spread = np.sqrt(np.mean(np.abs(anchors - anchors.mean(-1, keepdims=True)) ** 2, -1, keepdims=True))
    # Start from the anchors' median motion: one grossly wrong anchor would bend a plain least-squares start.
    known = trust > 0
    start = (masked_median(motion.real, known) + 1j * masked_median(motion.imag, known))[..., None]
    weights = trust * _biweight(np.abs(motion - start), trust, floor=0.05 * spread)
    for _ in range(_ITERATIONS):
        total = np.maximum(weights.sum(-1, keepdims=True), 1e-12)
        centre = (weights * anchors).sum(-1, keepdims=True) / total
        shift = (weights * motion).sum(-1, keepdims=True) / total
        arms = anchors - centre
        inertia = (weights * np.abs(arms) ** 2).sum(-1, keepdims=True)
        torque = (weights * arms.conj() * (motion - shift)).sum(-1, keepdims=True)
        # Anchors crowded into one spot (or a single one left) cannot tell roll and scale: then only the shift counts.
        firm = inertia > 1e-3 * total * spread**2
        slope = np.where(firm, torque / np.where(firm, inertia, 1.0), 0.0)
        error = np.abs(motion - shift - slope * arms)
        weights = trust * _biweight(error, trust, floor=_SCALE_FLOOR * spread)
    return centre, slope, shift


def _biweight(error: np.ndarray, trust: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Tukey weights from the trusted anchors' median error; `floor` is the least standard deviation assumed."""
    sigma = np.maximum(masked_median(error, trust > 0)[..., None] * _MEDIAN_TO_SIGMA, floor)
    ratio = np.minimum(error / (_TUKEY * sigma + 1e-30), 1.0)
    return (1.0 - ratio**2) ** 2


def masked_median(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Median over the last axis of the known values only; 0 where none is known. values, known: (..., M) -> (...).

    One sort of the whole array: numpy's nanmedian is many times slower on short axes.
    """
    ordered = np.sort(np.where(known, values, np.inf), axis=-1)
    count = known.sum(-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, count // 2, axis=-1)
    return np.where(count > 0, (low + high) / 2, 0.0)[..., 0]
