"""The evaluators: ours by hand and by brute force, the authors' against its outputs, and the measures of agreement."""

import itertools
import math
import time

import numpy as np
import pytest
from facespot.spotting.intervals import EXPRESSION_TYPES, Interval
from facespot.spotting.judging.agreement import apex_error, bootstrap_f1, cohen_kappa, f1_over_iou, iou_histogram
from facespot.spotting.judging.metrics import (
    Counts,
    Evaluation,
    VideoIntervals,
    evaluate,
    evaluate_by_subject,
    judge,
    match,
)
from facespot.spotting.reference.decoding import Candidate
from facespot.spotting.reference.metrics import reference_evaluate, reference_evaluation
from golden import golden_cases, load_golden
from hypothesis import given, settings
from hypothesis import strategies as st


def macro(onset, offset, confidence=1.0, apex=None):
    return Interval(onset, onset if apex is None else apex, offset, "macro", confidence)


def micro(onset, offset, confidence=1.0):
    return Interval(onset, onset, offset, "micro", confidence)


@pytest.mark.parametrize("case", golden_cases("eval"))
def test_reference_matches_the_authors(case):
    arrays = load_golden(case)
    truth, predicted = {}, {}
    names = ("video", "onset", "offset", "apex", "class")
    for video, onset, offset, apex, kind in zip(*(arrays[f"gt_{n}"].tolist() for n in names), strict=True):
        truth.setdefault(str(video), []).append(Interval(onset, apex, offset, EXPRESSION_TYPES[kind]))
    names = ("video", "class", "score", "onset", "offset_excl", "apex")
    for video, *rest in zip(*(arrays[f"pred_{n}"].tolist() for n in names), strict=True):
        predicted.setdefault(str(video), []).append(Candidate(*rest))
    counts = reference_evaluate(truth, predicted)
    for c, kind in enumerate(EXPRESSION_TYPES):
        assert counts[kind].tp == arrays["tp"][c]
        assert counts[kind].fp == arrays["fp"][c]
        assert counts[kind].annotated == arrays["gt_count"][c]
        assert counts[kind].apex_error_sum == pytest.approx(arrays["apex_diff_sum"][c], rel=1e-5, abs=1e-5)
    total = reference_evaluation([counts, counts])
    assert total.overall.tp + total.overall.fn == 2 * arrays["gt_count"].sum()


def test_reference_quirks_that_ours_does_not_share():
    truth, predicted = {"a": [micro(10, 17)]}, {"a": [macro(40, 60)]}
    assert reference_evaluation([reference_evaluate(truth, predicted)]).macro.fp == 0
    assert evaluate([VideoIntervals(truth["a"], predicted["a"])]).macro.fp == 1
    # 15 of 30 ticks: a hit when both ends count, not when the annotation loses its last tick.
    truth, predicted = {"a": [macro(0, 14)]}, {"a": [macro(0, 29)]}
    assert reference_evaluation([reference_evaluate(truth, predicted)]).macro.tp == 0
    assert evaluate([VideoIntervals(truth["a"], predicted["a"])]).macro.tp == 1


def test_greedy_matching_loses_a_hit():
    truth = [macro(0, 20), macro(5, 25)]
    predicted = [macro(1, 21, 0.9), macro(0, 14, 0.4)]  # the first fits both annotations, the second one of them
    greedy = reference_evaluation([reference_evaluate({"a": truth}, {"a": predicted})]).macro
    assert (greedy.tp, greedy.fp) == (1, 1)
    assert evaluate([VideoIntervals(truth, predicted)]).macro == Counts(2, 0, 0)


def test_hand_counted_recording():
    recording = VideoIntervals(
        truth=[macro(10, 39), macro(100, 139), micro(200, 209), micro(300, 309)],
        predicted=[
            macro(10, 24),  # IoU 15 / 30: a hit
            macro(12, 39),  # IoU 28 / 30: better, takes the annotation
            macro(100, 118),  # 19 / 40: no hit
            macro(200, 209),  # the other class
            micro(203, 212),  # 7 / 13
        ],
    )
    verdict = judge(recording)
    assert verdict.hits == [(macro(10, 39), macro(12, 39)), (micro(200, 209), micro(203, 212))]
    assert verdict.missed == [macro(100, 139), micro(300, 309)]
    assert verdict.false_alarms == [macro(10, 24), macro(100, 118), macro(200, 209)]
    result = evaluate([recording, VideoIntervals([], [micro(0, 5)])])
    assert result == Evaluation(Counts(1, 3, 1), Counts(1, 1, 1))
    assert result.overall == Counts(2, 4, 2)
    assert (result.overall.precision, result.overall.recall) == (2 / 6, 2 / 4)
    assert result.overall.f1 == pytest.approx(0.4)
    assert Counts().f1 == Counts().precision == Counts().recall == 0.0


