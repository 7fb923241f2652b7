"""How sure to be of an interval, by its votes and what is around it."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from facespot.spotting.confidence import N_MEASURES, WINDOW_TICKS, Candidate, ConfidenceModel, measures, products

# Confidence as the votes are, where nothing else counts.
WEIGHTS = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
PLAIN = ConfidenceModel((0.0, 0.0), (1.0, 1.0), (WEIGHTS, WEIGHTS))


def test_one_alone_has_its_votes():
    assert measures([Candidate(900, 909, 0.8)]) == pytest.approx(np.array([[np.log(4), 0.0]]))


def test_others_count_as_far_as_the_window_reaches():
    one = Candidate(900, 929, 0.5)
    near = [Candidate(900 - WINDOW_TICKS - 20, 900 - WINDOW_TICKS, 0.3), Candidate(929 + WINDOW_TICKS, 1300, 0.9)]
    far = [Candidate(600, 900 - WINDOW_TICKS - 1, 0.99), Candidate(930 + WINDOW_TICKS, 1300, 0.99)]
    assert measures([one, *near])[:, 1] == pytest.approx([0.9, 0.5, 0.5])
    assert measures([one, *far])[0].tolist() == [0, 0]


def test_nothing_has_no_measures():
    assert measures([]).shape == (0, N_MEASURES)
    assert PLAIN(measures([]), np.empty(0, bool)).shape == (0,)


def test_votes_beyond_one_are_no_more_than_sure():
    rows = measures([Candidate(10, 20, 1.0)])
    assert np.isfinite(rows).all()
    assert PLAIN(rows, np.array([True])) == pytest.approx([0.999], abs=1e-3)


def test_each_type_has_weights_of_its_own_and_products_count():
    model = ConfidenceModel((0.0, 1.0), (1.0, 2.0), (WEIGHTS, (0.0, 0.0, 0.0, 0.0, 0.0, -3.0)))
    rows = np.array([[1.0, 5.0], [1.0, 3.0]])
    assert model(rows, np.array([False, False])) == pytest.approx([1 / (1 + np.exp(-1.0))] * 2)
    assert model(rows, np.array([True, True])) == pytest.approx(1 / (1 + np.exp([12.0, 3.0])))
    assert products(np.array([[2.0, 3.0]])).tolist() == [[1, 2, 3, 4, 6, 9]]


def test_a_model_survives_a_checkpoint_and_another_size_does_not():
    assert ConfidenceModel.from_dict(json.loads(json.dumps(asdict(PLAIN)))) == PLAIN
    with pytest.raises(ValueError, match="sizes"):
        ConfidenceModel.from_dict({**asdict(PLAIN), "centre": [0.0] * 3})
    with pytest.raises(TypeError):
        ConfidenceModel.from_dict({**asdict(PLAIN), "more": []})
    for wrong in ("none", [None, 1.0], 3.0):
        with pytest.raises((TypeError, ValueError)):
            ConfidenceModel.from_dict({**asdict(PLAIN), "centre": wrong})
    for spread in ([0.0, 1.0], [1.0, -1.0], [float("inf"), 1.0]):
        with pytest.raises(ValueError, match="finite numbers, and spreads above 0"):
            ConfidenceModel.from_dict({**asdict(PLAIN), "spread": spread})
