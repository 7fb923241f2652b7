"""The training loss of the authors' release (github KinopioIsAllIn/GIM), departures from their paper included.

`losses` is what trains unless `PointRecipe.rules` says "release". The departures: separate means for macro, micro and
neutral ticks; a reward for high intensity on reliable ticks, not a number when a video lacks one of the classes; a
smoothness term without absolute value that accumulates over the batch; a norm that counts the padding; a contrastive
term over the whole batch with guards that dominate for large features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.gim import GIMOutput
from .losses import (
    APEX_WEIGHT,
    MICRO_FACTOR,
    RELIABLE,
    LossSettings,
    apex_focal,
    apex_targets,
    contrast_sample,
    contrast_weights,
)
from .pseudo_labels import PseudoLabels

# By the release's names of data sets: its weights of the contrastive and the norm term, a tenth of the paper's and the
# paper's.
DATASET_WEIGHTS = {
    "SAMM": LossSettings(contrastive=2e-6, norm=0.3),
    "CASME2": LossSettings(contrastive=1.4e-5, norm=2.5),
    "CASME3": LossSettings(contrastive=1.4e-5, norm=2.5),
}
_SMOOTH = 0.1
_REWARD = (-0.4, -0.6)
_TEMPERATURE = 0.5
_SCALE = 0.5 / 0.07
_GUARD = 1e-6


@dataclass(frozen=True, eq=False)
class ReferenceLoss:
    """videos: (B,) values of every per-video term, NaN where it does not exist. norm, contrastive, total: scalars.

    A NaN reward makes the total NaN, as released, unless it was asked to be skipped.
    """

    videos: dict[str, Tensor]
    norm: Tensor
    contrastive: Tensor
    total: Tensor


def reference_loss(
    output: GIMOutput, targets: Sequence[PseudoLabels], settings: LossSettings, skip_nan: bool = False
) -> ReferenceLoss:
    """The release's loss of a padded batch of B videos, whose targets come from `PseudoLabelSettings.reference()`.

    settings: of `DATASET_WEIGHTS`; only contrastive and norm are heeded. The apex terms exist from stage 3 on.
    """
    per_video, samples, total, rough = [], [], output.intensity.new_zeros(()), output.intensity.new_zeros(())
    for b, target in enumerate(targets):
        a = output.intensity[b, : len(target)]
        terms = _video_terms(a, output.class_scores[b, : len(target)], target)
        rough = rough + terms["smooth"]
        terms["smooth_running_sum"] = rough
        for name, weight in _WEIGHTS.items():
            skipped = skip_nan or not name.startswith("reward")
            if name in terms and not (skipped and terms[name].isnan()):
                total = total + weight * terms[name]
        per_video.append(terms)
        samples.append(contrast_sample(output.features[b, : len(target)], target))
    norm = output.intensity.mean()
    contrastive = _contrastive(*(torch.cat(parts) for parts in zip(*samples, strict=True)))
    total = total / len(targets) + settings.contrastive * contrastive + settings.norm * norm
    missing = norm.new_full((), torch.nan)
    names = {name for terms in per_video for name in terms} | set(_WEIGHTS)
    videos = {name: torch.stack([terms.get(name, missing) for terms in per_video]) for name in sorted(names)}
    return ReferenceLoss(videos, norm, contrastive, total)


def release_terms(output: GIMOutput, targets: Sequence[PseudoLabels], settings: LossSettings) -> dict[str, Tensor]:
    """Like `losses.point_loss`: every term with its weight, and their sum "total", without the rewards that are NaN.

    Their gradient is that of the released total, whose value is NaN for every video without one of the classes.
    """
    loss = reference_loss(output, targets, settings, skip_nan=True)
    terms = {name: weight * loss.videos[name].nansum() / len(targets) for name, weight in _WEIGHTS.items()}
    terms |= {"contrastive": settings.contrastive * loss.contrastive, "norm": settings.norm * loss.norm}
    return terms | {"total": loss.total}


_WEIGHTS = {
    "mse_macro": 1.0,
    "mse_micro": 1.0,
    "mse_negative": 1.0,
    "smooth_running_sum": _SMOOTH,
    "reward_macro": 1.0,
    "reward_micro": 1.0,
    "focal_macro": 1.0,
    "focal_micro": MICRO_FACTOR,
}


def _video_terms(a: Tensor, scores: Tensor, target: PseudoLabels) -> dict[str, Tensor]:
    """a (N,), scores (N, 2); means over nothing are NaN."""
    terms = {"mse_negative": a[target.neutral].square().mean(), "smooth": a.diff().mean()}
    judged = None if target.apex is None else apex_targets(target)
    for c, name in enumerate(("macro", "micro")):
        y = target.labels[:, c]
        terms[f"mse_{name}"] = (a - y)[y > 0].square().mean()
        terms[f"reward_{name}"] = _REWARD[c] * a[y > RELIABLE].mean()
        if judged is not None:
            terms[f"focal_{name}"] = apex_focal(scores[:, c], judged[:, c], APEX_WEIGHT[c])
    return terms


def _contrastive(features: Tensor, classes: Tensor, intensity: Tensor) -> Tensor:
    others = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    weights = contrast_weights(classes, intensity)
    # Between neutral ticks the weight is 1 because both labels are 0; no case of its own is needed.
    logits = features @ features.T / _TEMPERATURE
    logits = logits - logits.amax(dim=1, keepdim=True).detach()
    mass = (weights * logits.exp() * others).sum(dim=1, keepdim=True)
    log_share = (weights + _GUARD).log() + logits - (mass + _GUARD).log()
    positive = others & (classes[:, None] == classes)
    return -_SCALE * ((log_share * positive).sum(dim=1) / (positive.sum(dim=1) + _GUARD)).mean()
