"""The authors' protocol beside MEGC's, one departure after the other, and what each is worth.

Published tables of GIM come from another evaluator, another decoder and another choice of the epoch than ours. From our
count to theirs the protocol changes in steps, each on top of the ones before:

- clock: intervals in ticks of the 30 Hz clock instead of frames of the annotations (the authors count every 7th frame
  of SAMM-LV, 28.6 Hz, which stays a difference);
- decoder: theirs (`decoding`), whose proposal scorer is a reconstruction;
- lengths: an annotation is one unit shorter than a prediction of the same frames;
- matching: greedy by confidence;
- classes: false alarms of a class that the subject has no annotation of do not count;
- epoch: for each left-out subject the one with the best F1 on that very subject, the last of equals. It is selected on
  the test data.

Steps that build on each other do not say what one is worth by itself: evaluator, decoder and epoch rule are also made
one at a time.

Annotated videos without features are missed or left out as in our count; the authors have features of all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..datasets import casme2, casme3, samm_lv
from ..intervals import EXPRESSION_TYPES, Interval
from ..judging.metrics import Counts, Evaluation, VideoIntervals, evaluate
from ..readers.authors_decoding import CAS_ME2, CAS_ME3, SAMM_LV, decode_reference
from .metrics import reference_evaluate, reference_evaluation, reference_overlaps

if TYPE_CHECKING:
    from ..judging.annotated_set import AnnotatedSet, Spotted
    from ..judging.leave_one_out import LosoResult

# Published code looks at the epochs from this one on (1-based), each of them.
FIRST_EPOCH = 6
_SETTINGS = {casme2.DATASET: CAS_ME2, samm_lv.DATASET: SAMM_LV, casme3.DATASET: CAS_ME3}


@dataclass(frozen=True)
class Step:
    """The counts after one more departure. name: of the departure; detail: a few words on it."""

    name: str
    detail: str
    evaluation: Evaluation


def reference_decoding(dataset: str) -> Callable[..., list[Interval]]:
    """The authors' decoder with their settings of a data set, those of SAMM-LV for other recordings; it can be
    pickled."""
    return partial(decode_reference, settings=_SETTINGS.get(dataset, SAMM_LV))


def evaluator_steps(videos: Sequence[VideoIntervals]) -> list[Step]:
    """From the MEGC count of given intervals to that of the authors' evaluator."""
    return [Step("MEGC", "our count of these intervals", evaluate(videos)), *_evaluator(videos)]


def weights_steps(data: "AnnotatedSet", ours: Evaluation, found: "Spotted", decoded: "Spotted") -> list[Step]:
    """ours: our count. found, decoded: intervals of our and of the authors' decoding, on the clock."""
    own, theirs = (_on_clock(data, intervals) for intervals in (found, decoded))
    return [
        Step("MEGC", "our decoding and count", ours),
        Step("clock", "in ticks of 1/30 s", evaluate(own)),
        Step("decoder", "the authors'", evaluate(theirs)),
        *_evaluator(theirs),
    ]


def loso_steps(result: "LosoResult", ours: Evaluation) -> list[Step]:
    """Of a `evaluate_loso` with the authors' decoder as the other one, watched after every epoch."""
    data = result.data
    decoded: dict[str, Sequence[Interval]] = {}
    best: dict[str, Sequence[Interval]] = {}
    for outcome in result.outcomes:
        decoded |= outcome.decoded_otherwise[result.epochs["chosen"][outcome.name]]
        best |= outcome.decoded_otherwise[_best_epoch(data, outcome.decoded_otherwise)]
    chosen = _evaluator(_on_clock(data, best))[-1].evaluation
    return [
        *weights_steps(data, ours, result.found, decoded),
        Step("epoch", "the best on the left-out subject, selected on the test data", chosen),
    ]


def weights_alone(data: "AnnotatedSet", found: "Spotted", decoded: "Spotted") -> list[Step]:
    """Each departure by itself from our count on the clock, which comes first; arguments as of `weights_steps`."""
    own, theirs = (_on_clock(data, intervals) for intervals in (found, decoded))
    return [
        Step("MEGC", "our decoding and count, in ticks of 1/30 s", evaluate(own)),
        Step("evaluator", "only the authors' lengths, matching and classes", _evaluator(own)[-1].evaluation),
        Step("decoder", "only the authors' decoder", evaluate(theirs)),
    ]


