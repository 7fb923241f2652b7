"""What three methods of point-supervised temporal action localisation share, for comparison with GIM: LAC (`lac`),
HR-Pro (`hr_pro`) and TSP-Net (`tsp_net`), the lower half of the paper's Table 1.

They were made for actions in videos. As in the paper they get the features and the two branches of GIM: the intensity a
stands for their class-agnostic action score, 1 - a for their background score, and the score of a class at a tick is
P_c = a * p_c, where p_c is the class branch. Points and background seeds are learnt with a focal loss, the classes of a
whole window by the mean of its highest scores. What the methods add are ranges around the points, and losses on them.

A curve of N ticks is (N,), scores of both classes (N, 2); ranges hold both of their ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.gim import GIMOutput
from ..intervals import EXPRESSION_TYPES, Point
from .pseudo_labels import PseudoLabels

FLANK = 0.25  # of a range's length on each side: what its contrast compares it with (LAC, section 3.3)
THRESHOLDS = tuple(n / 10 for n in range(1, 9))  # of the runs that are proposals
_BACKGROUND = 0.95  # a background score from which a tick is a seed of background (LAC's gamma)
_SHARE = 8  # an eighth of the ticks of a window tells its classes (LAC's r_act)
_GUARD = 1e-6


@dataclass(frozen=True)
class Range:
    """Ticks that a method takes for one expression. column: 0 macro, 1 micro. weight: how much it is believed, 0..1."""

    first: int
    last: int
    column: int
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class RangeLabels(PseudoLabels):
    """Targets of the three methods. labels are 1 in `ranges`, which are empty while the network warms up, and at the
    points; neutral are the background seeds.

    points: tick and column of each. proposals: ranges whose weight is the confidence they should have (TSP-Net).
    prototypes: (2, D) mean attention features of both classes (HR-Pro), None before there are any.
    """

    points: tuple[tuple[int, int], ...] = ()
    ranges: tuple[Range, ...] = ()
    proposals: tuple[Range, ...] = ()
    prototypes: Tensor | None = None


def column_of(point: Point) -> int:
    return EXPRESSION_TYPES.index(point.type)


def label_ranges(
    n: int,
    background: np.ndarray,
    points: Sequence[Point],
    ranges: Sequence[Range],
    device: torch.device,
    proposals: Sequence[Range] = (),
    prototypes: Tensor | None = None,
) -> RangeLabels:
    """background: (n,) bool, the seeds."""
    places = tuple((p.tick, column_of(p)) for p in points)
    labels = torch.zeros(n, 2, device=device)
    for r in ranges:
        labels[r.first : r.last + 1, r.column] = 1.0
    for tick, column in places:
        labels[tick, column] = 1.0
    seeds = torch.from_numpy(np.flatnonzero(background)).to(device)
    return RangeLabels(labels, None, seeds, places, tuple(ranges), tuple(proposals), prototypes)


def background_seeds(intensity: np.ndarray, ticks: Sequence[int]) -> np.ndarray:
    """(N,) bool, ticks that are background given the points (LAC, section 3.2).

    Between two neighbouring points, and outside the first and the last, there is some background: from the first to the
    last tick of a high background score, or the one of the highest. Without any point all of the video is.
    """
    n, score = len(intensity), 1.0 - intensity
    seeds = np.zeros(n, bool)
    ticks = sorted(set(ticks))
    if not ticks:
        return ~seeds
    for low, high in zip([0, *(t + 1 for t in ticks)], [*ticks, n], strict=True):
        if low >= high:
            continue
        sure = low + np.flatnonzero(score[low:high] >= _BACKGROUND)
        if not len(sure):
            sure = np.array([low + int(score[low:high].argmax())])
        seeds[(0 if low == 0 else sure[0]) : (n if high == n else sure[-1] + 1)] = True
    return seeds


def room(seeds: np.ndarray, tick: int, ticks: Sequence[int], reach: int) -> tuple[int, int]:
    """The widest range around a point that holds no background seed and no other of the points `ticks`.

    reach: most ticks to either side.
    """
    walls = [*np.flatnonzero(seeds).tolist(), *(t for t in ticks if t != tick)]
    low = max((w + 1 for w in walls if w < tick), default=0)
    high = min((w - 1 for w in walls if w > tick), default=len(seeds) - 1)
    return max(low, tick - reach), min(high, tick + reach)


def contrasts(curve: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Outer-inner contrast (LAC, eq. 4) of ranges of a curve: mean inside less mean of the flanks; what lies outside
    the video counts for nothing. first and last are broadcast; empty ranges have none, 0."""
    n = len(curve)
    sums = np.concatenate([[0.0], np.cumsum(curve, dtype=np.float64)])
    first, stop = np.broadcast_arrays(first, np.asarray(last) + 1)
    length = stop - first
    empty = length <= 0
    first, stop = np.clip(first, 0, n), np.clip(stop, 0, n)
    flank = np.maximum(1, np.rint(FLANK * length)).astype(int)
    low, high = np.maximum(0, first - flank), np.minimum(n, stop + flank)
    inside, outside = sums[stop] - sums[first], (first - low) + (high - stop)
    around = sums[high] - sums[low] - inside
    value = inside / np.maximum(length, 1) - around / np.maximum(outside, 1)
    return np.where(empty, 0.0, value)


