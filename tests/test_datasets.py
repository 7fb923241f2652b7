"""Readers: the real sheets where they are, broken ones made on the spot, folder layouts, published arrays, points."""

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from facespot.errors import AnnotationError, FacespotError, VideoNotFoundError
from facespot.extract.timebase import Timebase
from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.datasets.casme2 import read_casme2
from facespot.spotting.datasets.casme3 import read_casme3
from facespot.spotting.datasets.layouts import check_layout, match_videos, scan_dataset
from facespot.spotting.datasets.own import read_own
from facespot.spotting.datasets.points import POINT_COLUMNS, sample_points
from facespot.spotting.datasets.published import (
    MODEL_POINTS,
    read_published_annotations,
    read_published_features,
)
from facespot.spotting.datasets.records import (
    RECORD_COLUMNS,
    close_open_offsets,
    concat_records,
    counts,
    intervals_by_video,
    make_records,
    tick_of_frame,
)
from facespot.spotting.datasets.samm_lv import SUBJECTS, missing_subjects, read_samm_lv
from facespot.spotting.export import get_writer
from facespot.spotting.intervals import Interval, Spot
from facespot.spotting.result import SpotResult

openpyxl = pytest.importorskip("openpyxl")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "annotations"
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the annotation sheets are not beside this repository")

CASME2_ROWS = [
    [1, "anger1_1", 557, 572, 608, "4+10+14", "negative", "macro-expression", "anger"],
    [1, "anger1_2", 700, 705, 0, 4, "negative", "macro-expression", "anger"],
    [2, "happy1_1", 138, 142, 148, 43, "others", "micro-expression", "happiness"],
]
SAMM_HEADER = ["Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type", "Action Units"]
SAMM_ROWS = [
    ["006", "006_1_1", 1, 566.4000000000001, 647.5999999999999, 743.2, "=SUM(F11-D11)+1", "Macro", "4(B/C)+7B"],
    ["007", "007_3_1", 3, 100, -1, 150, "=SUM(F12-D12)+1", "Micro - 1/2", 4],
]


def edited(rows, row, column, value):
    """A copy of a table with one cell changed (both counted from 1)."""
    copy = [list(r) for r in rows]
    copy[row - 1][column - 1] = value
    return copy


def casme2_sheet(path, rows=CASME2_ROWS, leave_out=()):
    book = openpyxl.Workbook()
    book.remove(book.active)
    sheets = {
        "CASFEcode_final": rows,
        "naming rule1": [[15, "s15", 1], [16, "s16", 2]],
        "naming rule2": [["0401", "anger1"], ["0502", "happy1"]],
    }
    for name, content in sheets.items():
        if name not in leave_out:
            sheet = book.create_sheet(name)
            for row in content:
                sheet.append(row)
    book.save(path)
    return path


def samm_sheet(path, rows=SAMM_ROWS, header=SAMM_HEADER):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "FACS_Movement_Only"
    sheet.append(["SAMM Long Videos Dataset - FACS Codes"])
    for _ in range(8):
        sheet.append([])
    for number, row in enumerate([header, *rows], 10):
        for column, value in enumerate(row, 1):
            sheet.cell(number, column, value)
    book.save(path)
    return path


