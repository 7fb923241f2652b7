"""Which action units (FACS) a movement of the face looks like: a hint for a coder, not a coding.

Each unit is written down as what it does to the regions of `facial_motion`, our own reading of the FACS manual's
descriptions. A measured movement is taken apart into them by non-negative least squares.
"""

from dataclasses import dataclass

import numpy as np

from .facial_motion import REGIONS
from .least_squares import nnls

LEAST_SHARE = 0.15  # of the movement that a unit has to account for to be named
_MOST = 4
# Unit -> name and what each region does, (outward, up) in hundredths of the inter-ocular distance when it is clearly
# visible. Regions of the middle move sideways by (to the person's left, up).
_UNITS: dict[str, tuple[str, dict[str, tuple[float, float]]]] = {
    "AU1": ("inner brow raiser", {"inner brow": (0, 13), "mid brow": (0, 6)}),
    "AU2": ("outer brow raiser", {"inner brow": (0, 3), "mid brow": (0, 10), "outer brow": (0, 13)}),
    "AU4": ("brow lowerer", {"inner brow": (-4, -8), "mid brow": (-2, -6), "outer brow": (-1, -3)}),
    "AU5": ("upper lid raiser", {"upper lid": (0, 3.5)}),
    "AU6": ("cheek raiser", {"cheek": (0, 6), "lower lid": (0, 2.5), "mouth corner": (1, 2)}),
    "AU7": ("lid tightener", {"lower lid": (0, 2.5), "upper lid": (0, -2)}),
    "AU9": (
        "nose wrinkler",
        {"nose wing": (0, 6), "upper lip": (0, 4), "inner brow": (-2, -4), "mid brow": (0, -3), "cheek": (0, 2)},
    ),
    "AU10": ("upper lip raiser", {"upper lip": (0, 7), "nose wing": (0, 3.5), "mouth corner": (1, 3), "cheek": (0, 2)}),
    "AU12": (
        "lip corner puller",
        {"mouth corner": (13, 11), "cheek": (2, 5), "upper lip": (0, 3), "lower lip": (0, 2)},
    ),
    "AU14": ("dimpler", {"mouth corner": (8, 0)}),
    "AU15": ("lip corner depressor", {"mouth corner": (1, -10), "lower lip": (0, -1)}),
    "AU20": ("lip stretcher", {"mouth corner": (13, -3), "lower lip": (0, -3)}),
    "AU16": ("lower lip depressor", {"lower lip": (0, -8)}),
    "AU17": ("chin raiser", {"chin": (0, 9), "lower lip": (0, 8), "upper lip": (0, 3), "mouth corner": (0, -2)}),
    "AU18": ("lip pucker", {"mouth corner": (-12, 0)}),
    "AU24": ("lip presser", {"upper lip": (0, -5), "lower lip": (0, 6), "mouth corner": (-2, 0), "chin": (0, 1)}),
    "AU25": ("lips part", {"lower lip": (0, -5), "upper lip": (0, 2)}),
    "AU26": ("jaw drop", {"chin": (0, -23), "lower lip": (0, -21), "mouth corner": (-2, -6)}),
    "AU30": ("jaw sideways", {"chin": (15, 0), "lower lip": (12, 0), "mouth corner": (0, 0)}),
    "AU43": ("eyes closing", {"upper lid": (0, -8.5)}),
}
_BOTH = {"AU16", "AU17", "AU18", "AU24", "AU25", "AU26", "AU43"}  # of the middle, or of both eyes
_MESH_TRUST = 0.6  # of regions read from the mesh, beside 1 of those read from the flow


@dataclass(frozen=True)
class ActionUnit:
    """A candidate. name: as FACS writes it, `AU12`, or `L12` and `R12` for one side. score: 0..1, the share of the
    movement that it accounts for."""

    name: str
    meaning: str
    score: float


def _templates() -> tuple[list[tuple[str, str]], np.ndarray]:
    """(unit, side) of each column, and the columns, (2 R, M)."""
    names, columns = [], []
    for unit, (_, moves) in _UNITS.items():
        sides = ("",) if unit in _BOTH else ("+", "-") if unit == "AU30" else ("left", "right")
        for side in sides:
            field = np.zeros((len(REGIONS), 2))
            for i, region in enumerate(REGIONS):
                out, up = moves.get(region.name, (0.0, 0.0))
                if region.side == "middle":
                    # A half on either side.
                    half = 0.5 if side in ("left", "right") else 1.0
                    field[i] = half * out * (-1.0 if side == "-" else 1.0), -half * up
                elif side in ("", region.side) or unit == "AU30":
                    field[i] = out if region.side == "left" else -out, -up
            names.append((unit, side))
            columns.append((field * _trust()).ravel())
    return names, np.stack(columns, axis=1) / 100


def _trust() -> np.ndarray:
    return np.array([1.0 if region.rois else _MESH_TRUST for region in REGIONS])[:, None]


_NAMES, _COLUMNS = _templates()


def action_units(motion: np.ndarray) -> tuple[ActionUnit, ...]:
    """The likeliest units of a movement (R, 2) of `REGIONS` (IOD, x to the viewer's right, y down), the best first."""
    target = (motion * _trust()).ravel()
    size = target @ target
    if size == 0:
        return ()
    weights = nnls(_COLUMNS, target)
    shares = weights * (_COLUMNS.T @ target) / size
    by_unit: dict[str, dict[str, float]] = {}
    for (unit, side), share in zip(_NAMES, shares, strict=True):
        if share > 0:
            by_unit.setdefault(unit, {})[side] = float(share)
    found = []
    for unit, sides in by_unit.items():
        total, name = sum(sides.values()), unit
        one = max(sides, key=sides.get)
        if one in ("left", "right") and sides[one] > 0.85 * total:
            name = unit.replace("AU", one[0].upper())
        found.append(ActionUnit(name, _UNITS[unit][0], round(min(total, 1.0), 3)))
    ranked = sorted((u for u in found if u.score >= LEAST_SHARE), key=lambda u: -u.score)
    return tuple(ranked[:_MOST])
