"""Reports of an evaluation: what they hold and how they are written."""

import json
import time

import numpy as np
import pytest
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import VideoIntervals, evaluate
from facespot.spotting.judging.report import evaluation_report, render_subjects, report_lines, write_report


def test_a_report_adds_up_and_is_json(tmp_path):
    hit, miss = Interval(10, 20, 40, "macro"), Interval(100, 104, 110, "micro")
    wrong = Interval(200, 210, 230, "macro")
    recordings = [
        VideoIntervals([hit, miss], [Interval(12, 22, 40, "macro"), wrong], subject="a", n_ticks=300),
        VideoIntervals([], [], subject="b", n_ticks=300),
    ]
    report = evaluation_report(recordings)
    assert report["counts"]["macro"] == {"tp": 1, "fp": 1, "fn": 0, "precision": 0.5, "recall": 1.0, "f1": 2 / 3}
    assert report["counts"]["overall"]["fn"] == 1
    assert report["apex_error"] == {"hits": 1, "mean": 2.0, "median": 2.0, "mean_relative": pytest.approx(2 / 31)}
    assert sum(report["iou_histogram"]["counts"]) == 2
    assert 0 < report["kappa"] < 1
    table = write_report(report, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert table.read_text() == render_subjects(report)
    assert table.read_text().splitlines()[1] == "a,macro,1,1,0,0.5000,1.0000,0.6667"
    assert table.read_text().splitlines()[-1].startswith("all,overall,1,1,1,")
    assert any("overall" in line and "0.5000" in line for line in report_lines(report))
    with pytest.raises(ValueError, match="no video"):
        evaluation_report([])


def test_nothing_found_has_no_apex_error_and_no_number_that_is_none():
    report = evaluation_report([VideoIntervals([Interval(1, 2, 3, "micro")], [], subject="a")])
    assert report["apex_error"]["mean"] is None
    assert report["kappa"] is None
    json.dumps(report, allow_nan=False)


def test_agreement_is_over_the_videos_of_known_length_and_says_so():
    said = [Interval(10, 20, 40, "macro")]
    videos = [VideoIntervals(said, said, subject="a", n_ticks=100), VideoIntervals(said, [], subject="b")]
    report = evaluation_report(videos, "frames")
    assert (report["kappa"], report["kappa_videos"]) == (1.0, 1)
    assert "Cohen's kappa per frame, over 1 of 2 videos: 1.0000" in report_lines(report)
    assert "Cohen's kappa per frame: 1.0000" in report_lines(evaluation_report(videos[:1], "frames"))


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (VideoIntervals([Interval(10, 20, 40, "macro")], [], n_ticks=40), "ends at tick 40 of a video of 40"),
        (VideoIntervals([], [Interval(10, 20, 40.5, "macro")]), "no whole ticks"),
    ],
)
def test_what_has_no_metric_is_refused_before_any_is_computed(video, message):
    with pytest.raises(ValueError, match=f"video 1: .*{message}"):
        evaluation_report([VideoIntervals([], []), video])


def test_two_hundred_videos_of_fifty_intervals_take_under_two_seconds_of_processor():
    rng = np.random.default_rng(0)

    def draw():
        onsets = np.sort(rng.choice(9000, 50, replace=False))
        return [Interval(int(o), int(o) + 5, int(o) + 20, "macro" if o % 2 else "micro") for o in onsets]

    recordings = [VideoIntervals(draw(), draw(), subject=str(i % 20), n_ticks=9100) for i in range(200)]
    started = time.process_time()
    evaluate(recordings)
    assert time.process_time() - started < 2
