"""Point labels: the one timestamp per expression that training gets to see.

The paper samples them "using a Gaussian distribution centered on the ground-truth apex frame" (ICLR 2025, section 4.1)
and does not say how wide; `SPREAD` is the width that reproduces the authors' released CAS(ME)^2 labels. Onset and
offset are used here, to stay inside the expression as a person would who clicks on it, and do not appear in the result.
"""

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .records import close_open_offsets

if TYPE_CHECKING:
    import pandas as pd

POINT_COLUMNS = ("dataset", "subject", "video", "frame", "type", "fps", "time_s")

# Standard deviation as a fraction of the expression's length. Restricted to the expression, it gives offsets from the
# apex of sd 0.181 of the length (released labels: 0.180; median 0.123 against 0.118, 90 % within 0.300 against 0.308).
SPREAD = 0.2


def sample_points(records: "pd.DataFrame", seed: int, spread: float = SPREAD) -> "pd.DataFrame":
    """One point per record, in the records' order and with their index: columns `POINT_COLUMNS`.

    The frame follows a Gaussian around the apex (the middle, if the apex is not coded) with standard deviation `spread`
    times the length, restricted to [onset, offset]. Records that are point labels already keep their frame. What a
    record gets depends on the seed and that record only, so adding a video leaves the other points alone.
    """
    from scipy.stats import truncnorm

    closed = close_open_offsets(records)
    apex, onset, offset = (closed[name].to_numpy("float64", na_value=np.nan) for name in ("apex", "onset", "offset"))
    centre = np.where(np.isnan(apex), (onset + offset) / 2, apex)
    width = spread * (offset - onset + 1)
    # Half a frame of room on both sides, so that rounding does not starve the first and the last frame.
    low, high = (onset - 0.5 - centre) / width, (offset + 0.5 - centre) / width
    uniform = np.array([_uniform(row, seed) for row in closed.itertuples(index=False)])
    drawn = np.clip(np.rint(centre + width * truncnorm.ppf(uniform, low, high)), onset, offset)
    frames = np.where(np.isnan(onset), apex, drawn)
    points = closed[["dataset", "subject", "video"]].copy()
    points["frame"] = frames.astype(np.int64)
    points["type"] = closed["type"]
    points["fps"] = closed["fps"]
    points["time_s"] = points["frame"] / points["fps"]
    points.attrs = {}
    return points


def _uniform(row: Any, seed: int) -> float:
    """A number in 0..1 that belongs to this record and seed."""
    name = f"{row.dataset}|{row.video}|{row.onset}|{row.offset}|{row.type}"
    return np.random.default_rng([seed, zlib.crc32(name.encode())]).random()
