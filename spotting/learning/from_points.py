"""Learning from one point per expression, in the three stages of GIM (paper section 3.4, `pseudo_labels`).

Training takes `PointVideo`s and nothing else: onsets and offsets have no way in. Everything random follows from the
seed and the epoch's number, so a training that was killed and resumed ends with the same bytes as one that was not.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ...models.device import training_dtype
from ..intervals import EXPRESSION_TYPES, Point
from ..spotter import Spotter
from .calibration import calibrate
from .durations import motion_extents
from .learners import Answer, Learner, make_learner
from .optimisers import make_optimiser
from .point_videos import PointVideo, Window, certainly_neutral, draw_windows, learning_segments, outside_extents
from .pseudo_labels import RANGE_METHODS, PseudoLabels, pseudo_labels
from .range_methods import range_targets
from .recipes import PointRecipe
from .training import Trainer, seeded, step_schedule, train_to_end

# Label rules that need the mean attention feature of a class.
_WITH_MEANS = ("class_mean", "hr_pro")


class PointTrainer(Trainer[PointRecipe]):
    """A training in progress, one epoch at a time; `train` is the whole of it.

    init: weights to tune instead of fresh ones; the recipe for that is `PointRecipe.tuning`. device: of torch.
    Raises WeightsError for weights that do not fit the recipe, ValueError without a video long enough, FacespotError
    for a precision that the device lacks.
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
        super().__init__(recipe, seed, device)
        self._dtype = training_dtype(recipe.precision, self.device)
        self._videos = tuple(videos)
        self._segments = learning_segments(videos)
        if not self._segments:
            raise ValueError("no video has a segment long enough to learn from")
        with seeded(seed, 0):
            self.learner = self._make_learner(None if init is None else Path(init))
        self.networks = self.learner.networks.to(self.device)
        self.optimiser = make_optimiser(self.networks.parameters(), recipe.rate, recipe.weight_decay, recipe.optimiser)
        self.schedule = step_schedule(self.optimiser, recipe.halve_every, 0.5)
        # Gradients of half the exponent range would vanish unscaled; bfloat16 has the whole range.
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self._dtype == torch.float16)
        self._class_means: torch.Tensor | None = None  # of the epoch before: (members, 2, D)
        by_landmarks = recipe.labels.durations == "landmarks"
        self._extents = {id(s): motion_extents(s.geometry, s.points) for s in self._segments} if by_landmarks else {}
        # A few snippets tell a different extraction; hashing all of them would take longer than an epoch.
        data = [
            (
                f"{video.dataset}|{video.subject}|{video.video}|{video.points}",
                video.features.segment,
                video.features.snippets[:: max(1, len(video.features.snippets) // 16)],
            )
            for video in videos
        ]
        self.fingerprint = self._identify(init, (part for parts in data for part in parts))

    def _make_learner(self, init: Path | None) -> Learner:
        """The networks; comparisons replace it by others."""
        return make_learner(self.recipe, init)

    def _run_steps(self, epoch: int) -> dict[str, float]:
        """Every window once."""
        recipe = self.recipe
        sums: dict[str, float] = {}
        means = _ClassMeans()
        with seeded(self.seed, epoch + 1) as generator:
            windows = draw_windows(self._segments, recipe.window, recipe.empty, recipe.mirror, generator)
            batches = [windows[i : i + recipe.batch] for i in range(0, len(windows), recipe.batch)]
            for batch in batches:
                for name, value in self._step(batch, epoch, generator, means).items():
                    sums[name] = sums.get(name, 0.0) + value / len(batches)
        if recipe.labels.strategy in _WITH_MEANS:
            self._class_means = means.result()
        return sums

    def _step(
        self, batch: Sequence[Window], epoch: int, generator: torch.Generator, means: "_ClassMeans"
    ) -> dict[str, float]:
        sums: dict[str, float] = {}
        members = len(self.learner.networks)
        self.optimiser.zero_grad(set_to_none=True)
        for member in range(members):
            with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None):
                answer = self.learner.answer(member, batch, self.device)
            targets = [self._targets(member, answer, b, window, epoch, generator) for b, window in enumerate(batch)]
            if self.recipe.labels.strategy in _WITH_MEANS:
                means.add(member, answer, batch)
            terms = self.learner.loss(member, answer, targets)
            self._scaler.scale(terms["total"]).backward()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / members
        self._check_finite(sums["total"])
        self._scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        return sums

    def _targets(
        self, member: int, answer: Answer, row: int, window: Window, epoch: int, generator: torch.Generator
    ) -> PseudoLabels:
        """Labels of one window. The comparison with full supervision replaces this and nothing else."""
        intensity, attention = (values[row, : len(window)] for values in answer.steady)
        means = None if self._class_means is None else self._class_means[member].to(attention)
        settings, start = self.recipe.labels, window.start
        if settings.strategy in RANGE_METHODS:
            scores = answer.output.class_scores[row, : len(window)].detach()
            return range_targets(intensity, scores, window.points, epoch, settings, means)
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
        return self.learner.save(Path(path), self._least_confidence(), self.notes)

    def _least_confidence(self) -> tuple[float, float] | None:
        """Of macro and micro; None for tuned weights, which bring their own decoding."""
        if self.learner.decodes_itself:
            return None
        spotter = Spotter(self.learner.reader(self.device), {})
        return calibrate((spotter.intervals(video.features)[0], video.points) for video in self._videos)

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "scaler": self._scaler.state_dict(), "class_means": self._class_means}

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        self._scaler.load_state_dict(state["scaler"])
        self._class_means = state["class_means"]


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
    trainer: Callable[..., Trainer[Any]] = PointTrainer,
    **options: Any,
) -> Path:
    """Train to the last epoch of the recipe and return the file with the weights.

    trainer: another than `PointTrainer`, for comparisons. options and what happens: as in `training.train_to_end`.
    Raises WeightsError as `PointTrainer` does, and what `train_to_end` raises.
    """
    return train_to_end(trainer(videos, recipe, seed, device=device, init=init), folder, **options)
