"""Tables from anywhere: what their rows mean, what is wrong with them, and how ours are written."""

import csv

import pytest
from facespot.errors import AnnotationError
from facespot.spotting.judging.tables import TableRow, read_table, read_tables, render_megc, render_rows

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
        ("video,type,onset,offset\nv,smile,1,2\n", r"row 2, column 'type': 'smile' is neither"),
        ("video,type,onset,offset\nv,,1,2\n", r"row 2, column 'type': no type"),
        ("video,type,onset,offset\nv,me,1,2\nv,me,x,2\n", r"row 3, column 'onset': 'x' is no number"),
        ("video,type,onset,offset\nv,me,1,2\nv,me,1,inf\n", r"row 3, column 'offset': 'inf' is no possible number"),
        ("video,type,onset,offset\nv,me,,\n", r"row 2, column 'onset': no onset and offset"),
        ("video,type\nv,me\n", r".*column missing: onset and offset .*the columns are: video, type"),
        ("video,onset,offset\nv,1,2\n", r".*column missing: type .*the columns are: video, onset, offset"),
        ("", r".*column missing: type .*the columns are: none"),
        ("frame,x,y\n1,2,3\n", r"is this a table of intervals\? column missing: type .*; onset and offset"),
        ("video,type,onset,offset\nv,me,1," + "2" * 200_000 + "\n", r"row 2: field larger than"),
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
    assert left_out.endswith("t.csv, row 3, column 'offset': 5 after an onset of 9 is no interval")
    # A quoted line break moves the rows below.
    quoted = 'video,type,onset,offset\n"a\nb",me,1,2\nv,me,9,5\n'
    assert "row 4" in read_table(written(tmp_path / "q.csv", quoted)).left_out[0]


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
    # The same again in another format, and something else.
    written(tmp_path / "out" / "a.spots.json", "{}")
    written(tmp_path / "out" / "notes.csv", "nothing,of,ours\n")
    table = read_tables([tmp_path / "out"])
    assert [row.video for row in table.rows] == ["a"]
    # Nothing was found in b, which is not the same as nobody having looked.
    assert set(table.videos) == {"a", "b"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match="holds no table of intervals"):
        read_tables([tmp_path / "empty"])


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
