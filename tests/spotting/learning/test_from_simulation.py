"""Supervised learning from simulated truth: targets, loss, a short training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from facespot.errors import WeightsError
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS
from facespot.models.context import ContextConfig, ContextOutput
from facespot.spotting.learning.from_simulation import SupervisedRecipe, interval_loss, make_targets, train_supervised
from facespot.spotting.simulation.corpus import ClipBatch
from facespot.spotting.simulation.stage import Event

SMALL = ContextConfig(width=16, dilations=(1, 2, 4))
LONG, SHORT = Event(5, 15, 44, "macro", 0.2), Event(20, 24, 29, "micro", 0.03)


@pytest.fixture(scope="module")
def targets():
    intensity = np.zeros((2, 50))
    intensity[0, 5:45] = 0.5
    speaking = np.zeros((2, 50), bool)
    speaking[1, 30:] = True
    return make_targets([[LONG, SHORT], []], intensity, speaking)


def perfect(targets, wrong=0.0):
    """What a network that knows the truth would say; `wrong` ticks too many at either end."""
    sure = 30.0
    return ContextOutput(
        torch.logit(targets.intensity),
        sure * (2 * targets.classes - 1),
        targets.reach + wrong,
        torch.full_like(targets.inside, sure),
        sure * (2 * targets.speaking - 1),
    )


def test_where_expressions_overlap_the_shorter_has_the_ticks(targets):
    assert targets.classes[0, 10].tolist() == [1, 0]
    assert targets.classes[0, 20].tolist() == targets.classes[0, 29].tolist() == [0, 1]
    assert targets.classes[0, 30].tolist() == [1, 0]
    assert targets.reach[0, 19].tolist() == [14, 25]
    assert targets.reach[0, 20].tolist() == [0, 9]
    assert targets.reach[0, 29].tolist() == [9, 0]
    assert targets.reach[0, 30].tolist() == [25, 14]


def test_ticks_outside_expressions_are_zero_and_count_in_full(targets):
    outside = torch.ones(50, dtype=torch.bool)
    outside[5:45] = False
    assert not targets.inside[0, outside].any()
    assert targets.inside[0, ~outside].all()
    assert not targets.classes[0, outside].any()
    assert (targets.weight[0, outside] == 1).all()
    assert not targets.inside[1].any()


def test_ends_count_less_than_middles(targets):
    assert (targets.weight[0, 5:11] < 0.5).all()
    assert (targets.weight[0, 39:45] < 0.5).all()
    assert (targets.weight[0, 11:20] == 1).all()
    # The short one's ends lie inside the long one.
    assert targets.weight[0, 20] < 0.5
    assert targets.weight[0, 24] == 1


def test_clips_are_picked_in_order(targets):
    picked = targets.pick(np.array([1, 0, 0]))
    assert picked.inside.sum(dim=1).tolist() == [0, 40, 40]
    assert torch.equal(picked.reach[2], targets.reach[0])


def test_the_truth_costs_nothing(targets):
    terms = interval_loss(perfect(targets), targets)
    assert terms.keys() == {"class", "reach", "intensity", "quality", "speaking"}
    assert all(0 <= float(term) < 1e-6 for term in terms.values())


def test_every_mistake_costs_in_its_own_term(targets):
    off = interval_loss(perfect(targets, wrong=3.0), targets)
    assert off["reach"] > 0.05
    assert off["quality"] < 1e-6  # not exact, and yet a hit
    assert interval_loss(perfect(targets, wrong=30.0), targets)["quality"] > 1.0  # sure of one that is none
    assert float(off["class"]) == pytest.approx(0, abs=1e-6)
    right = perfect(targets)
    deaf = replace(right, speaking=-right.speaking)
    assert interval_loss(deaf, targets)["speaking"] > 1.0
    assert "speaking" not in interval_loss(replace(right, speaking=None), targets)
    swapped = ContextOutput(right.intensity, right.class_scores.flip(-1), right.reach, right.quality)
    assert interval_loss(swapped, targets)["class"] > 1.0
    dull = ContextOutput(torch.full_like(right.intensity, -30.0), right.class_scores, right.reach, right.quality)
    assert float(interval_loss(dull, targets)["intensity"]) == pytest.approx(0.25 * 40 / 100, rel=1e-4)


def small_corpus():
    """Sixteen clips in which brows rise and fall, told by flow and landmarks alike."""
    rng = np.random.default_rng(0)
    n, ticks = 16, 48
    corpus = ClipBatch(
        rng.normal(0, 0.002, (n, ticks, 17, 10, 2)).astype(np.float16),
        rng.normal(0, 0.002, (n, ticks, len(GEOMETRY_CHANNELS))).astype(np.float16),
        np.zeros((n, ticks), np.float16),
        [],
        np.zeros((n, ticks), bool),
    )
    for row in range(n):
        onset = int(rng.integers(4, 16))
        offset = onset + int(rng.integers(8, 28))
        span = slice(onset, offset + 1)
        corpus.intensity[row, span] = 1
        corpus.geometry[row, span, 1:12:2] -= 0.1
        corpus.snippets[row, span, 9:, :6, 1] -= 0.05
        kind = "micro" if offset - onset < 15 else "macro"
        corpus.events.append([Event(onset, onset + 3, offset, kind, 0.1)])
    return {ticks: corpus}


def run(steps, seed=0, **recipe):
    recipe = SupervisedRecipe(steps=steps, ticks_per_step=384, warmup_steps=5, average=0.9, **recipe)
    return list(train_supervised(small_corpus(), SMALL, recipe, seed))


def test_training_lowers_the_loss():
    reports = run(140)
    assert [step for step, _, _ in reports] == list(range(1, 141))
    first, last = (
        {name: np.mean([terms[name] for _, terms, _ in part]) for name in reports[0][1]}
        for part in (reports[:5], reports[-5:])
    )
    assert last["class"] < 0.5 * first["class"]
    assert last["reach"] < 0.95 * first["reach"]
    assert last["intensity"] < 0.5 * first["intensity"]


def test_the_same_seed_gives_the_same_network():
    one, two, other = (run(5, seed)[-1][2].state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["head.0.weight"], other["head.0.weight"])


def test_reports_are_means_also_for_the_rest_at_the_end():
    # Nothing is learnt and nothing varies, so every report must say the same.
    recipe = SupervisedRecipe(steps=201, ticks_per_step=16, rate=0.0, warmup_steps=0, flow_dropout=0, gain=0, noise=0)
    flat = ClipBatch(
        np.zeros((1, 4, 17, 10, 2), np.float16),
        np.zeros((1, 4, len(GEOMETRY_CHANNELS)), np.float16),
        np.zeros((1, 4), np.float16),
        [[]],
        np.zeros((1, 4), bool),
    )
    config = ContextConfig(width=4, dilations=(1,), dropout=0.0)
    reports = list(train_supervised({4: flat}, config, recipe, seed=0))
    assert [step for step, _, _ in reports] == [*range(2, 201, 2), 201]
    assert reports[-1][1]["class"] == pytest.approx(reports[0][1]["class"], rel=0.05)
    assert reports[-1][1]["intensity"] == pytest.approx(reports[0][1]["intensity"], rel=0.05)


def test_an_interrupted_training_goes_on_and_ends_with_the_same_network(tmp_path):
    recipe = SupervisedRecipe(steps=6, ticks_per_step=400, warmup_steps=2)
    corpus, state = small_corpus(), tmp_path / "training.pt"
    whole = list(train_supervised(corpus, SMALL, recipe, 0))
    begun = train_supervised(corpus, SMALL, recipe, 0, state=state)
    assert [next(begun)[0] for _ in range(4)] == [1, 2, 3, 4]
    begun.close()
    torch.manual_seed(99)  # whoever goes on has other random numbers
    rest = list(train_supervised(corpus, SMALL, recipe, 0, state=state))
    assert [step for step, _, _ in rest] == [4, 5, 6]
    assert [terms for _, terms, _ in rest] == [terms for _, terms, _ in whole[3:]]
    for one, other in zip(whole[-1][2].state_dict().values(), rest[-1][2].state_dict().values(), strict=True):
        assert torch.equal(one, other)
    # A finished one only tells its end; another seed's is refused.
    assert [step for step, _, _ in train_supervised(corpus, SMALL, recipe, 0, state=state)] == [6]
    with pytest.raises(WeightsError, match="another folder"):
        list(train_supervised(corpus, SMALL, recipe, 1, state=state))
