"""The geometry baseline, and the scoring of annotated clips."""

import dataclasses

import facespot.benchmarks.ablations as ablations
import facespot.benchmarks.confidence as confidence
import facespot.benchmarks.real_clips as real_clips
import facespot.benchmarks.tuning as tuning
import facespot.benchmarks.twins as twins
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from facespot.benchmarks.geometry_baseline import spot_by_geometry
from facespot.errors import NoFaceError
from facespot.spotting.datasets.records import make_records
from facespot.spotting.datasets.sampling import sample_points
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import Counts, VideoIntervals
from facespot.spotting.learning.from_points import PointTrainer
from facespot.spotting.learning.point_videos import Window, pair_points
from facespot.spotting.simulation.anatomy import draw_person, roi_means
from facespot.spotting.simulation.corpus import simulate_corpus
from facespot.spotting.simulation.timeline import perform
from facespot.spotting.simulation.twins import simulate_twins
from facespot.spotting.spotter import Spotter
from scipy.ndimage import maximum_filter1d
from simulated import features_of, film
from small_set import tiny


@pytest.mark.parametrize(("offset", "kind"), [(150, "macro"), (112, "micro")])
def test_the_baseline_finds_a_large_expression_and_nothing_else(offset, kind):
    for seed in range(3):
        _, seen = film(300, seed, amplitude=0.5, onset=100, offset=offset)
        (found,) = spot_by_geometry(features_of(seen))
        assert found.type == kind
        assert found.iou(Interval(100, 100, offset, kind)) > 0.5


def test_the_baseline_says_nothing_of_a_still_face():
    for seed in range(3):
        assert spot_by_geometry(features_of(film(150, seed)[1])) == []


def test_the_baseline_keeps_segments_apart():
    _, seen = film(300, 0, amplitude=0.5, onset=100, offset=150)
    segment = np.zeros(300, np.int32)
    segment[125:] = 1
    found = spot_by_geometry(features_of(seen, segment))
    assert all(interval.offset < 125 or interval.onset >= 125 for interval in found)
    assert any(interval.offset == 124 for interval in found)


@pytest.fixture
def clips(tmp_path, monkeypatch):
    (tmp_path / "annotations.csv").write_text(
        "file,clip,fps,frames,onset,apex,offset,type,confidence\n"
        "a.mp4,a,30,150,10,15,39,macro,high\n"
        "a.mp4,a,30,150,100,105,200,macro,low\n"
        "b.mp4,b,30,150,,,,none,\n"
        "c.mp4,c,30,60,,,,none,\n"
    )
    (tmp_path / "distractors.csv").write_text("clip,start,end,note\nb,30,60,blink\nb,100,600,turn\nb,400,600,cut\n")
    features = features_of(film(150, 0)[1])

    def extract(path, cache):
        if path.name == "c.mp4":
            raise NoFaceError("nobody")
        return dataclasses.replace(features)

    monkeypatch.setattr(real_clips, "extract_features", extract)
    return real_clips.load_clips(tmp_path, None)


def test_annotations_are_read_onto_the_clock(clips):
    a, b, c = clips
    assert a.truth == [Interval(10, 15, 39, "macro")]
    assert a.ignored == [Interval(100, 105, 149, "macro")]
    assert b.truth == b.ignored == []
    assert b.distractors == [(30, 60, "blink"), (100, 149, "turn"), (149, 149, "cut")]
    assert (b.seconds, c.seconds) == (5.0, 2.0)
    assert c.features is None


def test_alarms_are_counted_and_explained(clips, capsys):
    spotted = {
        "a": [Interval(10, 20, 40, "macro"), Interval(120, 130, 140, "macro"), Interval(20, 25, 33, "micro", 0.8)],
        "b": [Interval(55, 58, 64, "micro", 0.9), Interval(90, 95, 99, "micro", 0.75)],
        "c": [],
    }
    total, alarms = real_clips.report(clips, spotted, rows=True)
    assert total.macro == Counts(1, 0, 0)
    assert total.micro == Counts(0, 3, 0)
    assert alarms == pytest.approx(60 * 2 / 7)
    printed = capsys.readouterr().out
    assert "false micro 55-64 (0.90): blink" in printed
    assert "false micro 90-99 (0.75): nothing noted" in printed
    assert "false micro 20-33 (0.80): part of macro 10-39 (IoU 0.47)" in printed
    assert "overall F1 0.400 (TP 1 FP 3 FN 0)" in real_clips.summary("x", total, alarms)


def test_clips_that_all_have_expressions_give_no_rate_of_alarms(clips):
    assert real_clips.report(clips[:1], {"a": []}, rows=False)[1] == 0.0


def test_talking_is_judged_by_the_notes(clips):
    a, b, _ = clips
    a = dataclasses.replace(a, distractors=[(0, 49, "Speech"), (40, 59, "speech, blink"), (100, 120, "blink")])
    told = np.zeros(150)
    told[50:80] = 0.9
    assert real_clips.judge_speaking([a], {"a": told}) == (10 / 30, 10 / 60)
    assert real_clips.judge_speaking([a, b], {"a": told, "b": told}) == (10 / 60, 10 / 60)
    assert real_clips.judge_speaking([a, b], {}) == (0, 0)


