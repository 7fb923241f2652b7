"""The networks as learning from points sees them: windows in, `GIMOutput` and a loss out.

The paper's network and the project's own have different inputs and outputs; the trainer knows neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import WeightsError
from ...models.checkpoint import Checkpoint, load_checkpoint, rebuild_network, save_checkpoint
from ...models.context import ContextOutput, ContextSpotter, mirror_inputs, pack_ensemble, unpack_ensemble
from ...models.gim import GIMOutput, GIMSpotter
from ..decoding import DecodingSettings
from ..readers.base import Reader
from ..readers.two_branch import TwoBranchReader, gim_config
from ..simulation.corpus import simulate_corpus
from .from_simulation import ClipSampler, SupervisedRecipe, class_loss, interval_loss
from .losses import RELIABLE, point_loss
from .point_videos import Window
from .pseudo_labels import RANGE_METHODS, PseudoLabels
from .range_methods import range_loss
from .recipes import PointRecipe
from .release_loss import release_terms

# Of the clips that tuned weights go on practising on.
_PRACTICE = SupervisedRecipe(ticks_per_step=1280, glitches=0.25)
_PRACTICE_SEED = 77


@dataclass(frozen=True, eq=False)
class Answer:
    """What one network says of a batch of windows padded to T ticks.

    output: with gradients. steady: intensity and attention without dropout and gradient, for making labels.
    logits: class scores (B, T, 2) of the context network before the sigmoid, None from the paper's.
    """

    output: GIMOutput
    steady: tuple[Tensor, Tensor]
    logits: Tensor | None = None


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
    def reader(self, device: torch.device) -> Reader:
        """The networks as they are now, decoded without a least confidence."""

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
        if checkpoint is None:
            network = GIMSpotter(config)
        else:
            network = rebuild_network(lambda: GIMSpotter(config), checkpoint.state)
        self.networks = nn.ModuleList([network])
        self._settings, self._rules, self._strategy = recipe.loss, recipe.rules, recipe.labels.strategy
        # What the weights bring along stays theirs; the least confidence is found anew.
        self._decoding = {} if checkpoint is None else checkpoint.config.get("decoding", {})

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
        branches = (output.features, output.attention, output.intensity, output.class_scores)
        return Answer(GIMOutput(*(t.float() for t in branches)), (steady.intensity.float(), steady.attention.float()))

    def loss(self, member: int, answer: Answer, targets: Sequence[PseudoLabels]) -> dict[str, Tensor]:
        if self._strategy in RANGE_METHODS:
            return range_loss(answer.output, targets, self._strategy)
        if self._rules == "release":
            return release_terms(answer.output, targets, self._settings)
        return point_loss(answer.output, targets, self.networks[member].config.variant, self._settings)

    def reader(self, device: torch.device) -> Reader:
        # A copy, since what is folded does not learn on.
        settings = replace(DecodingSettings.from_dict(self._decoding), min_confidence=(0.0, 0.0))
        return TwoBranchReader([deepcopy(self.networks[0]).folded()], settings, device, mirrored=False)

    def save(self, path: Path, min_confidence: tuple[float, float] | None, notes: dict[str, Any]) -> str:
        network = self.networks[0]
        config = {**asdict(network.config), "min_confidence": min_confidence}
        if self._decoding:
            config["decoding"] = self._decoding
        return save_checkpoint(path, "gim", config, network.state_dict(), notes)


class ContextLearner(Learner):
    """The project's own network. Its class scores say "inside an expression of this class"; all reliable ticks teach.

    Points tell nothing about onset and offset. Fresh weights therefore come with the paper's decoding, of intensity and
    class alone. Weights that know both ends and vote for them keep that decoding when tuned, and what it rests on by
    rehearsal: every step also sees simulated clips, of which everything is known.
    """

    def __init__(self, recipe: PointRecipe, checkpoint: Checkpoint | None = None) -> None:
        self._settings = recipe.loss
        self._practice: ClipSampler | None = None
        if checkpoint is None:
            fresh = ContextSpotter(recipe.context)
            self._config, _ = pack_ensemble([(recipe.context, fresh.state_dict())])
            self.networks = nn.ModuleList([fresh])
            return
        self._config = checkpoint.config
        self.networks = nn.ModuleList(unpack_ensemble(checkpoint.config, checkpoint.state))
        self.decodes_itself = "voting" in self._config
        if self.decodes_itself and recipe.rehearsal:
            self._practice = ClipSampler(simulate_corpus(recipe.rehearsal, _PRACTICE_SEED), _PRACTICE)

    def answer(self, member: int, windows: Sequence[Window], device: torch.device) -> Answer:
        raw = self._stacked(self.networks[member], windows, device)
        output = GIMOutput(raw.features, raw.attention, raw.intensity.sigmoid(), raw.class_scores.sigmoid())
        return Answer(output, (output.intensity.detach(), output.attention.detach()), raw.class_scores)

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

        told = [field.name for field in fields(ContextOutput) if getattr(parts[0], field.name) is not None]
        return ContextOutput(**{name: stack(name) for name in told})

    def loss(self, member: int, answer: Answer, targets: Sequence[PseudoLabels]) -> dict[str, Tensor]:
        # Without pseudo-apexes the paper's apex term is zero.
        terms = point_loss(answer.output, [replace(t, apex=None) for t in targets], "journal", self._settings)
        del terms["apex"]
        if self.decodes_itself:
            # The loss the weights come from, so that confidences keep their meaning.
            inside = [known_class_loss(answer.logits[b, : len(t)], t) for b, t in enumerate(targets)]
        else:
            inside = [inside_loss(answer.output.class_scores[b, : len(t)], t) for b, t in enumerate(targets)]
        terms["inside"] = torch.stack(inside).mean()
        terms["total"] = terms["total"] + terms["inside"]
        if self._practice is not None:
            terms["rehearsal"] = self._rehearse(self.networks[member], terms["total"].device)
            terms["total"] = terms["total"] + terms["rehearsal"]
        return terms

    def _rehearse(self, network: nn.Module, device: torch.device) -> Tensor:
        # Drawn from torch's own generator, which the trainer seeds by the epoch.
        seed = int(torch.randint(2**31, ()))
        generator = torch.Generator().manual_seed(seed)
        snippets, geometry, target = self._practice.draw(np.random.default_rng(seed), generator)
        terms = interval_loss(network(snippets.to(device), geometry.to(device)), target.to(device))
        return torch.stack(list(terms.values())).sum()

    def reader(self, device: torch.device) -> Reader:
        return TwoBranchReader(list(self.networks), DecodingSettings(), device)

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


def known_class_loss(logits: Tensor, target: PseudoLabels) -> Tensor:
    """`class_loss` of class scores (N, 2) where the class of a tick is known: reliable labels and neutral ticks.

    Reliable ticks stand for all ticks that a label claims, and count twice: what was clicked is certain, while what was
    not may have been overlooked.
    """
    reliable = target.labels > RELIABLE
    known = reliable.any(dim=1)
    claimed = (target.labels > 0).any(dim=1).sum()
    weight = known * (2.0 * claimed / known.sum().clamp(min=1))
    weight[target.neutral] = 1.0
    return class_loss(logits, reliable.float(), weight)


def _inputs(window: Window) -> tuple[Tensor, Tensor]:
    snippets, geometry = window.tensors()
    return mirror_inputs(snippets, geometry) if window.mirrored else (snippets, geometry)
