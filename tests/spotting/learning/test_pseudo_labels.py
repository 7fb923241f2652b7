"""Labels from points: the authors' outputs, the paper's rules, and what holds whatever the points."""

import dataclasses

import numpy as np
import pytest
import torch
from facespot.spotting.intervals import EXPRESSION_TYPES, Point
from facespot.spotting.learning.pseudo_labels import PseudoLabelSettings, pseudo_labels, pseudo_neutral
from golden import golden_cases, load_golden, points_of
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("case", golden_cases("pseudo"))
def test_matches_the_authors(case):
    arrays = load_golden(case)
    reference, epoch = PseudoLabelSettings.reference(), int(arrays["epoch"])
    assert f"stage{reference.stage(epoch)}_" in case
    for b, length in enumerate(arrays["video_len"]):
        intensity = torch.from_numpy(arrays["intensity"][b, :length, 0])
        attention = torch.from_numpy(arrays["attn_feat"][b, :length])
        got = pseudo_labels(intensity, attention, points_of(arrays["frame_label"][b, :length]), epoch, reference)
        np.testing.assert_allclose(got.labels, arrays[f"pseudo_label.{b}"][:, 1:], rtol=1e-5, atol=1e-5)
        if reference.stage(epoch) == 3:
            np.testing.assert_array_equal(got.apex, arrays[f"pseudo_apex.{b}"] == 1)
        else:
            assert got.apex is None


def a_video(n=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, generator=generator), torch.randn(n, 6, generator=generator)


def labels_of(n, points, epoch, seed=0, **changes):
    return pseudo_labels(
        *a_video(n), points, epoch, PseudoLabelSettings(**changes), torch.Generator().manual_seed(seed)
    )


def claimed(labels, column):
    return labels[:, column].nonzero()[:, 0].tolist()


def test_paper_windows_are_symmetric_and_reach_the_last_tick():
    points = [Point(20, "macro"), Point(40, "micro"), Point(59, "micro")]
    first = labels_of(60, points, 0).labels
    assert claimed(first, 0) == list(range(15, 26))
    assert claimed(first, 1) == [*range(37, 44), *range(56, 60)]
    assert set(first.unique().tolist()) == {0.0, 1.0}
    second = labels_of(60, points, 1).labels
    assert claimed(second, 0) == list(range(16, 25))
    assert claimed(second, 1) == [*range(38, 43), *range(57, 60)]
    assert second[20, 0] == second[40, 1] == second[59, 1] == 1.0


def test_stage_three_follows_the_equations():
    n = 90
    intensity = torch.full((n,), 0.1)
    intensity[41:60] = 0.9  # 19 ticks, 17 of them within 16 of the apex
    intensity[43] = 0.95
    attention = torch.zeros(n, 2)
    attention[:, 0] = (torch.arange(n) - 43.0).abs()
    got = pseudo_labels(intensity, attention, [Point(50, "macro")], 60)
    reach = int(1.2 * 19) // 2  # L = 41..59 = 19 ticks
    assert claimed(got.labels, 0) == list(range(43 - reach, 43 + reach + 1))
    distance = attention[43 - reach : 43 + reach + 1, 0] ** 2
    expected = torch.exp(-distance / (2 * distance.mean()))
    torch.testing.assert_close(got.labels[43 - reach : 43 + reach + 1, 0], expected, rtol=1e-5, atol=1e-5)
    assert got.apex.nonzero().tolist() == [[t, 0] for t in range(41, 46)]


def test_threshold_falls_linearly_then_stays():
    rules = PseudoLabelSettings()
    values = [rules.threshold_at(e) for e in range(100)]
    assert values[:6] == [0.8] * 6
    np.testing.assert_allclose(np.diff(values[5:30]), -0.0125)
    assert values[29:] == [0.5] * 71
    short = PseudoLabelSettings(threshold_epochs=6)
    assert [short.threshold_at(e) for e in (0, 4, 5, 6)] == [0.8, 0.8, 0.5, 0.5]


