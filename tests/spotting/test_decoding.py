"""Decoding: the authors' stages, the paper's by hand, and what holds for any curve."""

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from facespot.spotting.decoding import DecodingSettings, decode
from facespot.spotting.intervals import Interval
from facespot.spotting.readers import authors_decoding as reference
from golden import golden_cases, load_golden
from hypothesis import given, settings
from hypothesis import strategies as st

DATASETS = {"CASME2": reference.CAS_ME2, "SAMM": reference.SAMM_LV, "CASME3": reference.CAS_ME3}
FIELDS = {"class": "kind", "score": "score", "onset": "onset", "offset_excl": "offset_excl", "apex": "apex"}


def assert_candidates(found, arrays, prefix):
    fields = dict(FIELDS)
    if f"{prefix}thr_index" in arrays:
        fields["thr_index"] = "threshold_index"
    for theirs, ours in fields.items():
        expected = arrays[prefix + theirs]
        got = np.array([getattr(c, ours) for c in found])
        assert got.shape == expected.shape
        if theirs == "score":
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=prefix + theirs)


def given_candidates(arrays):
    columns = [arrays[f"cand_{name}"].tolist() for name in FIELDS]
    return [reference.Candidate(*row) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("case", [c for c in golden_cases("decode") if "tail" not in c])
def test_reconstructed_scorer(case):
    arrays = load_golden(case)
    assert_candidates(reference.candidates(arrays["intensity"], arrays["apex"]), arrays, "cand_")


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("case", golden_cases("decode"))
def test_stages_match_the_authors(case, dataset):
    arrays, rules = load_golden(case), DATASETS[dataset]
    tail = "tail" in case
    found = given_candidates(arrays) if tail else reference.candidates(arrays["intensity"], arrays["apex"])
    softened = reference.soft_nms(found)
    assert_candidates(softened, {k: v for k, v in arrays.items() if "thr_index" not in k}, f"{dataset}.softnms_")
    gated = reference.gate(softened, rules)
    assert_candidates(gated, arrays, f"{dataset}.gated_")
    final = reference.final_nms(gated, rules)
    assert_candidates(final, arrays, f"{dataset}.final_")
    if not tail:
        whole = reference.decode_reference(arrays["intensity"], arrays["apex"], rules)
        assert [(i.onset, i.apex, i.offset, i.type) for i in whole] == sorted(
            (c.onset, c.apex, c.offset_excl - 1, ("macro", "micro")[c.kind]) for c in final
        )


def bump(n, onset, offset, height=0.9, base=0.05):
    """A curve with a plateau of the given height on onset .. offset."""
    curve = np.full(n, base)
    curve[onset : offset + 1] = height
    return curve


def scores(n, macro=0.0, micro=0.0):
    return np.tile([float(macro), float(micro)], (n, 1))


def test_one_plateau_is_one_interval():
    curve = bump(100, 30, 69)
    curve[50] = 0.95
    (found,) = decode(curve, scores(100, macro=1))
    assert (found.onset, found.apex, found.offset, found.type) == (30, 50, 69, "macro")
    assert found.confidence == pytest.approx((39 * 0.9 + 0.95) / 40 - 0.05)


def test_contrast_by_hand():
    curve = np.array([0.1, 0.1, 0.1, 0.3, 0.9, 0.9, 0.9, 0.9, 0.15, 0.1, 0.1])
    rules = DecodingSettings(thresholds=(0.5,), durations=((1, 99), (1, 99)))
    (found,) = decode(curve, scores(11, micro=1), rules)
    assert (found.onset, found.offset) == (4, 7)  # L = 4, so each flank is one tick
    assert found.confidence == pytest.approx(0.9 - (0.3 + 0.15) / 2)
    (at_the_end,) = decode(curve[:8], scores(8, micro=1), rules)
    assert at_the_end.confidence == pytest.approx(0.9 - 0.3)
    (everything,) = decode(curve[4:8], scores(4, micro=1), rules)
    assert everything.confidence == pytest.approx(0.9)
    weighted = DecodingSettings(thresholds=(0.5,), class_weight=0.1)
    (found,) = decode(curve, scores(11, micro=0.8), weighted)
    assert found.confidence == pytest.approx(0.9 - 0.225 + 0.08)


def test_class_comes_from_the_score_at_the_apex():
    curve = bump(60, 20, 35)
    curve[25] = 0.99
    by_tick = scores(60, macro=1)
    by_tick[25] = [0.4, 0.6]
    assert [i.type for i in decode(curve, by_tick)] == ["micro"]
    by_tick[25] = [0.6, 0.6]
    assert [i.type for i in decode(curve, by_tick)] == ["macro", "micro"]
    by_tick[25] = [0.5, 0.5]
    assert decode(curve, by_tick) == []


def test_a_trough_parts_two_expressions():
    curve = np.full(120, 0.05)
    curve[20:90] = 0.35
    curve[20:50] = curve[60:90] = 0.9
    found = decode(curve, scores(120, macro=1))
    assert [(i.onset, i.offset) for i in found] == [(20, 49), (60, 89)]
    curve[50:60] = 0.5  # shallower than half the peaks
    assert [(i.onset, i.offset) for i in decode(curve, scores(120, macro=1))] == [(20, 89)]
    paper = decode(curve, scores(120, macro=1), DecodingSettings.paper())
    assert [(i.onset, i.offset) for i in paper] == [(20, 49), (20, 89), (60, 89)]


def test_nothing_is_left_inside_another_of_its_class():
    curve = np.full(200, 0.05)
    curve[20:180] = 0.6
    curve[100:120] = 0.75  # inside the long one, with an IoU of 0.125
    nested = decode(curve, scores(200, macro=1), DecodingSettings.paper())
    assert [(i.onset, i.offset) for i in nested] == [(20, 179), (100, 119)]
    assert [(i.onset, i.offset) for i in decode(curve, scores(200, macro=1))] == [(20, 179)]


@pytest.mark.parametrize(("trough", "joined"), [(14, True), (24, True), (25, False)])
def test_a_bridge_joins_onset_and_offset_of_what_is_held_between(trough, joined):
    curve = np.maximum(bump(120, 20, 31), bump(120, 32 + trough, 43 + trough))
    rules = DecodingSettings(bridge=(25, 0))
    found = decode(curve, scores(120, 1, 1), rules)
    humps = [(20, 31, "micro"), (32 + trough, 43 + trough, "micro")]
    whole = [(20, 43 + trough, "macro")] if joined else []
    assert [(i.onset, i.offset, i.type) for i in found] == sorted(whole + humps)
    assert [i.type for i in decode(curve, scores(120, 1, 1))] == ["micro", "micro"]


def test_a_bridge_leads_nowhere_beyond_the_ends_of_a_segment():
    curve = bump(60, 40, 59)
    found = decode(np.r_[curve, curve[::-1]], scores(120, 1), DecodingSettings(bridge=(99, 0)), [(0, 60), (60, 120)])
    assert [(i.onset, i.offset) for i in found] == [(40, 59), (60, 79)]


def test_the_score_may_be_a_mean_around_the_apex():
    curve, by_tick = bump(60, 20, 35), scores(60, macro=0.8)
    curve[25] = 0.99
    by_tick[25] = 0.0
    assert decode(curve, by_tick) == []
    # Of the nine ticks around it, eight have 0.8.
    (found,) = decode(curve, by_tick, DecodingSettings(around=4, class_weight=0.1, flank=0.25))
    inside, flank = curve[20:36].mean(), 0.05
    assert found.confidence == pytest.approx(inside - flank + 0.1 * 0.8 * 8 / 9)


def test_a_bridge_adds_nothing_to_the_contrast():
    curve = np.maximum(bump(120, 20, 31), bump(120, 42, 53))
    (whole,) = decode(curve, scores(120, macro=1), DecodingSettings(bridge=(25, 0)))
    assert whole.confidence == pytest.approx((24 * 0.9 + 10 * 0.05) / 34 - 0.05)


def test_the_higher_score_may_decide_alone():
    curve = bump(60, 20, 35)
    rules = DecodingSettings(exclusive=True)
    for values, expected in (((0.9, 0.6), ["macro"]), ((0.6, 0.9), ["micro"]), ((0.9, 0.9), ["macro", "micro"])):
        assert [i.type for i in decode(curve, scores(60, *values), rules)] == expected
    assert len(decode(curve, scores(60, 0.9, 0.6))) == 2


def test_smoothing_takes_a_flicker_for_what_it_is():
    curve = np.full(80, 0.05)
    curve[20:40:2] = 0.9
    assert decode(curve, scores(80, macro=1)) == []
    (found,) = decode(curve, scores(80, macro=1), DecodingSettings(smoothing=2.0))
    assert abs(found.onset - 20) <= 2
    assert abs(found.offset - 39) <= 2


def test_settings_survive_json():
    rules = DecodingSettings(smoothing=1.0, bridge=(25, 0), around=4, min_confidence=(0.3, 0.4))
    assert DecodingSettings.from_dict(json.loads(json.dumps(asdict(rules)))) == rules
    with pytest.raises(TypeError, match="depth"):
        DecodingSettings.from_dict({"depth": 3})


def test_limits():
    for length, kinds in [(2, []), (3, ["micro"]), (15, ["macro", "micro"]), (18, ["macro"]), (241, [])]:
        found = decode(bump(300, 30, 29 + length), scores(300, 1, 1))
        assert [i.type for i in found] == kinds, length
    confident = DecodingSettings(min_confidence=(0.9, 0.1))
    assert [i.type for i in decode(bump(300, 30, 44), scores(300, 1, 1), confident)] == ["micro"]


def test_no_interval_spans_two_segments():
    curve = bump(100, 20, 79)
    found = decode(curve, scores(100, macro=1), segments=[(0, 40), (40, 60), (63, 100)])
    assert [(i.onset, i.offset) for i in found] == [(20, 39), (40, 59), (63, 79)]
    found = reference.decode_reference(curve, scores(100, macro=1), reference.CAS_ME3, segments=[(0, 40), (63, 100)])
    assert [(i.onset, i.offset) for i in found] == [(20, 39), (63, 79)]


def test_empty_and_wrong_input():
    assert decode(np.zeros(0), np.zeros((0, 2))) == []
    assert decode(np.zeros(10), np.ones((10, 2))) == []
    assert reference.decode_reference(np.zeros(0), np.zeros((0, 2)), reference.SAMM_LV) == []
    with pytest.raises(ValueError, match="shape"):
        decode(np.zeros(10), np.zeros((9, 2)))
    with pytest.raises(ValueError, match="finite"):
        decode(np.full(10, np.nan), np.zeros((10, 2)))
    with pytest.raises(ValueError, match="suppression"):
        DecodingSettings(suppression="soft")
    with pytest.raises(ValueError, match="thresholds"):
        DecodingSettings(thresholds=())
    with pytest.raises(ValueError, match="negative"):
        DecodingSettings(bridge=(25, -1))
    bridging = DecodingSettings(smoothing=1.0, bridge=(25, 25), around=4)
    assert decode(np.zeros(0), np.zeros((0, 2)), bridging) == []
    assert decode(np.zeros(2), np.ones((2, 2)), bridging) == []


@st.composite
def curves(draw):
    n = draw(st.integers(1, 150))
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    width = draw(st.integers(1, 20))
    curve = np.convolve(rng.random(n + width - 1), np.ones(width) / width, mode="valid")
    if draw(st.booleans()):
        curve = curve.round(1)  # plateaus and values on the thresholds
    curve = np.clip((curve - 0.5) * draw(st.floats(0.1, 6)) + 0.5, 0, 1)
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=4)))
    bounds = [0, *cuts, n]
    segments = [(a, b) for a, b in pairwise(bounds) if b > a]
    keep = [s for s in segments if draw(st.booleans())]
    return curve.astype(np.float32), rng.random((n, 2)).astype(np.float32), keep


