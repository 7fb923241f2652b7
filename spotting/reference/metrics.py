"""The evaluator of the authors' release (github KinopioIsAllIn/GIM), quirks included; `judging.metrics` lists where
ours departs from it, `protocol` tells what each departure is worth.

Units: frames. Annotated intervals have inclusive offsets, predicted ones exclusive; lengths are plain differences of
the two, so an annotation counts one frame less than a prediction of the same frames. Published figures of GIM come
from this evaluator, run for each left-out subject at the epoch with the best F1 on that subject.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..intervals import EXPRESSION_TYPES, ExpressionType, Interval
from ..judging.metrics import HIT_IOU, Counts, Evaluation
from ..readers.authors_decoding import Candidate


@dataclass(frozen=True)
class ReferenceCounts:
    """One class of one subject. apex_error_sum: over hits, |difference of apexes| / (annotated offset - onset + 1)."""

    tp: int
    fp: int
    annotated: int
    apex_error_sum: float


def reference_evaluate(
    truth: Mapping[str, Sequence[Interval]], predicted: Mapping[str, Sequence[Interval | Candidate]]
) -> dict[ExpressionType, ReferenceCounts]:
    """Counts of both classes over all videos of one subject, intervals by video.

    Predictions may be ours (inclusive offsets) or the release's candidates. Fractional annotations must have been
    rounded half to even, as the authors do. Equally confident predictions are taken in order of video and position.
    """
    claims = [(video, _as_candidate(p)) for video, intervals in predicted.items() for p in intervals]
    claims.sort(key=lambda claim: -claim[1].score)
    return {
        kind: _evaluate_class(
            {video: [t for t in intervals if t.type == kind] for video, intervals in truth.items()},
            [(video, c) for video, c in claims if c.kind == index],
        )
        for index, kind in enumerate(EXPRESSION_TYPES)
    }


def reference_evaluation(subjects: Sequence[Mapping[ExpressionType, ReferenceCounts]]) -> Evaluation:
    """Counts of several subjects summed, as the authors' main script does."""

    def total(kind: ExpressionType) -> Counts:
        tp, fp, annotated = (sum(getattr(s[kind], name) for s in subjects) for name in ("tp", "fp", "annotated"))
        return Counts(tp, fp, annotated - tp)

    return Evaluation(total("macro"), total("micro"))


def reference_overlaps(annotated: Sequence[Interval], claims: Sequence[Interval]) -> np.ndarray:
    """(len(annotated), len(claims)) IoU of every pair as this evaluator takes it."""
    values = [[_iou(a, _as_candidate(c)) for c in claims] for a in annotated]
    return np.array(values, dtype=np.float64).reshape(len(annotated), len(claims))


def _as_candidate(p: Interval | Candidate) -> Candidate:
    if isinstance(p, Candidate):
        return p
    return Candidate(EXPRESSION_TYPES.index(p.type), p.confidence, p.onset, p.offset + 1, p.apex)


def _evaluate_class(
    wanted: Mapping[str, Sequence[Interval]], claims: Sequence[tuple[str, Candidate]]
) -> ReferenceCounts:
    """wanted: annotations of one class by video. claims: predictions of that class with their video, best first."""
    annotated = sum(map(len, wanted.values()))
    if annotated == 0:  # the class is not evaluated: its predictions are no false positives
        return ReferenceCounts(0, 0, 0, 0.0)
    taken: dict[str, set[int]] = {video: set() for video in wanted}
    tp, fp, apex_error = 0, 0, 0.0
    for video, claim in claims:
        hit = _first_free(wanted.get(video, []), taken.get(video, set()), claim)
        if hit is None:
            fp += 1
            continue
        taken[video].add(hit)
        found = wanted[video][hit]
        tp += 1
        apex_error += abs(found.apex - claim.apex) / (found.offset - found.onset + 1)
    return ReferenceCounts(tp, fp, annotated, apex_error)


def _first_free(candidates: Sequence[Interval], taken: set[int], claim: Candidate) -> int | None:
    """The free annotation of highest IoU, if that reaches 0.5."""
    free = [i for i in range(len(candidates)) if i not in taken]
    best = max(free, key=lambda i: _iou(candidates[i], claim), default=None)
    return best if best is not None and _iou(candidates[best], claim) >= HIT_IOU else None


def _iou(annotated: Interval, claim: Candidate) -> float:
    shared = max(0, min(annotated.offset, claim.offset_excl) - max(annotated.onset, claim.onset))
    return shared / ((annotated.offset - annotated.onset) + (claim.offset_excl - claim.onset) - shared)