def contrast(curve: Tensor, first: int, last: int) -> Tensor:
    """The same of one range, with a gradient."""
    flank = max(1, round(FLANK * (last - first + 1)))
    outside = torch.cat([curve[max(0, first - flank) : first], curve[last + 1 : last + 1 + flank]])
    inside = curve[first : last + 1].mean()
    return inside - outside.mean() if len(outside) else inside


def runs_above(curve: np.ndarray) -> list[tuple[int, int]]:
    """First and last tick of every different run of a curve above one of `THRESHOLDS`."""
    found: set[tuple[int, int]] = set()
    for threshold in THRESHOLDS:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], curve > threshold, [False]]).astype(np.int8)))
        found.update(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))
    return sorted(found)


def window_loss(scores: Tensor, target: RangeLabels) -> Tensor:
    """Which classes occur at all: cross entropy of the mean of the highest class scores, of a class without a point of
    the mean over all ticks (LAC, eq. 1). scores: (N, 2)."""
    there = {column for _, column in target.points}
    highest = scores.topk(max(1, len(scores) // _SHARE), dim=0).values.mean(dim=0)
    told = torch.stack([highest[c] if c in there else scores[:, c].mean() for c in range(2)])
    labels = told.new_tensor([float(c in there) for c in range(2)])
    return F.binary_cross_entropy(told.clamp(_GUARD, 1 - _GUARD), labels)


def seed_loss(intensity: Tensor, scores: Tensor, target: RangeLabels) -> Tensor:
    """Focal loss (exponent 2) of both classes and background on points, plus the same on background seeds (LAC, eq. 2
    and 3); each is a mean over its ticks. intensity: (N,); scores: (N, 2) P."""
    said = torch.cat([scores, 1 - intensity[:, None]], dim=1).clamp(_GUARD, 1 - _GUARD)
    wanted = torch.zeros_like(said)
    for tick, column in target.points:
        wanted[tick, column] = 1.0
    loss = said.new_zeros(())
    at = sorted({tick for tick, _ in target.points})
    if at:
        loss = loss + focal(said[at], wanted[at])
    if len(target.neutral):
        nothing = torch.zeros_like(said[target.neutral])
        nothing[:, 2] = 1.0
        loss = loss + focal(said[target.neutral], nothing)
    return loss


def focal(said: Tensor, wanted: Tensor) -> Tensor:
    """Focal cross entropy (exponent 2) of probabilities (k, C), summed over C, mean over k."""
    distance = (said - wanted).abs().square()
    return (distance * F.binary_cross_entropy(said, wanted, reduction="none")).sum(dim=1).mean()


def fused(output: GIMOutput) -> tuple[Tensor, Tensor]:
    """Intensity (N,) and P (N, 2) of a batch of one."""
    a = output.intensity[0]
    return a, output.class_scores[0] * a[:, None]
