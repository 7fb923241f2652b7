"""Which confidence an interval needs to be reported, from points alone.

Training sees no interval, but an interval that holds a point of its class is surely closer to one than an interval that
holds none. The threshold of each class is the one at which the most of the training points are held by the fewest
intervals, by F1. Thresholds are met on videos that were learnt from, where confidences run high; they still weed out
what is far below any labelled expression.
"""

from collections.abc import Iterable, Sequence

from ..intervals import EXPRESSION_TYPES, Interval, Point


def calibrate(videos: Iterable[tuple[Sequence[Interval], Sequence[Point]]]) -> tuple[float, float]:
    """Least confidence of macro and micro, from the intervals found without any and the points of each video.

    An interval may hold one point, a point belongs to one interval, and the more confident take theirs first. Of
    equally good thresholds the lowest; 0 for a class without a hit.
    """
    videos = list(videos)
    macro, micro = (_threshold(videos, kind) for kind in EXPRESSION_TYPES)
    return macro, micro


def judge_by_points(intervals: Sequence[Interval], points: Sequence[Point], kind: str) -> list[tuple[float, bool]]:
    """Confidence of each interval of one type, the most confident first, and whether it holds a point of its own."""
    free = sorted(p.tick for p in points if p.type == kind)
    judged = []
    for interval in sorted((i for i in intervals if i.type == kind), key=lambda i: (-i.confidence, i)):
        held = next((t for t in free if interval.onset <= t <= interval.offset), None)
        if held is not None:
            free.remove(held)
        judged.append((interval.confidence, held is not None))
    return judged


def _threshold(videos: Sequence[tuple[Sequence[Interval], Sequence[Point]]], kind: str) -> float:
    judged: list[tuple[float, bool]] = []
    n_points = 0
    for intervals, points in videos:
        n_points += sum(p.type == kind for p in points)
        judged += judge_by_points(intervals, points, kind)
    judged.sort(key=lambda pair: -pair[0])
    best, least, hits = 0.0, 0.0, 0
    for count, (confidence, hit) in enumerate(judged, 1):
        hits += hit
        # Intervals of one confidence stand or fall together.
        if count < len(judged) and judged[count][0] == confidence:
            continue
        f1 = 2 * hits / (count + n_points)
        if f1 >= best and f1 > 0:
            best, least = f1, confidence
    return least
