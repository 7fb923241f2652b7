"""The default decoding: every tick votes for the interval it believes to lie in.

The paper cuts the intensity curve at several thresholds (`decoding`). That cannot part two expressions between which
the face never comes to rest, and it needs the curve to reach the ends of an expression. Where the network tells each
tick's distance to onset and offset, the ticks of one expression agree on its ends and the next one's ticks disagree;
their weighted mean is steadier than any one threshold crossing. The class follows the definition: micro is under half a
second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .confidence import LEAST_VOTES, Candidate, ConfidenceModel, measures
from .intervals import EXPRESSION_TYPES, ExpressionType, Interval

MICRO_TICKS = 15  # longest micro-expression: 0.5 s at 30 Hz


@dataclass(frozen=True)
class VotingSettings:
    """min_confidence: of macro and micro; weaker intervals are dropped. The two differ because the ends of a
    micro-expression are never as certain. agree: IoU from which votes are for the same interval. overlap: share of the
    shorter interval from which a weaker one is a repetition. min_ticks: shortest one reported. confidence: what makes
    confidences of votes; None reports the votes. type_spread: ticks, how far the number of ticks of an expression is
    from that of its truth, as the scale of a logistic distribution; None where nobody measured it.
    """

    min_confidence: tuple[float, float] = (0.5, 0.5)
    agree: float = 0.5
    overlap: float = 0.4
    min_ticks: int = 4
    confidence: ConfidenceModel | None = None
    type_spread: float | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "VotingSettings":
        """From what a checkpoint says. Raises TypeError for a setting that does not exist, ValueError for a confidence
        model of other sizes."""
        model = values.get("confidence")
        return cls(
            **{
                **values,
                "min_confidence": tuple(values["min_confidence"]),
                "confidence": None if model is None else ConfidenceModel.from_dict(model),
            },
        )

    def least_votes(self) -> float:
        """0..1, votes of which a candidate needs at least so many."""
        return min(self.min_confidence) if self.confidence is None else LEAST_VOTES

    def confidences(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """(n,) 0..1, what to report for all candidates of one segment."""
        if self.confidence is None:
            return np.array([min(c.votes, 1.0) for c in candidates])
        micro = np.array([type_of(c) == "micro" for c in candidates])
        return self.confidence(measures(candidates), micro)

    def micro_probability(self, n_ticks: int) -> float | None:
        """0..1, how probably an expression that was seen for so many ticks is one of at most MICRO_TICKS in truth; None
        without `type_spread`."""
        if self.type_spread is None:
            return None
        return float(1 / (1 + np.exp((n_ticks - MICRO_TICKS - 0.5) / self.type_spread)))


def type_of(candidate: Candidate) -> ExpressionType:
    """By its length, as the definition goes."""
    return "micro" if candidate.offset - candidate.onset < MICRO_TICKS else "macro"


def vote(
    scores: np.ndarray,
    reach: np.ndarray,
    intensity: np.ndarray,
    segments: Sequence[tuple[int, int]],
    settings: VotingSettings | None = None,
) -> list[Interval]:
    """The expressions in one video, in order of time.

    scores: (N,) probability that a tick lies in an expression. reach: (N, 2) ticks back to its onset and on to its
    offset, not negative. intensity: (N,) 0..1; its maximum inside an interval is the apex. segments: half-open tick
    ranges; none is left. The votes for an interval amount to the mean of the better half of its scores.
    """
    settings = settings or VotingSettings()
    least = dict(zip(EXPRESSION_TYPES, settings.min_confidence, strict=True))
    found = []
    for start, stop in segments:
        part = slice(start, stop)
        candidates = candidates_of(scores[part], reach[part], settings)
        confidences = settings.confidences(candidates)
        for candidate, confidence in zip(candidates, confidences.tolist(), strict=True):
            onset, offset, kind = start + candidate.onset, start + candidate.offset, type_of(candidate)
            if confidence >= least[kind]:
                apex = onset + int(np.argmax(intensity[onset : offset + 1]))
                found.append(Interval(onset, apex, offset, kind, confidence))
    return sorted(found)


def candidates_of(scores: np.ndarray, reach: np.ndarray, settings: VotingSettings) -> list[Candidate]:
    """What the ticks of one segment vote for, the strongest first. scores, reach: as of `vote`."""
    ticks = np.arange(len(scores))
    onset = np.clip(ticks - reach[:, 0], 0, len(scores) - 1)
    offset = np.clip(ticks + reach[:, 1], 0, len(scores) - 1)
    weight = scores.astype(np.float64).copy()
    taken: list[Candidate] = []
    # Ticks without any weight vote for nothing, even where no confidence is asked for.
    least = max(0.5 * settings.least_votes(), np.finfo(np.float32).tiny)
    # A tick's interval holds the tick itself: those whose interval meets another one lie no further from it than these.
    back, ahead = (int(np.ceil(side.max(initial=0.0))) for side in (ticks - onset, offset - ticks))

    def near(start: float, end: float) -> slice:
        return slice(max(int(start) - ahead, 0), int(np.ceil(end)) + back + 1)

    # Weights only ever fall to zero, so that their order is that of the beginning.
    for best in np.argsort(-weight, kind="stable"):
        if scores[best] < least:
            break
        if not weight[best]:
            continue
        part = near(onset[best], offset[best])
        shared = np.minimum(offset[part], offset[best]) - np.maximum(onset[part], onset[best]) + 1
        joint = np.maximum(offset[part], offset[best]) - np.minimum(onset[part], onset[best]) + 1
        votes = weight[part] * (shared / joint > settings.agree)
        votes[best - part.start] = weight[best]
        a = float(votes @ onset[part] / votes.sum())
        b = float(votes @ offset[part] / votes.sum())
        first, last = round(a), round(b)
        inside = scores[first : last + 1]
        amount = float(np.mean(np.sort(inside)[-max(1, len(inside) // 2) :]))
        if amount >= settings.least_votes() and last - first + 1 >= settings.min_ticks:
            taken.append(Candidate(first, last, amount))
        # Whoever voted for this interval, or for one that mostly repeats it, has been heard.
        part = near(a, b)
        shared = np.minimum(offset[part], b) - np.maximum(onset[part], a) + 1
        shorter = np.minimum(offset[part] - onset[part], b - a) + 1
        weight[part][shared > settings.overlap * shorter] = 0.0
        weight[first : last + 1] = 0.0
        weight[best] = 0.0
    return taken
