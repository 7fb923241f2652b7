"""Non-negative least squares against SciPy's."""

import numpy as np
import pytest
from facespot.spotting.action_units import _COLUMNS
from facespot.spotting.least_squares import nnls
from scipy.optimize import nnls as scipy_nnls


@pytest.mark.parametrize("seed", range(4))
def test_random_problems_have_scipys_solution(seed):
    rng = np.random.default_rng(seed)
    for _ in range(25):
        rows, n = rng.integers(2, 40), rng.integers(1, 30)
        columns, target = rng.standard_normal((rows, n)), rng.standard_normal(rows)
        found = nnls(columns, target)
        expected, residual = scipy_nnls(columns, target)
        assert found.min() >= 0
        assert np.linalg.norm(columns @ found - target) == pytest.approx(residual, abs=1e-9)
        if n <= rows:  # the solution is one
            assert found == pytest.approx(expected, abs=1e-7)


def test_movements_of_a_face_are_taken_apart_as_scipy_does():
    rng = np.random.default_rng(5)
    for _ in range(100):
        units = rng.choice(_COLUMNS.shape[1], 3, replace=False)
        target = _COLUMNS[:, units] @ rng.uniform(0.2, 1, 3) + 0.01 * rng.standard_normal(len(_COLUMNS))
        assert nnls(_COLUMNS, target) == pytest.approx(scipy_nnls(_COLUMNS, target)[0], abs=1e-7)


def test_what_only_negative_weights_could_explain_is_explained_by_nothing():
    assert nnls(np.eye(3), np.array([-1.0, -2.0, -0.5])) == pytest.approx([0, 0, 0])
