"""Readers of coding sheets: the real ones where they are, broken ones made on the spot."""

import re

import numpy as np
import pandas as pd
import pytest
from facespot.errors import AnnotationError, FacespotError
from facespot.extract.timebase import Timebase
from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.datasets.casme2 import read_casme2
from facespot.spotting.datasets.casme3 import read_casme3
from facespot.spotting.datasets.published import (
    read_published_annotations,
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
from facespot.spotting.datasets.samm_lv import SUBJECTS, read_samm_lv
from facespot.spotting.intervals import Interval
from places import SHARED

openpyxl = pytest.importorskip("openpyxl")

ANNOTATIONS = SHARED / "annotations"
real = pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason="the annotation sheets are not beside this repository")

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


class TestRealSheets:
    @real
    def test_casme2(self):
        records = read_casme2(ANNOTATIONS / "CASME_sq_gt.xlsx")
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
        records = read_samm_lv(ANNOTATIONS / "SAMMLV_gt.xlsx")
        assert counts(records) == {"macro": 343, "micro": 159}
        assert records["subject"].nunique() == 30
        assert set(SUBJECTS) - set(records["subject"]) == {"027", "029"}
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
        records = read_annotations(ANNOTATIONS / sheet)
        theirs = pd.read_csv(ANNOTATIONS / table)
        assert len(records) == len(theirs)
        assert list(records["type"]) == [{1: "macro", 2: "micro"}[i] for i in theirs["type_idx"]]
        # Two SAMM-LV offsets differ by tens of frames: 020_6_5 and 036_7_4 were changed between releases.
        onset_gap = (records["onset"].astype(float) / divisor - theirs["start_frame"]).abs()
        offset_gap = (records["offset"].fillna(0).astype(float) / divisor - theirs["end_frame"]).abs()
        assert (onset_gap <= 1).all()
        assert (offset_gap > 1).sum() <= 2

    @real
    def test_released_labels_end_open_expressions_alike(self):
        records = read_casme2(ANNOTATIONS / "CASME_sq_gt.xlsx")
        closed = close_open_offsets(records)
        assert closed["offset"].notna().all()
        released = read_published_annotations(ANNOTATIONS / "gim_npy" / "CASME2-Annotations", trust_pickle=True).records
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
            records = close_open_offsets(read_annotations(ANNOTATIONS / sheet))
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


def test_intervals_need_both_ends(tmp_path):
    records = read_casme2(casme2_sheet(tmp_path / "x.xlsx"))
    with pytest.raises(ValueError, match="15_0401"):
        intervals_by_video(records)
    closed = close_open_offsets(records)
    assert list(closed["offset"]) == [608, 720, 148]
    assert intervals_by_video(closed)["16_0502"] == [Interval(138, 142, 148, "micro")]
    # The apex of the open one is frame 705, its onset 700.
    assert list(close_open_offsets(records, 0)["offset"]) == [608, 705, 148]
    assert list(close_open_offsets(records, 30)["offset"]) == [608, 730, 148]


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
