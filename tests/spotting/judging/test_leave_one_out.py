"""Judging: tables from anywhere, reports, and leaving subjects out."""

import json
import time
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from facespot.errors import AnnotationError
from facespot.spotting.datasets.records import close_open_offsets, intervals_by_video
from facespot.spotting.intervals import Interval
from facespot.spotting.judging import leave_one_out as protocol
from facespot.spotting.judging.leave_one_out import evaluate_loso
from facespot.spotting.judging.metrics import VideoIntervals, evaluate
from facespot.spotting.judging.report import evaluation_report, render_subjects, report_lines, write_report
from facespot.spotting.judging.tables import TableRow, pair_tables, read_table, render_megc
from facespot.spotting.learning.from_points import PointTrainer
from small_set import small_records, store_features, tiny

pytestmark = pytest.mark.usefixtures("one_thread")
OURS = "video,type,onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,confidence\n"


def written(path, text):
    path.write_text(text)
    return path


# Tables


def test_our_own_csv_and_both_submission_formats_mean_the_same(tmp_path):
    ours = written(tmp_path / "a.csv", OURS + "x/v1.mp4,macro,1.000,1.500,2.000,30,45,60,0.8\n")
    old = written(tmp_path / "b.csv", "vid,pred_onset,pred_offset,type\nv1,30,60,mae\n")
    new = written(tmp_path / "c.csv", "vid;onset;offset;type\nv1;30;60;MaE\n")
    assert read_table(ours)[0] == TableRow("x/v1", "", "macro", (1.0, 1.5, 2.0), (30, 45, 60), 0.8)
    for theirs in (old, new):
        row = read_table(theirs)[0]
        assert (row.video, row.type, row.seconds, row.frames) == ("v1", "macro", None, (30, None, 60))
        recordings, unit = pair_tables(read_table(ours), [row])
        assert unit == "frames"
        assert evaluate(recordings).macro.tp == 1
    recordings, unit = pair_tables(read_table(ours), read_table(new, fps=30.0))
    assert unit == "ticks"
    assert recordings[0].truth == [Interval(30, 45, 60, "macro")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,type,onset,offset\nv,smile,1,2\n", r"row 2, column 'type': 'smile' is neither"),
        ("video,type,onset,offset\nv,me,1,2\nv,me,x,2\n", r"row 3, column 'onset': 'x' is no number"),
        ("video,type,onset,offset\nv,me,5,2\n", r"row 2, column 'offset': 2 after an onset of 5"),
        ("video,type\nv,me\n", r"row 2, column 'onset_frame': no onset and offset"),
    ],
)
def test_bad_tables_name_file_row_and_column(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=rf"t\.csv, {message}"):
        read_table(written(tmp_path / "t.csv", text))


def test_tables_that_cannot_be_compared_say_why(tmp_path):
    seconds = [TableRow("v", "", "macro", (1.0, 1.2, 2.0), None)]
    frames = [TableRow("v", "", "macro", None, (30, 36, 60))]
    with pytest.raises(AnnotationError, match="--fps"):
        pair_tables(seconds, frames)
    with pytest.raises(AnnotationError, match="no video is in both"):
        pair_tables(seconds, [TableRow("w", "", "macro", (1.0, 1.2, 2.0), None)])
    with pytest.raises(AnnotationError, match="no such file"):
        read_table(tmp_path / "none.csv")


def test_unpredicted_and_unannotated_videos_both_count():
    def row(video, subject=""):
        return TableRow(video, subject, "micro", (1.0, 1.1, 1.3), None)

    recordings, _ = pair_tables([row("a/one"), row("two")], [row("one", "p1"), row("three")])
    counts = evaluate(recordings).micro
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 1)
    assert [r.subject for r in recordings] == ["p1", "three", "two"]


def test_a_truth_without_names_belongs_to_the_only_video(tmp_path):
    truth = written(tmp_path / "truth.csv", "onset_s,apex_s,offset_s,type\n1.0,1.2,1.4,micro\n")
    recordings, _ = pair_tables([TableRow("clip", "", "micro", (1.0, 1.2, 1.4), None)], read_table(truth))
    assert evaluate(recordings).micro.tp == 1


