"""Two tables on one axis: the unit, the names, the subjects, and what looks like a mistake."""

import pytest
from facespot.errors import AnnotationError
from facespot.spotting.datasets.names import public_name
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import evaluate
from facespot.spotting.judging.pairing import pair_tables
from facespot.spotting.judging.report import evaluation_report
from facespot.spotting.judging.tables import IntervalTable, TableRow, VideoFacts


def table(*rows, **more):
    return IntervalTable.of(rows, **more)


def frames(video, onset, offset, kind="macro", apex=None, fps=None, subject="", **more):
    seconds = None if fps is None else tuple(None if f is None else f / fps for f in (onset, apex, offset))
    return TableRow(video, subject, kind, seconds, (onset, apex, offset), fps=fps, **more)


def seconds(video, onset, offset, kind="macro", apex=None, subject="", **more):
    return TableRow(video, subject, kind, (onset, apex, offset), None, **more)


def counts(predicted, truth, **options):
    total = evaluate(pair_tables(predicted, truth, **options).videos).overall
    return total.tp, total.fp, total.fn


# The unit


@pytest.mark.parametrize("shift", [32, 33, 34])
def test_a_known_frame_rate_changes_no_count(shift):
    """At 200 fps an inclusive frame is 5 ms long. 100 frames moved by 33 share 67 of 133, by 34 66 of 134."""
    predicted, truth = [frames("v", shift, 99 + shift)], [frames("v", 0, 99)]
    expected = (1, 0, 0) if shift <= 33 else (0, 1, 1)
    assert counts(table(*predicted), table(*truth)) == expected
    for rates in ((200.0, 200.0), (None, 200.0), (200.0, None)):
        some, others = (
            table(frames("v", r[0].frames[0], r[0].frames[2], fps=fps))
            for r, fps in zip((predicted, truth), rates, strict=True)
        )
        assert counts(some, others) == expected
        assert pair_tables(some, others).unit == "frames"


def test_a_micro_expression_of_some_frames_is_not_stretched_to_ticks():
    """60 frames of 200 fps against the last 25 of them: IoU 0.42; in ticks of 30 Hz, 10 against 5, it is 0.5."""
    truth, said = frames("v", 300, 359, "micro", fps=200.0), frames("v", 335, 359, "micro", fps=200.0)
    assert Interval(45, 45, 54, "micro").iou(Interval(50, 50, 54, "micro")) == 0.5
    assert counts(table(said), table(truth)) == (0, 1, 1)


def test_predictions_of_another_rate_or_in_seconds_are_brought_to_the_frames_of_the_annotations():
    truth = table(frames("v", 200, 399, apex=300, fps=200.0))
    for said in (frames("v", 30, 60, apex=45, fps=30.0), seconds("v", 1.0, 2.0, apex=1.5)):
        pairing = pair_tables(table(said), truth)
        assert pairing.unit == "frames"
        assert pairing.videos[0].predicted == [Interval(200, 300, 400, "macro")]
    # A table that tells both, as ours does, tells its rate by that.
    both = TableRow("v", "", "macro", (1.0, 1.5, 2.0), (30, 45, 60))
    assert pair_tables(table(both), truth).videos[0].predicted == [Interval(200, 300, 400, "macro")]


def test_a_rate_of_2997_written_as_30_moves_nothing():
    late = TableRow("v", "", "macro", (120.12, 120.5, 121.12), (3600, 3611, 3630), fps=29.97)
    assert pair_tables(table(late), table(frames("v", 3600, 3630, fps=30.0))).videos[0].predicted[0].onset == 3600


def test_annotations_in_seconds_are_compared_in_milliseconds():
    pairing = pair_tables(table(frames("v", 30, 60, fps=30.0)), table(seconds("v", 1.0, 2.0)))
    assert pairing.unit == "milliseconds"
    assert pairing.videos[0].predicted == [Interval(1000, 1500, 2000, "macro")]


def test_tables_that_cannot_be_compared_say_why():
    with pytest.raises(AnnotationError, match="--fps"):
        pair_tables(table(seconds("v", 1.0, 2.0)), table(frames("v", 30, 60)))
    with pytest.raises(AnnotationError, match="no video is in both"):
        pair_tables(table(seconds("v", 1.0, 2.0)), table(seconds("w", 1.0, 2.0)))
    with pytest.raises(AnnotationError, match="both tables are empty"):
        pair_tables(table(), table())


