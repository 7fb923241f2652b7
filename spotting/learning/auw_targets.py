"""What AUW-GCN should answer at each tick, from full intervals (settings of the authors' release)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.auw_gcn import NEITHER, OFFSET, ONSET
from ..intervals import EXPRESSION_TYPES, Interval


@dataclass(frozen=True)
class TargetSettings:
    """spread: ticks either side of an onset, apex or offset that share its label (macro, micro). sigma: standard
    deviation in ticks of the Gaussian that apex labels follow there. Raises ValueError unless sigma is positive.
    """

    spread: tuple[int, int] = (3, 1)
    sigma: float = 4.0

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma must be positive, got {self.sigma}")


@dataclass(frozen=True, eq=False)
class DetectionTargets:
    """Of T ticks; the classes are macro, micro.

    ends: (T, 2) int64 `ONSET`, `OFFSET` or `NEITHER`. apex: (T, 2) float32, 1 at an apex. action: (T, 2) float32, 1
    from onset to offset.
    """

    ends: np.ndarray
    apex: np.ndarray
    action: np.ndarray


def detection_targets(
    intervals: Sequence[Interval], n_ticks: int, settings: TargetSettings | None = None
) -> DetectionTargets:
    """Targets of a video. A tick near both an onset and an offset of its class is taken as offset."""
    settings = settings or TargetSettings()
    ends = np.full((n_ticks, 2), NEITHER, np.int64)
    apex, action = np.zeros((n_ticks, 2), np.float32), np.zeros((n_ticks, 2), np.float32)
    for label in (ONSET, OFFSET):
        for interval in intervals:
            kind = EXPRESSION_TYPES.index(interval.type)
            ends[_around((interval.onset, interval.offset)[label], settings.spread[kind], n_ticks), kind] = label
    for interval in intervals:
        kind = EXPRESSION_TYPES.index(interval.type)
        near = _around(interval.apex, settings.spread[kind], n_ticks)
        height = np.exp(-np.square((near - interval.apex) / settings.sigma) / 2)
        apex[near, kind] = np.maximum(apex[near, kind], height)
        action[interval.onset : interval.offset + 1, kind] = 1
    return DetectionTargets(ends, apex, action)


def _around(tick: int, reach: int, n_ticks: int) -> np.ndarray:
    return np.arange(max(tick - reach, 0), min(tick + reach + 1, n_ticks))
