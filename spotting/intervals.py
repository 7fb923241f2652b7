"""`Interval`, in clock ticks, `Spot`, the same event in seconds and source frames, and `Point`, a click inside one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ..extract.timebase import Timebase

if TYPE_CHECKING:
    from .explanations import Explanation

ExpressionType = Literal["macro", "micro"]
EXPRESSION_TYPES: tuple[ExpressionType, ...] = get_args(ExpressionType)
# Ends of an expression at which the recording, or the usable face in it, begins or stops.
CutOff = Literal["none", "start", "end", "both"]


@dataclass(frozen=True, order=True)
class Interval:
    """One expression on the clock: ticks, both ends inclusive, onset <= apex <= offset. Sorted by time.

    Raises ValueError for ends out of order, an unknown type or a confidence outside 0..1.
    """

    onset: int
    apex: int
    offset: int
    type: ExpressionType
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.onset <= self.apex <= self.offset:
            raise ValueError(f"need 0 <= onset <= apex <= offset, got {self.onset}, {self.apex}, {self.offset}")
        if self.type not in EXPRESSION_TYPES:
            raise ValueError(f"type must be one of {EXPRESSION_TYPES}, got {self.type!r}")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must lie in 0..1, got {self.confidence}")

    @property
    def n_ticks(self) -> int:
        return self.offset - self.onset + 1

    def shared_ticks(self, other: "Interval") -> int:
        """Ticks that lie in both."""
        return max(0, min(self.offset, other.offset) - max(self.onset, other.onset) + 1)

    def iou(self, other: "Interval") -> float:
        """Intersection over union, counting ticks (paper eq. 17)."""
        shared = self.shared_ticks(other)
        return shared / (self.n_ticks + other.n_ticks - shared)

    def on(self, timebase: Timebase, cut_off: CutOff = "none") -> "Spot":
        """The same event in seconds and source frames of a video."""
        onset, apex, offset = (timebase.seconds_of_tick(t) for t in (self.onset, self.apex, self.offset))
        first, top, last = (timebase.frame_of_seconds(s) for s in (onset, apex, offset))
        return Spot(onset, apex, offset, first, top, last, self.type, self.confidence, cut_off)


@dataclass(frozen=True, order=True)
class Spot:
    """One expression as a user reads it: in seconds since the first frame and in the video's own frames (0-based).

    cut_off: which of its ends is only that of the recording, or of the usable face in it. micro_probability: how
    probably it is a micro-expression, 0..1, given how long it was seen; None where weights do not tell, or where an
    end was not seen. explanation: what was measured there, None where nobody measured.
    """

    onset_s: float
    apex_s: float
    offset_s: float
    onset_frame: int
    apex_frame: int
    offset_frame: int
    type: ExpressionType
    confidence: float
    cut_off: CutOff = "none"
    micro_probability: float | None = field(default=None, compare=False)
    explanation: "Explanation | None" = field(default=None, compare=False)


@dataclass(frozen=True, order=True)
class Point:
    """One labelled tick inside an expression; nothing about its onset or offset.

    Raises ValueError for a negative tick or an unknown type.
    """

    tick: int
    type: ExpressionType

    def __post_init__(self) -> None:
        if self.tick < 0:
            raise ValueError(f"a point cannot lie at tick {self.tick}")
        if self.type not in EXPRESSION_TYPES:
            raise ValueError(f"type must be one of {EXPRESSION_TYPES}, got {self.type!r}")


def iou_matrix(some: Sequence[Interval], others: Sequence[Interval]) -> np.ndarray:
    """(len(some), len(others)) `Interval.iou` of every pair, whatever their types."""
    a, b = (np.array([(i.onset, i.offset + 1) for i in group], np.int64).reshape(-1, 2) for group in (some, others))
    shared = np.minimum(a[:, None, 1], b[:, 1]) - np.maximum(a[:, None, 0], b[:, 0])
    shared = np.maximum(shared, 0)
    return shared / ((a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0]) - shared)
