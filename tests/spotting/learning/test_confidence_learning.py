"""Learning what votes are worth."""

import numpy as np
import pytest
from facespot.spotting.learning.confidence import fit_confidence


def drawn(rng, n, truth):
    """Measures, types and hits, a hit being as probable as `truth` says of measures and type."""
    rows = np.column_stack([rng.normal(0, 1.5, n), rng.uniform(0, 1, n), rng.random(n) < 0.5])
    return np.column_stack([rows, rng.random(n) < truth(rows)])


def likely(rows):
    margin = np.where(rows[:, 2] > 0, 0.5 * rows[:, 0] - 1, rows[:, 0] + 2 * rows[:, 1] ** 2)
    return 1 / (1 + np.exp(-margin))


def test_confidences_are_hits_as_often_as_they_say():
    rng = np.random.default_rng(0)
    model = fit_confidence(drawn(rng, 20000, likely))
    fresh = drawn(rng, 2000, likely)
    assert model(fresh[:, :2], fresh[:, 2] > 0) == pytest.approx(likely(fresh), abs=0.07)


def test_one_type_alone_teaches_nothing_of_the_other():
    rows = drawn(np.random.default_rng(1), 100, likely)
    with pytest.raises(ValueError, match="both types"):
        fit_confidence(rows[rows[:, 2] > 0])
