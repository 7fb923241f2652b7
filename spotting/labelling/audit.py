"""How good is facespot on these recordings? Some stretches are watched without its predictions; the rest is estimated.

The recordings are cut into stretches of about ten seconds, never through a prediction. Those that hold one form the
stratum "detected", the others "rest"; from each a simple random sample is drawn, so that every stretch has a known
probability of being watched. An event belongs to the stretch that holds its middle. Because a hit (IoU of at least 0.5)
has its middle within the prediction, hits, misses and false alarms of the stretches add up to exactly those of whole
recordings.

Estimates weigh each stretch with the inverse of its probability (Horvitz & Thompson 1952). The intervals come from a
Bayesian bootstrap of the finite population (Lo 1988): the unwatched stretches of a stratum are drawn by a Polya urn
from the watched ones, and from one imagined stretch with half an event of each kind, without which an audit that
happens to meet no miss would be certain that there is none. Where everything was watched nothing is left to draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.stats import norm as normal
from scipy.stats import t as student

from ...extract.timebase import CLOCK_HZ
from ..intervals import Interval
from ..judging.metrics import Counts, Evaluation, VideoIntervals, evaluate

STRETCH_TICKS = round(10.0 * CLOCK_HZ)
LOOK_TICKS = round(1.0 * CLOCK_HZ)  # watched on either side of a prediction by whoever trusts facespot
Stratum = Literal["detected", "rest"]
KINDS = ("overall", "macro", "micro")
# Of an imagined stretch: true positives, false positives, false negatives. Without a prediction only misses can be.
_IMAGINED = {"detected": (0.5, 0.5, 0.5), "rest": (0.0, 0.0, 0.5)}
_LEAST_CONCENTRATION = 0.1


@dataclass(frozen=True)
class Stretch:
    """Ticks start..end - 1 of one recording. probability: that it was drawn."""

    recording: int
    start: int
    end: int
    stratum: Stratum
    probability: float

    def holds(self, interval: Interval) -> bool:
        """Whether the interval's middle lies in it."""
        return self.start <= (interval.onset + interval.offset + 1) // 2 < self.end


