"""The loss of AUW-GCN (values of the authors' release): focal losses of exponent 1, means over the ticks of a batch."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.auw_gcn import AUWGCNOutput

APEX_WEIGHT = 0.90  # of positives in the apex loss
ACTION_WEIGHT = 0.80
END_WEIGHTS = (0.45, 0.45, 0.10)  # onset, offset, neither
TERM_WEIGHTS = {"apex": (1.0, 1.8), "ends": (1.0, 1.0), "action": (0.1, 0.1)}  # macro, micro
_NEGATIVE_SHIFT = 0.16  # label smoothing: a negative counts by its distance from this
_GUARD = 1e-5


def detection_loss(
    output: AUWGCNOutput, ends: Tensor, apex: Tensor, action: Tensor, valid: Tensor, macro_weight: float
) -> dict[str, Tensor]:
    """Terms apex, ends and action with their weights, and their sum "total".

    ends (B, T, 2), apex (B, T, 2), action (B, T, 2): batches of `DetectionTargets`. valid: (B, T) bool, False on
    padding, which does not count (the release learns from it as from neutral ticks). macro_weight: of all macro terms.
    """
    by_class = (macro_weight, 1.0)
    losses = {
        "apex": binary_focal(output.apex, apex, APEX_WEIGHT),
        "ends": ends_focal(output.ends, ends),
        "action": binary_focal(output.action, action, ACTION_WEIGHT),
    }
    terms = {}
    for name, loss in losses.items():
        weights = loss.new_tensor([c * w for c, w in zip(by_class, TERM_WEIGHTS[name], strict=True)])
        terms[name] = (loss * valid[..., None]).sum(dim=(0, 1)) @ weights / valid.sum().clamp(min=1)
    return terms | {"total": torch.stack(list(terms.values())).sum()}


def binary_focal(logits: Tensor, target: Tensor, weight: float) -> Tensor:
    """Element-wise, in any shape. Every target above 0 is a positive; it counts by its distance from the score."""
    score = logits.sigmoid()
    positive = weight * (target - score).abs() * (score + _GUARD).log()
    negative = (1 - weight) * (_NEGATIVE_SHIFT - score).abs() * (1 - score + _GUARD).log()
    return -torch.where(target > 0, positive, negative)


def ends_focal(logits: Tensor, target: Tensor) -> Tensor:
    """Focal cross-entropy (..., 3) against classes (...) -> (...)."""
    log_share = F.log_softmax(logits, dim=-1).gather(-1, target[..., None])[..., 0]
    weights = logits.new_tensor(END_WEIGHTS)[target]
    return -weights * (1 - log_share.exp()) * log_share
