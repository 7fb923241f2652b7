"""Learning from one point per expression, in the three stages of GIM (paper section 3.4, `pseudo_labels`).

Training takes `PointVideo`s and nothing else: onsets and offsets have no way in. Everything random follows from the
seed and the epoch's number, so a training that was killed and resumed ends with the same bytes as one that was not.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import FacespotError, WeightsError
from ...files import replacing
from ..intervals import EXPRESSION_TYPES, Point
from ..spotter import Spotter
from .calibration import calibrate
from .durations import motion_extents
from .learners import Answer, Learner, make_learner
from .point_videos import PointVideo, Window, certainly_neutral, draw_windows, learning_segments, outside_extents
from .pseudo_labels import PseudoLabels, pseudo_labels
from .recipes import PointRecipe

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

STATE_NAME = "training.pt"
WEIGHTS_NAME = "weights.safetensors"
_STATE_FORMAT = 1


@dataclass(frozen=True)
class EpochReport:
    """One epoch: its 0-based number, how many there are, and the mean of every term of the loss over its steps."""

    epoch: int
    epochs: int
    terms: dict[str, float]


class PointTrainer:
    """A training in progress, one epoch at a time; `train` is the whole of it.

    init: weights to tune instead of fresh ones; the recipe for that is `PointRecipe.tuning`. device: of torch. Mixed
    precision is used on CUDA.
    Raises WeightsError for weights that do not fit the recipe, ValueError without a video long enough.
    """

    def __init__(
        self,
        videos: Sequence[PointVideo],
        recipe: PointRecipe,
        seed: int = 0,
        *,
        device: torch.device | str = "cpu",
        init: str | os.PathLike[str] | None = None,
    ) -> None:
        self.recipe, self.seed, self.epoch = recipe, seed, 0
        self._device = torch.device(device)
        self._videos = tuple(videos)
        self._segments = learning_segments(videos)
        if not self._segments:
            raise ValueError("no video has a segment long enough to learn from")
        with _seeded(seed, 0):
            self.learner: Learner = make_learner(recipe, None if init is None else Path(init))
        self.learner.networks.to(self._device)
        optimiser = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        parameters = self.learner.networks.parameters()
        self._optimiser = optimiser(parameters, lr=recipe.rate, weight_decay=recipe.weight_decay)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._device.type == "cuda")
        self._class_means: torch.Tensor | None = None  # of the epoch before: (members, 2, D)
        by_landmarks = recipe.labels.durations == "landmarks"
        self._extents = {id(s): motion_extents(s.geometry, s.points) for s in self._segments} if by_landmarks else {}
        self._fingerprint = self._identify(videos, init)

    def run_epoch(self) -> EpochReport:
        """Visit every window of the next epoch once."""
        recipe, number = self.recipe, self.epoch
        for group in self._optimiser.param_groups:
            group["lr"] = recipe.rate * 0.5 ** (number // recipe.halve_every)
        sums: dict[str, float] = {}
        means = _ClassMeans()
        with _seeded(self.seed, number + 1) as generator:
            windows = draw_windows(self._segments, recipe.window, recipe.empty, recipe.mirror, generator)
            batches = [windows[i : i + recipe.batch] for i in range(0, len(windows), recipe.batch)]
            self.learner.networks.train()
            for batch in batches:
                for name, value in self._step(batch, number, generator, means).items():
                    sums[name] = sums.get(name, 0.0) + value / len(batches)
        if recipe.labels.strategy == "class_mean":
            self._class_means = means.result()
        self.epoch += 1
        return EpochReport(number, recipe.epochs, sums)

    def _step(
        self, batch: Sequence[Window], epoch: int, generator: torch.Generator, means: "_ClassMeans"
    ) -> dict[str, float]:
        sums: dict[str, float] = {}
        members = len(self.learner.networks)
        self._optimiser.zero_grad(set_to_none=True)
        for member in range(members):
            with torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda"):
                answer = self.learner.answer(member, batch, self._device)
            targets = [self._targets(member, answer, b, window, epoch, generator) for b, window in enumerate(batch)]
            if self.recipe.labels.strategy == "class_mean":
                means.add(member, answer, batch)
            terms = self.learner.loss(member, answer, targets)
            self._scaler.scale(terms["total"]).backward()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / members
        if not math.isfinite(sums["total"]):
            raise FacespotError(f"the loss is {sums['total']} in epoch {epoch}; a smaller rate may help")
        self._scaler.unscale_(self._optimiser)
        torch.nn.utils.clip_grad_norm_(self.learner.networks.parameters(), 1.0)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return sums

    def _targets(
        self, member: int, answer: Answer, row: int, window: Window, epoch: int, generator: torch.Generator
    ) -> PseudoLabels:
        """Labels of one window. The comparison with full supervision replaces this and nothing else."""
        intensity, attention = (values[row, : len(window)] for values in answer.steady)
        means = None if self._class_means is None else self._class_means[member].to(attention)
        settings, start = self.recipe.labels, window.start
        ranges = self._extents.get(id(window.segment), {})
        extents = {
            Point(point.tick - start, point.type): (first - start, last - start)
            for point, (first, last) in ranges.items()
            if start <= point.tick < window.stop
        }
        neutral = None
        if settings.margin is not None:
            neutral = outside_extents(window, ranges.values(), settings.margin)
        elif settings.certain is not None:
            neutral = certainly_neutral(window, settings.certain)
        return pseudo_labels(
            intensity, attention, window.points, epoch, settings, generator, means, extents=extents, neutral=neutral
        )

    def save_weights(self, path: str | os.PathLike[str]) -> str:
        """Weights for `Spotter.load`, with the confidence that `calibrate` finds for them; returns their digest."""
        notes = {"recipe": self.recipe.to_dict(), "seed": self.seed, "epochs": self.epoch}
        return self.learner.save(Path(path), self._least_confidence(), notes)

    def _least_confidence(self) -> tuple[float, float] | None:
        """Of macro and micro; None for tuned weights, which bring their own decoding."""
        if self.learner.decodes_itself:
            return None
        spotter = Spotter(self.learner.reader(self._device), {})
        return calibrate((spotter.intervals(video.features)[0], video.points) for video in self._videos)

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Everything that a resumed training needs, written so that a kill leaves the old file or the new one."""
        state = {
            "format": _STATE_FORMAT,
            "fingerprint": self._fingerprint,
            "epoch": self.epoch,
            "networks": self.learner.networks.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "class_means": self._class_means,
        }
        with replacing(path) as temporary:
            torch.save(state, temporary)

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Go on where `save_state` left off.

        Raises WeightsError if the file is damaged, or belongs to other data, recipe, initial weights or seed.
        """
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            known = state["format"] == _STATE_FORMAT
        except Exception as error:  # torch has many ways of saying that a file is broken
            raise WeightsError(
                f"{path}: no state of a training that can be read ({error}); remove it to start anew"
            ) from error
        if not known or state["fingerprint"] != self._fingerprint:
            raise WeightsError(
                f"{path}: belongs to a training with other data, recipe, weights or seed; use another folder"
            )
        self.epoch = state["epoch"]
        self.learner.networks.load_state_dict(state["networks"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        self._class_means = state["class_means"]

    def _identify(self, videos: Sequence[PointVideo], init: str | os.PathLike[str] | None) -> str:
        digest = hashlib.sha256(json.dumps([self.recipe.to_dict(), self.seed], sort_keys=True).encode())
        digest.update(b"" if init is None else Path(init).read_bytes())
        for video in videos:
            digest.update(f"{video.dataset}|{video.subject}|{video.video}|{video.points}".encode())
            digest.update(np.ascontiguousarray(video.features.segment))
            # A few snippets tell a different extraction; hashing all of them would take longer than an epoch.
            digest.update(np.ascontiguousarray(video.features.snippets[:: max(1, len(video.features.snippets) // 16)]))
        return digest.hexdigest()


class _ClassMeans:
    """Mean attention feature of the labelled ticks of each class, over an epoch."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], torch.Tensor] = {}
        self._counts: dict[tuple[int, int], int] = {}

    def add(self, member: int, answer: Answer, batch: Sequence[Window]) -> None:
        for row, window in enumerate(batch):
            for point in window.points:
                key = (member, EXPRESSION_TYPES.index(point.type))
                self._sums[key] = self._sums.get(key, 0.0) + answer.steady[1][row, point.tick]
                self._counts[key] = self._counts.get(key, 0) + 1

    def result(self) -> torch.Tensor | None:
        """(members, 2, D); zeros for a class without points, which nobody asks for. None without any point."""
        if not self._sums:
            return None
        zero = torch.zeros_like(next(iter(self._sums.values())))
        members = 1 + max(member for member, _ in self._sums)
        rows = [
            [self._sums.get((m, c), zero) / self._counts.get((m, c), 1) for c in range(len(EXPRESSION_TYPES))]
            for m in range(members)
        ]
        return torch.stack([torch.stack(row) for row in rows])


