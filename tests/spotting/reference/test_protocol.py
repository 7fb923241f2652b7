"""From our protocol to the authors', step by step, and weights judged by both."""

import numpy as np
import pytest
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.annotated_set import AnnotatedSet
from facespot.spotting.judging.folds import FoldOutcome
from facespot.spotting.judging.given_weights import spot_set
from facespot.spotting.judging.leave_one_out import LosoResult, evaluate_loso
from facespot.spotting.judging.metrics import Counts, Evaluation, VideoIntervals, evaluate
from facespot.spotting.readers.authors_decoding import CAS_ME2, SAMM_LV
from facespot.spotting.readers.base import Curves
from facespot.spotting.reference import protocol
from facespot.spotting.reference.protocol import (
    evaluator_steps,
    loso_alone,
    loso_steps,
    reference_decoding,
    steps_lines,
    steps_report,
    weights_alone,
    weights_steps,
)
from small_set import TICKS, small_records, store_features, tiny

pytestmark = pytest.mark.usefixtures("one_thread")


def interval(onset, offset, kind="macro", confidence=1.0):
    return Interval(onset, onset, offset, kind, confidence)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return AnnotatedSet(store_features(tmp_path_factory.mktemp("features")).folder, small_records())


class Perfect:
    """Stands for weights that see every annotated interval, and nothing else."""

    def __init__(self, data):
        self._truth = data.truth_on_clock()
        self._turn = iter(sorted(self._truth))

    def curves(self, features):
        intensity, scores = np.full(TICKS, 0.05), np.zeros((TICKS, 2))
        video = next(self._turn)
        for i in self._truth[video]:
            intensity[i.onset : i.offset + 1] = 0.95
            scores[i.onset : i.offset + 1, 0 if i.type == "macro" else 1] = 0.9
        for i in self._truth[video]:  # the next one may begin there
            intensity[i.offset] = 0.05
        return Curves(intensity, scores)

    def intervals(self, features):
        return [], None


def test_each_departure_of_the_evaluator_is_told_apart():
    videos = [
        # 5 of 10 frames: IoU 5/10, and without the last annotated frame 5/9.
        VideoIntervals([interval(0, 9)], [interval(0, 4)], subject="a"),
        # 20 frames in 40: IoU 20/40, and without the last annotated frame 19/40.
        VideoIntervals([interval(100, 119)], [interval(100, 139)], subject="a"),
        # The surer prediction takes the annotation that it fits better (0.62, 0.56), the only one that the other fits.
        VideoIntervals(
            [interval(0, 99), interval(50, 149)],
            [interval(25, 119, confidence=0.9), interval(0, 59, confidence=0.5)],
            subject="a",
        ),
        # b has no micro-expression.
        VideoIntervals([interval(0, 9)], [interval(0, 8), interval(20, 28, "micro")], subject="b"),
    ]
    megc, lengths, matching, classes = evaluator_steps(videos)
    assert [s.name for s in (megc, lengths, matching, classes)] == ["MEGC", "lengths", "matching", "classes"]
    assert megc.evaluation == evaluate(videos)
    assert megc.evaluation == Evaluation(Counts(5, 0, 0), Counts(fp=1))
    assert lengths.evaluation == Evaluation(Counts(4, 1, 1), Counts(fp=1))
    assert matching.evaluation == Evaluation(Counts(3, 2, 2), Counts(fp=1))
    assert classes.evaluation == Evaluation(Counts(3, 2, 2), Counts())
    rows = steps_report([megc, lengths, matching, classes])
    assert rows[0]["change"] is None
    total = sum(row["change"] for row in rows[1:])
    assert total == pytest.approx(rows[-1]["overall"] - rows[0]["overall"])
    lines = steps_lines(rows)
    assert len(lines) == 5
    assert f"{rows[1]['change']:+.4f}" in lines[2]


def test_the_settings_of_the_decoder_are_those_of_the_data_set():
    assert reference_decoding("CAS(ME)^2").keywords == {"settings": CAS_ME2}
    assert reference_decoding("SAMM-LV").keywords == reference_decoding("own").keywords == {"settings": SAMM_LV}


def test_given_weights_are_judged_by_both_decoders(data):
    told = []
    spotted = spot_set(Perfect(data), data, reference_decoding("CAS(ME)^2"), told.append)
    assert told == sorted(data.videos)
    assert all(intervals == [] for intervals in spotted.found.values())
    ours = evaluate(data.pair(spotted.found).videos)
    steps = weights_steps(data, ours, spotted.found, spotted.decoded_otherwise)
    assert [s.name for s in steps] == ["MEGC", "clock", "decoder", "lengths", "matching", "classes"]
    # Our decoding found nothing; theirs finds what is within its limits of duration.
    assert steps[0].evaluation.overall.tp == steps[1].evaluation.overall.tp == 0
    wanted = [i for intervals in data.truth_on_clock().values() for i in intervals]
    macro = sum(i.type == "macro" and i.n_ticks > 15 for i in wanted)
    assert macro > 0
    assert steps[2].evaluation.macro.tp == macro
    assert spot_set(Perfect(data), data).decoded_otherwise == {}