# Names and subjects


@pytest.mark.parametrize("name", ["s15_0101", "15_0101", "15_0101disgustingteeth", "casme_015_0101", "s15/15_0101x"])
def test_the_names_of_one_video_are_one_video(name):
    assert public_name(name) == ("CAS(ME)^2", "s15", "15_0101")
    truth = table(frames("15_0101", 10, 40, subject="s15"), frames("15_0102", 10, 40, subject="s15"))
    assert counts(table(frames(name, 10, 40)), truth) == (1, 0, 1)
    # And in the other direction.
    assert counts(table(frames("15_0101", 10, 40)), table(frames(name, 10, 40))) == (1, 0, 0)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("samm_006_1", ("SAMM-LV", "006", "006_1")),
        ("spNO.1/a/color", ("CAS(ME)^3", "spNO.1", "spNO.1_a")),
        ("spNO.12_b", ("CAS(ME)^3", "spNO.12", "spNO.12_b")),
        ("006_10", None),
        ("099_1", None),
        ("15_0199", None),
        ("15_01011", None),
        ("holiday", None),
    ],
)
def test_names_of_public_videos(name, known):
    assert public_name(name) == known


def test_a_file_name_that_could_be_two_videos_is_neither():
    truth = table(frames("a/v", 10, 40), frames("b/v", 10, 40), frames("w", 1, 9))
    assert pair_tables(table(frames("v", 10, 40), frames("w", 1, 9)), truth).unannotated == ("v",)
    assert counts(table(frames("x/w", 1, 9)), truth) == (1, 0, 2)


def test_unpredicted_and_unannotated_videos_count_and_are_named():
    truth = table(*(frames(v, 10, 40, subject="p1") for v in ("one", "three")))
    pairing = pair_tables(table(frames("a/one", 10, 40), frames("two", 10, 40)), truth)
    total = evaluate(pairing.videos).macro
    assert (total.tp, total.fp, total.fn) == (1, 1, 1)
    assert (pairing.absent, pairing.unannotated, pairing.coverage) == (("three",), ("two",), 0.5)
    assert any("1 of 2 are covered" in note and note.endswith("three") for note in pairing.notes)
    assert any("not annotated" in note and note.endswith("two") for note in pairing.notes)
    left_out = pair_tables(table(frames("one", 10, 40)), truth, "left-out")
    assert evaluate(left_out.videos).macro.fn == 0
    assert left_out.absent == ("three",)
    assert any("left out" in note for note in left_out.notes)


def test_a_video_in_which_nothing_was_found_is_covered():
    truth = table(frames("one", 10, 40), frames("two", 10, 40))
    pairing = pair_tables(table(frames("one", 10, 40), videos={"two": VideoFacts()}), truth)
    assert pairing.absent == ()
    assert evaluate(pairing.videos).macro.fn == 1


def test_videos_without_expressions_are_no_subjects_of_their_own():
    truth = table(frames("15_0101", 10, 40, subject="s15"), frames("16_0101", 10, 40, subject="s16"))
    said = table(frames("15_0102", 10, 40), frames("x", 10, 40), frames("y", 10, 40), frames("z", 1, 9, subject="s16"))
    pairing = pair_tables(said + table(frames("15_0101", 10, 40)), truth)
    whose = dict(zip(pairing.names, (v.subject for v in pairing.videos), strict=True))
    assert whose == {"15_0101": "s15", "15_0102": "s15", "16_0101": "s16", "x": "", "y": "", "z": "s16"}
    report = evaluation_report(pairing.videos)
    assert report["subjects"] == 2
    # Whose they are or not, their false alarms count.
    assert report["counts"]["overall"]["fp"] == 4
    # Where the annotations name nobody, every video is its own.
    nameless = pair_tables(table(frames("a", 1, 9), frames("b", 1, 9)), table(frames("a", 1, 9)))
    assert [v.subject for v in nameless.videos] == ["a", "b"]


