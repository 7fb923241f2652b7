"""Decoding as the authors' release does it (github KinopioIsAllIn/GIM), flaws included, stage by stage.

For comparison, on request; `voting` and `decoding` are what fits. The release calls a proposal scorer that it does not
contain; `candidates` is a reconstruction of it from the call. Everything after it is the release's own behaviour: a
soft NMS, limits, and a last NMS that skips an entry after each removal. Offsets are exclusive here, as there, and the
two suppressions count lengths differently.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..decoding import by_segment
from ..intervals import EXPRESSION_TYPES, Interval

THRESHOLDS = tuple(np.arange(2, 9) / 10)
_FLANK = 0.2
_CLASS_WEIGHT = 0.2
_CLASS_GATE = 0.5
_SOFT_SIGMA = 0.3
_NMS_IOU = 0.5
_LENGTHS = ((15, 240), (9, 15))  # of offset_excl - onset + 1, both ends allowed


@dataclass(frozen=True)
class ReferenceDecoding:
    """Settings of one dataset; pairs are (macro, micro). minimum: score after soft NMS. at_most: kept in a video."""

    minimum: tuple[float, float]
    at_most: tuple[int, int]

    @property
    def min_ticks(self) -> int:
        """Shortest interval that passes `gate`, which counts one tick too many."""
        return min(shortest for shortest, _ in _LENGTHS) - 1


CAS_ME2 = ReferenceDecoding((0.5, 0.5), (8, 2))
SAMM_LV = ReferenceDecoding((0.4, 0.3), (8, 8))
CAS_ME3 = ReferenceDecoding((0.3, 0.3), (8, 2))


@dataclass(frozen=True)
class Candidate:
    """A proposal of class 0 (macro) or 1 (micro) over the ticks onset .. offset_excl - 1."""

    kind: int
    score: float
    onset: int
    offset_excl: int
    apex: int
    threshold_index: int = 0


def decode_reference(
    intensity: np.ndarray,
    apex_scores: np.ndarray,
    settings: ReferenceDecoding,
    segments: Sequence[tuple[int, int]] | None = None,
) -> list[Interval]:
    """All stages: intensity (N,) and apex scores (N, 2) to intervals in order of time, scores clipped to 0..1.

    segments: as in `decoding.decode`, each by itself. Raises ValueError for curves of other shapes or not finite.
    """

    def decode_one(intensity: np.ndarray, apex_scores: np.ndarray) -> list[Interval]:
        kept = final_nms(gate(soft_nms(candidates(intensity, apex_scores)), settings), settings)
        return [
            Interval(c.onset, c.apex, c.offset_excl - 1, EXPRESSION_TYPES[c.kind], float(np.clip(c.score, 0, 1)))
            for c in kept
        ]

    return by_segment(intensity, apex_scores, segments, decode_one)


def candidates(intensity: np.ndarray, apex_scores: np.ndarray) -> list[Candidate]:
    """Reconstructed: the runs of ticks above each threshold whose apex score exceeds 0.5, macros first."""
    found = []
    for kind in range(2):
        for index, threshold in enumerate(THRESHOLDS):
            above = np.flatnonzero(intensity > np.float32(threshold))
            if above.size == 0 or above.tolist() == [0]:
                continue
            for run in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
                start, end = int(run[0]), int(run[-1])
                apex = start + int(np.argmax(intensity[start : end + 1]))
                if apex_scores[apex, kind] > _CLASS_GATE:
                    score = _contrast(intensity, start, end) + _CLASS_WEIGHT * float(apex_scores[apex, kind])
                    found.append(Candidate(kind, score, start, end + 1, apex, index))
    return found


def _contrast(intensity: np.ndarray, start: int, end: int) -> float:
    reach = _FLANK * (end - start + 1)
    low, high = max(0, int(start - reach)), min(len(intensity) - 1, int(end + reach))
    flanks = np.concatenate([intensity[low:start], intensity[end + 1 : high + 1]]).astype(np.float64)
    inside = intensity[start : end + 1].astype(np.float64)
    return float(inside.mean() - (flanks.mean() if flanks.size else 0.0))


def soft_nms(found: list[Candidate]) -> list[Candidate]:
    """Each class in order of selection, macros first; scores decayed by a Gaussian of the overlap, nothing removed."""
    selected = []
    for kind in range(2):
        rest = [c for c in found if c.kind == kind]
        onset, end, score = (np.array([getattr(c, f) for c in rest]) for f in ("onset", "offset_excl", "score"))
        length = end - onset + 1
        order = np.arange(len(rest))
        for at in range(len(rest)):
            best = at + int(np.argmax(score[order[at:]]))
            order[[at, best]] = order[[best, at]]
            top, others = order[at], order[at + 1 :]
            shared = np.maximum(0, np.minimum(end[top], end[others]) - np.maximum(onset[top], onset[others]) + 1)
            overlap = shared / (length[top] + length[others] - shared)
            score[others] *= np.exp(-(overlap**2) / _SOFT_SIGMA)
        selected += [replace(rest[i], score=float(score[i])) for i in order]
    return selected


def gate(found: list[Candidate], settings: ReferenceDecoding) -> list[Candidate]:
    """Candidates whose length and decayed score are within the limits of their class."""

    def passes(c: Candidate) -> bool:
        shortest, longest = _LENGTHS[c.kind]
        return shortest <= c.offset_excl - c.onset + 1 <= longest and c.score >= settings.minimum[c.kind]

    return [c for c in found if passes(c)]


def final_nms(found: list[Candidate], settings: ReferenceDecoding) -> list[Candidate]:
    """In order of selection. The entry that follows a removed one is never examined in the same pass, as released."""
    rest, left, kept = list(found), list(settings.at_most), []
    while rest and any(left):
        best = max(range(len(rest)), key=lambda i: rest[i].score)
        top = rest.pop(best)
        if top.score == 0:
            break
        if left[top.kind] == 0:
            continue
        left[top.kind] -= 1
        kept.append(top)
        _remove_skipping(rest, lambda c, top=top: c.kind == top.kind and _iou(top, c) > _NMS_IOU)
    return kept


def _remove_skipping(rest: list[Candidate], unwanted: Callable[[Candidate], bool]) -> None:
    at = 0
    while at < len(rest):
        if unwanted(rest[at]):
            del rest[at]
        at += 1  # also after a removal: this is the flaw


def _iou(a: Candidate, b: Candidate) -> float:
    """As the last NMS counts it; the soft one adds 1 to the intersection and to both lengths."""
    shared = max(0, min(a.offset_excl, b.offset_excl) - max(a.onset, b.onset))
    return shared / (a.offset_excl - a.onset + b.offset_excl - b.onset - shared)
