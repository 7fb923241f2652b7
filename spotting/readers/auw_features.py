"""The input of AUW-GCN: motion of twelve regions from one tick to the next, and the windows in which it is learnt from.

Departures from the release, which takes dense TV-L1 flow of the cropped face at 25 pictures a second (SAMM-LV), removes
the mean motion of the nose, and keeps the strongest motion of one of four directions in each region: here the motion is
read from the cached snippets, on the 30 Hz clock, in fractions of the inter-ocular distance, of ten regions with head
motion already removed. The motion of the two nose nodes is then zero by definition; no action unit links them to
others. Statistics for standardising come from the training data, not from the release.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from ...extract.features import SNIPPET_REACH, FaceFeatures
from ...models.auw_gcn import CONTEXT, NODES, ROI_NODES

WINDOW_TICKS = 256


def tick_motion(features: FaceFeatures) -> np.ndarray:
    """(N, 12, 2) float32: displacement of each node from a tick to the next, x right and y down; zero where invalid.

    Step 1 of the snippet of tick i + 8 is the displacement from tick i to i + 1. The last ticks of a segment have no
    such snippet; theirs are differences between the steps of its last one. The very last has no next tick and is zero.
    """
    motion = np.zeros((features.timebase.n_ticks, NODES, 2), np.float32)
    for start, stop in features.segments():
        motion[start:stop, list(ROI_NODES)] = _segment_motion(features.snippets[start:stop])
    return motion


def _segment_motion(snippets: np.ndarray) -> np.ndarray:
    """(n, 10, 2) of one segment."""
    n = len(snippets)
    motion = np.zeros((n, *snippets.shape[2:]), np.float32)
    whole = max(n - SNIPPET_REACH, 0)
    motion[:whole] = snippets[SNIPPET_REACH:, 1]
    # The last snippet covers the ticks n - 1 - 8 .. n - 1 with its first nine steps, fewer in a shorter segment.
    rest = n - 1 - whole
    middle = SNIPPET_REACH
    motion[whole : n - 1] = np.diff(snippets[n - 1, middle - rest : middle + 1], axis=0)
    return motion


def motion_statistics(motions: Iterable[tuple[np.ndarray, Sequence[tuple[int, int]]]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (2,) float32 of x and y over the ten moving nodes of all segments.

    motions: pairs of `tick_motion` and the segments in it. Raises ValueError without a tick, or if nothing ever moves.
    """
    count, total, squares = 0, np.zeros(2), np.zeros(2)
    for motion, segments in motions:
        for start, stop in segments:
            values = motion[start:stop, list(ROI_NODES)].reshape(-1, 2).astype(np.float64)
            count += len(values)
            total += values.sum(axis=0)
            squares += np.square(values).sum(axis=0)
    if not count:
        raise ValueError("there is no motion to standardise by")
    mean = total / count
    scale = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    if not scale.all():
        raise ValueError("nothing moves in the training data")
    return mean.astype(np.float32), scale.astype(np.float32)


def window_ranges(start: int, stop: int, ticks: int = WINDOW_TICKS) -> list[tuple[int, int]]:
    """A segment tiled from its first tick by half-open windows of `ticks`; the last one may be shorter."""
    return [(low, min(low + ticks, stop)) for low in range(start, stop, ticks)]


def with_context(motion: np.ndarray, segment: tuple[int, int], start: int, ticks: int) -> np.ndarray:
    """(ticks + 2 `CONTEXT`, 12, 2): `ticks` ticks from `start` on and what surrounds them in their segment; zeros
    beyond it."""
    low, high = start - CONTEXT, start + ticks + CONTEXT
    first, last = max(low, segment[0]), min(high, segment[1])
    padded = np.zeros((high - low, *motion.shape[1:]), np.float32)
    padded[first - low : last - low] = motion[first:last]
    return padded
