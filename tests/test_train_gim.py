"""`weights.train_gim`: the paper's model made anew from a seed."""

from dataclasses import replace

import pytest
from facespot.errors import WeightsError
from facespot.models.checkpoint import load_checkpoint
from facespot.models.spotformer import SpotFormerConfig
from facespot.spotting.decoding import DecodingSettings
from facespot.spotting.intervals import Interval
from facespot.spotting.learning import simulated_points
from facespot.spotting.learning.from_points import PointTrainer
from facespot.spotting.spotter import Spotter
from facespot.weights import train_gim

RECIPE = replace(train_gim.shipped_recipe(epochs=1), encoder=SpotFormerConfig(8, 1, 4, 8))


def make(path, seed=3, recipe=RECIPE):
    """A tiny run."""
    train_gim.train_points(recipe, 1, seed, "cpu", path)
    return path.read_bytes()


@pytest.fixture(scope="module", autouse=True)
def few_clips():
    """Three short ones instead of one of each length."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated_points, "clip_counts", lambda clips: {72: 2, 120: clips})
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("gim") / "weights.safetensors"
    path.write_bytes(b"what was there before")
    make(path)
    return path


def test_the_same_seed_gives_the_same_file_and_nothing_of_the_old_one_stays(trained, tmp_path):
    assert make(tmp_path / "again.safetensors") == trained.read_bytes()
    # Over a finished training, with another seed.
    assert make(tmp_path / "again.safetensors", seed=4) != trained.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["again.safetensors"]


def test_an_interrupted_training_goes_on_and_that_of_another_seed_is_refused(trained, tmp_path, monkeypatch):
    longer = replace(RECIPE, epochs=2)
    whole = make(tmp_path / "whole.safetensors", recipe=longer)
    run_epoch = train_gim.PointTrainer.run_epoch

    def run_one(self):
        if self.epoch:
            raise KeyboardInterrupt
        return run_epoch(self)

    path = tmp_path / "cut.safetensors"
    monkeypatch.setattr(train_gim.PointTrainer, "run_epoch", run_one)
    with pytest.raises(KeyboardInterrupt):
        make(path, recipe=longer)
    monkeypatch.undo()
    with pytest.raises(WeightsError, match="other data, recipe, weights or seed"):
        make(path, seed=4, recipe=longer)
    assert make(path, recipe=longer) == whole
    assert not path.with_suffix(".training.pt").exists()


def test_weights_bring_their_decoding_and_least_confidence(trained, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(trained.read_bytes())
    held = load_checkpoint(copy, "gim")
    assert DecodingSettings.from_dict(held.config["decoding"]) == train_gim.DECODING
    assert held.notes["clips"] == 1
    train_gim.set_confidence(copy, (0.25, 0.5))
    assert Spotter.load(copy, "cpu").reader.min_confidence == (0.25, 0.5)
    assert load_checkpoint(copy).notes == held.notes


def test_tuned_weights_keep_their_decoding(trained, tmp_path):
    videos = simulated_points.point_clips(2, 5)
    tuned = PointTrainer(videos, RECIPE, init=trained)
    tuned.save_weights(tmp_path / "tuned")
    held = load_checkpoint(tmp_path / "tuned", "gim")
    assert DecodingSettings.from_dict(held.config["decoding"]) == train_gim.DECODING
    assert held.config["min_confidence"] == list(Spotter.load(tmp_path / "tuned", "cpu").reader.min_confidence)


def test_the_least_confidence_is_that_of_the_best_f1():
    truth = [Interval(10, 20, 40, "macro"), Interval(60, 64, 68, "micro")]
    found = [
        Interval(11, 20, 40, "macro", 0.55),
        Interval(100, 110, 140, "macro", 0.3),
        Interval(60, 64, 68, "micro", 0.2),
        Interval(80, 84, 88, "micro", 0.1),
    ]
    judged = [(truth, found)]
    assert train_gim.confidence_of_best_f1(judged, "macro") == pytest.approx(0.54)
    assert train_gim.confidence_of_best_f1(judged, "micro") == pytest.approx(0.2)


def test_the_published_size_is_one_option_away():
    published = train_gim.published_recipe()
    assert (published.encoder, published.epochs, published.window) == (SpotFormerConfig.paper(), 100, None)
    assert (published.optimiser, published.rate) == ("adam", 2e-5)
    assert published.labels.duration == train_gim.shipped_recipe().labels.duration