def test_a_truth_without_names_belongs_to_the_only_video():
    pairing = pair_tables(table(seconds("clip", 1.0, 1.4, "micro")), table(seconds("", 1.0, 1.4, "micro")))
    assert evaluate(pairing.videos).micro.tp == 1
    assert evaluation_report(pairing.videos)["subjects"] == 1


# Lengths and apexes


def test_the_length_of_a_truth_makes_agreement_known():
    pairing = pair_tables(table(seconds("v", 1.0, 2.0)), table(frames("v", 60, 120, fps=60.0, n_frames=600)))
    assert pairing.videos[0].n_ticks == 600
    assert evaluation_report(pairing.videos)["kappa"] == 1.0


def test_a_table_numbered_from_one_has_a_kappa():
    """Its last frame has the number of its frames."""
    rows = [frames("v", 1, 40, n_frames=100), frames("v", 91, 100, n_frames=100)]
    pairing = pair_tables(table(*rows[:1]), table(*rows))
    assert pairing.videos[0].n_ticks == 101
    assert 0 < evaluation_report(pairing.videos)["kappa"] < 1
    assert pairing.notes == ()
    further = pair_tables(table(*rows[:1]), table(*rows, frames("v", 150, 160)))
    assert any("beyond the length" in note and "160 of 100" in note for note in further.notes)
    assert evaluation_report(further.videos)["kappa"] is not None


def test_an_apex_that_nobody_coded_has_no_error():
    coded, uncoded = frames("v", 10, 40, apex=30), frames("v", 10, 40)
    for said, known in ((coded, uncoded), (uncoded, coded), (uncoded, uncoded)):
        assert evaluation_report(pair_tables(table(said), table(known)).videos)["apex_error"]["hits"] == 0
    error = evaluation_report(pair_tables(table(coded), table(frames("v", 10, 40, apex=28))).videos)["apex_error"]
    assert (error["hits"], error["mean"]) == (1, 2.0)


# What looks like a mistake


def many(factor=1.0, **more):
    return [frames("v", round((100 + 500 * i) * factor), round((220 + 500 * i) * factor), **more) for i in range(12)]


def test_a_wrong_frame_rate_is_noticed():
    truth = table(*many(fps=200.0))
    right = pair_tables(table(*many(fps=200.0)), truth)
    assert right.notes == ()
    # The same frames, taken for frames of 30 fps.
    wrong = pair_tables(table(*many(fps=30.0)), truth)
    (note,) = wrong.notes
    assert "from 200 to 30" in note
    assert "12 annotations instead of 0" in note
    assert evaluate(wrong.videos).overall.tp == 0
    # Bad predictions alone are no sign of it.
    far = [frames("v", 350 + 500 * i, 390 + 500 * i, fps=200.0) for i in range(12)]
    assert pair_tables(table(*far), truth).notes == ()


def test_swapped_tables_are_noticed():
    ours, truth = table(frames("v", 10, 40, confidence=0.5)), table(frames("v", 10, 40))
    assert pair_tables(ours, truth).notes == ()
    assert any("swapped" in note for note in pair_tables(truth, ours).notes)
    submission, sheet = table(frames("v", 10, 40)), table(frames("v", 10, 40, subject="p1"))
    assert pair_tables(submission, sheet).notes == ()
    assert any("swapped" in note for note in pair_tables(sheet, submission).notes)
    # Ours after leaving subjects out tells both.
    of_ours = table(frames("v", 10, 40, subject="p1", confidence=0.5))
    assert pair_tables(of_ours, submission).notes == ()


def test_empty_tables_are_noticed():
    some = table(frames("v", 10, 40))
    assert any("predictions hold no interval" in note for note in pair_tables(table(), some).notes)
    assert counts(table(), some) == (0, 0, 1)
    assert any("annotations hold no interval" in note for note in pair_tables(some, table()).notes)
    assert counts(some, table()) == (0, 1, 0)


def test_labels_that_are_there_twice_are_told():
    truth = table(frames("v", 10, 40), frames("v", 10, 40), frames("w", 10, 40))
    pairing = pair_tables(table(frames("v", 10, 40), frames("w", 10, 40)), truth)
    assert any("more than once" in note and "1 interval" in note for note in pairing.notes)
    assert evaluate(pairing.videos).overall.fn == 1
