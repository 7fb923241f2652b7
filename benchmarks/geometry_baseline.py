"""Twenty lines to beat: pose-normalised landmarks against their running median, one threshold, class by duration."""

import numpy as np
from facespot.extract.features import FaceFeatures
from facespot.extract.motion.geometry import geometry_channels
from facespot.extract.regions import ROI_NAMES
from facespot.spotting.intervals import Interval
from facespot.spotting.voting import MICRO_TICKS

THRESHOLD_IOD = 0.11
SHORTEST_TICKS = 4


def spot_by_geometry(features: FaceFeatures, threshold: float = THRESHOLD_IOD) -> list[Interval]:
    """Every run of ticks in which some ROI lies farther than `threshold` IOD from where it mostly is in 8 seconds."""
    channels = geometry_channels(features.landmarks, features.segments())
    offsets = channels[:, : 2 * len(ROI_NAMES)].reshape(len(channels), -1, 2)
    deviation = np.linalg.norm(offsets, axis=2).max(axis=1)
    found = []
    for start, stop in features.segments():
        moved = np.concatenate([[0], (deviation[start:stop] > threshold).astype(int), [0]])
        for a, b in zip(np.flatnonzero(np.diff(moved) == 1), np.flatnonzero(np.diff(moved) == -1), strict=True):
            if b - a >= SHORTEST_TICKS:
                apex = start + a + int(np.argmax(deviation[start + a : start + b]))
                found.append(Interval(start + a, apex, start + b - 1, "micro" if b - a <= MICRO_TICKS else "macro"))
    return found
