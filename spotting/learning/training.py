"""A training in progress, whatever it learns from: epochs, states to go on from, and weights that are its own.

Everything random follows from the seed and the epoch's number, so a training that was killed and resumed ends with the
same bytes as one that was not, and one that is given more epochs later with those of one that had them from the start.
"""

import hashlib
import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from ...errors import FacespotError, WeightsError
from ...models.checkpoint import load_checkpoint
from ...models.compat import import_timm
from .states import read_state, write_state

if TYPE_CHECKING:
    from timm.scheduler.scheduler import Scheduler
    from torch.utils.tensorboard import SummaryWriter

STATE_NAME = "training.pt"
WEIGHTS_NAME = "weights.safetensors"


@dataclass(frozen=True)
class EpochReport:
    """One epoch: its 0-based number, how many there are, and the mean of every term of the loss over its steps, each
    with its weight in "total"."""

    epoch: int
    epochs: int
    terms: dict[str, float]


class Recipe(Protocol):
    """What every recipe has."""

    @property
    def epochs(self) -> int: ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""


AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


class Trainer(ABC, Generic[AnyRecipe]):
    """One epoch after the other; `train_to_end` is the whole of it.

    A subclass sets `networks`, `optimiser`, `schedule` (`step_schedule`) and `fingerprint` (`_identify`) when it is
    made. epoch: how many are done.
    """

    networks: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: "Scheduler"
    fingerprint: str

    def __init__(self, recipe: AnyRecipe, seed: int, device: torch.device | str) -> None:
        self.recipe = recipe
        self.seed, self.epoch = seed, 0
        self.device = torch.device(device)

    def run_epoch(self) -> EpochReport:
        """Visit everything there is to learn from once. Raises FacespotError when the loss is no longer a number."""
        number = self.epoch
        self.schedule.step(number)  # the rate follows from the number alone: there is no state to resume
        self.networks.train()
        # By default cuDNN rounds the inputs of float32 convolutions to ten bits and picks its kernels by the clock.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            terms = self._run_steps(number)
        self.epoch += 1
        return EpochReport(number, self.recipe.epochs, terms)

    @abstractmethod
    def _run_steps(self, epoch: int) -> dict[str, float]:
        """All steps of a 0-based epoch; the mean of every term of the loss."""

    @abstractmethod
    def save_weights(self, path: str | os.PathLike[str]) -> str:
        """Weights for `Spotter.load`, with `notes`; returns their digest."""

    @property
    def notes(self) -> dict[str, Any]:
        """What the weights tell of their origin."""
        return {
            "recipe": self.recipe.to_dict(),
            "seed": self.seed,
            "epochs": self.epoch,
            "training": self.fingerprint,
        }

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Everything that a resumed training needs, written so that a kill leaves the old file or the new one."""
        write_state(path, self.fingerprint, self._state())

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Go on where `save_state` left off.

        Raises WeightsError if the file is damaged, belongs to other data, recipe, initial weights or seed, or has
        learnt for more epochs than the recipe has.
        """
        state = read_state(path, self.fingerprint, self.device)
        if state["epoch"] > self.recipe.epochs:
            raise WeightsError(
                f"{path}: has learnt for {state['epoch']} epochs, and {self.recipe.epochs} were asked for; "
                "use another folder"
            )
        self._restore(state)

    def _state(self) -> dict[str, Any]:
        """What changes from epoch to epoch."""
        return {
            "epoch": self.epoch,
            "networks": self.networks.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """The inverse of `_state`."""
        self.epoch = state["epoch"]
        self.networks.load_state_dict(state["networks"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _identify(self, init: str | os.PathLike[str] | None, data: Iterable[str | np.ndarray]) -> str:
        """Digest of what a training starts from: recipe, seed, initial weights and data.

        How many epochs there are is left out: none depends on how many will follow.
        """
        recipe = {name: value for name, value in self.recipe.to_dict().items() if name != "epochs"}
        # Another trainer may learn other things from the same.
        identity = [type(self).__qualname__, recipe, self.seed]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
        digest.update(b"" if init is None else Path(init).read_bytes())
        for part in data:
            digest.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part))
        return digest.hexdigest()

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise FacespotError(f"the loss is {loss} in epoch {self.epoch}; a smaller rate may help")


def step_schedule(optimiser: torch.optim.Optimizer, every: int, factor: float) -> "Scheduler":
    """timm's schedule that multiplies the optimiser's rate by `factor` after every so many epochs."""
    return import_timm("timm.scheduler").StepLRScheduler(optimiser, decay_t=every, decay_rate=factor)


def train_to_end(
    training: Trainer[Any],
    folder: str | os.PathLike[str],
    *,
    tensorboard: bool = False,
    save_every: int = 1,
    progress: Callable[[EpochReport], None] | None = None,
    watch: Callable[[Any], None] | None = None,
) -> Path:
    """Train to the last epoch of the recipe and return the file with the weights, `folder / WEIGHTS_NAME`.

    A training that was interrupted in the same folder goes on at its last saved epoch; a finished one is left as it is,
    unless its recipe has got more epochs. Weights of another training do not stay in the folder.
    save_every: epochs between saved states. tensorboard: write event files to the folder. progress: called after every
    epoch. watch: called with the trainer after every epoch, before its state is saved, so that it misses none when the
    training is killed. Raises WeightsError as `Trainer.load_state` does, FacespotError for tensorboard without that
    package, and when the loss is no longer a number.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    events = _event_writer(folder) if tensorboard else None
    state, weights = folder / STATE_NAME, folder / WEIGHTS_NAME
    if state.exists():
        training.load_state(state)
    if _origin(weights)[0] != training.fingerprint:
        weights.unlink(missing_ok=True)
    while training.epoch < training.recipe.epochs:
        report = training.run_epoch()
        if watch is not None:
            watch(training)
        if training.epoch % save_every == 0 or training.epoch == training.recipe.epochs:
            training.save_state(state)
        if events is not None:
            for name, value in report.terms.items():
                events.add_scalar(f"loss/{name}", value, report.epoch)
        if progress is not None:
            progress(report)
    if events is not None:
        events.close()
    if _origin(weights) != (training.fingerprint, training.epoch):
        training.save_weights(weights)
    return weights


def _origin(weights: Path) -> tuple[str | None, int | None]:
    """Which training a file of weights is from, and after how many epochs; nothing of a file that is none."""
    try:
        notes = load_checkpoint(weights).notes
    except WeightsError:
        return None, None
    return notes.get("training"), notes.get("epochs")


def _event_writer(folder: Path) -> "SummaryWriter":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise FacespotError("event files need tensorboard: pip install 'facespot[train]'") from None
    return SummaryWriter(str(folder))


@contextmanager
def seeded(*numbers: int) -> Iterator[torch.Generator]:
    """A CPU generator of these numbers; torch's own follow them inside and are as before afterwards."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    devices: list[Any] = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)
