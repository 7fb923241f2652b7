"""How well annotated and predicted intervals agree beyond counting hits. Conventions are those of `metrics`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..intervals import EXPRESSION_TYPES, Interval, iou_matrix
from .metrics import HIT_IOU, Evaluation, VideoIntervals, evaluate, evaluate_by_subject, judge

IOU_THRESHOLDS = tuple(np.arange(1, 10) / 10)


@dataclass(frozen=True)
class ApexError:
    """Distance of predicted from annotated apexes over the hits of which both are known; NaN without any.

    n: those hits. mean_ticks, median_ticks: absolute distance. mean_relative: distance over the annotated length, averaged.
    """

    n: int
    mean_ticks: float
    median_ticks: float
    mean_relative: float


def apex_error(recordings: Sequence[VideoIntervals], iou: float = HIT_IOU) -> ApexError:
    """Apex distances of the hits at the given IoU, less those where an apex was not coded."""
    hits = [
        (t, p)
        for r in recordings
        for t, p in judge(r, iou).hits
        if t not in r.without_apex and p not in r.without_apex
    ]
    if not hits:
        return ApexError(0, np.nan, np.nan, np.nan)
    ticks = np.array([abs(t.apex - p.apex) for t, p in hits], dtype=np.float64)
    lengths = np.array([t.n_ticks for t, _ in hits])
    return ApexError(len(hits), float(ticks.mean()), float(np.median(ticks)), float((ticks / lengths).mean()))


def iou_histogram(recordings: Sequence[VideoIntervals], bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """How near the misses were: counts (bins,) of annotations by their best IoU with a prediction of their class.

    Returns the counts and the (bins + 1,) edges over 0..1. Annotations without any overlap fall into the first bin.
    """
    best = []
    for r in recordings:
        for kind in EXPRESSION_TYPES:
            overlap = iou_matrix([t for t in r.truth if t.type == kind], [p for p in r.predicted if p.type == kind])
            best.append(overlap.max(axis=1, initial=0.0))
    return np.histogram(np.concatenate([np.zeros(0), *best]), bins=bins, range=(0.0, 1.0))


def f1_over_iou(
    recordings: Sequence[VideoIntervals], thresholds: Sequence[float] = IOU_THRESHOLDS
) -> dict[float, Evaluation]:
    """The evaluation at each IoU threshold."""
    return {float(threshold): evaluate(recordings, threshold) for threshold in thresholds}


def cohen_kappa(recordings: Sequence[VideoIntervals]) -> float:
    """Cohen's kappa per tick between annotation and prediction, over all recordings.

    The categories are none, macro, micro and both at once; ticks of ignored annotations are left out. NaN where kappa
    is undefined: no ticks, or both sides in one and the same category throughout. Raises ValueError for a recording
    without `n_ticks` or an interval beyond it.
    """
    table = np.zeros((4, 4), dtype=np.int64)
    for r in recordings:
        if r.n_ticks is None:
            raise ValueError("agreement per tick needs the number of ticks of every recording")
        counted = _ticks(r.ignored, r.n_ticks) == 0
        pairs = 4 * _ticks(r.truth, r.n_ticks) + _ticks(r.predicted, r.n_ticks)
        table += np.bincount(pairs[counted], minlength=16).reshape(4, 4)
    total = table.sum()
    if total == 0:
        return float("nan")
    observed = np.trace(table) / total
    expected = float(table.sum(axis=0) @ table.sum(axis=1)) / total**2
    return float("nan") if expected == 1.0 else float((observed - expected) / (1.0 - expected))


def bootstrap_f1(
    recordings: Sequence[VideoIntervals], samples: int = 2000, level: float = 0.95, seed: int = 0, iou: float = HIT_IOU
) -> dict[str, tuple[float, float]]:
    """Percentile confidence interval of the pooled F1 for "macro", "micro" and "overall", resampling subjects.

    Subjects, not recordings, are drawn with replacement: the recordings of one person are not independent. Raises
    ValueError without any recording.
    """
    by_subject = evaluate_by_subject(recordings, iou)
    if not by_subject:
        raise ValueError("no recording to resample")
    # (subjects, class, tp fp fn)
    counts = np.array([[[c.tp, c.fp, c.fn] for c in (e.macro, e.micro, e.overall)] for e in by_subject.values()])
    drawn = np.random.default_rng(seed).integers(len(counts), size=(samples, len(counts)))
    times = np.stack([np.bincount(row, minlength=len(counts)) for row in drawn])
    tp, fp, fn = np.moveaxis(np.tensordot(times, counts, axes=1), -1, 0)
    f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    low, high = np.quantile(f1, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(("macro", "micro", "overall"))}


def _ticks(intervals: Sequence[Interval], n_ticks: int) -> np.ndarray:
    """(n_ticks,) int: 0 none, 1 macro, 2 micro, 3 both."""
    marks = np.zeros(n_ticks, dtype=np.int64)
    for interval in intervals:
        if interval.offset >= n_ticks:
            raise ValueError(f"an interval ends at tick {interval.offset} of a recording of {n_ticks}")
        marks[interval.onset : interval.offset + 1] |= 1 + EXPRESSION_TYPES.index(interval.type)
    return marks
