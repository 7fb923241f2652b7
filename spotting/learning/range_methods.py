"""LAC, HR-Pro and TSP-Net by name: targets and loss of each, on the common trainer and network."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from ...models.gim import GIMOutput, trim
from ..intervals import Point
from .hr_pro import hr_pro_targets, hr_pro_terms
from .lac import lac_targets, lac_terms
from .point_methods import RangeLabels
from .pseudo_labels import PseudoLabels, PseudoLabelSettings
from .tsp_net import tsp_net_targets, tsp_net_terms

_TERMS = {"lac": lac_terms, "hr_pro": hr_pro_terms, "tsp_net": tsp_net_terms}


@torch.no_grad()
def range_targets(
    intensity: Tensor,
    class_scores: Tensor,
    points: Sequence[Point],
    epoch: int,
    settings: PseudoLabelSettings,
    prototypes: Tensor | None = None,
) -> RangeLabels:
    """Targets of one video by `settings.strategy`.

    intensity: (N,) a; class_scores: (N, 2), not yet times a. epoch: 0-based; before GIM's stage 3 only points and
    background teach. prototypes: (2, D), of HR-Pro. Raises ValueError for a point outside the video.
    """
    if any(point.tick >= len(intensity) for point in points):
        raise ValueError(f"a point lies beyond a video of {len(intensity)}")
    scores, warm = class_scores * intensity[:, None], settings.stage(epoch) == 3
    if settings.strategy == "lac":
        return lac_targets(intensity, scores, points, settings.duration, warm)
    if settings.strategy == "hr_pro":
        return hr_pro_targets(intensity, scores, points, settings.duration, warm, prototypes)
    return tsp_net_targets(intensity, scores, points, warm)


def range_loss(output: GIMOutput, targets: Sequence[PseudoLabels], strategy: str) -> dict[str, Tensor]:
    """The mean over videos of each term of a method, and their sum, "total". output: B videos padded to T ticks."""
    videos = [
        _TERMS[strategy](trim(output, b, len(target)), cast(RangeLabels, target)) for b, target in enumerate(targets)
    ]
    terms = {name: torch.stack([video[name] for video in videos]).mean() for name in videos[0]}
    return terms | {"total": torch.stack(list(terms.values())).sum()}