def test_unsure_annotations_are_neither_hit_nor_false_alarm():
    recording = VideoIntervals(
        truth=[macro(10, 39)],
        predicted=[macro(10, 39), micro(100, 109), micro(115, 124), micro(116, 125), macro(95, 130)],
        ignored=[macro(100, 119)],
    )
    verdict = judge(recording)
    assert verdict.forgiven == [micro(100, 109), micro(115, 124), macro(95, 130)]
    assert verdict.false_alarms == [micro(116, 125)]
    assert evaluate([recording]) == Evaluation(Counts(1, 0, 0), Counts(0, 1, 0))
    unseen = VideoIntervals(truth=[], predicted=[], ignored=[macro(1, 9)])
    assert evaluate([unseen]) == Evaluation()


@st.composite
def interval_lists(draw, most=5, end=80):
    def one():
        onset, length = draw(st.integers(0, end)), draw(st.integers(0, 40))
        return Interval(onset, onset, onset + length, draw(st.sampled_from(EXPRESSION_TYPES)), draw(st.floats(0, 1)))

    return [one() for _ in range(draw(st.integers(0, most)))]


@given(interval_lists(), interval_lists())
def test_iou_is_symmetric_and_bounded(first, second):
    for a, b in itertools.product(first, second):
        ticks_a, ticks_b = set(range(a.onset, a.offset + 1)), set(range(b.onset, b.offset + 1))
        assert a.iou(b) == b.iou(a) == pytest.approx(len(ticks_a & ticks_b) / len(ticks_a | ticks_b))
        assert 0.0 <= a.iou(b) <= 1.0
        assert (a.iou(b) == 1.0) == (ticks_a == ticks_b)


def brute_force(truth, predicted, iou):
    """The best possible (hits, sum of IoU), by trying every assignment."""

    def best(i, free):
        if i == len(truth):
            return 0, 0.0
        options = [best(i + 1, free)]
        for j in free:
            if truth[i].type == predicted[j].type and truth[i].iou(predicted[j]) >= iou:
                hits, quality = best(i + 1, free - {j})
                options.append((hits + 1, quality + truth[i].iou(predicted[j])))
        return max(options)

    return best(0, frozenset(range(len(predicted))))


@settings(deadline=None)
@given(interval_lists(), interval_lists(), st.sampled_from([0.1, 0.3, 0.5]))
def test_matching_is_one_to_one_and_optimal(truth, predicted, iou):
    pairs = match(truth, predicted, iou)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs) <= min(len(truth), len(predicted))
    assert all(truth[i].type == predicted[j].type and truth[i].iou(predicted[j]) >= iou for i, j in pairs)
    hits, quality = brute_force(truth, predicted, iou)
    assert len(pairs) == hits
    assert sum(truth[i].iou(predicted[j]) for i, j in pairs) == pytest.approx(quality)


@settings(deadline=None)
@given(interval_lists(), interval_lists(), interval_lists(most=2))
def test_every_interval_gets_one_verdict(truth, predicted, ignored):
    verdict = judge(VideoIntervals(truth, predicted, ignored))
    assert sorted([t for t, _ in verdict.hits] + verdict.missed) == sorted(truth)
    assert sorted([p for _, p in verdict.hits] + verdict.false_alarms + verdict.forgiven) == sorted(predicted)
    plain = evaluate([VideoIntervals(truth, predicted)])
    lenient = evaluate([VideoIntervals(truth, predicted, ignored)])
    assert lenient.overall.tp == plain.overall.tp
    assert lenient.overall.fp == plain.overall.fp - len(verdict.forgiven)
    swapped = evaluate([VideoIntervals(predicted, truth)])
    assert (swapped.macro.tp, swapped.macro.fp, swapped.macro.fn) == (plain.macro.tp, plain.macro.fn, plain.macro.fp)


def test_wrong_iou_is_refused():
    with pytest.raises(ValueError, match="IoU"):
        match([], [], 1.5)


def many_recordings(n_videos=200, n_intervals=50, seed=0):
    rng = np.random.default_rng(seed)
    recordings = []
    for v in range(n_videos):
        onsets = np.sort(rng.choice(9000, n_intervals, replace=False))
        truth = [Interval(int(o), int(o) + 5, int(o) + 10, EXPRESSION_TYPES[o % 2]) for o in onsets]
        moved = onsets + rng.integers(0, 9, n_intervals)
        said = [
            Interval(int(m), int(m) + 5, int(m) + 10, EXPRESSION_TYPES[o % 2])
            for m, o in zip(moved, onsets, strict=True)
        ]
        recordings.append(VideoIntervals(truth, said, subject=f"s{v % 20}", n_ticks=9100))
    return recordings