def judged(rng, n, truth):
    """n intervals with votes from 0.2 to 1 that are hits as often as `truth` says."""
    votes = rng.uniform(0.2, 1, n)
    return np.column_stack([votes, rng.random(n) < truth(votes)])


def test_a_table_says_how_often_what_is_reported_is_a_hit():
    rng = np.random.default_rng(0)
    table = confidence.reliability(judged(rng, 4000, lambda v: v))
    assert sum(n for _, n, _, _ in table) == 4000
    assert all(abs(mean - hits) < 0.08 for _, n, mean, hits in table if n > 150)
    truth = [Interval(10, 15, 40, "macro")]
    found = [Interval(12, 15, 41, "macro", 0.9), Interval(60, 62, 80, "macro", 0.3), Interval(10, 12, 20, "micro", 0.5)]
    assert confidence.confidence_and_hits([VideoIntervals(truth, found)], "macro").tolist() == [[0.9, 1], [0.3, 0]]


def test_the_least_confidence_is_half_of_the_best_mean_f1():
    truth = [Interval(10, 15, 40, "macro"), Interval(100, 105, 140, "macro")]
    found = [
        Interval(10, 15, 40, "macro", 0.9),
        Interval(100, 105, 140, "macro", 0.71),
        Interval(50, 55, 80, "macro", 0.5),
    ]
    recording = VideoIntervals(truth, found)
    # The best is 1, between a false alarm at 0.5 and a hit at 0.71.
    assert confidence.least_confidence([[recording]], "macro", [], 10.0) == (0.5, 0.8, 1.0, 0.0)
    # A source in which 0.6 is a false alarm counts as much as the other, though its recording is alone.
    alarm = VideoIntervals([truth[0]], [found[0], Interval(50, 55, 80, "macro", 0.6)])
    sources = [[recording] * 3, [alarm]]
    assert confidence.least_confidence(sources, "macro", [], 10.0) == (0.5, pytest.approx(11 / 15), 1.0, 0.0)
    # Where more is missed the best is lower, and so is half of it.
    missing = VideoIntervals([*truth, Interval(200, 210, 240, "macro")], found)
    assert confidence.least_confidence([[missing]], "macro", [], 10.0) == (0.4, 2 / 3, 0.8, 0.0)
    # Of what is a third as common, as confident a one is less probable: half of the best F1 lies higher.
    rare = confidence.least_confidence([[missing]], "macro", [], 10.0, 1 / 3)
    best = 4 / 3 / (4 / 3 + 1 / 3)
    assert rare[2] == pytest.approx(best)
    assert rare[0] == pytest.approx(np.ceil(50 * best / (best + (2 - best) / 3)) / 50)
    assert rare[0] / (rare[0] + 3 * (1 - rare[0])) == pytest.approx(best / 2, abs=0.02)
    assert confidence.micro_a_macro([[recording], [VideoIntervals([Interval(1, 2, 9, "micro")], [])]]) == 1.0
    # Ten minutes of a face at rest with eight false alarms: half of one a minute is as much as there may be.
    alarms = [Interval(40 * i, 40 * i + 9, 40 * i + 30, "macro", 0.7 + 0.03 * i) for i in range(8)]
    quiet = [VideoIntervals([], alarms)]
    assert confidence.least_confidence([[recording]], "macro", quiet, 10.0) == (0.78, 2 / 3, 1.0, 0.5)
    assert confidence.least_confidence([[recording]], "micro", quiet, 10.0)[3] == 0.0
    rows = confidence.confidence_and_hits([recording], "macro")
    assert rows.tolist() == [[0.9, 1], [0.71, 1], [0.5, 0]]
    assert confidence.confidence_and_hits([recording], "micro").shape == (0, 2)


def test_the_spread_of_types_is_found_again():
    rng = np.random.default_rng(3)
    ticks = rng.integers(5, 30, 4000)
    micro = rng.random(4000) < 1 / (1 + np.exp((ticks - 15.5) / 1.7))
    assert confidence.fit_spread(np.column_stack([ticks, micro])) == pytest.approx(1.7, abs=0.2)
    truth = [Interval(10, 12, 24, "micro"), Interval(100, 105, 140, "macro")]
    found = [Interval(10, 12, 25, "macro", 0.9), Interval(101, 105, 140, "macro"), Interval(60, 62, 70, "micro")]
    seen = confidence.lengths_and_types([VideoIntervals(truth, found), VideoIntervals([], found)])
    assert seen.tolist() == [[16, 1], [40, 0]]


