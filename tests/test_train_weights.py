"""How the shipped weights are made: the rounds, and later ones alone from the networks of a file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from facespot.models.checkpoint import load_checkpoint, save_checkpoint
from facespot.models.context import ContextConfig, ContextSpotter, pack_ensemble
from facespot.spotting.simulation.corpus import LABORATORY_SHARE, batch_of, clip_of, film_quiet_clip
from facespot.spotting.simulation.films import write_films
from facespot.spotting.voting import VotingSettings
from facespot.weights import train
from facespot.weights.train import LABORATORY_VOTING, VOTING, Round
from facespot.weights.train_confidence import CLIPS

SMALL = ContextConfig(width=8, dilations=(1, 2))
ROUNDS = (
    Round(1, 1, 1e-3, 0, (0, 1)),
    Round(1, 2, 1e-3, 10, (5, 1)),
    Round(1, 2, 1e-3, 20, (7, 0), averaged=True),
    Round(1, 2, 1e-3, 30, (9, 0), laboratory_share=0.0),
    Round(1, 2, 1e-3, 40, (11, 0), laboratory_share=1.0),
)


@pytest.fixture
def make(monkeypatch, tmp_path, one_thread):
    """Runs the script with small networks on the same few clips in every round; returns the checkpoint."""
    monkeypatch.setattr(train, "usable_cores", lambda: 1)
    monkeypatch.setattr(train, "ContextConfig", lambda: SMALL)
    monkeypatch.setattr(train, "ROUNDS", ROUNDS)
    # One short clip is enough, and the same one every time.
    clip = train.simulate_corpus(1, 1)[72]
    drawn = []

    def simulate(clips, seed, workers, laboratory_share):
        drawn.append((seed, laboratory_share))
        return {72: clip}

    monkeypatch.setattr(train, "simulate_corpus", simulate)

    def run(*words):
        path = words[words.index("-o") + 1] if "-o" in words else tmp_path / "made.safetensors"
        done = CliRunner().invoke(train.main, ["--members", "1", "--device", "cpu", "-o", str(path), *map(str, words)])
        assert done.exit_code == 0, done.output
        return load_checkpoint(path)

    run.drawn = drawn
    return run


def members(checkpoint):
    """The tensors of each network in one line."""
    count = len(checkpoint.config["networks"])
    return [
        torch.cat([t.flatten().float() for name, t in checkpoint.state.items() if name.startswith(f"{i}.")])
        for i in range(count)
    ]


def test_later_rounds_go_on_from_those_before_them(make, tmp_path):
    early, made = make("--last", 1), make("--last", 2)
    (first,), (second,) = members(early), members(made)
    assert (first != second).any()
    assert made.config["voting"]["min_confidence"] == list(VOTING["min_confidence"])
    assert made.notes["rounds"] == [1, 2]
    # The second round alone, from a file of the first, gives the same.
    start = tmp_path / "early.safetensors"
    save_checkpoint(start, "context", early.config, early.state)
    again = make("--start", start, "--first", 2, "--last", 2)
    assert torch.equal(members(again)[0], second)
    assert again.notes["start"] == early.digest


def test_a_round_may_end_halfway_between_what_it_began_with_and_what_it_reached(make, monkeypatch):
    (before,), (halfway,) = members(make("--last", 2)), members(make("--last", 3))
    monkeypatch.setattr(train, "ROUNDS", (*ROUNDS[:2], replace(ROUNDS[2], averaged=False), *ROUNDS[3:]))
    (reached,) = members(make("--last", 3))
    assert (reached != before).any()
    assert halfway.numpy() == pytest.approx(((before + reached) / 2).numpy(), abs=1e-7)


def test_a_round_learns_from_quiet_clips_in_which_its_networks_see_something(make, monkeypatch):
    before, plain = make("--last", 1), make("--last", 2)
    asked = []

    def mine(config, states, settings, clips, seed, workers):
        asked.append((config, states, settings, clips, seed))
        return {72: hard}

    hard = batch_of(72, [clip_of(*film_quiet_clip(72, (1, 72, 0)))])
    monkeypatch.setattr(train, "mine_quiet_clips", mine)
    monkeypatch.setattr(train, "ROUNDS", (ROUNDS[0], replace(ROUNDS[1], quiet=40), *ROUNDS[2:]))
    harder = make("--last", 2)
    ((config, (state,), settings, clips, seed),) = asked
    assert (config, settings, clips, seed) == (SMALL, VotingSettings.from_dict(VOTING), 40, 11)
    assert all(np.array_equal(state[name], before.state[f"0.{name}"].numpy()) for name in state)
    assert (members(harder)[0] != members(plain)[0]).any()


def test_an_interrupted_run_goes_on_and_leaves_nothing_beside_the_weights(make, monkeypatch, tmp_path):
    whole = make("--last", 3)
    assert [path.name for path in tmp_path.iterdir()] == ["made.safetensors"]
    save = train.save_checkpoint

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "save_checkpoint", interrupted)
    with pytest.raises(AssertionError):
        make("--last", 3)
    assert len(list(tmp_path.glob("*.training.pt"))) == 3
    monkeypatch.setattr(train, "save_checkpoint", save)
    assert make("--last", 3).digest == whole.digest
    assert [path.name for path in tmp_path.iterdir()] == ["made.safetensors"]


def test_rounds_of_one_setting_begin_with_the_networks_for_all_and_end_in_a_file_each(make, monkeypatch, tmp_path):
    taught = []

    def teach(general, laboratory, clips):
        taught.append((general, laboratory, clips))
        return ["one", "two"]

    monkeypatch.setattr(train, "write_confidence", teach)
    shared = make("--last", 3, "--share", 0.5)
    other = make("--last", 4, "--share", 0.5)
    assert not taught
    assert not (tmp_path / "laboratory.safetensors").exists()
    assert (members(other)[0] != members(shared)[0]).any()
    whole = make("--last", 5, "--share", 0.5)
    assert make.drawn[-3:] == [(21, LABORATORY_SHARE), (31, 0.0), (41, 1.0)]
    ((general, laboratory, clips),) = taught
    assert (general.name, laboratory.name, clips) == ("made.safetensors", "laboratory.safetensors", CLIPS // 2)
    assert torch.equal(members(whole)[0], members(other)[0])
    made = load_checkpoint(laboratory)
    assert whole.config["voting"] == shared.config["voting"]
    # In a laboratory micro-expressions are what one looks for.
    least = made.config["voting"]["min_confidence"]
    assert least == list(LABORATORY_VOTING["min_confidence"]) != whole.config["voting"]["min_confidence"]
    assert made.config["voting"] == {**whole.config["voting"], "min_confidence": least}
    # The laboratory's round knows nothing of the other one: alone, from what both began with, it gives the same.
    start = tmp_path / "before.safetensors"
    save_checkpoint(start, "context", shared.config, shared.state)
    again = make("--start", start, "--first", 5, "--last", 5, "--share", 0.5)
    assert torch.equal(members(again)[0], members(shared)[0])
    assert torch.equal(members(load_checkpoint(laboratory))[0], members(made)[0])


def test_a_folder_that_is_not_there_is_made(make, tmp_path):
    path = tmp_path / "not" / "there" / "made.safetensors"
    make("--last", 1, "-o", path)
    assert [file.name for file in path.parent.iterdir()] == ["made.safetensors"]


@pytest.mark.parametrize("words", [("--first", 2), ("--first", 3, "--last", 2), ("--last", 4)])
def test_rounds_that_cannot_be_run_are_refused(words, tmp_path):
    extra = []
    if "--first" in words and "--last" in words:
        (tmp_path / "any.safetensors").touch()
        extra = ["--start", str(tmp_path / "any.safetensors")]
    done = CliRunner().invoke(train.main, [*map(str, words), *extra, "-o", str(tmp_path / "made.safetensors")])
    assert done.exit_code == 2
    assert "round" in done.output


def test_networks_of_several_sizes_are_no_start(tmp_path):
    sizes = [SMALL, ContextConfig(width=16, dilations=(1,))]
    config, state = pack_ensemble([(size, ContextSpotter(size).state_dict()) for size in sizes])
    path = tmp_path / "mixed.safetensors"
    save_checkpoint(path, "context", config, state)
    done = CliRunner().invoke(
        train.main, ["--first", "2", "--start", str(path), "-o", str(tmp_path / "made.safetensors")]
    )
    assert done.exit_code == 2
    assert "differ in size" in done.output


def test_films_are_learnt_from_by_a_laboratorys_networks_if_they_are_of_one(make, monkeypatch, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    clip = clip_of(*film_quiet_clip(72, (1, 72, 0)))
    write_films(folder / "a.npz", [(True, clip), (False, clip), (False, clip)])
    given = []
    train_members = train._train_members

    def learn(*arguments):
        given.append({ticks: len(batch) for ticks, batch in arguments[-1].items()})
        return train_members(*arguments)

    monkeypatch.setattr(train, "_train_members", learn)
    monkeypatch.setattr(train, "write_confidence", lambda *_: ["", ""])
    plain = make("--last", 5)
    assert given == [{}] * 5
    given.clear()
    filmed = make("--last", 5, "--films", folder)
    assert given == [{72: 3}] * 4 + [{72: 1}]
    assert filmed.notes["films"] == 3
    assert "films" not in plain.notes
    assert (members(filmed)[0] != members(plain)[0]).any()


def test_a_folder_without_films_is_refused(tmp_path):
    (tmp_path / "films").mkdir()
    words = ["--films", str(tmp_path / "films"), "-o", str(tmp_path / "made.safetensors")]
    done = CliRunner().invoke(train.main, ["--share", "0.0001", "--members", "1", "--last", "1", *words])
    assert done.exit_code == 2
    assert "has none" in done.output
    (tmp_path / "films" / "a.npz").write_bytes(b"nothing")
    done = CliRunner().invoke(train.main, ["--share", "0.0001", "--members", "1", "--last", "1", *words])
    assert done.exit_code == 2
    assert "holds no films" in done.output
