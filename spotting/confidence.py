"""How sure to be of an interval: by the votes for it, and by how strong the strongest one beside it is.

Recordings are mostly of people who show many expressions or of people who show none. So the same votes are right more
often near an expression that is sure than alone in a minute of speech. How much more is learnt from simulated clips
(`learning.confidence`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..models.context_arrays import sigmoid

WINDOW_TICKS = 240  # to either side of an interval: eight seconds
# What is voted for less is no candidate, and nothing that others are judged by.
LEAST_VOTES = 0.1
_MOST_VOTES = 0.999
N_MEASURES = 2  # of `measures`


class Candidate(NamedTuple):
    """onset, offset: first and last tick. votes: 0..1, what the votes for it amount to."""

    onset: int
    offset: int
    votes: float


def measures(candidates: Sequence[Candidate]) -> np.ndarray:
    """(n, 2) of all candidates of one segment: the log odds of its votes, and the votes for the strongest other one
    within `WINDOW_TICKS`, 0 without one."""
    table = np.array(candidates, float).reshape(-1, len(Candidate._fields))
    onset, offset, votes = table.T
    rows = np.empty((len(table), N_MEASURES))
    for k, (first, last, own) in enumerate(table):
        near = (offset >= first - WINDOW_TICKS) & (onset <= last + WINDOW_TICKS)
        near[k] = False
        rows[k] = np.log(own / (1 - min(own, _MOST_VOTES))), votes[near].max(initial=0.0)
    return rows


def products(values: np.ndarray) -> np.ndarray:
    """(n, 6) of (n, 2) standardised measures: 1, each of them, and each product of two."""
    first, second = np.triu_indices(N_MEASURES)
    return np.column_stack([np.ones(len(values)), values, values[:, first] * values[:, second]])


@dataclass(frozen=True)
class ConfidenceModel:
    """A logistic regression on the measures of an interval and their products, for macro- and micro-expressions apart.

    centre, spread: 2 numbers each, by which `measures` are standardised. weights: of macro and micro, 6 numbers each,
    as `products` are.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[tuple[float, ...], tuple[float, ...]]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ConfidenceModel":
        """From what a checkpoint says. Raises TypeError or ValueError for what is no such model."""
        model = cls(**{name: _numbers(part) for name, part in values.items()})
        sizes = np.shape(model.centre), np.shape(model.spread), np.shape(model.weights)
        if sizes != ((N_MEASURES,), (N_MEASURES,), (2, products(np.zeros((1, N_MEASURES))).shape[1])):
            raise ValueError(f"a confidence model has other sizes than {sizes}")
        if not (
            np.isfinite([*model.centre, *model.spread, *model.weights[0], *model.weights[1]]).all()
            and min(model.spread) > 0
        ):
            raise ValueError("a confidence model holds finite numbers, and spreads above 0")
        return model

    def __call__(self, rows: np.ndarray, micro: np.ndarray) -> np.ndarray:
        """(n,) confidence, 0..1, by (n, 2) `measures` and (n,) whether it is a micro-expression."""
        standardised = (rows - np.array(self.centre)) / np.array(self.spread)
        margins = products(standardised) @ np.array(self.weights).T
        return sigmoid(np.where(micro, margins[:, 1], margins[:, 0]))


def _numbers(values: Any) -> Any:
    if isinstance(values, int | float):
        return float(values)
    if not isinstance(values, list | tuple):
        raise TypeError(f"a confidence model holds numbers, not {values!r}")
    return tuple(map(_numbers, values))
