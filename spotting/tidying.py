"""What every reader's intervals go through before anybody sees them: rows that contradict nothing at sight.

Intervals of one type do not overlap, an apex lies between its onset and its offset, and an expression of which the
recording shows a part only is not called short for that reason.
"""

import heapq
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..extract.timebase import Timebase
from .intervals import EXPRESSION_TYPES, CutOff, Interval, Spot
from .voting import MICRO_TICKS

# More of the shorter interval in common, and both are about one movement.
_ONE_MOVEMENT = 0.5


def tidy(found: Sequence[Interval], intensity: np.ndarray) -> list[Interval]:
    """The intervals apart, by type, and with their apexes inside, in order of time. intensity: (N,) per tick.

    Of two of one type that overlap by more than half of the shorter one the more confident stays; others meet where
    the intensity between them is lowest: that is where the face comes nearest to rest, and cutting there keeps more of
    both true than giving everything to one of them.
    """
    apart = [i for kind in EXPRESSION_TYPES for i in _apart([i for i in found if i.type == kind], intensity)]
    return sorted(_apex_inside(i, intensity) for i in apart)


def cut_off(interval: Interval, segments: Sequence[tuple[int, int]]) -> CutOff:
    """Which ends of an interval are those of its segment, where the recording or the face in it begins or stops, so
    that the expression may have begun earlier or gone on. segments: half-open ranges of ticks."""
    at_start = any(interval.onset == start for start, _ in segments)
    at_end = any(interval.offset == stop - 1 for _, stop in segments)
    if at_start and at_end:
        return "both"
    return "start" if at_start else "end" if at_end else "none"


def cut_off_warnings(spots: Sequence[Spot], timebase: Timebase) -> list[str]:
    """A sentence for each expression that is cut off, which says by what."""
    last_s = timebase.seconds_of_tick(timebase.n_ticks - 1)
    found = []
    for spot in spots:
        what = f"the {spot.type}-expression at {spot.onset_s:.2f} s"
        if spot.cut_off in ("start", "both"):
            where = "where the recording begins" if spot.onset_s == 0.0 else "where the face comes into view"
            found.append(f"{what} is cut off {where}, it may have begun earlier")
        if spot.cut_off in ("end", "both"):
            where = "where the recording ends" if spot.offset_s == last_s else "where the face is lost"
            found.append(f"{what} is cut off {where}, it may have gone on")
    return found


def types_of_cut_off(
    found: Sequence[Interval], scores: np.ndarray, segments: Sequence[tuple[int, int]]
) -> list[Interval]:
    """The same, but micro-expressions that are cut off get the type that the scores (N, 2) inside say: how long they
    were in all nobody has seen."""
    return [
        replace(i, type="macro")
        if i.type == "micro" and cut_off(i, segments) != "none" and _is_macro(scores[i.onset : i.offset + 1])
        else i
        for i in found
    ]


def _is_macro(scores: np.ndarray) -> bool:
    macro, micro = scores.sum(axis=0)
    return bool(macro > micro)


def _apart(found: Sequence[Interval], intensity: np.ndarray) -> list[Interval]:
    """Intervals of one type without overlap. Each step takes ticks away from one, so that it comes to an end."""
    waiting, kept = list(found), list[Interval]()
    heapq.heapify(waiting)
    while waiting:
        later = heapq.heappop(waiting)
        if not kept or later.onset > kept[-1].offset:
            kept.append(later)
            continue
        earlier = kept.pop()
        shared = min(earlier.offset, later.offset) - later.onset + 1
        if shared > _ONE_MOVEMENT * min(earlier.n_ticks, later.n_ticks):
            heapq.heappush(waiting, max(earlier, later, key=lambda i: i.confidence))
            continue
        border = _border(earlier, later, intensity)
        heapq.heappush(waiting, replace(earlier, offset=border, apex=min(earlier.apex, border)))
        heapq.heappush(waiting, replace(later, onset=border + 1, apex=max(later.apex, border + 1)))
    return kept


def _border(earlier: Interval, later: Interval, intensity: np.ndarray) -> int:
    """The last tick of the earlier one: the lowest of those in common that leave both as long as their type is."""
    first, last = later.onset, earlier.offset
    if earlier.type == "macro" and min(earlier.n_ticks, later.n_ticks) > MICRO_TICKS:
        low, high = max(first, earlier.onset + MICRO_TICKS), min(last, later.offset - MICRO_TICKS - 1)
        if low <= high:
            first, last = low, high
    return first + int(np.argmin(intensity[first : last + 1]))


def _apex_inside(interval: Interval, intensity: np.ndarray) -> Interval:
    """An apex on the border moves to the highest tick between onset and offset, where there is one."""
    if interval.n_ticks < 3 or interval.onset < interval.apex < interval.offset:
        return interval
    inside = intensity[interval.onset + 1 : interval.offset]
    return replace(interval, apex=interval.onset + 1 + int(np.argmax(inside)))
