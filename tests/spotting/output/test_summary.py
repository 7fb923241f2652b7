"""`summary.csv`: counted by hand, with and without conditions."""

import csv
import io

import numpy as np
import pytest
from facespot.errors import AnnotationError
from facespot.extract.timebase import Timebase
from facespot.spotting.datasets.stimuli import read_stimuli
from facespot.spotting.intervals import Interval
from facespot.spotting.output.summary import SUMMARY_COLUMNS, render_summary, summary_rows, write_summary
from facespot.spotting.result import SpotResult
from facespot.spotting.stimuli import Stimulus, stimuli_of, stimulus_at

# A minute at 30 frames a second, its second half without a face.
SPOTS = [
    Interval(30, 45, 75, "macro", 0.9),
    Interval(300, 330, 390, "macro", 0.8),
    Interval(600, 606, 615, "micro", 0.7),
]


def make_result(spots=SPOTS, video="x/anna.mp4", **more) -> SpotResult:
    timebase = Timebase(np.arange(1800) / 30.0)
    segment = np.where(np.arange(1800) < 900, 0, -1)
    return SpotResult(video, tuple(i.on(timebase) for i in spots), np.zeros(1800), segment, timebase, 0.5, **more)


def test_counts_rates_and_means_of_a_video():
    speaking = np.where(np.arange(1800) < 90, 1.0, 0.0)
    (row,) = summary_rows([make_result(warnings=("damaged", "dark"), speaking=speaking)])
    assert tuple(row) == SUMMARY_COLUMNS
    assert (row["macro_count"], row["micro_count"]) == (2, 1)
    # A face was seen for half of a minute.
    assert (row["duration_s"], row["coverage"]) == (pytest.approx(60.0), 0.5)
    assert (row["macro_per_min"], row["micro_per_min"]) == (pytest.approx(4.0), pytest.approx(2.0))
    assert row["macro_mean_duration_s"] == pytest.approx((1.5 + 3.0) / 2)
    assert row["micro_mean_duration_s"] == pytest.approx(0.5)
    assert row["speech"] == pytest.approx(0.1)
    assert row["warnings"] == "damaged | dark"
    assert row["macro_mean_motion"] is None


def test_the_mean_motion_is_that_of_the_rows(monkeypatch):
    result = make_result()
    rows = [row | {"peak_motion": motion} for row, motion in zip(result.rows(), (1.0, 2.0, 0.5), strict=True)]
    monkeypatch.setattr(SpotResult, "rows", lambda self: rows)
    (row,) = summary_rows([result])
    assert (row["macro_mean_motion"], row["micro_mean_motion"]) == (1.5, 0.5)


def test_a_video_without_expressions_or_face_has_a_row():
    result = make_result([])
    result.segment[:] = -1
    (row,) = summary_rows([result])
    assert (row["macro_count"], row["micro_count"], row["coverage"]) == (0, 0, 0.0)
    assert row["macro_per_min"] is None
    assert row["macro_mean_duration_s"] is None
    assert row["speech"] is None


def test_a_row_per_condition_follows_that_of_its_video():
    stimuli = [
        Stimulus(0.0, 10.0, "neutral"),
        Stimulus(10.0, 25.0, "film"),
        Stimulus(25.0, 40.0, "neutral"),
        Stimulus(0.0, 60.0, "other", video="ben.mp4"),
    ]
    rows = summary_rows([make_result(), make_result([], video="ben.mp4")], stimuli)
    assert [(row["video"], row["segment"]) for row in rows] == [
        ("x/anna.mp4", ""), ("x/anna.mp4", "neutral"), ("x/anna.mp4", "film"),
        ("ben.mp4", ""), ("ben.mp4", "neutral"), ("ben.mp4", "other"), ("ben.mp4", "film"),
    ]  # fmt: skip
    _, neutral, film, *_ = rows
    assert (neutral["macro_count"], film["macro_count"], film["micro_count"]) == (1, 1, 1)
    # Neutral is shown for 25 s, and a face is seen in 15 of them.
    assert (neutral["duration_s"], neutral["coverage"]) == (25.0, pytest.approx(0.6))
    assert neutral["macro_per_min"] == pytest.approx(4.0)
    assert film["micro_per_min"] == pytest.approx(4.0)