def test_the_rate_and_length_of_a_truth_are_used(tmp_path):
    truth = written(tmp_path / "t.csv", "file,fps,frames,onset,apex,offset,type\nv.mp4,60,600,60,-1,120,macro\n")
    recordings, unit = pair_tables([TableRow("v", "", "macro", (1.0, 1.5, 2.0), None)], read_table(truth))
    assert unit == "ticks"
    assert recordings[0].truth == [Interval(30, 45, 60, "macro")]
    assert recordings[0].n_ticks == 301
    assert evaluation_report(recordings)["kappa"] == 1.0


def test_submissions_hold_frames_in_the_order_of_videos():
    rows = [
        TableRow("v2", "", "micro", None, (5, 6, 9)),
        TableRow("v1", "", "macro", (1.0, 1.2, 2.0), (30, 36, 60)),
    ]
    assert render_megc(rows, "2022") == "vid,pred_onset,pred_offset,type\nv1,30,60,mae\nv2,5,9,me\n"
    assert render_megc(rows, "2023") == "vid,onset,offset,type\nv1,30,60,mae\nv2,5,9,me\n"
    with pytest.raises(AnnotationError, match="counts frames"):
        render_megc([TableRow("v", "", "micro", (1.0, 1.1, 1.2), None)], "2023")


# Reports


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
    with pytest.raises(ValueError, match="no recording"):
        evaluation_report([])


def test_nothing_found_has_no_apex_error_and_no_number_that_is_none():
    report = evaluation_report([VideoIntervals([Interval(1, 2, 3, "micro")], [], subject="a")])
    assert report["apex_error"]["mean"] is None
    assert report["kappa"] is None
    json.dumps(report, allow_nan=False)


def test_two_hundred_videos_of_fifty_intervals_take_under_two_seconds_of_processor():
    rng = np.random.default_rng(0)

    def draw():
        onsets = np.sort(rng.choice(9000, 50, replace=False))
        return [Interval(int(o), int(o) + 5, int(o) + 20, "macro" if o % 2 else "micro") for o in onsets]

    recordings = [VideoIntervals(draw(), draw(), subject=str(i % 20), n_ticks=9100) for i in range(200)]
    started = time.process_time()
    evaluate(recordings)
    assert time.process_time() - started < 2


# Leaving subjects out


class Teller(PointTrainer):
    """Writes down whom it was given."""

    seen: ClassVar[list[set[str]]] = []

    def __init__(self, videos, *args, **options):
        Teller.seen.append({v.subject for v in videos})
        super().__init__(videos, *args, **options)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return store_features(tmp_path_factory.mktemp("features")).folder


@pytest.fixture(scope="module")
def whole(features, tmp_path_factory):
    """A complete run with everything, in this process."""
    Teller.seen = []
    output = tmp_path_factory.mktemp("loso")
    records = small_records()
    result = evaluate_loso(
        features, records, tiny("context"), output, oracle=True, watch_every=1, processes=1, trainer=Teller
    )
    return output, result


def test_nobody_is_judged_by_weights_that_saw_them(whole):
    assert Teller.seen == [{"p1", "p2"}, {"p0", "p2"}, {"p0", "p1"}]


def test_loso_judges_every_annotated_video_once_and_writes_it_all(whole):
    output, result = whole
    truth = intervals_by_video(close_open_offsets(small_records()))
    report = result.reports["chosen"]
    counts = report["counts"]["overall"]
    assert counts["tp"] + counts["fn"] == sum(map(len, truth.values()))
    assert counts["tp"] + counts["fp"] == len(result.predicted)
    assert (report["protocol"], report["epoch"]) == ("leave one subject out", "last, fixed in advance")
    assert set(report["by_subject"]) == {"p0", "p1", "p2"}
    assert result.epochs["chosen"] == {"p0": 3, "p1": 3, "p2": 3}
    assert json.loads((output / "report.json").read_text()) == report
    # What was written is judged alike from the file.
    rows = read_table(output / "predictions.csv")
    assert len(rows) == len(result.predicted)


def test_the_oracle_is_reported_beside_and_under_its_name(whole):
    output, result = whole
    oracle = json.loads((output / "oracle_epoch.json").read_text())
    assert "selected on the test data" in oracle["epoch"]
    for subject, number in oracle["epochs"].items():
        best = oracle["by_subject"][subject]["overall"]["f1"]
        assert best >= result.reports["chosen"]["by_subject"][subject]["overall"]["f1"]
        assert 1 <= number <= 3