def test_a_large_evaluation_takes_under_two_seconds():
    recordings = many_recordings()
    seconds = []
    for _ in range(3):  # the best of three, as other processes may be busy
        started = time.perf_counter()
        result = evaluate(recordings)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 2.0
    assert result.overall.tp + result.overall.fn == 200 * 50
    assert 0 < result.overall.tp < 200 * 50


def test_counts_by_subject_add_up():
    recordings = many_recordings(9, 6)
    table = evaluate_by_subject(recordings)
    assert list(table) == sorted({r.subject for r in recordings})
    assert sum(table.values(), Evaluation()) == evaluate(recordings)


def test_apex_error():
    recordings = [
        VideoIntervals(
            [macro(0, 19, apex=10), macro(50, 69, apex=60)], [macro(0, 19, apex=13), macro(50, 69, apex=55)]
        ),
        VideoIntervals([macro(0, 9, apex=0)], [macro(30, 39)]),
    ]
    error = apex_error(recordings)
    assert (error.n, error.mean_ticks, error.median_ticks) == (2, 4.0, 4.0)
    assert error.mean_relative == pytest.approx(0.2)
    assert math.isnan(apex_error(recordings[1:]).mean_ticks)


def test_iou_histogram_and_curve():
    recordings = [
        VideoIntervals([macro(0, 9), macro(50, 59), micro(80, 89)], [macro(0, 9), macro(56, 65), macro(80, 89)])
    ]
    counts, edges = iou_histogram(recordings)
    assert edges.tolist() == pytest.approx([i / 10 for i in range(11)])
    assert counts.tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]  # 4 / 16 for the second
    assert iou_histogram([])[0].sum() == 0
    curve = f1_over_iou(recordings, (0.2, 0.3, 1.0))
    assert [e.overall.tp for e in curve.values()] == [2, 1, 1]


def test_kappa_by_hand():
    recordings = [VideoIntervals([macro(0, 49)], [macro(10, 59)], n_ticks=100)]
    observed, chance = 0.8, 0.5 * 0.5 + 0.5 * 0.5
    assert cohen_kappa(recordings) == pytest.approx((observed - chance) / (1 - chance))
    both = [VideoIntervals([macro(0, 9), micro(5, 9)], [macro(0, 9), micro(5, 9)], n_ticks=20)]
    assert cohen_kappa(both) == 1.0
    assert cohen_kappa([VideoIntervals(both[0].truth, [macro(0, 9)], n_ticks=20)]) < 1.0
    unsure = [VideoIntervals([macro(0, 49)], [macro(10, 59)], ignored=[macro(0, 9), macro(50, 59)], n_ticks=100)]
    assert cohen_kappa(unsure) == 1.0
    assert math.isnan(cohen_kappa([VideoIntervals([], [], n_ticks=9)]))
    with pytest.raises(ValueError, match="number of ticks"):
        cohen_kappa([VideoIntervals([], [])])
    with pytest.raises(ValueError, match="tick 59 of a recording of 55"):
        cohen_kappa([VideoIntervals([macro(0, 49)], [macro(10, 59)], n_ticks=55)])


def test_bootstrap_resamples_subjects():
    alike = [VideoIntervals([macro(0, 9), micro(20, 29)], [macro(0, 9)], subject=str(s)) for s in range(8)]
    bounds = bootstrap_f1(alike, samples=200)
    assert bounds == {"macro": (1.0, 1.0), "micro": (0.0, 0.0), "overall": (pytest.approx(2 / 3),) * 2}
    half = [VideoIntervals([macro(0, 9)], [macro(0, 9)] if s % 2 else [], subject=str(s)) for s in range(30)]
    low, high = bootstrap_f1(half, seed=1)["macro"]
    assert low < evaluate(half).macro.f1 < high
    assert (low, high) == bootstrap_f1(half, seed=1)["macro"]
    narrow = bootstrap_f1(half, level=0.5, seed=1)["macro"]
    assert low < narrow[0] < narrow[1] < high
    one_person = [VideoIntervals(r.truth, r.predicted, subject="same") for r in half]
    assert bootstrap_f1(one_person)["macro"] == (pytest.approx(2 / 3),) * 2
    with pytest.raises(ValueError, match="no recording"):
        bootstrap_f1([])