def own_list(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestRealSheets:
    @real
    def test_casme2(self):
        records = read_casme2(SHARED / "CASME_sq_gt.xlsx")
        assert counts(records) == {"macro": 300, "micro": 57}
        assert tuple(records.columns) == RECORD_COLUMNS
        assert records["subject"].nunique() == 22
        assert records["video"].nunique() == 95
        assert int(records["offset"].isna().sum()) == 44
        # One apex is 0, three lie after their offset: taken as not coded, and said so.
        assert int(records["apex"].isna().sum()) == 4
        assert [int(re.search(r"row (\d+), column D", note)[1]) for note in records.attrs["notes"]] == [
            170,
            242,
            262,
            309,
        ]
        first = records.iloc[0]
        assert (first.subject, first.video, first.onset, first.apex, first.offset) == ("s15", "15_0401", 557, 572, 608)
        assert [u.number for u in first.aus] == [4, 10, 14]

    @real
    def test_samm_lv(self):
        records = read_samm_lv(SHARED / "SAMMLV_gt.xlsx")
        assert counts(records) == {"macro": 343, "micro": 159}
        assert records["subject"].nunique() == 30
        assert missing_subjects(records) == ("027", "029")
        assert len(SUBJECTS) == 32
        assert records["video"].nunique() == 147
        assert int(records["apex"].isna().sum()) == 6
        assert tuple(records.iloc[0][["onset", "apex", "offset"]]) == (566, 648, 743)
        assert any("'037_4_1'" in note and "row 507" in note for note in records.attrs["notes"])

    @real
    @pytest.mark.parametrize(
        ("sheet", "table", "divisor"),
        [("CASME_sq_gt.xlsx", "casme_sq.csv", 1), ("SAMMLV_gt.xlsx", "samm_lv_7th_frame.csv", 7)],
    )
    def test_agrees_with_the_tables_of_others(self, sheet, table, divisor):
        """Other groups' CSV versions of the same sheets, row by row."""
        records = read_annotations(SHARED / sheet)
        theirs = pd.read_csv(SHARED / table)
        assert len(records) == len(theirs)
        assert list(records["type"]) == [{1: "macro", 2: "micro"}[i] for i in theirs["type_idx"]]
        # Two SAMM-LV offsets differ by tens of frames: 020_6_5 and 036_7_4 were changed between releases.
        onset_gap = (records["onset"].astype(float) / divisor - theirs["start_frame"]).abs()
        offset_gap = (records["offset"].fillna(0).astype(float) / divisor - theirs["end_frame"]).abs()
        assert (onset_gap <= 1).all()
        assert (offset_gap > 1).sum() <= 2

    @real
    def test_released_labels_end_open_expressions_alike(self):
        records = read_casme2(SHARED / "CASME_sq_gt.xlsx")
        closed = close_open_offsets(records)
        assert closed["offset"].notna().all()
        released = read_published_annotations(SHARED / "gim_npy" / "CASME2-Annotations", trust_pickle=True).records
        # Both list the expressions of a video in the same order.
        key = ["video", "number"]
        released = released.assign(number=released.groupby("video").cumcount())
        closed = closed.assign(number=closed.groupby("video").cumcount(), open=records["offset"].isna())
        both = closed.merge(released, on=key, suffixes=("", "_released"))
        assert len(both) == 357
        same = both["offset"] == both["offset_released"]
        assert int((same & both["open"]).sum()) == 36
        assert same[~both["open"]].all()

    @real
    def test_every_record_becomes_an_interval(self):
        for sheet in ("CASME_sq_gt.xlsx", "SAMMLV_gt.xlsx"):
            records = close_open_offsets(read_annotations(SHARED / sheet))
            intervals = intervals_by_video(records)
            assert sum(map(len, intervals.values())) == len(records)
            assert set(intervals) == set(records["video"])


class TestBrokenSheets:
    """Each error names file, row and column."""

    def check(self, call, *words):
        with pytest.raises(AnnotationError) as caught:
            call()
        message = str(caught.value)
        assert all(word in message for word in words), message
        assert "\n" not in message
        assert isinstance(caught.value, FacespotError)
        assert caught.value.exit_code == 8

    def test_sound_sheets_can_be_read(self, tmp_path):
        casme2 = read_annotations(casme2_sheet(tmp_path / "a.xlsx"))
        assert counts(casme2) == {"macro": 2, "micro": 1}
        assert pd.isna(casme2.iloc[1].offset)
        samm = read_annotations(samm_sheet(tmp_path / "b.xlsx"))
        assert list(samm["onset"]) == [566, 100]
        assert pd.isna(samm.iloc[1].apex)

    @pytest.mark.parametrize("name", ["CASFEcode_final", "naming rule1", "naming rule2"])
    def test_missing_sheet(self, tmp_path, name):
        path = casme2_sheet(tmp_path / "x.xlsx", leave_out=[name])
        self.check(lambda: read_casme2(path), "x.xlsx", name, "missing")

    @pytest.mark.parametrize(
        ("row", "column", "value", "words"),
        [
            (2, 3, "soon", ["row 2", "column C", "onset", "'soon'"]),
            (3, 4, "14a", ["row 3", "column D", "apex"]),
            (1, 5, None, ["row 1", "column E", "offset", "empty"]),
            (1, 5, 500, ["row 1", "column E", "offset 500 is before the onset 557"]),
            (3, 1, 9, ["row 3", "column A", "unknown subject '9'"]),
            (3, 2, "sad1_1", ["row 3", "column B", "unknown video"]),
            (2, 8, "smirk", ["row 2", "column H", "'smirk'"]),
            (1, 3, -557, ["row 1", "column C", "negative"]),
            (1, 3, True, ["row 1", "column C"]),
        ],
    )
    def test_casme2(self, tmp_path, row, column, value, words):
        path = casme2_sheet(tmp_path / "x.xlsx", edited(CASME2_ROWS, row, column, value))
        self.check(lambda: read_casme2(path), "x.xlsx", "'CASFEcode_final'", *words)

    @pytest.mark.parametrize(
        ("row", "column", "value", "words"),
        [
            (1, 4, "n/a", ["row 11", "column D", "onset", "'n/a'"]),
            (2, 6, 99, ["row 12", "column F", "offset 99 is before the onset 100"]),
            (2, 1, "040", ["row 12", "column A", "unknown subject '040'"]),
            (2, 2, "008_3_1", ["row 12", "column B", "subject 007"]),
            (1, 8, "?", ["row 11", "column H"]),
        ],
    )
    def test_samm(self, tmp_path, row, column, value, words):
        path = samm_sheet(tmp_path / "y.xlsx", edited(SAMM_ROWS, row, column, value))
        self.check(lambda: read_samm_lv(path), "y.xlsx", "'FACS_Movement_Only'", *words)

    def test_samm_without_a_column(self, tmp_path):
        header = [name if name != "Apex" else "Peak" for name in SAMM_HEADER]
        path = samm_sheet(tmp_path / "y.xlsx", header=header)
        self.check(lambda: read_samm_lv(path), "y.xlsx", "column missing: Apex")

    def test_not_a_workbook(self, tmp_path):
        path = tmp_path / "z.xlsx"
        path.write_text("subject,video")
        self.check(lambda: read_casme2(path), "z.xlsx", "not an .xlsx workbook")
        self.check(lambda: read_samm_lv(tmp_path / "none.xlsx"), "none.xlsx", "no such file")

    def test_apex_outside_is_noted_not_fatal(self, tmp_path):
        records = read_casme2(casme2_sheet(tmp_path / "x.xlsx", edited(CASME2_ROWS, 1, 4, 900)))
        assert pd.isna(records.iloc[0].apex)
        assert "row 1, column D (apex)" in records.attrs["notes"][0]


class TestCasme3:
    def book(self, path, header, rows):
        book = openpyxl.Workbook()
        for row in [header, *rows]:
            book.active.append(row)
        book.save(path)
        return path

    def test_type_from_file_name(self, tmp_path):
        micro = self.book(
            tmp_path / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
            ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"],
            [["spNO.1", "a", 116, 120, 125, "4+L7", 3, "disgust"]],
        )
        macro = self.book(
            tmp_path / "cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx",
            ["sub", "seq", "onset", "apex", "offset", "emotion"],
            [["spNO.2", "B", 30, 45, 80, "happy"]],
        )
        records = concat_records([read_annotations(micro), read_annotations(macro)])
        assert list(records["type"]) == ["micro", "macro"]
        assert list(records["video"]) == ["spNO.1_a", "spNO.2_b"]
        assert [u.number for u in records.iloc[0].aus] == [4, 7]
        assert records.iloc[1].aus == ()
        assert set(records["fps"]) == {30.0}

    def test_errors(self, tmp_path):
        header = ["Subject", "Filename", "Onset", "Apex", "Offset"]
        path = self.book(tmp_path / "labels.xlsx", header, [["spNO.1", "a", 1, 2, 3]])
        with pytest.raises(AnnotationError, match="give the type"):
            read_casme3(path)
        assert counts(read_casme3(path, "micro")) == {"macro": 0, "micro": 1}
        path = self.book(tmp_path / "x_ME_.xlsx", header, [["subject 1", "a", 1, 2, 3]])
        with pytest.raises(AnnotationError, match=r"row 2, column A .*unknown subject"):
            read_casme3(path)


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

    def test_elan_export_of_facespot_comes_back(self, tmp_path):
        timebase = Timebase(np.arange(300) / 30.0)
        spots = (Spot(1.0, 1.5, 2.0, 30, 45, 60, "macro", 0.9), Spot(4.0, 4.1, 4.3, 120, 123, 129, "micro", 0.5))
        result = SpotResult(
            video=str(tmp_path / "my clip.mp4"),
            spots=spots,
            timebase=timebase,
            intensity=np.zeros(300, np.float32),
            segment=np.zeros(300, np.int32),
            coverage=1.0,
            warnings=(),
            provenance={},
        )
        path = tmp_path / "my clip.eaf"
        get_writer("elan").write(result, path)
        records = read_annotations(path)
        assert list(records["video"]) == ["my clip", "my clip"]
        assert [tuple(r) for r in records[["onset", "apex", "offset"]].to_numpy()] == [
            (1000, 1500, 2000),
            (4000, 4100, 4300),
        ]
        assert intervals_by_video(records)["my clip"] == [
            Interval(30, 45, 60, "macro"),
            Interval(120, 123, 129, "micro"),
        ]

    def test_elan_problems(self, tmp_path):
        text = (
            '<ANNOTATION_DOCUMENT><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="500"/>'
            '<TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="100"/></TIME_ORDER><TIER TIER_ID="{tier}"><ANNOTATION>'
            '<ALIGNABLE_ANNOTATION ANNOTATION_ID="n1" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b">'
            "<ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
        )
        path = own_list(tmp_path / "x.eaf", text.format(tier="micro"))
        with pytest.raises(AnnotationError, match=r"x\.eaf.*'n1'.*offset 100 ms is before the onset 500"):
            read_own(path)
        with pytest.raises(AnnotationError, match="no annotation says macro or micro"):
            read_own(own_list(path, text.format(tier="speech")))
        with pytest.raises(AnnotationError, match="not an ELAN file"):
            read_own(own_list(path, "<nothing"))

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


class TestPoints:
    @pytest.fixture
    def records(self):
        rng = np.random.default_rng(0)
        rows = []
        for i in range(300):
            onset = int(rng.integers(0, 5000))
            length = int(rng.integers(8, 90))
            apex = None if i % 10 == 0 else onset + int(rng.integers(0, length))
            offset = None if i % 15 == 0 else onset + length - 1
            rows.append(("d", f"s{i % 5}", f"v{i % 9}", onset, apex, offset, "macro", (), 30.0))
        return make_records(dict(zip(RECORD_COLUMNS, row, strict=True)) for row in rows)

    def test_inside_and_seeded(self, records):
        points = sample_points(records, seed=1)
        closed = close_open_offsets(records)
        assert tuple(points.columns) == POINT_COLUMNS
        assert ((points["frame"] >= closed["onset"]) & (points["frame"] <= closed["offset"])).all()
        pd.testing.assert_frame_equal(points, sample_points(records, seed=1))
        assert (points["frame"] != sample_points(records, seed=2)["frame"]).mean() > 0.5

    def test_a_point_depends_on_its_record_only(self, records):
        some = records.iloc[40:80]
        pd.testing.assert_frame_equal(sample_points(some, seed=1), sample_points(records, seed=1).iloc[40:80])

    def test_spread_follows_the_length(self, records):
        closed = close_open_offsets(records)
        long = closed[closed["apex"].notna() & ((closed["offset"] - closed["onset"]) > 40)]
        gaps = {w: (sample_points(long, 0, w)["frame"] - long["apex"]).abs().astype(float).mean() for w in (0.05, 0.2)}
        assert gaps[0.05] < gaps[0.2]
        assert gaps[0.05] < 0.05 * (long["offset"] - long["onset"] + 1).mean()

    @real
    def test_spread_is_that_of_the_released_labels(self):
        released = read_published_annotations(SHARED / "gim_npy" / "CASME2-Annotations", trust_pickle=True)
        records, points = released.records, released.points
        length = (records["offset"] - records["onset"] + 1).astype(float)
        theirs = (points["frame"] - records["apex"]).astype(float) / length
        ours = pd.concat(
            (sample_points(records, seed)["frame"] - records["apex"]).astype(float) / length for seed in range(5)
        )
        assert ours.std() == pytest.approx(theirs.std(), rel=0.08)
        assert ours.abs().quantile(0.9) == pytest.approx(theirs.abs().quantile(0.9), rel=0.08)


class TestPublished:
    def folder(self, path, names, labels, segments, points):
        path.mkdir()
        for name, content in zip(
            ("videoname", "labels", "segments", "labels_gau_frame"), (names, labels, segments, points), strict=True
        ):
            array = np.array(names) if name == "videoname" else np.empty(len(content), dtype=object)
            if name != "videoname":
                array[:] = content
            np.save(path / f"{name}.npy", array, allow_pickle=True)
        return path

    def test_nothing_pickled_without_trust(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "sprung",))

        array = np.empty(1, dtype=object)
        array[0] = Trap()
        np.save(tmp_path / "SAMM-SLopticalflow.npy", array, allow_pickle=True)
        with pytest.raises(AnnotationError, match="trust_pickle=True"):
            read_published_features(tmp_path / "SAMM-SLopticalflow.npy")
        with pytest.raises(AnnotationError, match="trust_pickle=True"):
            read_published_annotations(tmp_path)
        assert not (tmp_path / "sprung").exists()

    def test_misaligned_points_are_reported_and_not_paired_by_position(self, tmp_path):
        # The macro's point is missing, so by position the micro's point would be called macro.
        folder = self.folder(
            tmp_path / "A",
            ["samm_006_1", "samm_006_2"],
            [["Macro", "Micro"], ["Macro", "Micro"]],
            [[[10, 40], [60, 70]], [[10, 50], [20, 30]]],
            [[65], [25]],
        )
        released = read_published_annotations(folder, trust_pickle=True)
        assert released.points.to_numpy().tolist() == [["006_1", 65, "micro"]]
        first, second = released.mismatches
        assert (first.video, first.n_labels, first.n_points) == ("006_1", 2, 1)
        assert (first.wrong_by_position, first.wrong_class, first.undecided) == (1, 1, ())
        # Both expressions of the second video contain the point: nobody can say which it belongs to.
        assert second.undecided == (25,)
        assert "1 points for 2 labels" in str(first)

    def test_order_decides_where_place_does_not(self, tmp_path):
        # 25 lies in both, but 45 follows it and only the first expression can come before the second's point.
        folder = self.folder(tmp_path / "A", ["samm_006_1"], [["Macro", "Micro"]], [[[10, 50], [20, 46]]], [[25, 45]])
        released = read_published_annotations(folder, trust_pickle=True)
        assert list(released.points["type"]) == ["macro", "micro"]
        assert released.mismatches == ()

    @real
    def test_real_release(self):
        casme2 = read_published_annotations(SHARED / "gim_npy" / "CASME2-Annotations", trust_pickle=True)
        assert counts(casme2.records) == {"macro": 300, "micro": 57}
        assert len(casme2.points) == 357
        assert casme2.mismatches == ()
        samm = read_published_annotations(SHARED / "gim_npy" / "SAMM-Annotations", trust_pickle=True)
        assert counts(samm.records) == {"macro": 343, "micro": 159}
        assert len(samm.mismatches) == 23
        assert all(m.n_points < m.n_labels for m in samm.mismatches)
        # golden/FINDINGS.md: 469 points, and at least 15 get the wrong class when paired by position.
        assert len(samm.points) + sum(len(m.undecided) for m in samm.mismatches) == 469
        assert sum(m.wrong_class for m in samm.mismatches) == 15

    def test_features(self, tmp_path):
        array = np.empty(2, dtype=object)
        rng = np.random.default_rng(0)
        array[:] = [rng.normal(size=(t, 17, 13, 2)) for t in (5, 9)]
        path = tmp_path / "SAMM-SLopticalflow.npy"
        np.save(path, array, allow_pickle=True)
        features = read_published_features(path, ["006_1", "006_2"], trust_pickle=True)
        assert features["006_2"].shape == (9, 17, 10, 2)
        assert features["006_2"].dtype == np.float32
        np.testing.assert_allclose(features["006_1"], array[0][:, :, list(MODEL_POINTS)], rtol=1e-6)
        with pytest.raises(AnnotationError, match="2 videos, but 1 names"):
            read_published_features(path, ["006_1"], trust_pickle=True)
        array[1] = array[1][:, :, :12]
        np.save(path, array, allow_pickle=True)
        with pytest.raises(AnnotationError, match=r"video 1 \(1\).*is not \(T, 17, 13, 2\)"):
            read_published_features(path, trust_pickle=True)


