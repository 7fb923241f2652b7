"""What facespot writes is read again, also after somebody corrected it in another program."""

import csv
import json

import numpy as np
import openpyxl
import pandas as pd
import pytest
from facespot import read_spots
from facespot.errors import AnnotationError
from facespot.extract.timebase import Timebase
from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.datasets.records import intervals_by_video
from facespot.spotting.datasets.sampling import sample_points
from facespot.spotting.intervals import Interval
from facespot.spotting.output.formats import FORMATS, WRITERS, get_writer
from facespot.spotting.result import COLUMNS, SpotResult
from praatio import textgrid
from pympi.Elan import Eaf

TABLES = ("csv", "tsv", "xlsx", "parquet", "json")
WITHOUT_APEX = ("megc2022", "megc2023")
INTERVALS = [
    Interval(30, 45, 75, "macro", 0.9),
    Interval(60, 70, 100, "macro", 0.8),
    Interval(75, 80, 90, "micro", 0.7),
    Interval(120, 123, 129, "micro", 0.5),
]


# Two intervals of one tier at the same time, in Praat's short form.
OVERLAPPING = """File type = "ooTextFile"
Object class = "TextGrid"

0
9
<exists>
1
"IntervalTier"
"type"
0
9
2
1
3
"macro"
2
4
"macro"
"""


def make_result(intervals, video="my clip.mp4") -> SpotResult:
    timebase = Timebase(np.arange(300) / 30.0)
    n = timebase.n_ticks
    spots = tuple(i.on(timebase) for i in intervals)
    return SpotResult(video, spots, np.zeros(n), np.zeros(n, np.int32), timebase, 1.0)


def written(name, folder, intervals=INTERVALS, video="my clip.mp4"):
    path = folder / f"my clip{WRITERS[name].suffix}"
    get_writer(name).write(make_result(intervals, video), path)
    return path