def test_a_stimulus_beyond_the_end_has_a_row_without_rates():
    _, row = summary_rows([make_result()], [Stimulus(100.0, 110.0, "late")])
    assert (row["duration_s"], row["coverage"], row["macro_count"], row["macro_per_min"]) == (0.0, None, 0, None)


def test_the_file_is_a_table_that_survives_odd_names():
    rows = summary_rows([make_result(video='=a, "b".mp4')])
    (read,) = csv.DictReader(io.StringIO(render_summary(rows)))
    assert list(read) == list(SUMMARY_COLUMNS)
    assert (read["video"], read["macro_per_min"], read["speech"]) == ('\'=a, "b".mp4', "4.000", "")


def test_voiced_time_is_what_mouth_and_voice_agree_on():
    """30 s with a face; the mouth moves in the first 6 of them, a voice is heard from second 3 to 9 and at 40."""
    ticks = np.arange(1800) / 30
    speaking = np.where(ticks < 6, 0.9, 0.1)
    voice = np.where((ticks >= 3) & (ticks < 9) | (ticks > 40), 0.8, 0.0)
    (row,) = summary_rows([make_result(speaking=speaking, voice=voice)])
    assert row["voiced"] == pytest.approx(0.1)
    assert summary_rows([make_result(speaking=speaking)])[0]["voiced"] is None
    assert summary_rows([make_result(voice=voice)])[0]["voiced"] is None


def test_a_summary_of_an_earlier_version_is_replaced_and_no_other_table(tmp_path):
    rows, path = summary_rows([make_result()]), tmp_path / "summary.csv"
    earlier = ",".join(name for name in SUMMARY_COLUMNS if name != "voiced")
    for header in (",".join(SUMMARY_COLUMNS), earlier):
        path.write_text(header + "\nold\n")
        write_summary(rows, path)
        assert path.read_text() == render_summary(rows)
    for header in ("video", "video,segment,warnings", earlier + ",mine", ",".join(reversed(SUMMARY_COLUMNS)), ""):
        path.write_text(header + "\nmine\n")
        with pytest.raises(FileExistsError):
            write_summary(rows, path)


class TestStimuli:
    def test_which_is_on(self):
        stimuli = (Stimulus(0.0, 2.0, "a"), Stimulus(1.0, 3.0, "b"), Stimulus(5.0, 6.0, "c"))
        assert [stimulus_at(stimuli, t) for t in (0.0, 1.0, 2.5, 3.0, 5.5)] == ["a", "b", "b", "", "c"]

    def test_whose_they_are(self):
        stimuli = (Stimulus(0.0, 1.0, "all"), Stimulus(0.0, 1.0, "anna", "day1/anna.mp4"), Stimulus(0.0, 1.0, "b", "b"))
        assert [s.name for s in stimuli_of(stimuli, "/data/anna.mp4")] == ["all", "anna"]
        assert [s.name for s in stimuli_of(stimuli, "b.avi")] == ["all", "b"]

    @pytest.mark.parametrize(
        "text",
        [
            "stimulus,start,end\nfilm,2.5,10\nneutral,0,2.5\n",
            "Stimulus;Start;End\nneutral;0;2,5\nfilm;2,5;10\n",
            "onset\tduration\ttrial_type\n0\t2.5\tneutral\n2.5\t7.5\tfilm\n",
        ],
        ids=["csv", "german", "bids"],
    )
    def test_are_read(self, tmp_path, text):
        path = tmp_path / "events.csv"
        path.write_text(text)
        assert read_stimuli(path) == (Stimulus(0.0, 2.5, "neutral"), Stimulus(2.5, 10.0, "film"))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("stimulus,start\nfilm,1\n", "column missing: end"),
            ("start,end\n1,2\n", "column missing: stimulus"),
            ("stimulus,start,end\nfilm,2,1\n", r"row 2, column C \(end\): 'film' lasts from 2 to 1 s"),
            ("stimulus,start,end\n", "holds no stimulus"),
        ],
    )
    def test_that_are_none(self, tmp_path, text, words):
        path = tmp_path / "events.csv"
        path.write_text(text)
        with pytest.raises(AnnotationError, match=words):
            read_stimuli(path)
