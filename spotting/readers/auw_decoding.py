"""From the scores of AUW-GCN to intervals (decoding of the authors' release).

Every tick with a high apex score is an apex; its onset and offset are the ticks with the best scores within a range of
distances before and after. The score of an expression is the product of the three; overlapping ones of a class
compete, and only the best few of a video are kept. The release also limits the length of an expression, which its
ranges of distances do already, but for one frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.auw_gcn import OFFSET, ONSET
from ..intervals import EXPRESSION_TYPES, Interval


@dataclass(frozen=True)
class AuwDecoding:
    """How scores become intervals; pairs are (macro, micro), distances are in ticks.

    apex_gate: on the apex score, strict. reach: nearest and farthest distance of onset and offset from the apex.
    keep: most expressions of a video. max_overlap: an IoU above it suppresses the weaker.
    """

    apex_gate: float = 0.5
    reach: tuple[tuple[int, int], tuple[int, int]] = ((7, 29), (2, 7))
    keep: tuple[int, int] = (5, 5)
    max_overlap: float = 0.5

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AuwDecoding":
        """The inverse of `dataclasses.asdict`, also by way of JSON, which knows no tuples. Raises TypeError or KeyError
        for unknown or missing names."""
        near_far = tuple(tuple(pair) for pair in values["reach"])
        return cls(**{**values, "reach": near_far, "keep": tuple(values["keep"])})


def decode_detections(
    apex: np.ndarray, ends: np.ndarray, segments: Sequence[tuple[int, int]], settings: AuwDecoding | None = None
) -> list[Interval]:
    """The expressions in one video of N ticks, in order of time.

    apex: (N, 2) in 0..1. ends: (N, 2, 3) probabilities of onset, offset, neither. segments: half-open ranges of ticks
    with a usable face; onsets and offsets that would lie beyond one lie at its end. Raises ValueError for other shapes.
    """
    if apex.shape != (len(apex), 2) or ends.shape != (len(apex), 2, 3):
        raise ValueError(f"need scores of shape (N, 2) and (N, 2, 3), got {apex.shape} and {ends.shape}")
    settings = settings or AuwDecoding()
    found = []
    for kind, name in enumerate(EXPRESSION_TYPES):
        candidates = []
        for start, stop in segments:
            for tick in start + np.flatnonzero(apex[start:stop, kind] > settings.apex_gate):
                proposal = _around_apex(int(tick), ends[:, kind], start, stop, settings.reach[kind])
                if proposal is not None:
                    onset, offset = proposal
                    score = apex[tick, kind] * ends[onset, kind, ONSET] * ends[offset, kind, OFFSET]
                    candidates.append(Interval(onset, int(tick), offset, name, float(score)))
        found += _best(candidates, settings.keep[kind], settings.max_overlap)
    return sorted(found)


def _around_apex(apex: int, ends: np.ndarray, start: int, stop: int, reach: tuple[int, int]) -> tuple[int, int] | None:
    """Best onset and offset around an apex of the segment start .. stop; None if either is more like the other."""
    nearest, farthest = reach
    low, high = max(apex - farthest, start), max(apex - nearest, start)
    # Of equally good ticks the one nearest to the apex is taken on both sides.
    onset = high - int(np.argmax(ends[low : high + 1, ONSET][::-1]))
    low, high = min(apex + nearest, stop - 1), min(apex + farthest, stop - 1)
    offset = low + int(np.argmax(ends[low : high + 1, OFFSET]))
    fits = ends[onset, ONSET] > ends[onset, OFFSET] and ends[offset, OFFSET] > ends[offset, ONSET]
    return (onset, offset) if fits else None


def _best(candidates: Sequence[Interval], keep: int, max_overlap: float) -> list[Interval]:
    """The highest scores first, each without much overlap with those before."""
    kept: list[Interval] = []
    for interval in sorted(candidates, key=lambda i: (-i.confidence, i)):
        if len(kept) == keep:
            break
        if all(interval.iou(other) <= max_overlap for other in kept):
            kept.append(interval)
    return kept
