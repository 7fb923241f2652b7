"""Judging spotted intervals against annotated ones.

Task: each recording has annotated and predicted intervals of two classes, macro and micro; how many of the annotated
ones were found, and how many predictions were something else?

Conventions: intervals are `Interval`s that count one unit on both sides, ticks of the 30 Hz clock or frames of the
annotations, both ends inclusive; an IoU depends on it, as an inclusive end is as long as the unit. Any order is accepted.
Annotations listed as `ignored` (an annotator was unsure) are don't-care: they are not to be found, and a prediction of
which at least half the ticks lie in them is neither hit nor false alarm, whatever its class.

Metrics: a prediction is a true positive when it is matched to an annotation of its class with an IoU of at least 0.5
(paper eq. 17), one to one. TP, FP and FN are summed over recordings before precision, recall and F1 are taken, for
macro, micro, and both pooled (MEGC). An undefined ratio (0 / 0) is 0.

Source: the MEGC 2021 protocol as used by the GIM paper, section 4.1. Departures from the authors' evaluator, which is
kept in `reference.metrics`, and whose sizes `spot evaluate --protocol authors` tells:
- Lengths count ticks on both sides. The authors subtract an inclusive annotated offset from its onset but an exclusive
  predicted one, so the same n ticks have an IoU of (n - 1) / n there: 0.875 for a micro-expression of 8 ticks.
- The matching is optimal (as many hits as possible, then the largest IoU), not greedy by confidence: never fewer hits.
- False positives always count. The authors skip a class that the left-out subject has no annotation of: on CAS(ME)^2
  the false alarms of micro-expressions of 10 of 22 subjects.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..intervals import EXPRESSION_TYPES, ExpressionType, Interval, iou_matrix

HIT_IOU = 0.5
_IGNORED_SHARE = 0.5
# (len(annotated), len(predicted)) overlaps of all pairs, in 0..1.
Overlaps = Callable[[Sequence[Interval], Sequence[Interval]], np.ndarray]


@dataclass(frozen=True)
class VideoIntervals:
    """What is known and what was said of one video.

    subject: "" where nobody says whose video it is. n_ticks: its length in the unit of the intervals, needed only for
    agreement per tick. without_apex: intervals of either side whose apex nobody coded; they carry some other value, and
    no apex error is taken of them.
    """

    truth: Sequence[Interval]
    predicted: Sequence[Interval]
    ignored: Sequence[Interval] = ()
    subject: str = ""
    n_ticks: int | None = None
    without_apex: frozenset[Interval] = frozenset()


@dataclass(frozen=True)
class Counts:
    """True positives, false positives, false negatives. Counts add."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


@dataclass(frozen=True)
class Evaluation:
    """Counts of both classes. Evaluations add."""

    macro: Counts = field(default_factory=Counts)
    micro: Counts = field(default_factory=Counts)

    def __add__(self, other: "Evaluation") -> "Evaluation":
        return Evaluation(self.macro + other.macro, self.micro + other.micro)

    @property
    def overall(self) -> Counts:
        """Both classes pooled."""
        return self.macro + self.micro


@dataclass(frozen=True)
class Judgement:
    """Every interval of one recording under its verdict. hits: (annotated, predicted). forgiven: don't-care."""

    hits: list[tuple[Interval, Interval]]
    missed: list[Interval]
    false_alarms: list[Interval]
    forgiven: list[Interval]


def validate(videos: Sequence[VideoIntervals]) -> None:
    """Raises ValueError for what no metric is defined of: no video, ends that are not whole numbers, and an interval
    beyond the end of a video of known length."""
    if not videos:
        raise ValueError("no video to judge")
    for number, video in enumerate(videos):
        intervals = [*video.truth, *video.predicted, *video.ignored]
        for i in intervals:
            if any(int(end) != end for end in (i.onset, i.apex, i.offset)):
                raise ValueError(f"video {number}: {i.onset}..{i.offset} are no whole ticks")
        last = max((i.offset for i in intervals), default=-1)
        if video.n_ticks is not None and last >= video.n_ticks:
            raise ValueError(f"video {number}: an interval ends at tick {last} of a video of {video.n_ticks}")