def test_a_finished_run_is_not_done_again_and_a_broken_one_goes_on(whole, features):
    output, _ = whole
    before = (output / "report.json").read_bytes()
    (output / "folds" / "001" / "epoch-0003.json").unlink()
    Teller.seen = []
    evaluate_loso(
        features, small_records(), tiny("context"), output, oracle=True, watch_every=1, processes=1, trainer=Teller
    )
    # Found finished but incomplete, so begun anew.
    assert Teller.seen == [{"p0", "p2"}] * 2
    assert (output / "report.json").read_bytes() == before
    with pytest.raises(AnnotationError, match="another evaluation"):
        evaluate_loso(features, small_records(), tiny("context"), output, seed=5, processes=1)


class Told(PointTrainer):
    """Is told more than points, as comparisons are."""

    def __init__(self, *args, records, **options):
        super().__init__(*args, **options)


def test_a_fold_of_another_trainer_or_of_one_told_otherwise_is_not_taken_for_this_one(features, tmp_path):
    records, recipe = small_records(), tiny("context", epochs=1)

    def run(trainer):
        return evaluate_loso(features, records, recipe, tmp_path, folds=2, processes=1, trainer=trainer)

    # Far from both ends of the table, where its repr would not show it.
    long = pd.concat([records] * 30, ignore_index=True)
    moved = long.assign(offset=long["offset"] + (long.index == len(long) // 2))
    first = run(partial(Told, records=long))
    for other in (None, Told, Teller, partial(Told, records=moved), partial(Teller, records=long)):
        with pytest.raises(AnnotationError, match="another evaluation"):
            run(other)
    assert run(partial(Told, records=long.copy())).predicted == first.predicted


def test_what_is_bound_to_a_trainer_counts_and_the_order_of_a_mapping_does_not():
    one, two = Interval(1, 2, 3, "micro"), Interval(1, 2, 4, "micro")
    told = protocol._trainer_identity(partial(Told, records={"a": [one], "b": [two]}))
    assert told == protocol._trainer_identity(partial(Told, records={"b": [two], "a": [one]}))
    assert told != protocol._trainer_identity(partial(Told, records={"a": [one], "b": [replace(two, offset=5)]}))
    assert told != protocol._trainer_identity(partial(partial(Told, 1), records={"a": [one], "b": [two]}))


def test_processes_and_their_absence_agree(whole, features, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "usable_cores", lambda: 2)
    seen = []
    evaluate_loso(features, small_records(), tiny("context"), tmp_path, processes=2, progress=seen.append)
    assert sorted(outcome.name for outcome in seen) == ["p0", "p1", "p2"]
    assert (tmp_path / "predictions.csv").read_bytes() == (whole[0] / "predictions.csv").read_bytes()


def test_the_inner_subject_is_neither_trained_on_nor_the_one_judged(features, tmp_path):
    Teller.seen = []
    result = evaluate_loso(
        features,
        small_records(),
        tiny("context", epochs=2),
        tmp_path,
        epoch="validation",
        watch_every=1,
        processes=1,
        trainer=Teller,
    )
    assert [len(seen) for seen in Teller.seen] == [1, 1, 1]
    assert all(subject not in seen for subject, seen in zip(("p0", "p1", "p2"), Teller.seen, strict=True))
    assert "inner subject" in result.reports["chosen"]["epoch"]


def test_groups_of_subjects_are_not_called_loso(features, tmp_path):
    result = evaluate_loso(features, small_records(), tiny("context", epochs=1), tmp_path, folds=2, processes=1)
    assert result.reports["chosen"]["protocol"] == "2 folds of subjects"
    assert set(result.epochs["chosen"]) == {"fold0", "p1"}


def test_one_subject_or_points_only_cannot_be_judged(features, tmp_path):
    records = small_records()
    with pytest.raises(AnnotationError, match="too few"):
        evaluate_loso(features, records[records["subject"] == "p0"], tiny(), tmp_path)
    points = records.assign(onset=None, offset=None).astype({"onset": "Int64", "offset": "Int64"})
    with pytest.raises(AnnotationError, match="ends of every expression"):
        evaluate_loso(features, points, tiny(), tmp_path)
