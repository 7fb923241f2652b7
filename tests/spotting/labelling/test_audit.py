"""Audits: the cut, the sample, and estimates that are right on average and honest about their width."""

import numpy as np
import pytest
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import Counts, Evaluation, VideoIntervals, evaluate
from facespot.spotting.labelling.audit import (
    Stretch,
    cut,
    describe,
    draw_stretches,
    estimate,
    judge_stretch,
    reviewing_ticks,
)


def random_intervals(rng: np.random.Generator, n_ticks: int, n: int) -> list[Interval]:
    made = []
    for onset in rng.integers(0, n_ticks - 80, n):
        length = int(rng.integers(5, 70))
        made.append(Interval(int(onset), int(onset) + length // 2, int(onset) + length, rng.choice(["macro", "micro"])))
    return made


def near(rng: np.random.Generator, truth: list[Interval], n_ticks: int) -> list[Interval]:
    """Most of the truth, its ends moved, and something else."""
    found = random_intervals(rng, n_ticks, 6)
    for t in truth:
        if rng.random() < 0.7:
            onset = max(0, t.onset + int(rng.integers(-12, 13)))
            offset = min(n_ticks - 1, max(onset, t.offset + int(rng.integers(-12, 13))))
            found.append(Interval(onset, (onset + offset) // 2, offset, t.type))
    return found


def test_cut_covers_everything_once_and_leaves_predictions_whole():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(100, 5000))
        predicted = random_intervals(rng, n, int(rng.integers(0, 20)))
        pieces = cut(n, predicted)
        assert [p[0] for p in pieces] == [0, *(p[1] for p in pieces[:-1])]
        assert pieces[-1][1] == n
        assert all(end - start >= min(150, n) for start, end in pieces)
        for p in predicted:
            assert sum(start <= p.onset and p.offset < end for start, end in pieces) == 1


def test_stretches_add_up_to_whole_recordings():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(60):
        n = 4000
        truth = random_intervals(rng, n, 25)
        predicted = near(rng, truth, n)
        stretches = draw_stretches([(n, predicted)], 10_000, rng)
        assert {s.probability for s in stretches} == {1.0}
        parts = sum((judge_stretch(s, truth, predicted) for s in stretches), Evaluation())
        assert parts == evaluate([VideoIntervals(truth, predicted)])
        hits += parts.overall.tp
    assert hits > 300


def test_a_hit_at_exactly_half_beside_a_border_stays_together():
    predicted = [Interval(200, 250, 299, "macro")]
    truth = [Interval(200, 300, 399, "macro")]  # IoU 1/2; its middle is the tick after the prediction
    stretches = draw_stretches([(900, predicted)], 100, np.random.default_rng(0), length=300)
    assert sum((judge_stretch(s, truth, predicted) for s in stretches), Evaluation()).macro == Counts(tp=1)


def test_sample_takes_half_around_detections_and_knows_its_probabilities():
    predicted = [Interval(t, t + 5, t + 10, "micro") for t in range(300, 6000, 600)]
    recordings = [(9000, predicted), (9000, [])]
    drawn = draw_stretches(recordings, 12, np.random.default_rng(3))
    assert len({(s.recording, s.start) for s in drawn}) == 12
    by_stratum = {name: [s for s in drawn if s.stratum == name] for name in ("detected", "rest")}
    assert {name: len(found) for name, found in by_stratum.items()} == {"detected": 6, "rest": 6}
    assert {s.probability for s in by_stratum["detected"]} == {6 / 10}
    assert {s.probability for s in by_stratum["rest"]} == {6 / 50}
    assert all(any(s.holds(p) for p in predicted) == (s.stratum == "detected") for s in drawn if s.recording == 0)
    # In random order: whoever stops early has watched a random sample too.
    assert [s.stratum for s in drawn] != sorted(s.stratum for s in drawn)
    with pytest.raises(ValueError, match="cannot stand for"):
        draw_stretches(recordings, 1, np.random.default_rng(3))


def test_every_stretch_is_drawn_as_often_as_its_probability_says():
    predicted = [Interval(t, t + 5, t + 10, "micro") for t in range(300, 3000, 600)]
    rng = np.random.default_rng(4)
    seen: dict[tuple[int, float], int] = {}
    for _ in range(2000):
        for s in draw_stretches([(6000, predicted)], 6, rng):
            seen[s.start, s.probability] = seen.get((s.start, s.probability), 0) + 1
    assert len(seen) == 20
    for (_, probability), times in seen.items():
        assert times / 2000 == pytest.approx(probability, abs=0.05)


def population(rng: np.random.Generator, n: int, events: float, recall: float, precision: float) -> dict[str, list]:
    """(tp, fp, fn) of n stretches: clustered events, some of them found, and false alarms."""
    strata: dict[str, list] = {"detected": [], "rest": []}
    for _ in range(n):
        true = rng.poisson(events * rng.gamma(1.0))
        tp = rng.binomial(true, recall)
        fp = rng.poisson(events * recall * (1 - precision) / precision)
        strata["detected" if tp + fp else "rest"].append((int(tp), int(fp), int(true - tp)))
    return strata


def sampled(rng: np.random.Generator, strata: dict[str, list], n: int) -> tuple[list[Stretch], dict[int, Evaluation]]:
    stretches, counts = [], {}
    from_rest = min(len(strata["rest"]), max(n // 2, n - len(strata["detected"])))
    for name, size in (("detected", min(len(strata["detected"]), n - from_rest)), ("rest", from_rest)):
        for i in rng.choice(len(strata[name]), size, replace=False):
            counts[len(stretches)] = Evaluation(macro=Counts(*strata[name][i]))
            stretches.append(Stretch(0, 0, 1, name, size / len(strata[name])))
    return stretches, counts


def true_ratios(strata: dict[str, list]) -> dict[str, float]:
    tp, fp, fn = np.sum(strata["detected"] + strata["rest"], axis=0)
    return {"precision": tp / (tp + fp), "recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn)}


@pytest.mark.parametrize(
    ("n", "events", "recall", "precision", "watched"),
    [(200, 0.3, 0.5, 0.6, 40), (60, 0.5, 0.5, 0.6, 20), (200, 0.3, 0.9, 0.9, 20), (60, 1.5, 0.6, 0.5, 12)],
)
def test_estimates_are_right_on_average_and_cover_at_about_the_nominal_rate(n, events, recall, precision, watched):
    rng = np.random.default_rng(5)
    covered, errors = {}, {}
    for repetition in range(150):
        if repetition % 15 == 0:
            strata = population(rng, n, events, recall, precision)
            truth = true_ratios(strata)
        scores = estimate(*sampled(rng, strata, watched), samples=600, seed=repetition).scores["overall"]
        for name, value in truth.items():
            covered.setdefault(name, []).append(scores[name].low <= value <= scores[name].high)
            errors.setdefault(name, []).append(scores[name].value - value)
    for name in truth:
        assert abs(np.mean(errors[name])) < 0.05, name
        # 0.95 less what 150 repetitions and very few stretches cost
        assert np.mean(covered[name]) >= 0.87, name
        assert np.mean(np.abs(errors[name])) > 0.01, name


def test_watching_everything_leaves_no_doubt():
    strata = population(np.random.default_rng(6), 40, 0.5, 0.6, 0.7)
    stretches, counts = sampled(np.random.default_rng(7), strata, 40)
    for name, value in true_ratios(strata).items():
        score = estimate(stretches, counts).scores["overall"][name]
        assert (score.value, score.low, score.high) == pytest.approx((value, value, value))


def test_an_audit_that_met_no_miss_is_not_certain():
    stretches = [Stretch(0, i, i + 1, "detected", 0.2) for i in range(5)]
    stretches += [Stretch(0, 9 + i, 10 + i, "rest", 0.1) for i in range(5)]
    counts = {i: Evaluation(macro=Counts(tp=int(i < 5))) for i in range(10)}
    recall = estimate(stretches, counts).scores["overall"]["recall"]
    assert recall.value == 1.0
    assert recall.low < 0.8
    assert recall.high == 1.0


def test_unwatched_stretches_weigh_on_the_watched_ones():
    stretches = [Stretch(0, i, i + 1, "detected", 0.5) for i in range(4)]
    stretches += [Stretch(0, 9 + i, 10 + i, "rest", 0.1) for i in range(4)]
    counts = {0: Evaluation(macro=Counts(tp=2)), 4: Evaluation(macro=Counts(fn=1)), 5: Evaluation()}
    result = estimate(stretches, counts)
    # Of 8 stretches with detections one was seen, of 40 others two: 16 hits, 20 misses.
    assert result.scores["overall"]["recall"].value == pytest.approx(16 / 36)
    assert (result.stretches, result.drawn) == (3, 8)
    with pytest.raises(ValueError, match="'rest'"):
        estimate(stretches, {0: Evaluation()})


def test_words_say_what_is_saved_and_nothing_where_there_is_nothing():
    stretches = [Stretch(0, 0, 300, "detected", 1.0), Stretch(0, 300, 600, "rest", 1.0)]
    seen = {0: Evaluation(micro=Counts(tp=1)), 1: Evaluation(micro=Counts(fn=1))}
    text = describe(estimate(stretches, seen), 20.0, 20.0, 5.0)
    assert "75 % of the watching is saved" in text
    assert "About 50 in 100 of the expressions" in text
    (macro,) = [line for line in text.splitlines() if line.startswith("macro")]
    assert macro.split() == ["macro", "-", "-", "-"]
    nothing = describe(estimate(stretches, {0: Evaluation(), 1: Evaluation()}), 20.0, 20.0, 0.0)
    assert "No expression was seen" in nothing
    assert reviewing_ticks(600, [Interval(100, 105, 109, "micro"), Interval(0, 0, 9, "macro")]) == 70 + 40
