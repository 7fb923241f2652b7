"""`Point`: the one click per expression that point supervision learns from."""

from dataclasses import dataclass

from .intervals import EXPRESSION_TYPES, ExpressionType


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
