"""Losses of point-supervised training (GIM, ICLR 2025, eq. 6-14) and the journal version's apex loss.

All are means over ticks of one video, so neither its length nor padding weighs in, and all are finite whatever the
targets: a term without ticks is an exact zero. Two readings where the paper is open: the L1 norm of eq. 10 is a mean
over ticks (as in the authors' code; a sum would outweigh everything else), and a tick with a label of both classes
counts once, with its two losses averaged (appendix A.1). The authors' code departs in more: `release_loss`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.gim import GIMOutput, Variant, trim
from .pseudo_labels import PseudoLabels

IntensityKind = Literal["mse", "bce"]
RELIABLE = 0.5  # a label above this makes a tick a reliable expression tick
APEX_WEIGHT = (0.90, 0.93)  # of positives in the apex loss, macro and micro
MICRO_FACTOR = 1.8  # of the micro apex loss
_NEGATIVE_SHIFT = 0.25  # a negative's target in the focal factor
_NEAR = 6  # ticks either side of a reliable tick that the apex loss judges
_GUARD = 1e-5
_PROBABILITY_GUARD = 1e-6


@dataclass(frozen=True)
class LossSettings:
    """Weights of eq. 14 and the paper's options.

    smooth, norm, contrastive: lambda 1 to 3; contrastive=0 is the ablation without IAC. intensity: "mse", or the
    ablation "bce". temperature: tau of eq. 7, not given in the paper; the authors' code has 0.5.
    Raises ValueError for an unknown kind of intensity loss.
    """

    smooth: float = 0.1
    norm: float = 0.3
    contrastive: float = 2.0e-5
    intensity: IntensityKind = "mse"
    temperature: float = 0.5

    def __post_init__(self) -> None:
        if self.intensity not in get_args(IntensityKind):
            raise ValueError(f"intensity must be one of {get_args(IntensityKind)}, got {self.intensity!r}")

    @classmethod
    def samm_lv(cls) -> "LossSettings":
        """The paper's weights for SAMM-LV."""
        return cls()

    @classmethod
    def cas_me2(cls) -> "LossSettings":
        """The paper's weights for CAS(ME)^2."""
        return cls(norm=2.5, contrastive=1.4e-4)


def point_loss(
    output: GIMOutput, targets: Sequence[PseudoLabels], variant: Variant, settings: LossSettings | None = None
) -> dict[str, Tensor]:
    """Eq. 14 over a batch: the mean over videos of each term with its weight in the sum, and that sum, "total".

    output: B videos padded to T ticks; targets: B of them, each as long as its video, the ticks beyond are ignored.
    Terms: intensity, smooth, norm, contrastive, and action (ICLR) or apex (journal, from stage 3 on, else zero).
    Raises ValueError if the numbers of videos differ.
    """
    if len(targets) != len(output.intensity):
        raise ValueError(f"{len(targets)} targets for {len(output.intensity)} videos")
    settings = settings or LossSettings()
    classes = "apex" if variant == "journal" else "action"
    weights = {
        "intensity": 1.0,
        classes: 1.0,
        "smooth": settings.smooth,
        "norm": settings.norm,
        "contrastive": settings.contrastive,
    }
    videos = [_video_terms(trim(output, b, len(t)), t, classes, settings) for b, t in enumerate(targets)]
    terms = {name: weight * torch.stack([video[name] for video in videos]).mean() for name, weight in weights.items()}
    return terms | {"total": torch.stack(list(terms.values())).sum()}


def _video_terms(output: GIMOutput, target: PseudoLabels, classes: str, settings: LossSettings) -> dict[str, Tensor]:
    """output: a batch of one without padding."""
    a, scores = output.intensity[0], output.class_scores[0]
    terms = {
        "intensity": intensity_loss(a, target, settings.intensity),
        "smooth": smooth_loss(a),
        "norm": a.abs().mean(),
    }
    if classes == "action":
        terms["action"] = action_loss(a, scores, target)
    else:
        terms["apex"] = apex_loss(scores, target)
    sample = contrast_sample(output.features[0], target)
    terms["contrastive"] = contrastive_loss(*sample, settings.temperature) if settings.contrastive else a.new_zeros(())
    return terms


def intensity_loss(intensity: Tensor, target: PseudoLabels, kind: IntensityKind = "mse") -> Tensor:
    """Eq. 9 over expression and neutral ticks; intensity (N,). "bce" takes the soft labels as probabilities."""
    a = intensity[:, None].expand(-1, 2)
    if kind == "mse":
        error = (a - target.labels).square()
    else:
        error = F.binary_cross_entropy(
            a.clamp(_PROBABILITY_GUARD, 1 - _PROBABILITY_GUARD), target.labels, reduction="none"
        )
    has = target.labels > 0
    neutral = _ticks_mask(target)
    used = has | neutral[:, None]  # a neutral tick's two labels are both 0, so its average is its loss
    per_tick = (error * used).sum(dim=1) / used.sum(dim=1).clamp(min=1)
    return per_tick.sum() / used.any(dim=1).sum().clamp(min=1)


