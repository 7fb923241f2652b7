"""`SpotResult` by itself: short to look at, written and read back."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from facespot.errors import FacespotError
from facespot.extract.timebase import Timebase
from facespot.spotting.explanations import Explanation, RegionMotion
from facespot.spotting.intervals import Interval
from facespot.spotting.output import archive
from facespot.spotting.result import SpotResult
from facespot.spotting.stimuli import Stimulus

INTERVALS = (Interval(30, 45, 75, "macro", 0.91), Interval(120, 123, 129, "micro", 0.5))


def make_result(intervals=INTERVALS, **more):
    timebase = Timebase(np.cumsum([0.0, *np.tile([0.03, 0.05], 100)]))
    n = timebase.n_ticks
    curve = np.random.default_rng(0).random(n).astype(np.float32)
    spots = tuple(i.on(timebase, "end") for i in intervals)
    return SpotResult("some/<clip>.mp4", spots, curve, np.zeros(n, np.int32), timebase, 0.97, **more)


def test_repr_is_one_short_line():
    text = repr(make_result(provenance={"much": "x" * 9999}))
    assert len(text) < 120
    assert "\n" not in text
    assert "2 expressions (1 macro, 1 micro); face usable in 97 % of 8.0 s" in text


def test_headline_says_when_a_recording_was_read_as_of_a_laboratory():
    assert (
        make_result(provenance={"setting": "laboratory"}).headline().endswith("; still head: read as of a laboratory")
    )
    for provenance in ({"setting": "anywhere"}, {}):
        assert make_result(provenance=provenance).headline().endswith(" of 8.0 s")


def test_html_shows_every_row_and_escapes_the_name():
    html = make_result()._repr_html_()
    assert html.count("<tr") == 3
    assert "&lt;clip&gt;.mp4" in html
    assert "<clip>" not in html


@pytest.mark.parametrize("intervals", [INTERVALS, ()])
def test_columns_are_of_one_kind_with_and_without_rows(intervals):
    frame = make_result(intervals, face=1).to_frame()
    assert list(frame.columns) == list(make_result(face=1).columns)
    assert frame["onset_s"].dtype == frame["confidence"].dtype == "float64"
    assert frame["apex_frame"].dtype == frame["face"].dtype == "Int64"


def test_what_is_saved_is_read_back_whole(tmp_path):
    n = make_result().timebase.n_ticks
    result = make_result(
        warnings=("damaged",), provenance={"a": [1, None]}, min_confidence=(0.7, 0.6), strongest=0.91, face=2,
        stimuli=(Stimulus(0.0, 1.0, "calm"),), speaking=np.linspace(0, 1, n),
        voice=np.linspace(1, 0, n, dtype=np.float32),
    )  # fmt: skip
    again = SpotResult.load(result.save(tmp_path / "clip.npz"))
    for name in (
        "video",
        "spots",
        "coverage",
        "warnings",
        "provenance",
        "min_confidence",
        "strongest",
        "face",
        "stimuli",
    ):
        assert getattr(again, name) == getattr(result, name)
    np.testing.assert_array_equal(again.intensity, result.intensity)
    np.testing.assert_array_equal(again.segment, result.segment)
    np.testing.assert_array_equal(again.speaking, result.speaking)
    np.testing.assert_array_equal(again.voice, result.voice)
    np.testing.assert_array_equal(again.timebase.frame_times, result.timebase.frame_times)


def test_results_saved_before_there_was_a_voice_are_read(tmp_path):
    result = talked("lower lip")
    path = result.save(tmp_path / "clip.npz")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name not in ("told", "seal")}
        told = json.loads(str(file["told"]))
    for spot in told["spots"]:
        del spot["explanation"]["voiced"]
    text = json.dumps(told)
    np.savez_compressed(path, told=np.array(text), seal=np.array(archive._seal(text, arrays)), **arrays)
    again = SpotResult.load(path)
    assert again.voice is None
    assert again.spots == result.spots


def test_files_that_are_no_results_are_refused(tmp_path):
    path = make_result().save(tmp_path / "clip.npz")
    content = path.read_bytes()
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    assert isinstance(SpotResult.load(path), SpotResult)
    for bad in (b"", b"text", content[: len(content) // 2], other.read_bytes()):
        path.write_bytes(bad)
        with pytest.raises(FacespotError, match=r"clip\.npz: is no result"):
            SpotResult.load(path)
    with pytest.raises(FileNotFoundError):
        SpotResult.load(tmp_path / "none.npz")


def test_saved_results_that_somebody_changed_are_refused(tmp_path):
    """Also by whoever packs them again with right checksums."""
    path = make_result().save(tmp_path / "clip.npz")
    with np.load(path) as file:
        arrays = dict(file)
    told = str(arrays["told"])
    changes = (
        {"told": np.array(told.replace("macro", "micro"))},
        {"intensity": arrays["intensity"] + 1},
        {"told": np.array("[" * 100_000)},
        {"told": np.array("[1]")},
        {"seal": np.array("")},
        {"told": np.array(told.replace('"format_version": 2', '"format_version": 1'))},
    )
    for change in changes:
        np.savez_compressed(path, **arrays | change)
        with pytest.raises(FacespotError, match=r"clip\.npz: (is no result|was saved by another version)"):
            SpotResult.load(path)


def test_what_a_saved_result_would_unpack_to_is_known_before(tmp_path, monkeypatch):
    import zipfile

    path = make_result().save(tmp_path / "clip.npz")
    monkeypatch.setattr(archive, "_MOST_BYTES", 1 << 20)
    assert isinstance(SpotResult.load(path), SpotResult)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x.npy", bytes(1 << 20))
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("was unpacked"))
    with pytest.raises(FacespotError, match="is no result"):
        SpotResult.load(path)


def test_the_header_of_an_array_that_is_no_python_is_refused(tmp_path):
    import zipfile

    path = make_result().save(tmp_path / "clip.npz")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["intensity.npy"] = members["intensity.npy"].replace(b"{", b"(", 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(FacespotError, match="is no result"):
        SpotResult.load(path)


def test_the_ending_tells_the_format_unless_it_is_named(tmp_path):
    result = make_result()
    with result.save(tmp_path / "a.csv").open(newline="") as file:
        assert [row["type"] for row in csv.DictReader(file)] == ["macro", "micro"]
    assert json.loads(result.save(tmp_path / "a.spots.json").read_text())["video"] == result.video
    assert result.save(tmp_path / "a.eaf").read_text().startswith("<?xml")
    assert result.save(tmp_path / "notes.txt", "vtt").read_text().startswith("WEBVTT")
    with pytest.raises(ValueError, match=r"a\.doc: which format"):
        result.save(tmp_path / "a.doc")


def test_plot_is_a_figure(tmp_path):
    figure = make_result().plot()
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_hint_is_for_results_without_rows():
    assert make_result(min_confidence=(0.5, 0.5), strongest=0.9).hint() is None
    assert (
        "confidence 0.31; reported from 0.78 (macro) and 0.74 (micro) on"
        in make_result((), min_confidence=(0.78, 0.74), strongest=0.31).hint()
    )
    assert "no candidate" in make_result((), min_confidence=(0.5, 0.5)).hint()


def talked(*regions, speech=0.9, voiced=None):
    """A result with one expression in which these regions moved."""
    moved = tuple(RegionMotion(region, "middle", 0.0, 2.0, 2.0) for region in regions)
    why = Explanation(moved, "", 2.0, 1.0, None, None, 0.0, 0.0, speech, (), voiced)
    result = make_result(INTERVALS[:1], min_confidence=(0.5, 0.5), strongest=0.91)
    spots = tuple(replace(spot, explanation=why) for spot in result.spots)
    return replace(result, spots=spots, speaking=np.full(result.timebase.n_ticks, 0.9))


def test_what_moves_the_mouth_alone_while_talking_can_be_left_out():
    result = talked("mouth corner", "lower lip", "chin").without_speech()
    assert result.spots == ()
    assert result.warnings == ("1 expression of the mouth alone, while talking, left out",)
    assert result.provenance["ignored_speech"] == {"share": 0.5, "by": "mouth", "left_out": 1}
    assert result.hint() is None


@pytest.mark.parametrize(("voiced", "left"), [(0.0, 1), (0.4, 1), (0.5, 0), (None, 1)])
def test_where_the_sound_was_listened_to_mouth_and_voice_have_to_agree(voiced, left):
    result = talked("lower lip", voiced=voiced)
    result = replace(result, voice=np.zeros(result.timebase.n_ticks)).without_speech()
    assert len(result.spots) == left
    assert result.provenance["ignored_speech"] == {"share": 0.5, "by": "mouth and voice", "left_out": 1 - left}
    told = ("1 expression of the mouth alone, while talking and heard, left out",)
    assert result.warnings == told[: 1 - left]


@pytest.mark.parametrize(
    "result",
    [
        talked("mouth corner", "cheek"),
        talked("inner brow"),
        talked("lower lip", speech=0.4),
        talked("lower lip", speech=None),
        talked(),
        replace(make_result(), speaking=np.ones(make_result().timebase.n_ticks)),
    ],
    ids=["smile", "brow", "silent", "not told", "nothing stands out", "not measured"],
)
def test_other_expressions_stay(result):
    left = result.without_speech()
    assert left.spots == result.spots
    assert left.warnings == ()


def test_weights_that_do_not_tell_speech_cannot_leave_it_out():
    with pytest.raises(FacespotError, match="do not tell where somebody is talking"):
        make_result().without_speech()