@settings(max_examples=80, deadline=None)
@given(
    curves(),
    st.sampled_from(
        [DecodingSettings(), DecodingSettings.paper(), DecodingSettings(class_weight=0.2), *DATASETS.values()]
    ),
)
def test_intervals_are_valid_sorted_and_inside_a_segment(video, rules):
    curve, class_scores, segments = video
    decoder = decode if isinstance(rules, DecodingSettings) else reference.decode_reference
    found = decoder(curve, class_scores, rules, segments)
    assert found == sorted(found)
    assert len(set(found)) == len(found)
    for interval in found:
        assert isinstance(interval, Interval)
        assert 0 <= interval.onset <= interval.apex <= interval.offset < len(curve)
        assert any(a <= interval.onset and interval.offset < b for a, b in segments)
        inside = curve[interval.onset : interval.offset + 1]
        assert inside.min() > 0.2 - 1e-6
        assert curve[interval.apex] == inside.max()
        assert class_scores[interval.apex, ("macro", "micro").index(interval.type)] > 0.5
    if isinstance(rules, DecodingSettings):
        for kind, (shortest, longest) in zip(("macro", "micro"), rules.durations, strict=True):
            mine = [i for i in found if i.type == kind]
            assert all(shortest <= i.n_ticks <= longest for i in mine)
            assert all(a.iou(b) <= 0.5 for a in mine for b in mine if a is not b)


def test_reconstructed_scorer_ignores_a_lone_first_tick():
    curve = np.full(10, 0.1, dtype=np.float32)
    curve[0] = 0.25
    assert reference.candidates(curve, np.ones((10, 2))) == []
    curve[5] = 0.25
    assert [c.onset for c in reference.candidates(curve, np.ones((10, 2)))] == [0, 5, 0, 5]
