"""Every format is parsed back by other means than those that wrote it."""

import csv
import io
import itertools
import json
import os
import re
import stat
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from facespot import __version__
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.output.formats import FORMATS, get_writer, replacing
from facespot.spotting.result import COLUMNS, SpotResult


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


def test_csv_has_exactly_the_promised_columns_and_source_frames():
    rows = list(csv.reader(io.StringIO(render("csv", make_result()))))
    assert rows[0] == [
        "video", "type", "onset_s", "apex_s", "offset_s", "onset_frame", "apex_frame", "offset_frame", "confidence",
        "peak_motion", "regions", "speech", "head_motion",
    ]  # fmt: skip
    unexplained = ["", "", "", ""]
    assert rows[1:] == [
        ["some folder/clip, one.mp4", "macro", "1.000", "1.500", "2.500", "25", "37", "62", "0.910", *unexplained],
        ["some folder/clip, one.mp4", "micro", "4.000", "4.100", "4.300", "100", "102", "107", "0.500", *unexplained],
    ]


def test_csv_of_nothing_is_the_header():
    assert render("csv", make_result([])) == ",".join(COLUMNS) + "\n"


def test_frame_table_has_the_columns_with_and_without_rows():
    assert list(make_result().to_frame().columns) == list(COLUMNS)
    assert list(make_result([]).to_frame().columns) == list(COLUMNS)
    assert make_result().to_frame()["type"].tolist() == ["macro", "micro"]


def test_json_adds_how_it_came_about():
    result = make_result(warnings=("damaged",), provenance={"weights": "abc", "threshold": np.float32(0.5)})
    document = json.loads(render("json", result))
    assert document["version"] == __version__
    assert document["coverage"] == 1.0
    assert document["warnings"] == ["damaged"]
    assert document["provenance"] == {"weights": "abc", "threshold": 0.5}
    assert document["fps"] == pytest.approx(25.0)
    assert document["spots"][1] == {
        "type": "micro", "onset_s": 4.0, "apex_s": 4.1, "offset_s": 4.3,
        "onset_frame": 100, "apex_frame": 102, "offset_frame": 107, "confidence": 0.5,
        "peak_motion": None, "regions": None, "speech": None, "head_motion": None, "explanation": None,
    }  # fmt: skip


def test_json_refuses_what_it_cannot_record():
    with pytest.raises(TypeError, match="object"):
        render("json", make_result(provenance={"x": object()}))


def test_bids_events():
    lines = [line.split("\t") for line in render("bids", make_result()).splitlines()]
    assert lines[0][:3] == ["onset", "duration", "trial_type"]
    assert lines[1] == ["1.000", "1.500", "macro", "1.500", "0.910"]


def test_webvtt_cues_have_length_and_hours():
    single = Interval(3, 3, 3, "micro", 1.0)
    late = Interval(30 * 3700, 30 * 3700 + 30, 30 * 3702, "macro", 1.0)
    text = render("vtt", make_result([single, late], fps=1.0, seconds=3800))
    assert text.startswith("WEBVTT\n\n1\n00:00:00.100 --> 00:00:00.101\nmicro")
    assert "\n\n2\n01:01:40.000 --> 01:01:42.000\n" in text


