"""How the shipped weights are made: the rounds, and the last one alone from the networks of a file."""

import pytest
import torch
from click.testing import CliRunner
from facespot.models.checkpoint import load_checkpoint, save_checkpoint
from facespot.models.context import ContextConfig, ContextSpotter, pack_ensemble
from facespot.weights import train
from facespot.weights.train import VOTING

SMALL = ContextConfig(width=8, dilations=(1, 2))
BRIEF = ("--clips", "5", "--steps", "1", "--tuning-clips", "5", "--last-clips", "5", "--members", "1")


@pytest.fixture
def make(monkeypatch, tmp_path, one_thread):
    """Runs the script with small networks on the same few clips in every round; returns the checkpoint."""
    monkeypatch.setattr(train, "usable_cores", lambda: 1)
    monkeypatch.setattr(train, "ContextConfig", lambda: SMALL)
    # One short clip is enough, and the same one every time.
    clip = train.simulate_corpus(1, 1)[72]
    monkeypatch.setattr(train, "simulate_corpus", lambda clips, seed, workers: {72: clip})

    def run(*words):
        path = tmp_path / "made.safetensors"
        done = CliRunner().invoke(train.main, [*BRIEF, "--device", "cpu", "-o", str(path), *map(str, words)])
        assert done.exit_code == 0, done.output
        return load_checkpoint(path)

    return run


def members(checkpoint):
    """The tensors of each network in one line."""
    count = len(checkpoint.config["networks"])
    return [
        torch.cat([t.flatten().float() for name, t in checkpoint.state.items() if name.startswith(f"{i}.")])
        for i in range(count)
    ]


def test_the_last_round_goes_on_from_those_before_it(make, tmp_path):
    early = make("--tuning-steps", 1, "--last-steps", 0)
    made = make("--tuning-steps", 1, "--last-steps", 1)
    (second,), (last,) = members(early), members(made)
    assert (second != last).any()
    assert made.config["voting"]["min_confidence"] == list(VOTING["min_confidence"])
    assert made.notes["last_steps"] == 1
    # The last round alone, from a file of those before it, gives the same.
    start = tmp_path / "early.safetensors"
    save_checkpoint(start, "context", early.config, early.state)
    again = make("--start", start, "--last-steps", 1)
    assert torch.equal(members(again)[0], last)
    assert again.notes["start"] == early.digest
    assert "steps" not in again.notes


def test_an_interrupted_run_goes_on_and_leaves_nothing_beside_the_weights(make, monkeypatch, tmp_path):
    whole = make("--tuning-steps", 1, "--last-steps", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["made.safetensors"]
    save = train.save_checkpoint

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "save_checkpoint", interrupted)
    with pytest.raises(AssertionError):
        make("--tuning-steps", 1, "--last-steps", 2)
    assert len(list(tmp_path.glob("*.training.pt"))) == 3
    monkeypatch.setattr(train, "save_checkpoint", save)
    assert make("--tuning-steps", 1, "--last-steps", 2).digest == whole.digest
    assert [path.name for path in tmp_path.iterdir()] == ["made.safetensors"]


def test_networks_of_several_sizes_are_no_start(tmp_path):
    sizes = [SMALL, ContextConfig(width=16, dilations=(1,))]
    config, state = pack_ensemble([(size, ContextSpotter(size).state_dict()) for size in sizes])
    path = tmp_path / "mixed.safetensors"
    save_checkpoint(path, "context", config, state)
    done = CliRunner().invoke(train.main, ["--start", str(path), "-o", str(tmp_path / "made.safetensors")])
    assert done.exit_code == 2
    assert "differ in size" in done.output
