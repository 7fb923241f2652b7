"""One's own labels: lists of timestamps, ELAN and BORIS files, and what is wrong with them."""

import pandas as pd
import pytest
from facespot.errors import AnnotationError
from facespot.spotting.datasets.own import read_own
from facespot.spotting.datasets.sampling import sample_points


def own_list(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestOwn:
    def test_seconds(self, tmp_path):
        path = own_list(tmp_path / "points.csv", "video,time_s,type", "anna/day1.mp4,12.345,macro", "ben.avi,0,ME")
        records = read_own(path)
        assert list(records["video"]) == ["anna/day1", "ben"]
        assert list(records["apex"] / records["fps"]) == [12.345, 0.0]
        assert records["onset"].isna().all()
        assert records["offset"].isna().all()
        assert list(records["type"]) == ["macro", "micro"]
        assert list(records["subject"]) == ["anna/day1", "ben"]
        points = sample_points(records, seed=3)
        assert list(points["time_s"]) == [12.345, 0.0]

    def test_frames_need_a_rate(self, tmp_path):
        path = own_list(tmp_path / "points.csv", "subject;video;frame;type", "A;a.mp4;50;micro", "B;b.mp4;60;macro")
        with pytest.raises(AnnotationError, match="frame rate of 'a' must be given"):
            read_own(path)
        assert list(read_own(path, 25.0)["fps"]) == [25.0, 25.0]
        records = read_own(path, {"a": 25.0, "b": 50.0})
        assert list(records["fps"]) == [25.0, 50.0]
        assert list(records["subject"]) == ["A", "B"]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("a.mp4,soon,macro", ["row 3", "column B (time)", "'soon'"]),
            ("a.mp4,-1,macro", ["row 3", "column B", "before the video begins"]),
            ("a.mp4,1,smile", ["row 3", "column C (type)", "'smile'"]),
            (",1,macro", ["row 3", "column A (video)", "empty"]),
            ("a.mp4,inf,macro", ["row 3", "column B"]),
        ],
    )
    def test_errors(self, tmp_path, line, words):
        path = own_list(tmp_path / "points.csv", "video,time_s,type", "a.mp4,1,macro", line)
        with pytest.raises(AnnotationError) as caught:
            read_own(path)
        assert all(word in str(caught.value) for word in ["points.csv", *words]), str(caught.value)

    def test_elan_problems(self, tmp_path):
        text = (
            '<ANNOTATION_DOCUMENT xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd"><TIME_ORDER>'
            '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>'
            '<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="100"/></TIME_ORDER><TIER TIER_ID="{tier}"><ANNOTATION>'
            '<ALIGNABLE_ANNOTATION ANNOTATION_ID="n1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">'
            "<ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
        )
        path = own_list(tmp_path / "x.eaf", text.format(tier="micro"))
        with pytest.raises(AnnotationError, match=r"x\.eaf.*'n1'.*offset 100 ms is before the onset 500"):
            read_own(path)
        with pytest.raises(AnnotationError, match="no annotation says macro or micro"):
            read_own(own_list(path, text.format(tier="speech")))
        for damaged in ("<nothing", '<?xml version="1.0" encoding="klingon"?><a/>', '<?xml encoding="utf-7"?>', "<a/>"):
            with pytest.raises(AnnotationError, match="not an ELAN file"):
                read_own(own_list(path, damaged))

    def test_boris_tabular(self, tmp_path):
        path = own_list(
            tmp_path / "events.tsv",
            "Observation id\tSubject\tBehavior\tBehavior type\tTime\tMedia file name",
            "o1\tNo focal subject\tmicro\tPOINT\t3.2\tC:\\clips\\a.mp4",
            "o1\tAnna\tmacro\tSTART\t5\ta.mp4",
            "o1\tAnna\tblink\tPOINT\t5.5\ta.mp4",
            "o1\tAnna\tmacro\tSTOP\t6.5\ta.mp4",
        )
        records = read_own(path)
        assert list(records["video"]) == ["a", "a"]
        assert list(records["subject"]) == ["a", "Anna"]
        assert records.iloc[0].apex == 3200
        assert (records.iloc[1].onset, records.iloc[1].offset) == (5000, 6500)

    def test_boris_aggregated(self, tmp_path):
        path = own_list(
            tmp_path / "events.csv",
            "Observation id,Media file name,Subject,Behavior,Start (s),Stop (s)",
            "o1,b.mp4,,MaE,1.0,2.0",
            "o1,b.mp4,,ME,3.0,3.0",
        )
        records = read_own(path)
        assert list(records["type"]) == ["macro", "micro"]
        assert pd.isna(records.iloc[0].apex)
        assert records.iloc[1].apex == 3000

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            (["a.mp4,micro,STOP,1"], ["row 2", "stops without having started"]),
            (["a.mp4,micro,START,1"], ["row 2", "never stops"]),
            (["a.mp4,micro,START,1", "a.mp4,micro,START,2"], ["row 3", "starts again"]),
            (["a.mp4,micro,START,2", "a.mp4,micro,STOP,1"], ["row 3", "before the start"]),
            (["a.mp4,micro,JUMP,2"], ["row 2", "'JUMP'"]),
            (["a.mp4,blink,POINT,2"], ["no behavior is named macro or micro"]),
        ],
    )
    def test_boris_problems(self, tmp_path, rows, words):
        path = own_list(tmp_path / "e.csv", "Media file path,Behavior,Status,Time", *rows)
        with pytest.raises(AnnotationError) as caught:
            read_own(path)
        assert all(word in str(caught.value) for word in words), str(caught.value)
