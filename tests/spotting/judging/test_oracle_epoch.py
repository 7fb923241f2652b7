"""The epoch that scores best on the left-out subject, from a spotter whose answers follow a script."""

import json

import numpy as np
import pytest
from facespot.models.checkpoint import load_checkpoint
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.leave_one_out import evaluate_loso
from facespot.spotting.spotter import Spotter
from small_set import clip, small_records, store_features, tiny

pytestmark = pytest.mark.usefixtures("one_thread")
BEST = {"p0": 1, "p1": 3, "p2": 2}


class Scripted:
    """Finds everything after its subject's best epoch, and all but the first expression after the others."""

    def __init__(self, epoch):
        self.epoch = epoch

    @classmethod
    def load(cls, weights, device):
        return cls(load_checkpoint(weights).notes["epochs"])

    def intervals(self, features):
        subject = next(s for s in BEST if np.array_equal(clip(10 * int(s[1:]))[0].snippets, features.snippets))
        truth = [Interval(e.onset, e.apex, e.offset, e.type) for e in clip(10 * int(subject[1:]))[1]]
        return (truth if self.epoch == BEST[subject] else truth[1:]), None


def test_the_oracle_takes_the_best_epoch_of_each_left_out_subject(tmp_path, monkeypatch):
    monkeypatch.setattr(Spotter, "load", Scripted.load)
    features = store_features(tmp_path / "features").folder
    recipe = tiny("context")
    result = evaluate_loso(
        features, small_records(), recipe, tmp_path / "loso", oracle=True, watch_every=1, processes=1
    )
    chosen, oracle = result.reports["chosen"], json.loads((tmp_path / "loso" / "oracle_epoch.json").read_text())
    assert "selected on the test data" in oracle["epoch"]
    assert oracle["epochs"] == result.epochs["oracle_epoch"] == BEST
    assert oracle["counts"]["overall"]["f1"] == 1.0
    assert result.epochs["chosen"] == dict.fromkeys(BEST, 3)
    f1 = {subject: chosen["by_subject"][subject]["overall"]["f1"] for subject in BEST}
    assert f1["p1"] == 1.0
    assert max(f1["p0"], f1["p2"]) < 1.0
