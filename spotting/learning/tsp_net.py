"""TSP-Net: Xia et al., Realigning Confidence with Temporal Saliency Information for Point-level Weakly-Supervised
Temporal Action Localization (CVPR 2024), on the two branches of GIM.

People click where an action is most salient, and that is near its middle. A proposal with a point at its middle is
therefore a good one: with the point at t, its centre label is 1 - 2 |(t - first) / (last - first) - 1/2|, 1 in the
middle, 0 at the ends. Confidence is learnt to be that (centre score learning), and 0 of proposals without a point:

    L = L_window + L_points + 20 * mean over proposals of (confidence - centre label)^2

Of the proposals around a point, the one of highest centre label times contrast is taken for the expression (after
alignment-based boundary adaptation); its ticks learn P_c = 1.

Departures: proposals are runs of P_c above a threshold, not those of a base locator trained before; the confidence is
the outer-inner contrast of P_c, by which the decoder orders intervals, in place of a score of a network of its own over
the features pooled in a proposal; saliency points are not moved.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

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
    runs_above,
    seed_loss,
    window_loss,
)

SALIENCY = 20.0  # weight of the centre scores, of the authors' code


def tsp_net_targets(intensity: Tensor, scores: Tensor, points: Sequence[Point], warm: bool) -> RangeLabels:
    """intensity: (N,) a; scores: (N, 2) P. warm: whether proposals are sought yet."""
    a, p = intensity.cpu().numpy(), scores.cpu().numpy()
    seeds = background_seeds(a, [point.tick for point in points])
    found: list[Range] = []
    proposals: list[Range] = []
    for column in range(len(EXPRESSION_TYPES)) if warm else ():
        ticks = [point.tick for point in points if column_of(point) == column]
        proposals += centre_labels(p[:, column], ticks, column)
        found += [r for tick in ticks if (r := salient_range(p[:, column], tick, ticks, column))]
    return label_ranges(len(a), seeds, points, found, intensity.device, proposals)


def centre_labels(score: np.ndarray, ticks: Sequence[int], column: int) -> list[Range]:
    """Every proposal, its weight the centre label; of several points in one, the label of the most central counts."""
    return [
        Range(first, last, column, max((_centre(first, last, t) for t in ticks if first <= t <= last), default=0.0))
        for first, last in runs_above(score)
    ]


def salient_range(score: np.ndarray, tick: int, ticks: Sequence[int], column: int) -> Range | None:
    """The proposal with this point and no other whose centre label times contrast is highest; None without one."""
    around = [
        (first, last)
        for first, last in runs_above(score)
        if first <= tick <= last and not any(first <= t <= last for t in ticks if t != tick)
    ]
    if not around:
        return None
    values = contrasts(score, *np.array(around).T) * [_centre(first, last, tick) for first, last in around]
    return Range(*around[int(values.argmax())], column)


def _centre(first: int, last: int, tick: int) -> float:
    # Ticks have a width: of a range of one, that one is the middle.
    return 1.0 - 2.0 * abs((tick - first + 0.5) / (last - first + 1) - 0.5)


def tsp_net_terms(output: GIMOutput, target: RangeLabels) -> dict[str, Tensor]:
    """Terms of one video, a batch of one without padding."""
    a, p = fused(output)
    errors = [(contrast(p[:, r.column], r.first, r.last) - r.weight).square() for r in target.proposals]
    entropy = -p.clamp(min=1e-6).log()
    inside = [entropy[r.first : r.last + 1, r.column].mean() for r in target.ranges]
    return {
        "window": window_loss(output.class_scores[0], target),
        "points": seed_loss(a, p, target),
        "saliency": SALIENCY * torch.stack(errors).mean() if errors else a.new_zeros(()),
        "instances": torch.stack(inside).mean() if inside else a.new_zeros(()),
    }