def test_ablations():
    points = [Point(20, "macro"), Point(45, "macro")]
    shapes = {s: labels_of(60, points, 30, strategy=s).labels for s in ("gim", "hard", "cosine", "class_mean")}
    support = (shapes["gim"] > 0).tolist()
    assert all((labels > 0).tolist() == support for labels in shapes.values())
    assert set(shapes["hard"].unique().tolist()) == {0.0, 1.0}
    intensity, attention = a_video()
    got = pseudo_labels(intensity, attention, points[:1], 30, PseudoLabelSettings(strategy="cosine"))
    apex = 12 + int(intensity[12:29].argmax())
    at = torch.tensor(claimed(got.labels, 0))
    cosine = torch.cosine_similarity(attention[at], attention[apex][None])
    torch.testing.assert_close(got.labels[at, 0], cosine.clamp(min=1e-3), rtol=1e-5, atol=1e-5)
    assert got.labels[apex, 0] == pytest.approx(1.0)

    means = torch.ones(2, 6)
    rules = PseudoLabelSettings(strategy="class_mean")
    got = pseudo_labels(intensity, attention, points[:1], 30, rules, class_means=means)
    distance = (attention[at] - 1).square().sum(1)
    torch.testing.assert_close(got.labels[at, 0], torch.exp(-distance / (2 * distance.mean())), rtol=1e-5, atol=1e-5)
    own = pseudo_labels(intensity, attention, points, 30, rules).labels
    given_mean = attention[[20, 45]].mean(0).expand(2, -1)
    generous = pseudo_labels(intensity, attention, points, 30, rules, class_means=given_mean).labels
    assert ((own > 0) == (generous > 0)).all()


def test_general_duration_sets_the_range():
    spans = [len(claimed(labels_of(200, [Point(100, "macro")], 60, duration=(k, 16)).labels, 0)) for k in (16, 32, 48)]
    assert spans[0] < spans[1] < spans[2]


def test_overlap_rules():
    points = [Point(30, "macro"), Point(36, "macro")]
    one, two = (labels_of(60, [p], 60).labels[:, 0] for p in points)
    both = (one > 0) & (two > 0)
    assert both.sum() > 5
    by_rule = {rule: labels_of(60, points, 60, overlap=rule).labels[:, 0] for rule in ("higher", "lower", "later")}
    torch.testing.assert_close(by_rule["higher"], torch.maximum(one, two))
    torch.testing.assert_close(by_rule["lower"][both], torch.minimum(one, two)[both])
    torch.testing.assert_close(by_rule["later"][both], two[both])
    differ = both & (one != two)
    draws = torch.stack([labels_of(60, points, 60, seed=s).labels[:, 0] for s in range(40)])
    assert ((draws == one) | (draws == two))[:, both].all()
    assert 0.35 < (draws == one)[:, differ].float().mean() < 0.65
    torch.testing.assert_close(draws[3], labels_of(60, points, 60, seed=3).labels[:, 0])


def test_classes_keep_separate_tracks():
    together = labels_of(60, [Point(30, "macro"), Point(31, "micro")], 60).labels
    torch.testing.assert_close(together[:, 0], labels_of(60, [Point(30, "macro")], 60).labels[:, 0])
    torch.testing.assert_close(together[:, 1], labels_of(60, [Point(31, "micro")], 60).labels[:, 1])


def test_ranges_from_the_landmarks_are_taken_as_they_are_in_stage_three_alone():
    points = [Point(30, "macro"), Point(50, "micro")]
    extents = {points[0]: (-4, 44), points[1]: (48, 70)}
    intensity, attention = a_video(60)
    rules = PseudoLabelSettings(durations="landmarks")
    got = pseudo_labels(intensity, attention, points, 60, rules, extents=extents)
    assert claimed(got.labels, 0) == list(range(45))
    assert claimed(got.labels, 1) == list(range(48, 60))
    apex = 22 + int(intensity[22:39].argmax())
    assert got.labels[apex, 0] == 1.0
    assert got.apex[apex, 0]
    distance = (attention[:45] - attention[apex]).square().sum(1)
    torch.testing.assert_close(got.labels[:45, 0], torch.exp(-distance / (2 * distance.mean())), rtol=1e-5, atol=1e-5)
    # The pseudo-apex is not looked for beyond the extent.
    close = pseudo_labels(intensity, attention, points[:1], 60, rules, extents={points[0]: (28, 30)}).apex
    assert set(close[:, 0].nonzero()[:, 0].tolist()) <= set(range(26, 33))
    for epoch in (0, 2):
        early = pseudo_labels(intensity, attention, points, epoch, rules, extents=extents)
        assert torch.equal(early.labels, pseudo_labels(intensity, attention, points, epoch).labels)


