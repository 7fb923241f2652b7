"""LAC: Lee and Byun, Learning Action Completeness from Points (ICCV 2021), on the two branches of GIM.

Points and background seeds bound every expression. Of all sequences expression, background, expression ... that agree
with them, the one of highest completeness is looked for: the sum of the outer-inner contrasts (eq. 4) of P_c over
expressions and of 1 - P_c over the background between them (eq. 5-6). Contrast of score then pushes P_c up inside that
sequence's expressions and down outside (eq. 7), contrast of features pulls its expressions together (eq. 8):

    L = L_window + L_points + ((mean of 1 - R over expressions) + (mean of 1 - R over background))^2 + L_features

Departures: the sequence is found exactly, by dynamic programming, where the authors search greedily within a budget; no
expression reaches further than four times k_c from its point; the feature of a range is its mean, not three samples of
it; a sequence is sought anew at every step, from when GIM would enter its third stage, not every so many iterations.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.gim import GIMOutput
from ..intervals import EXPRESSION_TYPES, Point
from .point_methods import (
    Range,
    RangeLabels,
    background_seeds,
    column_of,
    contrast,
    contrasts,
    fused,
    label_ranges,
    room,
    seed_loss,
    window_loss,
)

REACH = 4  # times k_c, to either side of a point
_TEMPERATURE = 0.1


def lac_targets(
    intensity: Tensor, scores: Tensor, points: Sequence[Point], duration: tuple[int, int], warm: bool
) -> RangeLabels:
    """intensity: (N,) a; scores: (N, 2) P; duration: k_c of both classes. warm: whether ranges are sought yet."""
    a, p = intensity.cpu().numpy(), scores.cpu().numpy()
    ticks = sorted({point.tick for point in points})
    seeds = background_seeds(a, ticks)
    found: list[Range] = []
    for column in range(len(EXPRESSION_TYPES)) if warm else ():
        own = sorted({point.tick for point in points if column_of(point) == column})
        # Neighbouring ticks that are both labelled leave no room for background: one expression.
        own = [t for n, t in enumerate(own) if n == 0 or t - own[n - 1] > 1]
        rooms = [room(seeds, tick, ticks, REACH * duration[column]) for tick in own]
        found += [Range(first, last, column) for first, last in optimal_sequence(p[:, column], own, rooms)]
    return label_ranges(len(a), seeds, points, found, intensity.device)


def optimal_sequence(
    score: np.ndarray, ticks: Sequence[int], rooms: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """First and last tick of one expression around each point, of the most complete sequence (eq. 5-6).

    score: (N,) P_c. ticks: of the points, ascending. rooms: the widest range of each; they are apart.
    """
    n, rest = len(score), 1.0 - score
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    value = np.zeros(1)
    ends = np.array([-1])  # background begins at tick 0
    for tick, (low, high) in zip(ticks, rooms, strict=True):
        first, last = np.arange(low, tick + 1), np.arange(tick, high + 1)
        before = value[:, None] + contrasts(rest, ends[:, None] + 1, first[None] - 1)
        total = before.max(axis=0)[:, None] + contrasts(score, first[:, None], last[None])
        steps.append((first, last, before.argmax(axis=0), total.argmax(axis=0)))
        value, ends = total.max(axis=0), last
    index = int((value + contrasts(rest, ends + 1, n - 1)).argmax())
    found = []
    for first, last, previous, start in reversed(steps):
        begin = int(start[index])
        found.append((int(first[begin]), int(last[index])))
        index = int(previous[begin])
    return found[::-1]


def lac_terms(output: GIMOutput, target: RangeLabels) -> dict[str, Tensor]:
    """Terms of one video, a batch of one without padding."""
    a, p = fused(output)
    complete, features = a.new_zeros(()), a.new_zeros(())
    columns = sorted({r.column for r in target.ranges})
    for column in columns:
        mine = sorted((r.first, r.last) for r in target.ranges if r.column == column)
        between = gaps(mine, len(a))
        score = p[:, column]
        inside = torch.stack([1 - contrast(score, *ends) for ends in mine]).mean()
        outside = torch.stack([1 - contrast(1 - score, *ends) for ends in between]).mean() if between else 0.0
        complete = complete + (inside + outside) ** 2 / len(columns)
        features = features + feature_contrast(output.features[0], mine, between) / len(columns)
    return {
        "window": window_loss(output.class_scores[0], target),
        "points": seed_loss(a, p, target),
        "completeness": complete,
        "contrastive": features,
    }


def gaps(ranges: Sequence[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    """What n ticks hold beside these ranges, which are in order and apart."""
    firsts, lasts = [0, *(last + 1 for _, last in ranges)], [*(first - 1 for first, _ in ranges), n - 1]
    return [(first, last) for first, last in zip(firsts, lasts, strict=True) if first <= last]


def feature_contrast(
    features: Tensor, expressions: Sequence[tuple[int, int]], background: Sequence[tuple[int, int]]
) -> Tensor:
    """Eq. 8: the share that the other expressions of a class have in what one is like. features: (N, D).

    Zero for fewer than two expressions, and without background.
    """
    if len(expressions) < 2 or not background:
        return features.new_zeros(())
    means = torch.stack([features[first : last + 1].mean(dim=0) for first, last in (*expressions, *background)])
    likeness = F.normalize(means, dim=1) @ F.normalize(means, dim=1).T / _TEMPERATURE
    m = len(expressions)
    likeness = likeness.masked_fill(torch.eye(len(means), dtype=torch.bool, device=means.device), -torch.inf)[:m]
    return (likeness.logsumexp(dim=1) - likeness[:, :m].logsumexp(dim=1)).mean()
