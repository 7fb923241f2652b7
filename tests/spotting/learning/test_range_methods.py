"""LAC, HR-Pro and TSP-Net: their ranges on curves whose right answer is known, their losses, and the common trainer."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from facespot.models.gim import GIMOutput
from facespot.spotting.datasets.sampling import sample_points
from facespot.spotting.intervals import Point
from facespot.spotting.learning.from_points import train
from facespot.spotting.learning.hr_pro import hr_pro_targets, memory_loss, reliable_proposal
from facespot.spotting.learning.lac import feature_contrast, lac_targets, optimal_sequence
from facespot.spotting.learning.point_methods import (
    Range,
    background_seeds,
    contrast,
    contrasts,
    label_ranges,
    room,
    runs_above,
    seed_loss,
    window_loss,
)
from facespot.spotting.learning.point_videos import pair_points
from facespot.spotting.learning.pseudo_labels import RANGE_METHODS, PseudoLabelSettings, pseudo_labels
from facespot.spotting.learning.range_methods import range_loss, range_targets
from facespot.spotting.learning.tsp_net import centre_labels, salient_range, tsp_net_targets
from small_set import small_records, store_features, tiny

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
DURATION = (32, 16)
OF_RANGES = {"lac": "completeness", "hr_pro": "instances", "tsp_net": "saliency"}


def curve(n, *parts, low=0.1):
    """(n,) of `low`, and of another height from first to last tick."""
    values = np.full(n, low)
    for first, last, height in parts:
        values[first : last + 1] = height
    return values


def both(values):
    """Intensity, and P of macro alone, as tensors."""
    return torch.tensor(values), torch.stack([torch.tensor(values), torch.zeros(len(values))], dim=1)


def ends(ranges):
    return [(r.first, r.last, r.column) for r in ranges]


def test_background_lies_between_points_and_outside_them():
    a = curve(40, (10, 14, 0.9), (25, 29, 0.9), low=0.02)
    seeds = background_seeds(a, [12, 27])
    assert np.array_equal(np.flatnonzero(~seeds), [*range(10, 15), *range(25, 30)])
    # Nothing is sure: the least intense tick between two points, and all beyond one outside them.
    unsure = curve(20, (0, 19, 0.6))
    unsure[[2, 10, 17]] = 0.5
    assert np.flatnonzero(background_seeds(unsure, [5, 14])).tolist() == [0, 1, 2, 10, 17, 18, 19]
    assert background_seeds(unsure, []).all()
    assert room(background_seeds(unsure, [5, 14]), 5, [5, 14], 100) == (3, 9)
    assert room(np.zeros(20, bool), 5, [5, 8], 2) == (3, 7)


def test_contrast_is_the_mean_inside_less_that_of_the_flanks():
    values = curve(30, (10, 17, 0.9))
    assert contrasts(values, np.array([10]), np.array([17])) == pytest.approx(0.8)
    # The flanks of four ticks are a quarter, one tick: half of them lies inside the expression.
    assert contrasts(values, np.array([10]), np.array([13])) == pytest.approx(0.9 - 0.5)
    assert contrasts(values, np.array([5]), np.array([4])) == 0
    rng = np.random.default_rng(0)
    values = rng.random(17)
    for first, last in ((0, 16), (0, 3), (5, 5), (9, 16), (3, 13)):
        same = contrast(torch.tensor(values), first, last)
        assert contrasts(values, first, last) == pytest.approx(float(same))


def test_the_optimal_sequence_is_the_best_of_all_that_there_are():
    rng = np.random.default_rng(1)
    for _ in range(8):
        score, rooms, ticks = rng.random(14), [(1, 5), (7, 12)], [3, 9]
        found = optimal_sequence(score, ticks, rooms)

        def value(sequence, score=score):
            inside = sum(contrasts(score, first, last) for first, last in sequence)
            walls = [-1, *(x for pair in sequence for x in pair), 14]
            between = [(walls[i] + 1, walls[i + 1] - 1) for i in range(0, len(walls), 2)]
            return inside + sum(contrasts(1 - score, first, last) for first, last in between)

        every = product(range(1, 4), range(3, 6), range(7, 10), range(9, 13))
        best = max(value([(a, b), (c, d)]) for a, b, c, d in every)
        assert value(found) == pytest.approx(best)


def test_lac_finds_a_long_expression_whole_where_gim_stops_at_its_longest_range():
    values = curve(200, (40, 109, 0.9), (150, 159, 0.8), low=0.02)
    points = [Point(60, "macro"), Point(155, "macro")]
    intensity, scores = both(values)
    target = lac_targets(intensity, scores, points, DURATION, warm=True)
    assert ends(target.ranges) == [(40, 109, 0), (150, 159, 0)]
    assert target.labels[:, 0].nonzero()[:, 0].tolist() == [*range(40, 110), *range(150, 160)]
    gim = pseudo_labels(intensity, intensity[:, None], points, 50, PseudoLabelSettings(strategy="hard"))
    assert int((gim.labels[:130, 0] > 0).sum()) <= 37
    # Before that only the points count, and what is sure to be background.
    cold = lac_targets(intensity, scores, points, DURATION, warm=False)
    assert cold.ranges == ()
    assert cold.labels[:, 0].nonzero()[:, 0].tolist() == [60, 155]
    assert set(cold.neutral.tolist()) == set(range(200)) - {*range(40, 110), *range(150, 160)}


def test_the_reliable_proposal_has_most_contrast_and_the_salient_one_its_point_in_the_middle():
    # A held expression of ticks 20 to 59, whose second half is a burst; the click is in the middle of all of it.
    points = [Point(40, "macro")]
    values = curve(100, (20, 59, 0.35), (38, 59, 0.95), low=0.03)
    held, burst = contrasts(values, np.array([20, 38]), np.array([59, 59]))
    assert burst > held
    found = reliable_proposal(values, 40, 0, (0, 99))
    assert (found.first, found.last, found.weight) == (38, 59, pytest.approx(burst))
    assert ends([salient_range(values, 40, [40], 0)]) == [(20, 59, 0)]
    # No run is high enough at the point.
    assert reliable_proposal(values, 5, 0, (0, 99)) is None
    assert salient_range(values, 5, [5], 0) is None
    # Ticks of next to no background beside the point are reliable before any proposal is.
    intensity, scores = both(values)
    assert ends(hr_pro_targets(intensity, scores, points, DURATION, False, None).ranges) == [(38, 59, 0)]
    unsure, scores = both(values * 0.9)
    assert ends(hr_pro_targets(unsure, scores, points, DURATION, False, None).ranges) == [(40, 40, 0)]
    assert (38, 59, 0) in ends(hr_pro_targets(unsure, scores, points, DURATION, True, None).ranges)


def test_a_proposal_of_two_points_is_neither_reliable_nor_salient():
    values = curve(60, (10, 39, 0.3), (10, 19, 0.9), (30, 39, 0.9), low=0.0)
    assert (10, 39) in runs_above(values)
    assert ends([salient_range(values, t, [14, 35], 0) for t in (14, 35)]) == [(10, 19, 0), (30, 39, 0)]
    seeds = background_seeds(values, [14, 35])
    found = [reliable_proposal(values, t, 0, room(seeds, t, [14, 35], 100)) for t in (14, 35)]
    assert ends(found) == [(10, 19, 0), (30, 39, 0)]


def test_centre_labels_follow_the_point_and_are_zero_without_one():
    values = curve(60, (10, 20, 0.9), (40, 49, 0.9))
    labels = {(r.first, r.last): r.weight for r in centre_labels(values, [15], 0)}
    assert labels[10, 20] == pytest.approx(1.0)
    assert labels[40, 49] == 0.0
    off = {(r.first, r.last): r.weight for r in centre_labels(values, [12], 0)}
    assert off[10, 20] == pytest.approx(1 - 2 * abs(2.5 / 11 - 0.5))


def test_the_confidence_of_a_proposal_is_drawn_to_its_centre_label():
    values = curve(40, (10, 20, 0.9), (28, 33, 0.9))
    intensity, scores = both(values)
    target = tsp_net_targets(intensity, scores, [Point(15, "macro")], warm=True)
    assert ends(target.ranges) == [(10, 20, 0)]
    a = intensity.clone().requires_grad_()
    ones = torch.stack([torch.ones(40), torch.zeros(40)], dim=1).double()
    output = GIMOutput(torch.zeros(1, 40, 3), torch.zeros(1, 40, 3), a[None], ones[None])
    range_loss(output, [target], "tsp_net")["saliency"].backward()
    assert (a.grad[28:34] > 0).all(), "a proposal without a point is to be less confident"
    assert (a.grad[10:21] < 0).all(), "one with its point in the middle more"


def test_points_and_windows_ask_for_their_class():
    target = label_ranges(20, np.arange(20) > 12, [Point(5, "macro")], [], CPU)
    right, wrong = torch.zeros(20, 2), torch.zeros(20, 2)
    right[4:7, 0], wrong[4:7, 1] = 0.9, 0.9
    a = right.sum(dim=1)
    assert window_loss(right, target) < window_loss(wrong, target)
    assert seed_loss(a, right, target) < seed_loss(a, wrong, target)
    higher = a.clone()
    higher[target.neutral] = 0.3
    assert seed_loss(higher, right, target) > seed_loss(a, right, target), "background seeds are to be low"
    nothing = label_ranges(20, np.ones(20, bool), [], [], CPU)
    assert float(seed_loss(torch.zeros(20), torch.zeros(20, 2), nothing)) == pytest.approx(0, abs=1e-6)


def test_features_of_one_class_are_drawn_together():
    expressions, background = [(0, 4), (10, 14)], [(5, 9), (15, 19)]
    apart = torch.zeros(20, 3)
    apart[:5, 0], apart[10:15, 1], apart[5:10, 2], apart[15:, 2] = 1, 1, 1, 1
    alike = apart.clone()
    alike[10:15] = apart[:5]
    assert feature_contrast(alike, expressions, background) < feature_contrast(apart, expressions, background)
    assert feature_contrast(alike, expressions[:1], background) == 0


def test_reliable_ticks_are_drawn_to_the_memory_of_their_class():
    prototypes = torch.eye(3)[:2]
    features = torch.zeros(20, 3)
    features[:10, 2], features[10:, 0] = 1, 1
    background = np.arange(20) < 10
    near, far = (
        label_ranges(20, background, [Point(12, kind)], [Range(10, 19, column)], CPU, prototypes=prototypes)
        for column, kind in enumerate(("macro", "micro"))
    )
    assert memory_loss(features, near) < 0.01 < 1 < memory_loss(features, far)
    assert memory_loss(features, replace(near, prototypes=None)) == 0


def test_a_point_beyond_the_video_is_refused():
    with pytest.raises(ValueError, match="beyond a video of 10"):
        range_targets(torch.zeros(10), torch.zeros(10, 2), [Point(10, "macro")], 0, PseudoLabelSettings(strategy="lac"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    prepared = store_features(tmp_path_factory.mktemp("features"), subjects=2)
    return pair_points(prepared, sample_points(small_records(2), seed=0))[0]


@pytest.mark.parametrize("strategy", RANGE_METHODS)
def test_a_training_that_was_stopped_ends_with_the_bytes_of_one_that_was_not(videos, strategy, tmp_path):
    class Stop(Exception):
        pass

    def stop(report):
        if report.epoch == 1:
            raise Stop

    recipe = tiny().with_labels(strategy=strategy)
    with pytest.raises(Stop):
        train(videos, recipe, tmp_path / "parts", progress=stop)
    reports = []
    parts = train(videos, recipe, tmp_path / "parts", progress=reports.append)
    assert [report.epoch for report in reports] == [2]
    assert reports[0].terms[OF_RANGES[strategy]] > 0, "the ranges teach"
    assert parts.read_bytes() == train(videos, recipe, tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("options", [{"network": "context"}, {"rules": "release"}])
def test_they_are_for_the_papers_networks_and_rules(options):
    with pytest.raises(ValueError, match="compared on the paper's networks"):
        tiny(labels=PseudoLabelSettings(strategy="lac"), **options)