def smooth_loss(intensity: Tensor) -> Tensor:
    """Eq. 11: mean absolute difference of neighbouring ticks of (N,)."""
    return intensity.diff().abs().sum() / max(len(intensity) - 1, 1)


def action_loss(intensity: Tensor, scores: Tensor, target: PseudoLabels) -> Tensor:
    """Eq. 12-13: cross entropy of the action scores (N, 2) times the intensity (N,), on reliable and neutral ticks."""
    refined = (scores * intensity[:, None]).clamp(_PROBABILITY_GUARD, 1 - _PROBABILITY_GUARD)
    reliable = target.labels > RELIABLE
    n_reliable = reliable.any(dim=1).sum().clamp(min=1)
    expression = -(refined.log() * reliable).sum() / n_reliable
    neutral = -(1 - refined[target.neutral]).log().sum() / max(2 * len(target.neutral), 1)
    return expression + neutral


def apex_targets(target: PseudoLabels) -> Tensor:
    """(N, 2) of the apex classifier: 1 positive, 0 negative, -1 not judged.

    Positive: near a pseudo-apex of the class. Negative: neutral ticks, and ticks near any reliable tick. Raises
    ValueError before stage 3, when there is no pseudo-apex.
    """
    if target.apex is None:
        raise ValueError("there are no pseudo-apexes before stage 3")
    reliable = (target.labels > RELIABLE).any(dim=1).to(torch.float32)
    near = F.max_pool1d(reliable[None, None], 2 * _NEAR + 1, stride=1, padding=_NEAR)[0, 0] > 0
    judged = torch.full_like(target.apex, -1, dtype=torch.int64)
    judged[near | _ticks_mask(target)] = 0
    judged[target.apex] = 1
    return judged


def apex_focal(scores: Tensor, targets: Tensor, weight: float) -> Tensor:
    """Focal loss (exponent 1) of one class; scores (N,) in 0..1, targets (N,) of `apex_targets`; mean over all N ticks.

    A negative counts by its distance from 0.25 rather than from 0, as in the authors' code.
    """
    positive = weight * (1 - scores).abs() * (scores + _GUARD).log()
    negative = (1 - weight) * (_NEGATIVE_SHIFT - scores).abs() * (1 - scores + _GUARD).log()
    return -(positive * (targets == 1) + negative * (targets == 0)).mean()


def apex_loss(scores: Tensor, target: PseudoLabels) -> Tensor:
    """The journal version's loss of the apex scores (N, 2), both classes; zero before stage 3."""
    if target.apex is None:
        return scores.new_zeros(())
    judged = apex_targets(target)
    macro, micro = (apex_focal(scores[:, c], judged[:, c], APEX_WEIGHT[c]) for c in range(2))
    return macro + MICRO_FACTOR * micro


def contrast_sample(features: Tensor, target: PseudoLabels) -> tuple[Tensor, Tensor, Tensor]:
    """The set I of one video: features (m, D), classes (m,) 0 neutral, 1 macro, 2 micro, and intensity labels (m,).

    Neutral ticks, and ticks with a label above 0.5. A tick of both classes is macro, with the larger of its labels.
    """
    reliable = target.labels > RELIABLE
    classes = torch.where(reliable[:, 0], 1, torch.where(reliable[:, 1], 2, 0))
    ticks = ((classes > 0) | _ticks_mask(target)).nonzero()[:, 0]
    return features[ticks], classes[ticks], target.labels[ticks].amax(dim=1)


def contrast_weights(classes: Tensor, intensity: Tensor) -> Tensor:
    """(m, m) w of eq. 8: likeness of intensity within a class, difference of intensity between classes."""
    difference = (intensity[:, None] - intensity).abs()
    return torch.where(classes[:, None] == classes, 1 - difference, difference)


def contrastive_loss(features: Tensor, classes: Tensor, intensity: Tensor, temperature: float) -> Tensor:
    """IAC, eq. 7-8: the sum over anchors. features (m, D) unnormalised, classes (m,), intensity (m,).

    Anchors without another of their class are left out.
    """
    others = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    positive = others & (classes[:, None] == classes)
    has_positive = positive.any(dim=1)
    if not has_positive.any():
        return features.new_zeros(())
    weights = contrast_weights(classes, intensity)
    # Log weights: a pair of weight 0 becomes -inf and drops out of the sum. Positives have weight 0.5 or more.
    logits = (features @ features.T / temperature + weights.log()).masked_fill(~others, -torch.inf)[has_positive]
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = positive[has_positive]
    return -(log_share.masked_fill(~positive, 0.0).sum(dim=1) / positive.sum(dim=1)).sum()


def _ticks_mask(target: PseudoLabels) -> Tensor:
    """(N,) bool, the neutral ticks."""
    mask = torch.zeros(len(target), dtype=torch.bool, device=target.labels.device)
    mask[target.neutral] = True
    return mask
