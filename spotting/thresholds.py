"""What a caller asks of a spotter, checked: which types, and how certain each must be."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from .intervals import EXPRESSION_TYPES, ExpressionType

# One number for both types, a pair (macro, micro), or the types named: {"micro": 0.6} leaves macro as it is.
Confidence = float | Sequence[float] | Mapping[ExpressionType, float]


def least_confidence(asked: Confidence | None, usual: tuple[float, float]) -> tuple[float, float]:
    """The least confidence of macro and micro. usual: what holds for those that nothing was asked of.

    Raises ValueError for numbers outside 0..1, another count of them or an unknown type, TypeError for other things.
    """
    if asked is None:
        return usual
    if isinstance(asked, Mapping):
        if unknown := sorted(map(str, set(asked) - set(EXPRESSION_TYPES))):
            raise ValueError(f"min_confidence names {unknown[0]!r}, which is none of {', '.join(EXPRESSION_TYPES)}")
        values: list[Any] = [asked.get(kind, default) for kind, default in zip(EXPRESSION_TYPES, usual, strict=True)]
    elif isinstance(asked, Real):
        values = [asked, asked]
    elif isinstance(asked, Sequence) and not isinstance(asked, str):
        values = list(asked)
    else:
        raise TypeError(f"min_confidence must be a number, a pair (macro, micro) or a dict, not {asked!r}")
    if len(values) != 2:
        raise ValueError(f"min_confidence needs two numbers, of macro and micro, got {len(values)}")
    for value in values:
        if not isinstance(value, Real):
            raise TypeError(f"min_confidence must hold numbers, not {value!r}")
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"min_confidence must lie in 0..1, got {value}")
    return float(values[0]), float(values[1])


def chosen_types(asked: ExpressionType | Sequence[ExpressionType] | None) -> tuple[ExpressionType, ...]:
    """The types to report, one by its name, several as a list, all of them for None.

    Raises ValueError for an unknown type or none at all.
    """
    if asked is None:
        return EXPRESSION_TYPES
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    for name in names:
        if name not in EXPRESSION_TYPES:
            raise ValueError(f"types must be of {', '.join(EXPRESSION_TYPES)}, got {name!r}")
    if not names:
        raise ValueError("no type is asked for; leave types out for all")
    return tuple(kind for kind in EXPRESSION_TYPES if kind in names)