def elan_annotations(root) -> dict[str, list[tuple[int, int]]]:
    times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    return {
        tier.get("TIER_ID"): [
            (times[a.get("TIME_SLOT_REF1")], times[a.get("TIME_SLOT_REF2")]) for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in root.iter("TIER")
    }


OVERLAPPING = [
    Interval(30, 45, 75, "macro", 0.9),
    Interval(60, 70, 100, "macro", 0.8),
    Interval(62, 70, 72, "macro", 0.8),
    Interval(75, 80, 85, "micro", 0.7),
    Interval(110, 110, 110, "micro", 0.6),
]


def test_elan_times_are_whole_milliseconds_and_tiers_do_not_overlap(tmp_path):
    result = make_result(OVERLAPPING, video=str(tmp_path / "videos" / "a b & c.mp4"))
    path = tmp_path / "out" / "x.eaf"
    path.parent.mkdir()
    get_writer("elan").write(result, path)
    root = ET.parse(path).getroot()
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    link = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert link.get("MEDIA_URL") == (tmp_path / "videos" / "a b & c.mp4").as_uri()
    assert link.get("RELATIVE_MEDIA_URL") == "../videos/a b & c.mp4"
    assert link.get("MIME_TYPE") == "video/mp4"
    tiers = elan_annotations(root)
    assert tiers == {
        "macro": [(1000, 2500)],
        "macro 2": [(2000, 3333)],
        "macro 3": [(2067, 2400)],
        "micro": [(2500, 2833), (3667, 3668)],
    }
    identifiers = [a.get("ANNOTATION_ID") for a in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(identifiers)) == len(OVERLAPPING)


def test_elan_elements_come_in_the_order_of_its_schema():
    root = ET.fromstring(render("elan", make_result()))
    assert [child.tag for child in root] == ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE"]
    assert [child.tag for child in root.find("HEADER")] == ["MEDIA_DESCRIPTOR", "PROPERTY"]


def textgrid_tiers(text: str) -> dict[str, list[tuple[float, ...]]]:
    tiers = {}
    for block in re.split(r"item \[\d+\]:", text)[1:]:
        name = re.search(r'name = "(.*)"', block)[1]
        if "IntervalTier" in block:
            found = re.findall(r'\n {12}xmin = (\S+)\n {12}xmax = (\S+)\n {12}text = "(.*)"', block)
            size = re.search(r"intervals: size = (\d+)", block)
        else:
            found = re.findall(r'number = (\S+)\n {12}mark = "(.*)"', block)
            size = re.search(r"points: size = (\d+)", block)
        assert int(size[1]) == len(found)
        tiers[name] = found
    return tiers


@pytest.mark.parametrize("intervals", [[], OVERLAPPING, [Interval(0, 3, 237, "macro", 1.0)]])
def test_textgrid_tiers_tile_the_recording(intervals):
    result = make_result(intervals)
    text = render("textgrid", result)
    tiers = textgrid_tiers(text)
    stop = float(re.search(r"xmax = (\S+)", text)[1])
    assert int(re.search(r"\nsize = (\d+)", text)[1]) == len(tiers)
    assert stop == pytest.approx(8.0)
    named = 0
    for name, pieces in tiers.items():
        if name == "apex":
            assert len({p[0] for p in pieces}) == len(pieces)
            continue
        assert float(pieces[0][0]) == 0
        assert float(pieces[-1][1]) == stop
        for one, following in itertools.pairwise(pieces):
            assert one[1] == following[0]
        assert all(float(p[0]) < float(p[1]) for p in pieces)
        named += sum(p[2] != "" for p in pieces)
    assert named == len(intervals)


def test_textgrid_holds_an_interval_that_rounding_pushes_past_the_end():
    text = render("textgrid", make_result([Interval(0, 0, 0, "macro", 1.0)], fps=5000.0, seconds=0.0002))
    assert "xmax = 0.001" in text


@pytest.mark.parametrize("name", FORMATS)
def test_equal_results_give_equal_bytes(name, tmp_path):
    get_writer(name).write(make_result(), tmp_path / "one")
    get_writer(name).write(make_result(), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_file_name_that_is_not_unicode_survives(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    for format_name in ("csv", "json"):
        get_writer(format_name).write(make_result(video=name), tmp_path / "out")
        assert b"caf\xe9.mp4" in (tmp_path / "out").read_bytes()


def test_unknown_format_names_the_known_ones():
    with pytest.raises(ValueError, match="csv, json"):
        get_writer("xlsx")


def test_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path):
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
def test_files_are_as_readable_as_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    get_writer("csv").write(make_result(), tmp_path / "written")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "written")]
    assert modes[0] == modes[1]


def test_curves_must_fit_the_clock():
    good = make_result()
    with pytest.raises(ValueError, match="ticks"):
        SpotResult("v", (), good.intensity[:-1], good.segment, good.timebase, 1.0)
