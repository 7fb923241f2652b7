"""The networks as learning from points sees them: windows in, `GIMOutput` and a loss out.

The paper's network and the project's own have different inputs and outputs; the trainer knows neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import WeightsError
from ..models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ..models.context import ContextOutput, ContextSpotter, mirror_inputs, pack_ensemble, unpack_ensemble
from ..models.gim import GIMOutput, GIMSpotter
from .losses import RELIABLE, point_loss
from .point_videos import Window
from .pseudo_labels import PseudoLabels
from .recipes import PointRecipe
from .spotter import gim_config


@dataclass(frozen=True, eq=False)
class Answer:
    """What one network says of a batch of windows padded to T ticks.

    output: with gradients. steady: intensity and attention without dropout and gradient, for making labels.
    raw: the context network's own output, None from the paper's; before: that of the network it was tuned from.
    """

    output: GIMOutput
    steady: tuple[Tensor, Tensor]
    raw: ContextOutput | None = None
    before: ContextOutput | None = None


class Learner(ABC):
    """One or more networks of one kind that learn side by side, each from labels of its own making."""

    networks: nn.ModuleList
    decodes_itself: bool = False  # the weights come with a decoding that is not to be touched

    @abstractmethod
    def answer(self, member: int, windows: Sequence[Window], device: torch.device) -> Answer:
        """One network's answer to a batch."""

    @abstractmethod
    def loss(self, member: int, answer: Answer, targets: Sequence[PseudoLabels]) -> dict[str, Tensor]:
        """Terms of the loss and their weighted sum "total"."""

    @abstractmethod
    def save(self, path: Path, min_confidence: tuple[float, float] | None, notes: dict[str, Any]) -> str:
        """Write weights that `Spotter.load` reads; returns their digest. min_confidence: of macro and micro."""


def make_learner(recipe: PointRecipe, init: Path | None = None) -> Learner:
    """Fresh networks of a recipe, drawn from torch's generator, or those of a checkpoint to be tuned.

    Raises WeightsError if the checkpoint cannot be read or is of another kind than the recipe's.
    """
    kind = "context" if recipe.network == "context" else "gim"
    checkpoint = None if init is None else load_checkpoint(init, kind)
    return (ContextLearner if kind == "context" else GIMLearner)(recipe, checkpoint)


class GIMLearner(Learner):
    """The paper's network, its size and variant from the checkpoint where one is tuned."""

    def __init__(self, recipe: PointRecipe, checkpoint: Checkpoint | None = None) -> None:
        config = recipe.gim if checkpoint is None else gim_config(checkpoint)
        if config.variant != recipe.network:
            raise WeightsError(f"the weights are of the {config.variant} variant, the recipe of {recipe.network}")
        network = GIMSpotter(config)
        if checkpoint is not None:
            network.load_state_dict(checkpoint.state)
        self.networks = nn.ModuleList([network])
        self._settings = recipe.loss

    def answer(self, member: int, windows: Sequence[Window], device: torch.device) -> Answer:
        network = self.networks[member]
        parts = [_inputs(window)[0] for window in windows]
        longest = max(map(len, parts))
        snippets = torch.stack([F.pad(p, (0,) * 7 + (longest - len(p),)) for p in parts]).to(device)
        lengths = torch.tensor([len(p) for p in parts])
        valid = (torch.arange(longest)[None] < lengths[:, None]).to(device)
        output = network(snippets, valid)
        # The labels come from the very features that learn, but not from what dropout left of them.
        heads = network.heads
        heads.eval()
        with torch.no_grad():
            steady = heads(output.features.detach())
        heads.train()
        output = GIMOutput(*(getattr(output, field.name).float() for field in fields(output)))
        return Answer(output, (steady.intensity.float(), steady.attention.float()))

    def loss(self, member: int, answer: Answer, targets: Sequence[PseudoLabels]) -> dict[str, Tensor]:
        return point_loss(answer.output, targets, self.networks[member].config.variant, self._settings)

    def save(self, path: Path, min_confidence: tuple[float, float] | None, notes: dict[str, Any]) -> str:
        network = self.networks[0]
        config = {**asdict(network.config), "min_confidence": min_confidence}
        return save_checkpoint(path, "gim", config, network.state_dict(), notes)


