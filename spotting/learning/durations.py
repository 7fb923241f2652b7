"""How long the movement at each point lasts, measured on the landmarks.

GIM reads the duration of an expression off the very intensity it is about to teach, and labels no more than 18 ticks
either side of an apex (`pseudo_labels`): long expressions are cut short, brief ones get labels beyond their ends, and
the next round reads off what the last one taught. Landmarks are independent of all that. An expression moves the face
away from rest and back, mostly along one direction; the ticks that still show a share of its strongest displacement
along that direction belong to it. Only the features and the points go in.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.ndimage import uniform_filter1d

from ...extract.motion.geometry import GEOMETRY_CHANNELS
from ..intervals import EXPRESSION_TYPES, Point

# Blinks, glances and turns of the head come and go within an expression; held channels repeat the others.
_CHANNELS = [
    i
    for i, name in enumerate(GEOMETRY_CHANNELS)
    if not name.startswith(("eye_aperture", "gaze", "yaw", "pitch", "roll")) and not name.endswith(("speed", "_held"))
]
# Pairs are (macro, micro), counts are ticks.
_ROOM = (120, 30)  # either side of a point, where the face at rest is measured; no macro-expression lasts longer
_LONGEST_REACH = (120, 16)  # from the point to either end
_SEARCH = (8, 4)  # either side of a point, for the strongest displacement, and the least reach: GIM's k_c / 4
_SHARE = (0.15, 0.30)  # of the strongest displacement; noise is a larger part of a micro-expression
_EXPANSION = 1.2  # GIM's delta: below that share lie the feet of the movement
_SMOOTHING = 5
_LEAST_SPREAD = 1e-3  # IOD; a channel at rest may not move at all
_DEVIATION = 1.4826  # median absolute to standard deviation


def motion_extents(geometry: np.ndarray, points: Sequence[Point]) -> dict[Point, tuple[int, int]]:
    """First and last tick of the movement around each point of one unbroken segment.

    geometry: (n, G) `GEOMETRY_CHANNELS`. Every extent holds its point's nearest ticks (k_c / 4 either side of the
    strongest displacement), and ends half-way to the next point at the latest, whatever its class.
    """
    ticks = sorted({p.tick for p in points})
    middles = [0, *((a + b) // 2 + 1 for a, b in pairwise(ticks)), len(geometry)]
    bounds = dict(zip(ticks, pairwise(middles), strict=False))  # without points there is still one segment
    displacement = geometry[:, _CHANNELS]
    return {p: _extent(displacement, p, *bounds[p.tick]) for p in points}


def _extent(displacement: np.ndarray, point: Point, low: int, high: int) -> tuple[int, int]:
    """Within the half-open range low..high."""
    kind, tick = EXPRESSION_TYPES.index(point.type), point.tick
    start, stop = max(0, tick - _ROOM[kind]), min(len(displacement), tick + _ROOM[kind] + 1)
    low, high = max(low, tick - _LONGEST_REACH[kind], start), min(high, tick + _LONGEST_REACH[kind] + 1, stop)
    moved = displacement[start:stop] - np.median(displacement[start:stop], axis=0)
    # In units of each channel's own unrest, so that a chin that never rests does not outweigh a brow that does.
    moved = moved / (_DEVIATION * np.median(np.abs(moved), axis=0) + _LEAST_SPREAD)
    moved = uniform_filter1d(moved, _SMOOTHING, axis=0, mode="nearest")
    search = slice(max(low, tick - _SEARCH[kind]), min(high, tick + _SEARCH[kind] + 1))
    peak = search.start + int(np.argmax((moved[search.start - start : search.stop - start] ** 2).sum(axis=1)))
    direction = moved[peak - start]
    share = moved @ direction / max(float(direction @ direction), 1e-12)
    inside = share > _SHARE[kind]
    inside[peak - start] = True  # even where nothing moves
    before = int(np.argmin(inside[peak - start :: -1])) or peak - start + 1
    after = int(np.argmin(inside[peak - start :])) or stop - peak
    reach = [max(_SEARCH[kind], round(_EXPANSION * (ticks - 1))) for ticks in (before, after)]
    return max(low, peak - reach[0]), min(high - 1, peak + reach[1])