class TestLayouts:
    def images(self, folder, numbers, name="img_{:05d}.png"):
        folder.mkdir(parents=True)
        blank = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
        for number in numbers:
            (folder / name.format(number)).write_bytes(blank)

    @pytest.fixture
    def root(self, tmp_path):
        root = tmp_path / "data"
        self.images(root / "SAMM_longvideos" / "006_1", range(1, 31), "006_1_{:04d}.png")
        self.images(root / "SAMM_longvideos" / "006_2", [*range(1, 20), *range(22, 31)], "006_2_{:04d}.png")
        (root / "rawvideo" / "s15").mkdir(parents=True)
        (root / "rawvideo" / "s15" / "15_0101disgustingteeth.avi").write_bytes(b"")
        (root / "rawvideo" / "s15" / "15_0402beatingpregnantwoman.avi").write_bytes(b"")
        self.images(root / "longVideoFaceCropped" / "s15" / "15_0101disgustingteeth", range(1, 31))
        self.images(root / "part_A" / "spNO.1" / "a" / "color", range(1, 31), "{}.png")
        self.images(root / "part_A" / "spNO.1" / "a" / "depth", range(1, 31), "{}.png")
        self.images(root / "stills", range(1, 4))
        (root / "anna").mkdir()
        (root / "anna" / "day1.mp4").write_bytes(b"")
        (root / "ben").mkdir()
        (root / "ben" / "day1.mp4").write_bytes(b"")
        # Much like a name of CAS(ME)^2, but no film of it.
        (root / "ben" / "20_2024holiday.mp4").write_bytes(b"")
        (root / "readme.txt").write_text("nothing")
        return root

    def test_scan(self, root):
        found = {(r.dataset, r.video, r.kind): r for r in scan_dataset(root)}
        assert set(found) == {
            ("SAMM-LV", "006_1", "images"),
            ("SAMM-LV", "006_2", "images"),
            ("CAS(ME)^2", "15_0101", "file"),
            ("CAS(ME)^2", "15_0101", "images"),
            ("CAS(ME)^2", "15_0402", "file"),
            ("CAS(ME)^3", "spNO.1_a", "images"),
            ("own", "anna/day1", "file"),
            ("own", "ben/day1", "file"),
            ("own", "ben/20_2024holiday", "file"),
        }
        samm = found["SAMM-LV", "006_1", "images"]
        assert (samm.subject, samm.fps, samm.n_images, samm.gaps) == ("006", 200.0, 30, ())
        assert found["CAS(ME)^2", "15_0101", "images"].subject == "s15"
        with pytest.raises(VideoNotFoundError):
            scan_dataset(root / "nowhere")

    def test_report(self, root):
        def record(dataset, video):
            return dict(zip(RECORD_COLUMNS, (dataset, "s", video, 1, 2, 3, "macro", (), 30.0), strict=True))

        records = make_records(
            [
                record("SAMM-LV", "006_1"),
                record("SAMM-LV", "007_3"),
                record("CAS(ME)^2", "15_0101"),
            ]
        )
        report = check_layout(scan_dataset(root), records)
        assert report.missing == ("007_3",)
        assert report.unannotated == ("006_2", "15_0402")
        assert list(report.doubled) == ["15_0101"]
        # The whole picture is preferred to the crop.
        assert report.doubled["15_0101"][0].parts[-3] == "rawvideo"
        assert report.gaps == {"006_2": (20, 21)}
        assert len(report.recordings) == 8
        assert any("006_2 lacks 2 images, the first is number 20" in line for line in report.lines())
        assert check_layout(scan_dataset(root)).missing == ()

    def test_same_name_in_two_folders_stays_apart(self, root):
        recordings = scan_dataset(root)
        rows = [dict(zip(RECORD_COLUMNS, ("own", "s", "day1", None, 2, None, "macro", (), 30.0), strict=True))]
        # Two videos are called day1, so the bare name means neither.
        assert list(match_videos(make_records(rows), recordings)["video"]) == ["day1"]
        only_anna = [r for r in recordings if r.video != "ben/day1"]
        assert list(match_videos(make_records(rows), only_anna)["video"]) == ["anna/day1"]


