"""HR-Pro: Zhang et al., Point-supervised Temporal Action Localization via Hierarchical Reliability Propagation (AAAI
2024), on the two branches of GIM.

Snippets: what is reliable is what was labelled, and what lies next to it with as good as no background. A memory holds
the mean feature M_c of the labelled ticks of each class; reliable ticks of class c are drawn to M_c, away from the
other class's and with background away from it, s(x, c) = exp(cos(x, M_c) / 0.1):

    L_memory = -1/2 log(s_act(c) / sum_k s_act(k)) - 1/2 log(s_act(c) / (s_act(c) + s_background(c))), s_act the mean
    over reliable ticks, s_background that over background seeds

Instances: of all proposals, runs of P_c above a threshold, that hold a point and no other, the one of highest
outer-inner contrast is the reliable one, and its contrast says how reliable. Its ticks learn P_c = 1, weighted by that:

    L = L_window + L_points + L_memory + L_instances

Departures: there is no attention block over snippets and prototypes, and no second network that regresses
completeness and boundaries of proposals; the reliable proposal teaches the branches themselves. The memory is renewed
after every epoch instead of by a running mean of momentum 0.001 (a few hundred clicks would hardly move that).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.gim import GIMOutput
from ..intervals import Point
from .point_methods import (
    Range,
    RangeLabels,
    background_seeds,
    column_of,
    contrasts,
    fused,
    label_ranges,
    room,
    runs_above,
    seed_loss,
    window_loss,
)

_CERTAIN = 0.1  # a background score up to which ticks next to a point are reliable
_TEMPERATURE = 0.1
_REACH = 4  # times k_c, as in LAC


def hr_pro_targets(
    intensity: Tensor,
    scores: Tensor,
    points: Sequence[Point],
    duration: tuple[int, int],
    warm: bool,
    prototypes: Tensor | None,
) -> RangeLabels:
    """intensity: (N,) a; scores: (N, 2) P; duration: k_c of both classes; prototypes: (2, D), of the epoch before.
    warm: whether proposals are sought yet; certain ticks next to the points are reliable from the start."""
    a, p = intensity.cpu().numpy(), scores.cpu().numpy()
    ticks = sorted({point.tick for point in points})
    seeds = background_seeds(a, ticks)
    found = []
    for point in points:
        column = column_of(point)
        bounds = room(seeds, point.tick, ticks, _REACH * duration[column])
        found.append(certain_range(a, point.tick, column, bounds))
        if warm:
            found.append(reliable_proposal(p[:, column], point.tick, column, bounds))
    return label_ranges(len(a), seeds, points, [r for r in found if r], intensity.device, prototypes=prototypes)


def certain_range(intensity: np.ndarray, tick: int, column: int, bounds: tuple[int, int]) -> Range:
    """The unbroken ticks around a point with next to no background."""
    sure = 1.0 - intensity <= _CERTAIN
    first = last = tick
    while first > bounds[0] and sure[first - 1]:
        first -= 1
    while last < bounds[1] and sure[last + 1]:
        last += 1
    return Range(first, last, column)


def reliable_proposal(score: np.ndarray, tick: int, column: int, bounds: tuple[int, int]) -> Range | None:
    """Of the runs around a point inside `bounds` the one of highest contrast, which is its weight; None if P_c is too
    low there for any. score: (N,) P_c."""
    around = [(f, s) for f, s in runs_above(score) if bounds[0] <= f <= tick <= s <= bounds[1]]
    if not around:
        return None
    values = contrasts(score, *np.array(around).T)
    best = int(values.argmax())
    return Range(*around[best], column, float(np.clip(values[best], 0.0, 1.0)))


def hr_pro_terms(output: GIMOutput, target: RangeLabels) -> dict[str, Tensor]:
    """Terms of one video, a batch of one without padding."""
    a, p = fused(output)
    entropy = -p.clamp(min=1e-6).log()
    parts = [r.weight * entropy[r.first : r.last + 1, r.column].mean() for r in target.ranges]
    return {
        "window": window_loss(output.class_scores[0], target),
        "points": seed_loss(a, p, target),
        "contrastive": memory_loss(output.attention[0], target),
        "instances": torch.stack(parts).mean() if parts else a.new_zeros(()),
    }


def memory_loss(features: Tensor, target: RangeLabels) -> Tensor:
    """features: (N, D). Zero as long as there are no prototypes, and without points or background."""
    columns = sorted({column for _, column in target.points})
    if target.prototypes is None or not columns or not len(target.neutral):
        return features.new_zeros(())
    likeness = F.normalize(features, dim=1) @ F.normalize(target.prototypes.to(features), dim=1).T / _TEMPERATURE
    loss = features.new_zeros(())
    for column in columns:
        # Logarithms of the means over ticks.
        ticks = (target.labels[:, column] > 0).nonzero()[:, 0]
        act = likeness[ticks].logsumexp(dim=0) - np.log(len(ticks))
        rest = likeness[target.neutral, column].logsumexp(dim=0) - np.log(len(target.neutral))
        among = act.logsumexp(dim=0) - act[column]
        against = torch.logaddexp(act[column], rest) - act[column]
        loss = loss + 0.5 * (among + against) / len(columns)
    return loss
