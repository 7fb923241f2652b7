"""Learning how sure to be of an interval (`spotting.confidence`) from those of recordings whose truth is known."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from ..confidence import N_MEASURES, ConfidenceModel, products

_PENALTY = 0.5  # on the squares of the weights, which are of standardised measures


def fit_confidence(rows: np.ndarray) -> ConfidenceModel:
    """The most likely model of candidates (n, 4): their `measures`, 1 for a micro-expression, 1 for a hit.

    Raises ValueError without some of either type.
    """
    values, micro, hit = rows[:, :N_MEASURES], rows[:, N_MEASURES].astype(bool), rows[:, N_MEASURES + 1]
    if micro.all() or not micro.any():
        raise ValueError("confidence is learnt from candidates of both types")
    centre, spread = values.mean(axis=0), values.std(axis=0)
    terms = products((values - centre) / spread)
    weights = [_logistic(terms[kind], hit[kind]) for kind in (~micro, micro)]
    numbers = [tuple(np.round(part, 6).tolist()) for part in (centre, spread, *weights)]
    return ConfidenceModel(numbers[0], numbers[1], (numbers[2], numbers[3]))


def _logistic(terms: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Weights of a ridge logistic regression of 0 or 1 (n,) on terms (n, k), the first of which is the intercept."""
    penalty = np.r_[0.0, np.full(terms.shape[1] - 1, _PENALTY)]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = terms @ weights
        value = np.logaddexp(0, margin).sum() - margin @ hit + penalty @ weights**2
        return float(value), terms.T @ (expit(margin) - hit) + 2 * penalty * weights

    return minimize(loss, np.zeros(terms.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