@dataclass(frozen=True)
class Estimate:
    """A ratio and the ends of its confidence interval; NaN where there is nothing to divide by."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AuditResult:
    """scores: "overall", "macro", "micro" -> "precision", "recall", "f1". stretches: watched. drawn: in the plan."""

    scores: dict[str, dict[str, Estimate]]
    stretches: int
    drawn: int


def cut(n_ticks: int, predicted: Sequence[Interval], length: int = STRETCH_TICKS) -> list[tuple[int, int]]:
    """The recording in pieces (start, end) of `length` ticks or a little more, none of them ending in a prediction."""
    borders = [0]
    while True:
        border = borders[-1] + length
        # One tick further than its end: the middle of a hit can lie right behind the prediction.
        while behind := [p.offset + 2 for p in predicted if p.onset < border <= p.offset + 1]:
            border = max(behind)
        if n_ticks - border < length / 2:
            return list(pairwise([*borders, n_ticks]))
        borders.append(border)


def draw_stretches(
    recordings: Sequence[tuple[int, Sequence[Interval]]],
    n: int,
    rng: np.random.Generator,
    length: int = STRETCH_TICKS,
) -> list[Stretch]:
    """A random sample of `n` stretches, or all if there are fewer, in the random order they are to be watched in.

    recordings: (number of ticks, predictions) each. Half of the sample is drawn where predictions are. Raises
    ValueError for fewer than one stretch of each stratum.
    """
    strata: dict[Stratum, list[tuple[int, int, int]]] = {"detected": [], "rest": []}
    for number, (n_ticks, predicted) in enumerate(recordings):
        for start, end in cut(n_ticks, predicted, length):
            stratum = "detected" if any(start <= p.onset < end for p in predicted) else "rest"
            strata[stratum].append((number, start, end))
    if n < sum(bool(pieces) for pieces in strata.values()):
        raise ValueError(f"{n} stretches cannot stand for what was detected and for the rest")
    detected, rest = (len(pieces) for pieces in strata.values())
    from_rest = min(rest, max(n // 2, n - detected))
    sizes = {"detected": min(detected, n - from_rest), "rest": from_rest}
    drawn = [
        Stretch(pieces[i][0], pieces[i][1], pieces[i][2], stratum, sizes[stratum] / len(pieces))
        for stratum, pieces in strata.items()
        for i in rng.choice(len(pieces), sizes[stratum], replace=False)
    ]
    return [drawn[i] for i in rng.permutation(len(drawn))]


def judge_stretch(stretch: Stretch, truth: Sequence[Interval], predicted: Sequence[Interval]) -> Evaluation:
    """The counts of one stretch of a recording, from all that is known and was said of that recording."""
    inside = [[i for i in side if stretch.holds(i)] for side in (truth, predicted)]
    return evaluate([VideoIntervals(*inside)])


def estimate(
    stretches: Sequence[Stretch],
    counts: Mapping[int, Evaluation],
    samples: int = 4000,
    level: float = 0.95,
    seed: int = 0,
) -> AuditResult:
    """Precision, recall and F1 on everything the stretches were drawn from.

    stretches: as drawn. counts: number of a stretch -> what was seen there; those that nobody has watched yet may be
    missing, since the order is random. Raises ValueError while a stratum has no watched stretch.
    """
    rng = np.random.default_rng(seed)
    total, replicates = np.zeros((3, 3)), np.zeros((samples, 3, 3))  # (kind; tp, fp, fn)
    for stratum in sorted({s.stratum for s in stretches}):
        drawn = [i for i, s in enumerate(stretches) if s.stratum == stratum]
        seen = [i for i in drawn if i in counts]
        if not seen:
            raise ValueError(f"no stretch of the stratum {stratum!r} has been watched yet")
        table = np.array([[_row(getattr(counts[i], kind)) for kind in KINDS] for i in seen], dtype=float)
        reached = len(seen) / len(drawn)
        weights = np.array([1.0 / (stretches[i].probability * reached) for i in seen])
        total += np.tensordot(weights, table, axes=1)
        unseen = round(weights.sum()) - len(seen)
        shares = rng.dirichlet(np.full(len(seen) + 1, _concentration(len(seen), level)), size=samples)
        times = rng.multinomial(unseen, shares)
        pool = np.concatenate([table, np.broadcast_to(_IMAGINED[stratum], (1, 3, 3))])
        replicates += table.sum(axis=0) + np.tensordot(times, pool, axes=1)
    point, spread = _ratios(total), _ratios(replicates)
    ends = ((1 - level) / 2, (1 + level) / 2)
    scores: dict[str, dict[str, Any]] = {}
    for k, kind in enumerate(KINDS):
        scores[kind] = {}
        for name, value in point.items():
            around = spread[name][:, k][~np.isnan(spread[name][:, k])]
            low, high = np.quantile(around, ends) if around.size else (np.nan, np.nan)
            if not np.isnan(value[k]):
                low, high = min(low, value[k]), max(high, value[k])
            scores[kind][name] = Estimate(float(value[k]), float(low), float(high))
    return AuditResult(scores, len(counts), len(stretches))


def reviewing_ticks(n_ticks: int, predicted: Sequence[Interval]) -> int:
    """How much of a recording is watched by whoever looks at the predictions only, with a second before and after."""
    looked = np.zeros(n_ticks, dtype=bool)
    for p in predicted:
        looked[max(p.onset - LOOK_TICKS, 0) : p.offset + 1 + LOOK_TICKS] = True
    return int(looked.sum())


def describe(result: AuditResult, total_s: float, watched_s: float, reviewing_s: float) -> str:
    """The result in plain words. total_s: length of the recordings. watched_s: of the stretches. reviewing_s: what
    looking at the predictions only would have taken."""
    lines = [
        f"Audit of {result.stretches} stretches: {_clock(watched_s)} of {_clock(total_s)} minutes watched without "
        "seeing what facespot had found.",
        "How well facespot does on these recordings (in brackets: 95 % confidence interval)",
        "",
        f"{'':8}{'precision':>20}{'recall':>20}{'F1':>20}",
    ]
    for kind, scores in result.scores.items():
        lines.append(f"{kind:8}" + "".join(f"{_shown(scores[name]):>20}" for name in ("precision", "recall", "f1")))
    saved = 1 - reviewing_s / total_s
    recall = result.scores["overall"]["recall"]
    lines += [
        "",
        f"Looking only at what facespot reports takes {_clock(reviewing_s)} of {_clock(total_s)} minutes: "
        f"{100 * saved:.0f} % of the watching is saved.",
    ]
    if np.isnan(recall.value):
        lines.append("No expression was seen in any stretch, so that nothing can be said of how many are found.")
    else:
        lines.append(
            f"About {100 * recall.value:.0f} in 100 of the expressions in these recordings are then met "
            f"({100 * recall.low:.0f} to {100 * recall.high:.0f})."
        )
    return "\n".join(lines)


def _concentration(n: int, level: float) -> float:
    """Of the urn with `n` watched stretches. 1 would give the plug-in variance and normal tails, which are too narrow
    for few stretches; this gives the unbiased variance and the width of Student's t."""
    if n < 2:
        return _LEAST_CONCENTRATION
    widening = (student.ppf((1 + level) / 2, n - 1) / normal.ppf((1 + level) / 2)) ** 2
    return max(((n - 1) / widening - 1) / n, _LEAST_CONCENTRATION)


def _row(counts: Counts) -> tuple[int, int, int]:
    return counts.tp, counts.fp, counts.fn


def _ratios(counts: np.ndarray) -> dict[str, np.ndarray]:
    """(..., 3) tp, fp, fn -> the three ratios (...), NaN for 0 / 0."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    with np.errstate(invalid="ignore"):
        return {"precision": tp / (tp + fp), "recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn)}


def _shown(ratio: Estimate) -> str:
    return "-" if np.isnan(ratio.value) else f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
