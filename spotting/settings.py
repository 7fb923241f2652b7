"""In what setting a recording was made, by how still the head is, which decides whose weights read it."""

from typing import Literal

from ..extract.features import FaceFeatures
from ..extract.motion.geometry import head_shift

Setting = Literal["laboratory", "anywhere"]
# Inter-ocular distances a second: about as large a part of simulated recordings of a laboratory lies above (28 %) as of
# others lies below (23 %).
LABORATORY_SHIFT = 0.05


def setting_of(features: FaceFeatures) -> Setting:
    """laboratory: where the head hardly shifts for half of the time, as of people who sit still before a screen."""
    segments = features.segments()
    if not segments:
        return "anywhere"
    return "laboratory" if head_shift(features.landmarks, segments) < LABORATORY_SHIFT else "anywhere"