def test_intervals_need_both_ends(tmp_path):
    records = read_casme2(casme2_sheet(tmp_path / "x.xlsx"))
    with pytest.raises(ValueError, match="15_0401"):
        intervals_by_video(records)
    closed = close_open_offsets(records)
    assert list(closed["offset"]) == [608, 720, 148]
    assert intervals_by_video(closed)["16_0502"] == [Interval(138, 142, 148, "micro")]


def test_frame_numbers_count_frames_and_milliseconds_are_times():
    # 29.97 frames a second, called 30 by the sheet: frame 3600 is shown at 120.12 s.
    timebase = Timebase(np.arange(4000) * 1001 / 30000)
    assert tick_of_frame(3600, 30.0) == 3600
    assert tick_of_frame(3600, 30.0, timebase) == 3604
    assert tick_of_frame(120_000, 1000.0, timebase) == 3600
    # SAMM-LV counts to 200 a second, and a number past the end means the last frame.
    fast = Timebase(np.arange(2000) / 200.0)
    assert tick_of_frame(400, 200.0, fast) == 60
    assert tick_of_frame(5000, 200.0, fast) == fast.n_ticks - 1
    row = ("SAMM-LV", "006", "006_1", 200, None, 300, "micro", (), 200.0)
    records = make_records([dict(zip(RECORD_COLUMNS, row, strict=True))])
    assert intervals_by_video(records, {"006_1": fast}) == {"006_1": [Interval(30, 37, 45, "micro")]}
