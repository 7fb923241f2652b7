"""Tables from anywhere: what their rows mean, what is wrong with them, and how ours are written."""

import csv

import numpy as np
import pytest
from facespot.errors import AnnotationError
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import evaluate
from facespot.spotting.judging.pairing import pair_tables
from facespot.spotting.judging.report import CLASSES, render_subjects
from facespot.spotting.judging.tables import IntervalTable, TableRow, read_table, read_tables, render_megc, render_rows
from facespot.spotting.output.formats import FORMATS, WRITERS, get_writer
from facespot.spotting.result import SpotResult

OURS = "video,type,onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,confidence\n"
BORIS = "Media file name,Behavior,Start (s),Stop (s),Subject\nv1.mp4,macro,1.0,2.0,anna\n"


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_our_own_csv_and_both_submission_formats_mean_the_same(tmp_path):
    ours = written(tmp_path / "a.csv", OURS + "x/v1.mp4,macro,1.000,1.500,2.000,30,45,60,0.8\n")
    assert read_table(ours).rows == (TableRow("x/v1", "", "macro", (1.0, 1.5, 2.0), (30, 45, 60), 0.8),)
    for text in ("vid,pred_onset,pred_offset,type\nv1,30,60,mae\n", "vid;onset;offset;type\nv1;30;60;MaE\n"):
        row = read_table(written(tmp_path / "b.csv", text)).rows[0]
        assert (row.video, row.type, row.seconds, row.frames) == ("v1", "macro", None, (30, None, 60))
        assert row.confidence is None
    with_rate = read_table(tmp_path / "b.csv", fps=30.0).rows[0]
    assert (with_rate.seconds, with_rate.frames) == ((1.0, None, 2.0), (30, None, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,type,onset,offset\nv,smile,1,2\n", r"row 2, column B \(type\): 'smile' is neither"),
        ("video,type,onset,offset\nv,,1,2\n", r"row 2, column B \(type\): is empty"),
        ("video,type,onset,offset\nv,me,1,2\nv,me,x,2\n", r"row 3, column C \(onset\): 'x' is not a frame number"),
        ("video,type,onset,offset\nv,me,1,2\nv,me,1,inf\n", r"row 3, column D \(offset\): 'inf' is not a frame number"),
        ("video,type,onset,offset\nv,me,1,2e10\n", r"row 2, column D \(offset\): '2e10' is not a frame number"),
        ("video,type,onset,offset\nv,me,,\n", r"row 2, column C \(onset\): no onset and offset"),
        ("video,type\nv,me\n", r".*column missing: onset and offset .*the columns are: video, type"),
        ("video,onset,offset\nv,1,2\n", r".*column missing: type .*the columns are: video, onset, offset"),
        ("", r".*column missing: type .*the columns are: none"),
        ('video,"type\nv,me\n' + "v,me\n" * 30, r".*the columns are: video, type v,me v,me[ v,me]+\.\.\.$"),
        ("frame,x,y\n1,2,3\n", r"is this a table of intervals\? column missing: type .*; onset and offset"),
        ("video,type,onset,offset\nv,me,1," + "2" * 200_000 + "\n", r"line 2: field larger than"),
    ],
)
def test_bad_tables_name_file_row_and_column(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=rf"t\.csv(, |: ){message}") as caught:
        read_table(written(tmp_path / "t.csv", text))
    assert "''" not in str(caught.value)


def test_one_inverted_interval_is_named_and_costs_the_others_nothing(tmp_path):
    rows = "v,me,1,2\nv,me,9,5\nv,mae,10,40\n"
    table = read_table(written(tmp_path / "t.csv", "video,type,onset,offset\n" + rows))
    assert [row.frames for row in table.rows] == [(1, None, 2), (10, None, 40)]
    (left_out,) = table.left_out
    assert left_out.endswith("t.csv, row 3, column D (offset): 5 after an onset of 9 is no interval")
    # Rows are counted as a spreadsheet does, also after a line break in quotes.
    quoted = 'video,type,onset,offset\n"a\nb",me,1,2\nv,me,9,5\n'
    assert "row 3" in read_table(written(tmp_path / "q.csv", quoted)).left_out[0]


