"""Quiet clips in which networks see an expression."""

import numpy as np
import pytest
import torch
from facespot.models.context import ContextConfig, ContextSpotter
from facespot.spotting.learning import hard_negatives
from facespot.spotting.learning.hard_negatives import mine_quiet_clips
from facespot.spotting.simulation.corpus import clip_of, film_quiet_clip
from facespot.spotting.voting import VotingSettings

SMALL = ContextConfig(width=8, dilations=(1, 2))
# What weights report has no say: something is seen from half of the votes on.
VOTING = VotingSettings(min_confidence=(0.9, 0.1))


def states(bias, number=2):
    """Tensors of networks whose class scores have this logit everywhere, whatever they read."""
    made = []
    for seed in range(number):
        torch.manual_seed(seed)
        net = ContextSpotter(SMALL)
        with torch.no_grad():
            last = net.head[-1]
            for tick in range(2):
                at = slice(tick * SMALL.outputs + 1, tick * SMALL.outputs + 3)
                last.weight[at], last.bias[at] = 0.0, bias
        made.append({name: tensor.numpy() for name, tensor in net.state_dict().items()})
    return made


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(hard_negatives, "_TICKS", (72, 120))


def test_clips_in_which_something_is_seen_are_kept_and_others_not():
    found = mine_quiet_clips(SMALL, states(0.0), VOTING, 4, 5, 1)
    assert {ticks: len(batch) for ticks, batch in found.items()} == {72: 2, 120: 2}
    for ticks, batch in found.items():
        assert batch.events == [[], []]
        for i in range(2):
            snippets, geometry, intensity, _, speaking = clip_of(*film_quiet_clip(ticks, (5, ticks, i, 1)))
            assert np.array_equal(batch.snippets[i], snippets.astype(np.float16))
            assert np.array_equal(batch.geometry[i], geometry.astype(np.float16))
            assert np.array_equal(batch.intensity[i], intensity.astype(np.float16))
            assert np.array_equal(batch.speaking[i], speaking)
    assert mine_quiet_clips(SMALL, states(-3.0), VOTING, 4, 5, 1) == {}


def test_the_networks_are_asked_together():
    # Each alone is above the limit, or below it; their mean decides.
    calm, sure = states(-3.0, 1), states(3.0, 1)
    assert mine_quiet_clips(SMALL, [*calm, *sure], VOTING, 2, 5, 1).keys() == {72, 120}
    assert mine_quiet_clips(SMALL, [*calm, *calm, *calm, *calm, *sure], VOTING, 2, 5, 1) == {}


def test_the_number_of_workers_changes_nothing(monkeypatch):
    monkeypatch.setattr(hard_negatives, "_PART", 1)
    one, two = (mine_quiet_clips(SMALL, states(0.0), VOTING, 4, 6, workers) for workers in (1, 2))
    assert all(np.array_equal(one[ticks].snippets, two[ticks].snippets) for ticks in (72, 120))


def test_in_quiet_clips_nothing_is_an_expression_and_some_talk():
    performances = [film_quiet_clip(120, (7, 120, i))[0] for i in range(12)]
    assert not any(p.events for p in performances)
    talking = [p.speaking.any() for p in performances]
    assert any(talking)
    assert not all(talking)