def without_confidence(intervals):
    return [Interval(i.onset, i.apex, i.offset, i.type) for i in intervals]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_back(name, tmp_path):
    records = read_annotations(written(name, tmp_path), fps=30.0)
    (found,) = intervals_by_video(records).items()
    expected = without_confidence(INTERVALS)
    if name in WITHOUT_APEX:
        assert records["apex"].isna().all()
        expected = [Interval(i.onset, (i.onset + i.offset) // 2, i.offset, i.type) for i in expected]
    assert found == ("my clip", expected)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_nothing_comes_back_as_nothing(name, tmp_path):
    records = read_annotations(written(name, tmp_path, []), fps=30.0)
    assert len(records) == 0
    assert intervals_by_video(records) == {}


@pytest.mark.parametrize("name", FORMATS)
def test_an_interval_becomes_a_point_for_training(name, tmp_path):
    points = sample_points(read_annotations(written(name, tmp_path), fps=30.0), seed=1)
    assert list(points["type"]) == ["macro", "macro", "micro", "micro"]
    for time, interval in zip(points["time_s"], INTERVALS, strict=True):
        assert interval.onset - 0.5 <= time * 30 <= interval.offset + 0.5


@pytest.mark.parametrize("name", [*TABLES, "bids", "boris", "elan", "megc2022", "megc2023"])
@pytest.mark.parametrize("video", ["=1+1", "clip, one", "'=x", 'say "x"', "-clip", "a;b", "@home", "a#b? 100%20", "ü"])
def test_a_name_comes_back_as_it_was(name, video, tmp_path):
    path = written(name, tmp_path, video=f"{video}.mp4")
    assert set(read_annotations(path, fps=30.0)["video"]) == {video}


class TestCorrected:
    def test_elan_onset_moved_past_the_apex(self, tmp_path):
        path = written("elan", tmp_path)
        eaf = Eaf(path)
        slot = next(iter(eaf.tiers["expression"][0].values()))[0]
        eaf.timeslots[slot] = 1800
        eaf.to_file(path)
        first = read_annotations(path).iloc[0]
        assert (first.onset, first.offset) == (1800, 2500)
        assert pd.isna(first.apex)

    def test_elan_apex_moved_taken_away_and_an_expression_added(self, tmp_path):
        path = written("elan", tmp_path)
        eaf = Eaf(path)
        apexes = eaf.tiers["apex"][0]
        moved, gone, *_ = apexes
        eaf.timeslots[apexes[moved][0]] = 1234
        del apexes[gone]
        eaf.add_annotation("expression", 7000, 7200, "micro")
        eaf.to_file(path)
        records = read_annotations(path)
        by_onset = {row.onset: row.apex for row in records.itertuples()}
        assert by_onset[1000] == 1234
        assert pd.isna(by_onset[2500])
        assert pd.isna(by_onset[7000])
        assert by_onset[2000] == 2333

    @pytest.mark.parametrize("value", [-5, 10**30])
    def test_elan_time_that_is_in_no_video(self, tmp_path, value):
        path = written("elan", tmp_path)
        eaf = Eaf(path)
        start, end, *_ = next(iter(eaf.tiers["expression"][0].values()))
        eaf.timeslots[start if value < 0 else end] = value
        eaf.to_file(path)
        with pytest.raises(AnnotationError, match=r"tier 'expression', annotation 'a2': .* is no time in a video"):
            read_annotations(path)

    def test_elan_as_it_was_written_before_with_tiers_named_by_type(self, tmp_path):
        path = tmp_path / "old.eaf"
        eaf = Eaf()
        eaf.add_tier("macro")
        eaf.add_annotation("macro", 1000, 2000, "macro 0.91 (apex 1.500 s)")
        eaf.add_annotation("macro", 3000, 4000, "macro 0.80 (apex 2.500 s)")
        eaf.to_file(path)
        records = read_annotations(path)
        assert records["apex"].tolist() == [1500, pd.NA]

    def test_textgrid_boundary_moved_and_apex_gone(self, tmp_path):
        path = written("textgrid", tmp_path)
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
        tier = grid.getTier("expression")
        first = tier.entries[0]
        tier.deleteEntry(first)
        tier.insertEntry((1.7, 2.4, "macro"))
        grid.save(str(path), "short_textgrid", includeBlankSpaces=True)
        records = read_annotations(path)
        assert (records.iloc[0].onset, records.iloc[0].offset) == (1700, 2400)
        assert pd.isna(records.iloc[0].apex)
        assert len(records) == len(INTERVALS)

    def test_workbook_with_a_row_added_and_an_apex_emptied(self, tmp_path):
        path = written("xlsx", tmp_path)
        book = openpyxl.load_workbook(path)
        book["spots"]["D2"] = None
        book["spots"].append(["my clip.mp4", "micro", 7.0, None, 7.2])
        book.save(path)
        records = read_annotations(path)
        assert records["onset"].tolist() == [1000, 2000, 2500, 4000, 7000]
        assert records["apex"].isna().tolist() == [True, False, False, False, True]

    def test_csv_saved_by_a_german_spreadsheet(self, tmp_path):
        path = written("csv", tmp_path, video="Müller.mp4")
        rows = list(csv.reader(path.open(encoding="utf-8")))
        lines = [
            ";".join(cell.replace(".", ",") if "," not in cell and i else cell for cell in r)
            for i, r in enumerate(rows)
        ]
        path.write_bytes("\r\n".join(lines).replace("Müller,mp4", "Müller.mp4").encode("cp1252"))
        records = read_annotations(path)
        assert set(records["video"]) == {"Müller"}
        assert records["onset"].tolist() == [1000, 2000, 2500, 4000]
        assert records["apex"].tolist() == [1500, 2333, 2667, 4100]

    def test_an_inverted_row_is_left_out_and_told(self, tmp_path):
        path = written("csv", tmp_path)
        lines = path.read_text().splitlines()
        lines[2] = lines[2].replace("3.333", "1.333")
        path.write_text("\n".join(lines))
        records = read_annotations(path)
        assert records["onset"].tolist() == [1000, 2500, 4000]
        (note,) = records.attrs["notes"]
        assert "row 3" in note
        assert "left out" in note
        path.write_text("\n".join([lines[0], lines[2]]))
        with pytest.raises(AnnotationError, match=r"every row is left out: .*row 2"):
            read_annotations(path)


class TestFolders:
    def test_a_folder_of_results_is_their_sum(self, tmp_path):
        for video, name in (("a", "csv"), ("b", "elan"), ("c", "bids"), ("deep/d", "xlsx")):
            path = tmp_path / f"{video}{WRITERS[name].suffix}"
            path.parent.mkdir(exist_ok=True)
            get_writer(name).write(make_result(INTERVALS, f"{video}.mp4"), path)
        (tmp_path / "summary.csv").write_text("video,macro_count\na.mp4,2\n")
        records = read_annotations(tmp_path)
        assert sorted(set(records["video"])) == ["a", "b", "c", "deep/d"]
        assert len(records) == 4 * len(INTERVALS)

    def test_one_recording_told_in_two_formats_counts_once_while_they_agree(self, tmp_path):
        path = written("elan", tmp_path)
        written("csv", tmp_path)
        assert len(read_annotations(tmp_path)) == len(INTERVALS)
        eaf = Eaf(path)
        eaf.add_annotation("expression", 7000, 7200, "micro")
        eaf.to_file(path)
        with pytest.raises(AnnotationError, match=r"my clip\.spots\.csv and my clip\.spots\.eaf say different things"):
            read_annotations(tmp_path)

    def test_an_empty_one_is_refused(self, tmp_path):
        with pytest.raises(AnnotationError, match="holds no annotations"):
            read_annotations(tmp_path)


def problem_of(path) -> str:
    """What the error about a damaged file says; the file's name if it can be read for all that."""
    try:
        read_annotations(path, fps=30.0)
    except AnnotationError as error:
        return str(error)
    return path.name


class TestWrongFiles:
    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("x.csv", "video,onset_s,offset_s\na,1,2\n", "column missing: type"),
            (
                "x.csv",
                "video,type\na,macro\n",
                r"column missing: onset and offset .*; the columns are: video, type",
            ),
            ("x.csv", "onset_s,offset_s,type\n1,2,\n", r"row 2, column C \(type\): is empty"),
            ("x.csv", "once upon a time\n", "column missing: type"),
            ("x.csv", "", "column missing: type"),
            (
                "x.tsv",
                "onset\tduration\ttrial_type\n1\tn/a\tmacro\n",
                r"column A \(onset\): no onset and offset",
            ),
            ("x.json", "[1, 2]", "neither a document of facespot"),
            ("x.json", '{"a": 1}', "neither a document of facespot"),
            ("x.json", "{", "not a JSON document"),
            ("x.json", "[" * 100_000, "not a JSON document"),
            ("x.json", '[{"type": "ME", "onset_s": 1e400, "offset_s": 2}]', r"column B \(onset_s\): inf is not a time"),
            ("x.json", '[{"type": ["ME"], "onset_s": {}, "offset_s": 2}]', r"column A \(type\)"),
            ("x.json", '[{"type": "ME", "onset_s": %s, "offset_s": 2}]' % ("9" * 5000), "not a JSON document"),
            ("x.parquet", "PAR1 no", "not a Parquet file"),
            ("x.xlsx", "PK no", r"not an \.xlsx workbook"),
            ("x.TextGrid", "no", "not a TextGrid"),
            ("x.TextGrid", OVERLAPPING, "not a TextGrid .*overlap in time"),
            ("x.vtt", "no", "not a WebVTT file"),
            ("x.mp4", "no", r"no annotations end like this, but in \.eaf"),
            ("x.csv", "onset_s,offset_s,type\n1,1e300,macro\n", r"row 2, column B.*no time in a video"),
            ("x.csv", "onset_s,offset_s,type\n1,inf,macro\n", r"row 2, column B.*'inf' is not a time"),
            ("x.csv", "vid,onset,offset,type\na,1,1e30,me\n", r"row 2, column C.*not a frame number"),
            ("x.csv", 'vid,onset,offset,type\na,"1,234",9999,me\n', r"row 2, column B.*not a frame number"),
            ("x.csv", "onset_frame,offset_frame,type,fps\n1,9,me,inf\n", r"column D \(fps\)"),
            ("x.csv", "onset_frame,offset_frame,type,fps\n1,9,me,0\n", r"column D \(fps\): 0 is not between"),
        ],
    )
    def test_say_in_one_line_what_is_wrong(self, name, text, words, tmp_path):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(AnnotationError, match=words) as caught:
            read_annotations(path, fps=25.0)
        assert "x." in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_cut_off_anywhere_none_ends_in_a_traceback(self, tmp_path):
        for name in FORMATS:
            path = written(name, tmp_path)
            whole = path.read_bytes()
            for cut in range(0, len(whole), max(len(whole) // 23, 1)):
                path.write_bytes(whole[:cut])
                assert path.name in problem_of(path)
            path.unlink()

    def test_one_byte_changed_none_ends_in_a_traceback(self, tmp_path):
        rng = np.random.default_rng(0)
        for name in FORMATS:
            path = written(name, tmp_path)
            whole = path.read_bytes()
            for _ in range(40):
                damaged = bytearray(whole)
                damaged[rng.integers(len(whole))] = rng.integers(256)
                path.write_bytes(bytes(damaged))
                assert path.name in problem_of(path)
            path.unlink()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("intervals", [INTERVALS, []], ids=["some", "none"])
def test_read_spots_gives_the_frame_of_the_result(name, intervals, tmp_path):
    path = written(name, tmp_path, intervals, video="=clip.mp4")
    frame = read_spots(path)
    expected = make_result(intervals, "=clip.mp4").to_frame()
    if name in ("csv", "tsv", "json"):
        expected = expected.round(6 if name == "json" else 3)
    assert list(frame.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(frame, expected)


def test_a_list_of_objects_is_a_table(tmp_path):
    path = tmp_path / "hand.json"
    path.write_text(json.dumps([{"video": "a.mp4", "type": "ME", "onset_s": 1, "offset_s": "1,2", "apex_s": None}]))
    (row,) = read_annotations(path).itertuples()
    assert (row.video, row.type, row.onset, row.offset) == ("a", "micro", 1000, 1200)
