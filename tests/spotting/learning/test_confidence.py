"""Learning from simulated clips what votes are worth."""

import numpy as np
import pytest
from facespot.spotting.confidence import ConfidenceModel
from facespot.spotting.intervals import Interval
from facespot.spotting.learning.confidence import fit_confidence, judged_candidates, learn_confidence
from facespot.spotting.spotter import Spotter
from facespot.spotting.voting import VotingSettings
from simulated import laboratory_clip

LOOSE = VotingSettings(min_confidence=(0.1, 0.1))


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
    assert model(fresh[:, :2], fresh[:, 2] > 0) == pytest.approx(likely(fresh), abs=0.05)


def test_one_type_alone_teaches_nothing_of_the_other():
    rows = drawn(np.random.default_rng(1), 100, likely)
    with pytest.raises(ValueError, match="both types"):
        fit_confidence(rows[rows[:, 2] > 0])


def test_candidates_are_judged_by_the_truth_of_their_clip():
    features, truth = laboratory_clip(1)
    spotter = Spotter.load(device="cpu")
    rows = judged_candidates(spotter, LOOSE, features, truth)
    assert rows.shape[1] == 4
    assert 0 < rows[:, 3].sum() <= len(truth)
    # Hits have more votes than what is none.
    assert rows[rows[:, 3] > 0, 0].mean() > rows[rows[:, 3] == 0, 0].mean()
    none = judged_candidates(spotter, LOOSE, features, [Interval(0, 0, 479, "macro")])
    assert none[:, 3].sum() == 0
    assert none[:, :3] == pytest.approx(rows[:, :3])


def test_the_same_seed_teaches_the_same_whatever_the_number_of_processes(monkeypatch, tmp_path):
    import facespot.spotting.learning.confidence as module
    from facespot.models.shipped import shipped_weights

    monkeypatch.setattr(module, "_PART", 4)
    with shipped_weights("default") as general, shipped_weights("laboratory") as laboratory:
        one, two = (learn_confidence(general, laboratory, LOOSE, 11, 3, workers) for workers in (1, 2))
        (alone, _) = learn_confidence(general, None, LOOSE, 11, 3, 2)
    assert one == two
    assert isinstance(one[0], ConfidenceModel)
    assert one[1] > 20
    assert alone != one[0]
