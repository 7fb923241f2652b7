"""Votes of ticks become intervals."""

import json
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from facespot.spotting.confidence import LEAST_VOTES, ConfidenceModel
from facespot.spotting.voting import MICRO_TICKS, VotingSettings, vote
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

N = 60
unit = st.floats(0, 1, width=32)
curves = st.tuples(
    arrays(np.float32, N, elements=unit),
    arrays(np.float32, (N, 2), elements=st.floats(0, 160, width=32)),
    arrays(np.float32, N, elements=unit),
)
cuts = st.lists(st.integers(0, N), max_size=6, unique=True).map(sorted)


def segments_of(cut):
    return list(zip(cut[:-1:2], cut[1::2], strict=False))


def clean(n, events, height=0.9):
    """Curves as a perfect network would give them for events (onset, offset), apexes in their middles."""
    scores, reach, intensity = np.full(n, 0.01), np.zeros((n, 2)), np.zeros(n)
    for onset, offset in events:
        ticks = np.arange(onset, offset + 1)
        scores[ticks] = height
        reach[ticks] = np.column_stack([ticks - onset, offset - ticks])
        intensity[ticks] = 1 - np.abs(ticks - (onset + offset) / 2) / len(ticks)
    return scores, reach, intensity


@settings(max_examples=40, deadline=None)
@given(curves, cuts, unit)
def test_intervals_are_sorted_and_stay_in_their_segment(curve, cut, confidence):
    segments = segments_of(cut)
    found = vote(*curve, segments, VotingSettings(min_confidence=(confidence, confidence)))
    assert found == sorted(found)
    for interval in found:
        assert any(a <= interval.onset and interval.offset < b for a, b in segments)
        assert interval.confidence >= confidence
        assert interval.n_ticks >= 4
        assert (interval.type == "micro") == (interval.n_ticks <= MICRO_TICKS)
        inside = curve[2][interval.onset : interval.offset + 1]
        assert curve[2][interval.apex] == inside.max()


@settings(max_examples=40, deadline=None)
@given(curves, unit, unit)
def test_asking_for_more_confidence_only_drops_intervals(curve, one, other):
    low, high = sorted([one, other])
    many = vote(*curve, [(0, N)], VotingSettings(min_confidence=(low, low)))
    few = vote(*curve, [(0, N)], VotingSettings(min_confidence=(high, high)))
    assert few == [interval for interval in many if interval.confidence >= high]


@settings(max_examples=30, deadline=None)
@given(curves, st.integers(1, N - 1))
def test_segments_are_judged_apart(curve, cut):
    def alone(start, stop):
        return [
            (i.onset + start, i.apex + start, i.offset + start, i.type)
            for i in vote(*(c[start:stop] for c in curve), [(0, stop - start)])
        ]

    together = [(i.onset, i.apex, i.offset, i.type) for i in vote(*curve, [(0, cut), (cut, N)])]
    assert together == alone(0, cut) + alone(cut, N)


def test_clean_votes_part_two_expressions_that_touch():
    events = [(10, 40), (41, 52), (53, 100)]
    found = vote(*clean(120, events), [(0, 120)])
    assert [(i.onset, i.offset) for i in found] == events
    assert [i.apex for i in found] == [25, 46, 76]
    assert [i.type for i in found] == ["macro", "micro", "macro"]
    assert all(0.89 < i.confidence < 0.91 for i in found)


def test_expressions_of_half_a_second_are_the_longest_micro_ones():
    for length, kind in ((15, "micro"), (16, "macro")):
        assert [i.type for i in vote(*clean(60, [(20, 19 + length)]), [(0, 60)])] == [kind]


def test_noisy_ends_are_averaged():
    rng = np.random.default_rng(0)
    scores, reach, intensity = clean(120, [(30, 80)])
    reach = np.maximum(reach + rng.normal(0, 4, reach.shape), 0)
    (found,) = vote(scores, reach, intensity, [(0, 120)])
    assert abs(found.onset - 30) <= 1
    assert abs(found.offset - 80) <= 1


def test_weak_and_very_short_ones_are_left_out():
    assert vote(*clean(60, [(20, 40)], height=0.49), [(0, 60)]) == []
    assert len(vote(*clean(60, [(20, 40)], height=0.51), [(0, 60)])) == 1
    assert vote(*clean(60, [(20, 22)]), [(0, 60)]) == []
    assert vote(*clean(60, [(20, 40)]), []) == []


