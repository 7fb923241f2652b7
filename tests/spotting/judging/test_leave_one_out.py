"""Judging: tables from anywhere, reports, and leaving subjects out."""

import json
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from facespot.errors import AnnotationError
from facespot.extract.cache import CacheKey, FeatureCache
from facespot.spotting.datasets.records import close_open_offsets, intervals_by_video
from facespot.spotting.intervals import Interval
from facespot.spotting.judging import folds, leave_one_out
from facespot.spotting.judging.annotated_set import AnnotatedSet
from facespot.spotting.judging.leave_one_out import evaluate_loso
from facespot.spotting.judging.metrics import evaluate
from facespot.spotting.judging.pairing import pair_tables
from facespot.spotting.judging.report import evaluation_report
from facespot.spotting.judging.tables import IntervalTable, read_table, rows_of_records
from facespot.spotting.learning.from_points import PointTrainer
from small_set import small_records, store_features, tiny

pytestmark = pytest.mark.usefixtures("one_thread")


class Teller(PointTrainer):
    """Writes down whom it was given."""

    seen: ClassVar[list[set[str]]] = []

    def __init__(self, videos, *args, **options):
        Teller.seen.append({v.subject for v in videos})
        super().__init__(videos, *args, **options)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return store_features(tmp_path_factory.mktemp("features")).folder


@pytest.fixture(scope="module")
def whole(features, tmp_path_factory):
    """A complete run with everything, in this process."""
    Teller.seen = []
    output = tmp_path_factory.mktemp("loso")
    records = small_records()
    result = evaluate_loso(
        features, records, tiny("context"), output, oracle=True, watch_every=1, processes=1, trainer=Teller
    )
    return output, result


def test_nobody_is_judged_by_weights_that_saw_them(whole):
    assert Teller.seen == [{"p1", "p2"}, {"p0", "p2"}, {"p0", "p1"}]


def test_loso_judges_every_annotated_video_once_and_writes_it_all(whole):
    output, result = whole
    truth = intervals_by_video(close_open_offsets(small_records()))
    report = result.reports["chosen"]
    counts = report["counts"]["overall"]
    assert counts["tp"] + counts["fn"] == sum(map(len, truth.values()))
    assert counts["tp"] + counts["fp"] == len(result.predicted)
    assert (report["protocol"], report["epoch"]) == ("leave one subject out", "last, fixed in advance")
    assert set(report["by_subject"]) == {"p0", "p1", "p2"}
    assert result.epochs["chosen"] == {"p0": 3, "p1": 3, "p2": 3}
    assert json.loads((output / "report.json").read_text()) == report
    # What was written is judged alike from the file.
    rows = read_table(output / "predictions.csv")
    assert len(rows.rows) == len(result.predicted)


def test_the_best_epoch_is_the_earliest_with_the_most_of_the_truth(whole):
    _, result = whole
    truth = result.data.truth_on_clock()
    some = {video: intervals[:1] for video, intervals in truth.items()}
    assert leave_one_out._best({1: {v: [] for v in truth}, 2: some, 3: truth, 4: truth}, result.data) == 3
    assert leave_one_out._best({4: truth, 5: some}, result.data) == 4


def test_a_finished_run_is_not_done_again_and_a_broken_one_goes_on(whole, features):
    output, _ = whole
    before = (output / "report.json").read_bytes()
    (output / "folds" / "001" / "epoch-0003.json").unlink()
    Teller.seen = []
    evaluate_loso(
        features, small_records(), tiny("context"), output, oracle=True, watch_every=1, processes=1, trainer=Teller
    )
    # Found finished but incomplete, so begun anew.
    assert Teller.seen == [{"p0", "p2"}] * 2
    assert (output / "report.json").read_bytes() == before
    with pytest.raises(AnnotationError, match="another evaluation"):
        evaluate_loso(features, small_records(), tiny("context"), output, seed=5, processes=1)


def test_a_fold_of_other_features_is_not_taken_for_this_one(tmp_path):
    """As after `spot prepare` ran anew: same videos, same points, other measurements in one of them."""
    records, recipe = small_records(), tiny("context", epochs=1)
    prepared = store_features(tmp_path / "features")

    def run():
        return evaluate_loso(prepared.folder, records, recipe, tmp_path / "loso", folds=2, processes=1)

    first = run()
    again = prepared.digest(prepared.videos[1])
    store_features(tmp_path / "features")
    assert prepared.digest(prepared.videos[1]) == again
    assert run().predicted == first.predicted
    features = prepared.load(prepared.videos[1])
    changed = replace(features, snippets=np.array(features.snippets) * np.float16(1.01))
    FeatureCache(prepared.folder).store(CacheKey("p1v0", f"{1:04d}{0:04d}" * 5, {}, {}), changed)
    with pytest.raises(AnnotationError, match=r"another evaluation \(what differs: features\)"):
        run()


def test_videos_without_features_are_missed_and_named(whole, features):
    """The fourth subject is annotated and was never prepared."""
    _, result = whole
    records = small_records(subjects=4)
    absent = records[records["subject"] == "p3"]
    for rule, missed, subjects in (("missed", len(absent), 4), ("left-out", 0, 3)):
        data = AnnotatedSet(features, records, rule)
        pairing = data.pair(result.found)
        report = evaluation_report(pairing.videos, pairing.unit)
        counts, before = report["counts"]["overall"], result.reports["chosen"]["counts"]["overall"]
        assert (counts["tp"], counts["fp"], counts["fn"]) == (before["tp"], before["fp"], before["fn"] + missed)
        assert report["subjects"] == subjects
        assert (pairing.absent, pairing.coverage) == (("p3/v0",), 0.75)
        assert any("1 video annotated and without features" in note and "p3/v0" in note for note in pairing.notes)
        # Agreement is known of the videos that were looked at, in which nothing may have been found.
        assert report["kappa_videos"] == 3