def test_each_departure_is_also_made_by_itself(data):
    """Ours misses all but what its last epoch but one saw, their decoder sees all; neither changes the other's row."""
    truth = data.truth_on_clock()
    nothing = {video: [] for video in data.videos}
    outcomes, total = [], sum(map(len, truth.values()))
    for subject in data.subjects:
        videos = [v for v, s in data.subject_of.items() if s == subject]
        mine, none = {v: truth[v] for v in videos}, {v: [] for v in videos}
        outcomes.append(FoldOutcome(subject, {7: mine, 8: none}, {}, {7: none, 8: mine}))
    result = LosoResult({}, {"chosen": dict.fromkeys(data.subjects, 8)}, [], data, nothing, outcomes)
    alone = loso_alone(result)
    assert [step.name for step in alone] == ["MEGC", "evaluator", "decoder", "epoch"]
    assert [step.evaluation.overall.tp for step in alone] == [0, 0, total, total]
    assert [row["change"] for row in steps_report(alone, alone=True)] == [None, 0.0, 1.0, 1.0]
    # The evaluator by itself: false alarms of a class that nobody annotated are passed over, whoever decoded.
    strange = {video: [*truth[video], interval(0, 5, "micro")] for video in truth}
    only_macro = AnnotatedSet(data.prepared.folder, small_records()[small_records()["type"] == "macro"])
    kept = {video: intervals for video, intervals in strange.items() if video in only_macro.videos}
    ours, evaluator, decoder = (s.evaluation for s in weights_alone(only_macro, kept, dict.fromkeys(kept, ())))
    assert evaluator.micro.fp == 0 < ours.micro.fp
    assert (decoder.overall.tp, decoder.overall.fp) == (0, 0)


def test_absent_videos_are_missed_at_every_step(data):
    found = {video: [] for video in data.videos}
    more = AnnotatedSet(data.prepared.folder, small_records(subjects=4))
    for chosen, extra in ((more, 1), (AnnotatedSet(data.prepared.folder, small_records(subjects=4), "left-out"), 0)):
        steps = weights_steps(chosen, evaluate(chosen.pair(found).videos), found, found)
        assert len({step.evaluation.overall.fn for step in steps}) == 1
        absent = int((more.records["subject"] == "p3").sum())
        assert steps[0].evaluation.overall.fn == len(small_records()) + extra * absent


def test_the_epoch_is_the_last_of_the_best_on_the_left_out_subject(data):
    """Whatever happened before the sixth epoch does not count, as published code looks at none of it."""
    truth = data.truth_on_clock()
    outcomes = []
    for subject in data.subjects:
        videos = [v for v, s in data.subject_of.items() if s == subject]
        right, wrong = {v: truth[v] for v in videos}, {v: [] for v in videos}
        epochs = {5: right, 6: wrong, 7: right, 8: right, 9: wrong}
        outcomes.append(FoldOutcome(subject, epochs, {}, epochs))
        assert protocol._best_epoch(data, epochs) == 8
        assert protocol._best_epoch(data, {1: wrong, 2: right, 3: wrong}) == 2
    found = {video: [] for video in data.videos}
    result = LosoResult({}, {"chosen": dict.fromkeys(data.subjects, 9)}, [], data, found, outcomes)
    steps = loso_steps(result, evaluate(data.pair(found).videos))
    assert (steps[-1].name, steps[-2].name) == ("epoch", "classes")
    assert steps[-2].evaluation.overall.tp == 0
    # One interval less long and one missed, theirs has all the same.
    assert steps[-1].evaluation.overall.tp == sum(map(len, truth.values()))


def test_a_run_of_our_protocol_is_gone_through_again_for_theirs(data, tmp_path):
    """Epochs that nobody decoded their way are trained again, which ends alike; afterwards nothing is."""
    options = {"folds": 2, "processes": 1, "watch_every": 1}
    folder, records, recipe = data.prepared.folder, small_records(), tiny("context", epochs=2)
    first = evaluate_loso(folder, records, recipe, tmp_path, **options)
    assert first.outcomes[0].decoded_otherwise == {}
    decoding = reference_decoding("CAS(ME)^2")
    second = evaluate_loso(folder, records, recipe, tmp_path, other_decoding=decoding, **options)
    assert second.predicted == first.predicted
    assert set(second.outcomes[0].decoded_otherwise) == {1, 2}
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "folds").rglob("epoch-*.json")}
    assert len(written) == 2 * 4
    third = evaluate_loso(folder, records, recipe, tmp_path, other_decoding=decoding, **options)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert third.outcomes == second.outcomes
