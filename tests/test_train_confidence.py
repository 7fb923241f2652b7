"""What votes of given weights are worth, learnt from simulated clips and written into their files."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from facespot.models.checkpoint import load_checkpoint, save_checkpoint
from facespot.models.context import ContextConfig, ContextSpotter, pack_ensemble
from facespot.models.shipped import shipped_weights
from facespot.spotting.confidence import ConfidenceModel
from facespot.spotting.intervals import Interval
from facespot.spotting.spotter import Spotter
from facespot.spotting.voting import VotingSettings
from facespot.weights import train_confidence
from facespot.weights.train import VOTING
from simulated import laboratory_clip

SMALL = ContextConfig(width=8, dilations=(1, 2))
LOOSE = VotingSettings(min_confidence=(0.1, 0.1))


def test_candidates_are_judged_by_the_truth_of_their_clip():
    features, truth = laboratory_clip(1)
    spotter = Spotter.load(device="cpu")
    rows = train_confidence.judged_candidates(spotter, LOOSE, features, truth)
    assert rows.shape[1] == 4
    assert 0 < rows[:, 3].sum() <= len(truth)
    # Hits have more votes than what is none.
    assert rows[rows[:, 3] > 0, 0].mean() > rows[rows[:, 3] == 0, 0].mean()
    none = train_confidence.judged_candidates(spotter, LOOSE, features, [Interval(0, 0, 479, "macro")])
    assert none[:, 3].sum() == 0
    assert none[:, :3] == pytest.approx(rows[:, :3])


def test_the_same_seed_teaches_the_same_whatever_the_number_of_processes(monkeypatch):
    monkeypatch.setattr(train_confidence, "_PART", 4)
    with shipped_weights("default") as general, shipped_weights("laboratory") as laboratory:
        one, two = (train_confidence.learn_confidence(general, laboratory, LOOSE, 11, 3, workers) for workers in (1, 2))
        (alone, _) = train_confidence.learn_confidence(general, None, LOOSE, 11, 3, 2)
    assert one[1] == two[1]
    # Processes share the cores otherwise, so that sums may differ in their last digit.
    assert numbers(one[0]) == pytest.approx(numbers(two[0]), abs=1e-5)
    assert isinstance(one[0], ConfidenceModel)
    assert one[1] > 20
    assert alone != one[0]


def numbers(model):
    return np.concatenate([model.centre, model.spread, *model.weights])


def test_what_votes_are_worth_is_written_into_both_files(tmp_path, monkeypatch):
    model = ConfidenceModel((0.0, 0.0), (1.0, 1.0), ((0.0,) * 6, (1.0,) * 6))
    asked = []

    def learn(general, laboratory, settings, clips, seed, workers):
        asked.append((settings, clips, seed))
        return model, 99

    monkeypatch.setattr(train_confidence, "learn_confidence", learn)
    paths = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        config, state = pack_ensemble([(SMALL, ContextSpotter(SMALL).state_dict())])
        save_checkpoint(path, "context", {**config, "voting": VOTING}, state, {"seed": seed})
    before = [load_checkpoint(path) for path in paths]
    # Twice, since what was learnt once must not stand in the way.
    for _ in range(2):
        done = CliRunner().invoke(train_confidence.main, [*map(str, paths), "--clips", "7", "--seed", "5"])
        assert done.exit_code == 0, done.output
    assert asked == [(VotingSettings.from_dict(VOTING), 7, 5)] * 2
    for number, (path, old) in enumerate(zip(paths, before, strict=True)):
        held = load_checkpoint(path)
        assert VotingSettings.from_dict(held.config["voting"]).confidence == model
        assert held.digest in done.output
        assert held.notes == {"seed": number, "confidence": {"clips": 7, "seed": 5, "candidates": 99}}
        assert all(torch.equal(held.state[name], tensor) for name, tensor in old.state.items())