def train(
    videos: Sequence[PointVideo],
    recipe: PointRecipe,
    folder: str | os.PathLike[str],
    seed: int = 0,
    *,
    device: torch.device | str = "cpu",
    init: str | os.PathLike[str] | None = None,
    tensorboard: bool = False,
    save_every: int = 1,
    progress: Callable[[EpochReport], None] | None = None,
    watch: Callable[[PointTrainer], None] | None = None,
    trainer: Callable[..., PointTrainer] = PointTrainer,
) -> Path:
    """Train to the last epoch of the recipe and return the file with the weights, `folder / WEIGHTS_NAME`.

    A training that was interrupted in the same folder goes on at its last saved epoch; a finished one is left as it is.
    save_every: epochs between saved states. tensorboard: write event files to the folder. progress: called after every
    epoch. watch: called with the trainer after every epoch, before its state is saved, so that it misses none when the
    training is killed. trainer: another than `PointTrainer`, for comparisons. Raises WeightsError as `PointTrainer` and
    `PointTrainer.load_state` do, FacespotError for tensorboard without that package, and when the loss is no longer a
    number.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    events = _event_writer(folder) if tensorboard else None
    training = trainer(videos, recipe, seed, device=device, init=init)
    state = folder / STATE_NAME
    if state.exists():
        training.load_state(state)
    while training.epoch < recipe.epochs:
        report = training.run_epoch()
        if watch is not None:
            watch(training)
        if training.epoch % save_every == 0 or training.epoch == recipe.epochs:
            training.save_state(state)
        if events is not None:
            for name, value in report.terms.items():
                events.add_scalar(f"loss/{name}", value, report.epoch)
        if progress is not None:
            progress(report)
    if events is not None:
        events.close()
    weights = folder / WEIGHTS_NAME
    if not weights.exists():
        training.save_weights(weights)
    return weights


def _event_writer(folder: Path) -> "SummaryWriter":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise FacespotError("event files need tensorboard: pip install 'facespot[train]'") from None
    return SummaryWriter(str(folder))


@contextmanager
def _seeded(*numbers: int) -> Iterator[torch.Generator]:
    """A CPU generator of these numbers; torch's own follow them inside and are as before afterwards."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    devices: list[Any] = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)