def test_no_confidence_asked_for_ends_and_finds_what_there_is():
    scores, reach, intensity = clean(60, [(20, 40)], height=0.1)
    scores[scores < 0.05] = 0.0
    found = vote(scores, reach, intensity, [(0, 60)], VotingSettings(min_confidence=(0.0, 0.0)))
    assert [(i.onset, i.offset) for i in found] == [(20, 40)]


def model(macro, micro):
    """Confidence by the logarithm of the odds of the votes, and how strong another one nearby is."""
    weights = tuple((bias, 1.0, beside, 0.0, 0.0, 0.0) for bias, beside in (macro, micro))
    return ConfidenceModel((0.0, 0.0), (1.0, 1.0), weights)


def test_confidences_are_what_the_model_makes_of_votes():
    curves = clean(200, [(20, 60), (100, 110)], height=0.6)
    settings = VotingSettings(min_confidence=(0.1, 0.1), confidence=model((-1, 0), (1, 0)))
    found = vote(*curves, [(0, 200)], settings)
    odds = 1.5 * np.exp([-1, 1])
    assert [i.type for i in found] == ["macro", "micro"]
    assert [i.confidence for i in found] == pytest.approx(odds / (1 + odds))
    found = vote(*curves, [(0, 200)], replace(settings, min_confidence=(0.5, 0.5)))
    assert [i.type for i in found] == ["micro"]


def test_what_is_not_reported_counts_for_what_is_beside_it():
    weak, strong = clean(400, [(20, 60)], height=0.3), clean(400, [(100, 140)], height=0.8)
    both = [np.maximum(a, b) for a, b in zip(weak, strong, strict=True)]
    settings = VotingSettings(min_confidence=(0.6, 0.6), confidence=model((0, 1), (0, 1)))
    (alone,), (beside,) = vote(*strong, [(0, 400)], settings), vote(*both, [(0, 400)], settings)
    assert alone.confidence == pytest.approx(0.8)
    assert beside.confidence == pytest.approx(1 / (1 + np.exp(-np.log(4) - 0.3)))
    # Not across a cut.
    (cut,) = vote(*both, [(0, 80), (80, 400)], settings)
    assert cut.confidence == pytest.approx(0.8)


def test_settings_survive_a_checkpoint():
    settings = VotingSettings(min_confidence=(0.5, 0.4), confidence=model((-1, 0), (1, 0)))
    assert VotingSettings.from_dict(json.loads(json.dumps(asdict(settings)))) == settings
    assert settings.least_votes() == LEAST_VOTES
    assert VotingSettings(min_confidence=(0.5, 0.4)).least_votes() == 0.4
    with pytest.raises(TypeError):
        VotingSettings.from_dict({"min_confidence": (0.5, 0.5), "min_certainty": 0.5})


def test_near_the_half_second_the_type_is_open():
    settings = VotingSettings.from_dict({"min_confidence": (0.5, 0.5), "type_spread": 2.0})
    chances = [settings.micro_probability(n) for n in (4, 15, 16, 30)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.99 > 0.01 > chances[3]
    assert 0.5 < chances[1] < 0.6
    assert chances[1] + chances[2] == pytest.approx(1)
    assert VotingSettings().micro_probability(15) is None


def test_each_type_has_its_own_least_confidence():
    scores, reach, intensity = clean(200, [(20, 60), (100, 110)], height=0.6)
    least = {(0.5, 0.5): ["macro", "micro"], (0.7, 0.5): ["micro"], (0.5, 0.7): ["macro"], (0.7, 0.7): []}
    for confidence, kinds in least.items():
        found = vote(scores, reach, intensity, [(0, 200)], VotingSettings(min_confidence=confidence))
        assert [i.type for i in found] == kinds


def test_time_grows_with_the_length_and_not_with_its_square():
    def seconds(n):
        rng = np.random.default_rng(0)
        reach = np.minimum(rng.exponential(15, (n, 2)), 100)
        curves = rng.random(n), reach, rng.random(n)
        start = time.process_time()
        assert len(vote(*curves, [(0, n)], VotingSettings(min_confidence=(0.05, 0.05)))) > n / 100
        return time.process_time() - start

    short, long = (min(seconds(n) for _ in range(2)) for n in (6_000, 96_000))
    assert long < 48 * short  # 16 times as long; its square would be 256 times