def test_loso_counts_videos_without_features(features, tmp_path):
    records, recipe = small_records(subjects=4), tiny("context", epochs=1)
    options = {"folds": 2, "processes": 1}
    with_absent = evaluate_loso(features, records, recipe, tmp_path, **options).reports["chosen"]
    without = evaluate_loso(features, records, recipe, tmp_path, absent="left-out", **options).reports["chosen"]
    absent = int((records["subject"] == "p3").sum())
    assert with_absent["counts"]["overall"]["fn"] == without["counts"]["overall"]["fn"] + absent
    assert (with_absent["absent"], with_absent["coverage"]) == (["p3/v0"], 0.75)


def test_the_file_of_predictions_is_judged_as_they_were(whole):
    """Twice as many frames a second in the sheet as in the features, so that rounding to ticks would tell."""
    output, result = whole
    sheet = small_records()
    for name in ("onset", "apex", "offset"):
        sheet[name] = sheet[name] * 2 + 1
    sheet["fps"] = 60.0
    data = AnnotatedSet(result.data.prepared.folder, sheet)
    pairing = data.pair(result.found)
    assert pairing.unit == "frames"
    from_file = pair_tables(read_table(output / "predictions.csv"), IntervalTable.of(rows_of_records(sheet)))
    assert evaluate(from_file.videos) == evaluate(pairing.videos)
    onsets = [t.onset for v in pairing.videos for t in v.truth]
    assert sorted(onsets) == sorted(sheet["onset"])


class Told(PointTrainer):
    """Is told more than points, as comparisons are."""

    def __init__(self, *args, records, **options):
        super().__init__(*args, **options)


def test_a_fold_of_another_trainer_or_of_one_told_otherwise_is_not_taken_for_this_one(features, tmp_path):
    records, recipe = small_records(), tiny("context", epochs=1)

    def run(trainer):
        return evaluate_loso(features, records, recipe, tmp_path, folds=2, processes=1, trainer=trainer)

    # Far from both ends of the table, where its repr would not show it.
    long = pd.concat([records] * 30, ignore_index=True)
    moved = long.assign(offset=long["offset"] + (long.index == len(long) // 2))
    first = run(partial(Told, records=long))
    for other in (None, Told, Teller, partial(Told, records=moved), partial(Teller, records=long)):
        with pytest.raises(AnnotationError, match="another evaluation"):
            run(other)
    assert run(partial(Told, records=long.copy())).predicted == first.predicted


def test_what_is_bound_to_a_trainer_counts_and_the_order_of_a_mapping_does_not():
    one, two = Interval(1, 2, 3, "micro"), Interval(1, 2, 4, "micro")
    told = folds._bound_identity(partial(Told, records={"a": [one], "b": [two]}))
    assert told == folds._bound_identity(partial(Told, records={"b": [two], "a": [one]}))
    assert told != folds._bound_identity(partial(Told, records={"a": [one], "b": [replace(two, offset=5)]}))
    assert told != folds._bound_identity(partial(partial(Told, 1), records={"a": [one], "b": [two]}))


def test_processes_and_their_absence_agree(whole, features, tmp_path, monkeypatch):
    monkeypatch.setattr(leave_one_out, "usable_cores", lambda: 2)
    seen = []
    evaluate_loso(features, small_records(), tiny("context"), tmp_path, processes=2, progress=seen.append)
    assert sorted(outcome.name for outcome in seen) == ["p0", "p1", "p2"]
    assert (tmp_path / "predictions.csv").read_bytes() == (whole[0] / "predictions.csv").read_bytes()


def test_the_inner_subject_is_neither_trained_on_nor_the_one_judged(features, tmp_path):
    Teller.seen = []
    result = evaluate_loso(
        features,
        small_records(),
        tiny("context", epochs=2),
        tmp_path,
        epoch="validation",
        watch_every=1,
        processes=1,
        trainer=Teller,
    )
    assert [len(seen) for seen in Teller.seen] == [1, 1, 1]
    assert all(subject not in seen for subject, seen in zip(("p0", "p1", "p2"), Teller.seen, strict=True))
    assert "inner subject" in result.reports["chosen"]["epoch"]


def test_groups_of_subjects_are_not_called_loso(features, tmp_path):
    result = evaluate_loso(features, small_records(), tiny("context", epochs=1), tmp_path, folds=2, processes=1)
    assert result.reports["chosen"]["protocol"] == "2 folds of subjects"
    assert set(result.epochs["chosen"]) == {"fold0", "p1"}


def test_one_subject_or_points_only_cannot_be_judged(features, tmp_path):
    records = small_records()
    with pytest.raises(AnnotationError, match="too few"):
        evaluate_loso(features, records[records["subject"] == "p0"], tiny(), tmp_path)
    points = records.assign(onset=None, offset=None).astype({"onset": "Int64", "offset": "Int64"})
    with pytest.raises(AnnotationError, match="ends of every expression"):
        evaluate_loso(features, points, tiny(), tmp_path)