def test_points_are_drawn_on_the_clips_that_the_other_variants_learn_from():
    corpus = simulate_corpus(12, 5)
    videos = iter(ablations.point_clips(12, 5))
    n_points = 0
    for batch in corpus.values():
        for snippets, events in zip(batch.snippets, batch.events, strict=True):
            video = next(videos)
            assert np.array_equal(video.features.snippets, snippets)
            n_points += len(video.points)
            assert len(video.points) <= len(events)
            for point in video.points:
                assert any(e.onset <= point.tick <= e.offset and e.type == point.type for e in events)
    assert n_points > 5


@pytest.fixture
def sheet(monkeypatch):
    keys = ("dataset", "subject", "video", "onset", "apex", "offset", "type", "aus", "fps")
    rows = [("own", s, f"{s}_1", on, on + 8, on + 30, "macro", (), 30.0) for s in ("p1", "p2") for on in (60, 130)]
    records = make_records(dict(zip(keys, row, strict=True)) for row in rows)
    monkeypatch.setattr(twins, "read_annotations", lambda path: records)
    return records


def test_the_fully_supervised_arm_is_told_the_ends_and_nothing_else_changes(sheet, tmp_path):
    made = simulate_twins(sheet, tmp_path / "features", tail_s=2.0)
    recipe, trainer = twins._arm("full", tiny("context"), "own", sheet, made)
    assert recipe == tiny("context")
    videos, _ = pair_points(made, sample_points(sheet, 0))
    full, plain = trainer(videos, recipe), PointTrainer(videos, recipe)
    for before, after in zip(plain.learner.networks.parameters(), full.learner.networks.parameters(), strict=True):
        assert torch.equal(before, after)
    window = Window(full._segments[0], 50, 150, False)
    answer = full.learner.answer(0, [window], torch.device("cpu"))
    targets = full._targets(0, answer, 0, window, 0, torch.Generator())
    inside = [*range(60 - 50, 91 - 50), *range(130 - 50, 100)]
    assert targets.labels[:, 0].nonzero()[:, 0].tolist() == inside
    assert sorted([*targets.neutral.tolist(), *inside]) == list(range(100))
    _, other = twins._arm(twins.AUW_GCN, tiny("context"), "own", sheet, made)
    assert other.keywords["records"].equals(sheet)


def test_arms_on_a_twin_are_judged_and_kept(sheet, tmp_path):
    words = ["any.xlsx", tmp_path, "--folds", 2, "--epochs", 1, "--width", 8, "--window", 96]
    first, again = (
        CliRunner().invoke(twins.main, [str(w) for w in (*words, "--seeds", 0, "--arms", arms)], catch_exceptions=False)
        for arms in ("own,full", "own,full,gim")
    )
    rows = [[line for line in done.output.splitlines() if line.startswith("| ")] for done in (first, again)]
    assert [line.split(" | ")[0] for line in rows[1]] == ["| arm", "| own", "| full", "| gim"]
    assert rows[1][:3] == rows[0]


def test_weights_that_have_seen_nothing_of_a_twin_are_judged_on_all_of_it(sheet, tmp_path):
    made = simulate_twins(sheet, tmp_path / "features", tail_s=2.0)
    row = twins._row(twins.UNTUNED, 0, report := twins._judge(Spotter.load(device="cpu"), sheet, made))
    counts = report["counts"]["overall"]
    assert counts["tp"] + counts["fn"] == len(sheet)
    assert row["f1"][2] == counts["f1"] > 0.3


@pytest.mark.parametrize("style", tuning.STYLES)
def test_twenty_clicks_are_twenty_and_leave_no_expression_out(style):
    videos = tuning.click_apexes(0, style, 7)
    assert sum(len(video.points) for video in videos) == 7
    for number, video in enumerate(videos):
        truth = tuning.record((0, 2, number), style)[1]
        seen = [i for i in truth if i.onset < video.features.timebase.n_ticks]
        assert [p.tick for p in video.points] == sorted(i.apex for i in seen)
        assert len(video.features.snippets) == len(video.features.landmarks) == video.features.timebase.n_ticks


def test_a_style_changes_the_movements_and_not_the_expressions():
    for style in ("synkinesis", "tremor"):
        person, rng = draw_person(np.random.default_rng(0)), np.random.default_rng(1)
        performance = perform(person, 300, rng, busy=0.3)
        before, events = performance.displacement.copy(), list(performance.events)
        {"synkinesis": tuning.synkinesis, "tremor": tuning.tremor}[style](person, performance, rng)
        moved = np.linalg.norm(roi_means(performance.displacement - before)[..., :2], axis=-1).max(axis=1)
        assert performance.events == events
        assert moved.max() > 0.01
        if style == "synkinesis":
            open_eyes = maximum_filter1d(performance.blink, 11) == 0
            assert moved[open_eyes].max() < 1e-6 < 0.05 < moved[performance.blink > 0.9].max()
    strange = tuning.turned(person, 90.0)
    field, other = person.fields["AU12", "left"], strange.fields["AU12", "left"]
    assert np.allclose(other[:, 0], -field[:, 1])
    assert np.allclose(other[:, 1], field[:, 0])
