"""Where action units (AUs) move the points of a face: displacement patterns on the kept mesh points.

Axes: x right and y down as the viewer sees them, z away from the camera; unit: inter-ocular distance (IOD, about
63 mm). What is pulled where stands in `units`. Sides are the viewer's.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ...extract.regions import KEPT_INDEX, KEPT_MESH_POINTS, ROI_MESH_POINTS
from .units import ANCHORS, GROUPS, SIDEWAYS, VERTICAL

_SPREAD_IOD = 0.22  # reach of an anchor inside its group

PAIRED_AUS: tuple[str, ...] = tuple(ANCHORS)
SINGLE_AUS: tuple[str, ...] = (*SIDEWAYS, *VERTICAL)


@cache
def neutral_face() -> np.ndarray:
    """(K, 3) mean neutral positions of the kept mesh points, IOD units, frontal, origin between the eyes."""
    points = json.loads(files(__package__).joinpath("neutral_face.json").read_text())["points"]
    return np.array([points[str(p)] for p in KEPT_MESH_POINTS])


@cache
def mirror_index() -> np.ndarray:
    """(K,) row of each kept point's mirror image."""
    face = neutral_face()
    return linear_sum_assignment(cdist(face, face * [-1, 1, 1]))[1]


def _spread(anchors: list[tuple[int, float, float, float]]) -> np.ndarray:
    """(K, 3) field of the anchors: inverse-distance weights inside each group, fading with distance from the nearest
    anchor."""
    face = neutral_face()
    field = np.zeros_like(face)
    for group in GROUPS.values():
        here = [(KEPT_INDEX[p], np.array(v)) for p, *v in anchors if p in group]
        if not here:
            continue
        rows = np.array([KEPT_INDEX[p] for p in group])
        centres = np.array([r for r, _ in here])
        vectors = np.array([v for _, v in here])
        distance = cdist(face[rows, :2], face[centres, :2])
        weight = 1.0 / (distance**2 + 1e-4)
        fade = np.exp(-0.5 * (distance.min(axis=1) / _SPREAD_IOD) ** 2)
        field[rows] += fade[:, None] * (weight @ vectors) / weight.sum(axis=1, keepdims=True)
    return field


@cache
def au_field(name: str, side: str) -> np.ndarray:
    """(K, 3) displacement of the kept points at full intensity.

    side: "left" or "right" (the viewer's) for PAIRED_AUS, "both" for SINGLE_AUS. The two sides of a paired AU add up to
    the bilateral one. Raises KeyError for an unknown AU or side.
    """
    if name in SIDEWAYS or name in VERTICAL:
        if side != "both":
            raise KeyError(f"{name} has no sides")
        return _spread(list(SIDEWAYS.get(name, VERTICAL.get(name))))
    anchors = ANCHORS[name]
    mirror = mirror_index()
    flipped = [(KEPT_MESH_POINTS[mirror[KEPT_INDEX[p]]], -dx, dy, dz) for p, dx, dy, dz in anchors]
    both = _spread(list(dict.fromkeys([*anchors, *flipped])))
    x = neutral_face()[:, 0]
    # A soft split at the midline, so one-sided motion pulls the lips' middle half as far.
    share = 1.0 / (1.0 + np.exp(x / 0.06))
    return both * {"left": share, "right": 1.0 - share}[side][:, None]


def random_field(rng: np.random.Generator) -> np.ndarray:
    """(K, 3) a smooth motion that is nobody's AU: keeps a learner from memorising the list.

    Largest ROI motion is 0.1 IOD.
    """
    face = neutral_face()
    field = np.zeros_like(face)
    names = ["brows", "upper_lip", "lower_lip", "corners", "chin", "cheeks"]
    mouth = rng.random() < 0.65
    chosen = ["upper_lip", "lower_lip", "corners", "chin"] if mouth else ["brows"]
    if rng.random() < 0.25:
        chosen = names
    common = rng.normal(size=3) * [1, 1, 0.5]
    for name in chosen:
        rows = np.array([KEPT_INDEX[p] for p in GROUPS[name]])
        vector = rng.uniform(0, 1) * common + rng.normal(size=3) * [0.6, 0.8, 0.3]
        gradient = rng.normal(scale=0.8, size=(3, 2))
        offset = face[rows, :2] - face[rows, :2].mean(axis=0)
        field[rows] = vector + offset @ gradient.T
    peak = np.linalg.norm(roi_means(field)[..., :2], axis=-1).max()
    return field * (0.1 / max(peak, 1e-6))


@cache
def _roi_rows() -> tuple[np.ndarray, ...]:
    return tuple(np.array([KEPT_INDEX[p] for p in mesh]) for mesh in ROI_MESH_POINTS.values())


def roi_means(points: np.ndarray) -> np.ndarray:
    """(..., K, C) -> (..., 10, C): mean over each ROI's mesh points."""
    return np.stack([points[..., rows, :].mean(axis=-2) for rows in _roi_rows()], axis=-2)


@dataclass(frozen=True, eq=False)
class Person:
    """One simulated subject: face shape (K, 3) in IOD, and how far each AU side moves it (name, side) -> (K, 3)."""

    shape: np.ndarray
    fields: dict[tuple[str, str], np.ndarray]


def draw_person(rng: np.random.Generator) -> Person:
    """A random subject: proportions vary by about 5 %, AU patterns by about a quarter in strength and 15 degrees in
    direction."""
    face = neutral_face()
    shape = face * rng.normal(1.0, [0.04, 0.06, 0.12], size=3)
    for group in GROUPS.values():
        rows = [KEPT_INDEX[p] for p in group]
        shape[rows] += rng.normal(0, [0.008, 0.025, 0.02], size=3)
    shape += rng.normal(0, 0.008, size=shape.shape)
    fields = {}
    for name in PAIRED_AUS:
        gain, twist = rng.lognormal(0, 0.25), rng.normal(0, 0.25)
        for side, sense in (("left", 1.0), ("right", -1.0)):
            fields[name, side] = _vary(au_field(name, side), gain * rng.lognormal(0, 0.12), sense * twist, rng)
    for name in SINGLE_AUS:
        fields[name, "both"] = _vary(au_field(name, "both"), rng.lognormal(0, 0.25), rng.normal(0, 0.1), rng)
    return Person(shape, fields)


def _vary(field: np.ndarray, gain: float, twist: float, rng: np.random.Generator) -> np.ndarray:
    """The field stronger by a factor, turned by an angle (radians) in the picture plane, and a little uneven."""
    c, s = np.cos(twist), np.sin(twist)
    turned = field.copy()
    turned[:, 0] = c * field[:, 0] - s * field[:, 1]
    turned[:, 1] = s * field[:, 0] + c * field[:, 1]
    length = np.linalg.norm(field, axis=1, keepdims=True)
    return gain * (turned + rng.normal(0, 0.08, size=field.shape) * length)