def loso_alone(result: "LosoResult") -> list[Step]:
    """The same of a `evaluate_loso` as of `loso_steps`, with the epoch rule: by our decoding and count."""
    data = result.data
    decoded: dict[str, Sequence[Interval]] = {}
    best: dict[str, Sequence[Interval]] = {}
    for outcome in result.outcomes:
        decoded |= outcome.decoded_otherwise[result.epochs["chosen"][outcome.name]]
        best |= outcome.found[_best_epoch(data, outcome.found, _our_f1)]
    chosen = evaluate(_on_clock(data, best))
    return [
        *weights_alone(data, result.found, decoded),
        Step("epoch", "only the best epoch on the left-out subject, selected on the test data", chosen),
    ]


def steps_report(steps: Sequence[Step], alone: bool = False) -> list[dict[str, Any]]:
    """JSON-serialisable: per step its name, detail, F1 by class, counts overall, and what it changed of the F1: of the
    step before, or if each stands alone, of the first."""
    rows, before = [], None
    for step in steps:
        overall = step.evaluation.overall
        rows.append(
            {
                "step": step.name,
                "detail": step.detail,
                **{kind: getattr(step.evaluation, kind).f1 for kind in EXPRESSION_TYPES},
                "overall": overall.f1,
                "counts": [overall.tp, overall.fp, overall.fn],
                "change": None if before is None else overall.f1 - before,
            }
        )
        if before is None or not alone:
            before = overall.f1
    return rows


def steps_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same as a small table of text."""
    lines = ["step      MaE     ME      overall change     TP    FP    FN"]
    for row in rows:
        change = "       " if row["change"] is None else f"{row['change']:+.4f}"
        tp, fp, fn = row["counts"]
        numbers = f"{row['macro']:.4f}  {row['micro']:.4f}  {row['overall']:.4f}  {change}{tp:6d}{fp:6d}{fn:6d}"
        lines.append(f"{row['step']:10}{numbers}  {row['detail']}")
    return lines


def _evaluator(videos: Sequence[VideoIntervals]) -> list[Step]:
    """The three departures of the authors' evaluator, the last of which is its own count."""
    theirs, uncounted = Evaluation(), Evaluation()
    for subject in sorted({v.subject for v in videos}):
        mine = {str(n): v for n, v in enumerate(videos) if v.subject == subject}
        counts = reference_evaluate({n: v.truth for n, v in mine.items()}, {n: v.predicted for n, v in mine.items()})
        theirs += reference_evaluation([counts])
        # Whatever it said of a class without annotations is a false alarm that is passed over.
        passed = [
            0 if counts[kind].annotated else sum(p.type == kind for v in mine.values() for p in v.predicted)
            for kind in EXPRESSION_TYPES
        ]
        uncounted += Evaluation(*(Counts(fp=number) for number in passed))
    return [
        Step("lengths", "an annotation without its last unit", evaluate(videos, overlaps=reference_overlaps)),
        Step("matching", "greedy by confidence", theirs + uncounted),
        Step("classes", "no false alarms of classes a subject has no annotation of", theirs),
    ]


def _on_clock(data: "AnnotatedSet", found: "Spotted") -> list[VideoIntervals]:
    missed = [VideoIntervals(truth, (), subject=subject) for subject, truth in data.absent_on_clock().values()]
    return [*_judged(data, found), *missed]


def _judged(data: "AnnotatedSet", found: "Spotted") -> list[VideoIntervals]:
    truth = data.truth_on_clock()
    return [
        VideoIntervals(truth.get(video, ()), intervals, subject=data.subject_of[video])
        for video, intervals in sorted(found.items())
    ]


def _their_f1(videos: Sequence[VideoIntervals]) -> float:
    return _evaluator(videos)[-1].evaluation.overall.f1


def _our_f1(videos: Sequence[VideoIntervals]) -> float:
    return evaluate(videos).overall.f1


def _best_epoch(
    data: "AnnotatedSet",
    found: Mapping[int, "Spotted"],
    f1: Callable[[Sequence[VideoIntervals]], float] = _their_f1,
) -> int:
    """The epoch of the best overall F1, by the authors' evaluator unless told otherwise, the last of equals."""
    epochs = [number for number in sorted(found) if number >= FIRST_EPOCH] or sorted(found)
    return max(reversed(epochs), key=lambda number: f1(_judged(data, found[number])))