def match(
    truth: Sequence[Interval], predicted: Sequence[Interval], iou: float = HIT_IOU, overlaps: Overlaps = iou_matrix
) -> list[tuple[int, int]]:
    """Index pairs of an optimal one-to-one matching within classes, all with at least the given IoU, in order of truth.

    overlaps: another measure than the IoU, for comparisons. Raises ValueError for an IoU outside 0..1; at 0, intervals must still touch.
    """
    if not 0.0 <= iou <= 1.0:
        raise ValueError(f"an IoU lies in 0..1, got {iou}")
    pairs = []
    for kind in EXPRESSION_TYPES:
        rows = [i for i, t in enumerate(truth) if t.type == kind]
        columns = [j for j, p in enumerate(predicted) if p.type == kind]
        overlap = overlaps([truth[i] for i in rows], [predicted[j] for j in columns])
        allowed = (overlap >= iou) & (overlap > 0)
        # One more hit outweighs any gain of IoU in the others.
        worth = np.where(allowed, 1 + min(overlap.shape) + overlap, 0.0)
        for i, j in zip(*linear_sum_assignment(worth, maximize=True), strict=True):
            if allowed[i, j]:
                pairs.append((rows[i], columns[j]))
    return sorted(pairs)


def judge(recording: VideoIntervals, iou: float = HIT_IOU, overlaps: Overlaps = iou_matrix) -> Judgement:
    """Match one recording and sort what is left over."""
    truth, predicted = recording.truth, recording.predicted
    pairs = match(truth, predicted, iou, overlaps)
    found, used = {i for i, _ in pairs}, {j for _, j in pairs}
    left = [p for j, p in enumerate(predicted) if j not in used]
    dont_care = [_mostly_inside(p, recording.ignored) for p in left]
    return Judgement(
        hits=[(truth[i], predicted[j]) for i, j in pairs],
        missed=[t for i, t in enumerate(truth) if i not in found],
        false_alarms=[p for p, free in zip(left, dont_care, strict=True) if not free],
        forgiven=[p for p, free in zip(left, dont_care, strict=True) if free],
    )


def count(judgement: Judgement) -> Evaluation:
    """The counts of one judgement."""

    def of(kind: ExpressionType) -> Counts:
        return Counts(
            sum(t.type == kind for t, _ in judgement.hits),
            sum(p.type == kind for p in judgement.false_alarms),
            sum(t.type == kind for t in judgement.missed),
        )

    return Evaluation(of("macro"), of("micro"))


def evaluate(
    recordings: Iterable[VideoIntervals], iou: float = HIT_IOU, overlaps: Overlaps = iou_matrix
) -> Evaluation:
    """Counts summed over recordings."""
    return sum((count(judge(r, iou, overlaps)) for r in recordings), Evaluation())


def evaluate_by_subject(recordings: Iterable[VideoIntervals], iou: float = HIT_IOU) -> dict[str, Evaluation]:
    """Counts summed over the recordings of each subject, subjects in order of name."""
    table: dict[str, Evaluation] = {}
    for recording in recordings:
        table[recording.subject] = table.get(recording.subject, Evaluation()) + count(judge(recording, iou))
    return dict(sorted(table.items()))


def _mostly_inside(interval: Interval, areas: Sequence[Interval]) -> bool:
    if not areas:
        return False
    ticks = np.zeros(interval.n_ticks, dtype=bool)
    for area in areas:
        ticks[max(0, area.onset - interval.onset) : max(0, area.offset + 1 - interval.onset)] = True
    return bool(ticks.mean() >= _IGNORED_SHARE)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