def test_ticks_that_are_certainly_neutral_are_used_beside_the_lowest():
    intensity, attention = a_video(200)
    certain = torch.zeros(200, dtype=torch.bool)
    certain[100:] = True
    plain = pseudo_labels(intensity, attention, [Point(30, "macro")], 60)
    got = pseudo_labels(intensity, attention, [Point(30, "macro")], 60, neutral=certain)
    assert torch.equal(got.labels, plain.labels)
    assert set(got.neutral.tolist()) == set(plain.neutral.tolist()) | set(range(100, 200))
    # A label is never neutral, whatever one is told.
    got = pseudo_labels(intensity, attention, [Point(105, "macro")], 60, neutral=certain)
    assert (got.labels[got.neutral] == 0).all()


def test_neutral_ticks_are_the_lowest_unlabelled_ones():
    intensity = torch.tensor([0.9, 0.1, 0.5, 0.3, 0.2, 0.0])
    labels = torch.zeros(6, 2)
    labels[5, 0] = labels[0, 1] = 0.2
    assert pseudo_neutral(intensity, labels).tolist() == [1, 4]
    assert pseudo_neutral(intensity, torch.zeros(6, 2)).tolist() == [5]
    assert pseudo_neutral(intensity, torch.ones(6, 2)).tolist() == []


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="tick 60 of a video of 60"):
        labels_of(60, [Point(60, "micro")], 0)
    with pytest.raises(ValueError, match="strategy"):
        PseudoLabelSettings(strategy="soft")
    with pytest.raises(ValueError, match="overlap"):
        PseudoLabelSettings(overlap="first")
    with pytest.raises(ValueError, match="durations"):
        PseudoLabelSettings(durations="guess")
    with pytest.raises(ValueError, match="need the extents"):
        labels_of(60, [Point(30, "micro")], 0, durations="landmarks")
    with pytest.raises(ValueError, match="tick -1"):
        Point(-1, "macro")
    with pytest.raises(ValueError, match="type"):
        Point(1, "neutral")


@st.composite
def videos_with_points(draw):
    n = draw(st.integers(1, 120))
    point = st.builds(Point, st.integers(0, n - 1), st.sampled_from(EXPRESSION_TYPES))
    return n, draw(st.lists(point, max_size=12))


@settings(max_examples=60, deadline=None)
@given(
    videos_with_points(),
    st.sampled_from([0, 1, 4, 5, 20, 99]),
    st.sampled_from(["gim", "hard", "cosine", "class_mean"]),
    st.sampled_from(["random", "higher", "lower", "later"]),
    st.booleans(),
)
def test_one_label_per_tick_and_class_whatever_the_points(video, epoch, strategy, overlap, flat):
    n, points = video
    intensity, attention = a_video(n)
    if flat:  # every tie there can be
        intensity, attention = torch.full_like(intensity, 0.5), torch.zeros_like(attention)
    rules = PseudoLabelSettings(strategy=strategy, overlap=overlap)
    got = pseudo_labels(intensity, attention, points, epoch, rules)
    assert got.labels.shape == (n, 2)
    assert got.labels.isfinite().all()
    assert ((got.labels >= 0) & (got.labels <= 1)).all()
    for column, kind in enumerate(EXPRESSION_TYPES):
        mine = [p.tick for p in points if p.type == kind]
        reach = {1: 5, 2: 4, 3: 8 + 18}[rules.stage(epoch)]
        assert all(min(abs(t - p) for p in mine) <= reach for t in claimed(got.labels, column))
        assert not mine or claimed(got.labels, column)
        if rules.stage(epoch) < 3:
            assert all(got.labels[p, column] > 0 for p in mine)
    assert ((got.labels[got.neutral] == 0).all()) or not len(got.neutral)
    assert got.neutral.tolist() == sorted(set(got.neutral.tolist()))
    # The classes never mix, and a point of one class never changes the other's labels.
    rule = dataclasses.replace(rules, overlap="higher")
    both = pseudo_labels(intensity, attention, points, epoch, rule).labels
    only_macro = pseudo_labels(intensity, attention, [p for p in points if p.type == "macro"], epoch, rule).labels
    assert torch.equal(both[:, 0], only_macro[:, 0])
    assert (only_macro[:, 1] == 0).all()