def test_what_is_no_table_of_ours_is_read_as_annotations_are(tmp_path):
    (row,) = read_table(written(tmp_path / "events.csv", BORIS)).rows
    # Coded in seconds: its milliseconds are no frames of the video.
    assert row == TableRow("v1", "anna", "macro", (1.0, None, 2.0), None)
    with pytest.raises(AnnotationError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(AnnotationError, match=r"none\.eaf"):
        read_table(tmp_path / "none.eaf")


def test_points_have_no_ends_to_judge(tmp_path):
    text = "Media file name,Behavior,Behavior type,Time\nv1.mp4,macro,POINT,1.0\n"
    with pytest.raises(AnnotationError, match="needs onset and offset"):
        read_table(written(tmp_path / "points.csv", text))


def test_a_folder_is_what_spot_wrote_in_it_once(tmp_path):
    written(tmp_path / "out" / "a.spots.csv", OURS + "a.mp4,macro,1.000,1.500,2.000,30,45,60,0.8\n")
    written(tmp_path / "out" / "deep" / "b.spots.csv", OURS)
    written(tmp_path / "out" / "notes.csv", "nothing,of,ours\n")
    table = read_tables([tmp_path / "out"])
    assert [row.video for row in table.rows] == ["a"]
    # Nothing was found in b, which is not the same as nobody having looked.
    assert set(table.videos) == {"a", "b"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match="holds no annotations"):
        read_tables([tmp_path / "empty"])


def test_a_folder_with_several_formats_counts_once_unless_one_was_corrected(tmp_path):
    timebase = Timebase(np.arange(300) / 30.0)
    spots = (Interval(30, 45, 75, "macro", 0.9).on(timebase), Interval(120, 120, 120, "micro").on(timebase))
    result = SpotResult("a.mp4", spots, np.zeros(300), np.zeros(300, np.int32), timebase, 1.0)
    for name in FORMATS:
        get_writer(name).write(result, tmp_path / f"a{WRITERS[name].suffix}")
    assert [row.frames for row in read_tables([tmp_path]).rows] == [(30, 45, 75), (120, 120, 120)]
    corrected = tmp_path / "a.spots.vtt"
    corrected.write_text(corrected.read_text().replace("00:00:02.500", "00:00:02.600"))
    with pytest.raises(AnnotationError, match=r"a\.spots\.csv and a\.spots\.vtt say different things"):
        read_tables([tmp_path])


def test_several_files_are_one_table(tmp_path):
    head = "video,subject,type,onset,offset,fps,frames\n"
    one = written(tmp_path / "1.csv", head + "a,p1,me,1,2,200,900\n")
    two = written(tmp_path / "2.csv", head + "b,p2,me,5,3,200,800\nb,p2,me,3,5,200,800\n")
    table = read_tables([one, two])
    assert [row.video for row in table.rows] == ["a", "b"]
    assert (table.videos["b"].subject, table.videos["b"].fps, table.videos["b"].n_frames) == ("p2", 200, 800)
    assert len(table.left_out) == 1


def test_submissions_hold_frames_in_the_order_of_videos():
    rows = [
        TableRow("v2", "", "micro", None, (5, 6, 9)),
        TableRow("v1", "", "macro", (1.0, 1.2, 2.0), (30, 36, 60)),
    ]
    assert render_megc(rows, "2022") == "vid,pred_onset,pred_offset,type\nv1,30,60,mae\nv2,5,9,me\n"
    assert render_megc(rows, "2023") == "vid,onset,offset,type\nv1,30,60,mae\nv2,5,9,me\n"
    with pytest.raises(AnnotationError, match="counts frames"):
        render_megc([TableRow("v", "", "micro", (1.0, 1.1, 1.2), None)], "2023")


def test_a_name_with_a_comma_comes_back(tmp_path):
    row = TableRow('smith, "j"/v1', "smith, j", "macro", (1.0, 1.5, 2.0), (30, 45, 60), 0.8)
    assert read_table(written(tmp_path / "p.csv", render_rows([row]))).rows == (row,)
    submission = render_megc([row], "2023")
    assert list(csv.reader(submission.splitlines()))[1] == ['smith, "j"/v1', "30", "60", "mae"]


def test_a_german_spreadsheet_of_our_csv_is_the_same_table(tmp_path):
    ours = OURS + "Grün.mp4,macro,1.000,1.500,2.000,30,45,60,0.8\n"
    german = ours.replace(",", ";").replace(".", ",").replace(",mp4", ".mp4")
    (tmp_path / "german.csv").write_bytes(german.encode("cp1252"))
    assert read_table(tmp_path / "german.csv").rows == read_table(written(tmp_path / "ours.csv", ours)).rows


@pytest.mark.parametrize("name", FORMATS)
def test_any_format_is_truth_and_prediction(name, tmp_path):
    timebase = Timebase(np.arange(300) / 30.0)
    intervals = [
        Interval(30, 45, 75, "macro", 0.9),
        Interval(60, 70, 100, "macro", 0.8),
        Interval(120, 123, 129, "micro"),
    ]
    spots = tuple(i.on(timebase) for i in intervals)
    result = SpotResult("clip.mp4", spots, np.zeros(300), np.zeros(300, np.int32), timebase, 1.0)
    paths = []
    for format_name in ("csv", name):
        paths.append(tmp_path / format_name / f"clip{WRITERS[format_name].suffix}")
        paths[-1].parent.mkdir(exist_ok=True)
        get_writer(format_name).write(result, paths[-1])
    for predicted, truth in (paths, paths[::-1]):
        pairing = pair_tables(read_tables([predicted], fps=30.0), read_tables([truth.parent], fps=30.0))
        overall = evaluate(pairing.videos).overall
        assert (overall.tp, overall.fp, overall.fn) == (3, 0, 0)


@pytest.mark.parametrize("name", FORMATS)
def test_a_video_without_expressions_is_known_by_the_name_of_its_file(name, tmp_path):
    timebase = Timebase(np.arange(300) / 30.0)
    result = SpotResult("clip.mp4", (), np.zeros(300), np.zeros(300, np.int32), timebase, 1.0)
    path = tmp_path / f"clip{WRITERS[name].suffix}"
    get_writer(name).write(result, path)
    table = read_tables([tmp_path], fps=30.0)
    assert (table.rows, set(table.videos)) == ((), {"clip"})


def test_a_subject_named_like_a_formula_is_no_formula_in_the_report():
    counts = {"tp": 1, "fp": 0, "fn": 0, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    classes = dict.fromkeys(CLASSES, counts)
    lines = render_subjects({"by_subject": {"=1+1": classes}, "counts": classes}).splitlines()
    assert [line.split(",")[0] for line in lines[1:4]] == ["'=1+1"] * 3


def test_a_table_that_names_no_video_is_of_the_one_that_spot_named_the_file_after(tmp_path):
    text = "onset\tduration\ttrial_type\n1\t0.5\tmacro\n"
    assert read_table(written(tmp_path / "clip_events.tsv", text)).rows[0].video == "clip"
    # Any other name says nothing; such a truth is that of the only predicted video.
    truth = read_table(written(tmp_path / "clip.truth.tsv", text))
    assert not truth.rows[0].video
    predicted = IntervalTable.of([TableRow("x/clip", "", "macro", (1.0, 1.2, 1.5), None)])
    assert evaluate(pair_tables(predicted, truth).videos).overall.tp == 1