class ContextLearner(Learner):
    """The project's own network. Its class scores say "inside an expression of this class"; all reliable ticks teach.

    Points tell nothing about onset and offset. Fresh weights therefore come with the paper's decoding, of intensity and
    class alone. Tuned weights keep their own: where the network saw onset and offset before the tuning, an anchor keeps
    it while the trunk changes.
    """

    _ANCHOR = 0.5

    def __init__(self, recipe: PointRecipe, checkpoint: Checkpoint | None = None) -> None:
        self._settings = recipe.loss
        self._before: nn.ModuleList | None = None
        if checkpoint is None:
            fresh = ContextSpotter(recipe.context)
            self._config, _ = pack_ensemble([(recipe.context, fresh.state_dict())])
            self.networks = nn.ModuleList([fresh])
            return
        self._config = checkpoint.config
        self.networks = nn.ModuleList(unpack_ensemble(checkpoint.config, checkpoint.state))
        self.decodes_itself = "voting" in self._config
        if self.decodes_itself:
            self._before = deepcopy(self.networks).eval().requires_grad_(False)

    def answer(self, member: int, windows: Sequence[Window], device: torch.device) -> Answer:
        raw = self._stacked(self.networks[member], windows, device)
        output = GIMOutput(raw.features, raw.attention, raw.intensity.sigmoid(), raw.class_scores.sigmoid())
        before = None
        if self._before is not None:
            with torch.no_grad():
                before = self._stacked(self._before.to(device)[member], windows, device)
        return Answer(output, (output.intensity.detach(), output.attention.detach()), raw, before)

    @staticmethod
    def _stacked(network: nn.Module, windows: Sequence[Window], device: torch.device) -> ContextOutput:
        # One by one: convolutions see padding, and there is no batch statistic that would need the others.
        parts = []
        for window in windows:
            snippets, geometry = (x[None].to(device) for x in _inputs(window))
            parts.append(network(snippets, geometry, with_features=True))
        longest = max(map(len, windows))

        def stack(name: str) -> Tensor:
            values = [getattr(part, name)[0].float() for part in parts]
            return torch.stack([F.pad(v, (0, 0) * (v.ndim - 1) + (0, longest - len(v))) for v in values])

        return ContextOutput(**{field.name: stack(field.name) for field in fields(ContextOutput)})

    def loss(self, member: int, answer: Answer, targets: Sequence[PseudoLabels]) -> dict[str, Tensor]:
        # Without pseudo-apexes the paper's apex term is zero.
        terms = point_loss(answer.output, [replace(t, apex=None) for t in targets], "journal", self._settings)
        del terms["apex"]
        inside = [inside_loss(answer.output.class_scores[b, : len(t)], t) for b, t in enumerate(targets)]
        terms["inside"] = torch.stack(inside).mean()
        terms["total"] = terms["total"] + terms["inside"]
        if answer.before is not None:
            now, before, mask = answer.raw, answer.before, _padding_mask(targets, answer.output.intensity)
            far = ((now.reach - before.reach).abs() / (1 + before.reach)).mean(dim=-1)
            doubt = (now.quality.sigmoid() - before.quality.sigmoid()).square()
            terms["anchor"] = ((far + doubt) * mask).sum() / mask.sum()
            terms["total"] = terms["total"] + self._ANCHOR * terms["anchor"]
        return terms

    def save(self, path: Path, min_confidence: tuple[float, float] | None, notes: dict[str, Any]) -> str:
        config = self._config if min_confidence is None else {**self._config, "min_confidence": min_confidence}
        return save_checkpoint(path, "context", config, self.networks.state_dict(), notes)


def inside_loss(scores: Tensor, target: PseudoLabels) -> Tensor:
    """Cross-entropy of class scores (N, 2) in 0..1 with 1 on ticks with a reliable label of the class, and 0 on the
    other class there and on neutral ticks; both kinds of tick weigh the same. Zero without either.
    """
    reliable = target.labels > RELIABLE
    entropy = F.binary_cross_entropy(scores.clamp(1e-6, 1 - 1e-6), reliable.float(), reduction="none").mean(dim=1)
    expression = reliable.any(dim=1)
    positive = (entropy * expression).sum() / expression.sum().clamp(min=1)
    neutral = entropy[target.neutral].sum() / max(len(target.neutral), 1)
    return positive + neutral


def _padding_mask(targets: Sequence[PseudoLabels], like: Tensor) -> Tensor:
    """(B, T) 1 on ticks of the windows, 0 on padding."""
    lengths = torch.tensor([len(t) for t in targets], device=like.device)
    return (torch.arange(like.shape[1], device=like.device)[None] < lengths[:, None]).float()


def _inputs(window: Window) -> tuple[Tensor, Tensor]:
    snippets, geometry = window.tensors()
    return mirror_inputs(snippets, geometry) if window.mirrored else (snippets, geometry)
