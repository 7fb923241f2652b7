"""Training of AUW-GCN (ICME 2023) from full intervals, called like the training from points.

Statistics and adjacency come from the training videos, and stay with the weights. As in the release only windows that
hold an expression are learnt from, and weight decay (AdamW) spares biases and batch norms.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import AnnotationError
from ...models.auw_gcn import AUWGCN, KIND, AUWGCNConfig
from ...models.checkpoint import load_checkpoint, save_checkpoint
from ..readers.auw_decoding import AuwDecoding
from ..readers.auw_features import WINDOW_TICKS, motion_statistics, tick_motion, window_ranges, with_context
from .auw_graph import au_adjacency
from .auw_losses import detection_loss
from .auw_targets import TargetSettings, detection_targets
from .interval_videos import IntervalVideo, with_intervals
from .optimisers import make_optimiser
from .point_videos import PointVideo
from .recipes import Preset
from .training import Trainer, seeded, step_schedule, train_to_end

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AuwRecipe:
    """Everything about a training but its data and its seed; the defaults are those of CAS(ME)^2.

    macro_weight: of the macro terms of the loss. rate: multiplied by `rate_decay` after every epoch. batch: windows
    per step. Raises ValueError for numbers outside their range.
    """

    network: AUWGCNConfig = field(default_factory=AUWGCNConfig)
    targets: TargetSettings = field(default_factory=TargetSettings)
    decoding: AuwDecoding = field(default_factory=AuwDecoding)
    macro_weight: float = 0.5
    epochs: int = 100
    rate: float = 0.01
    rate_decay: float = 0.96
    weight_decay: float = 0.1
    batch: int = 128

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or not self.rate > 0:
            raise ValueError("epochs and batch must be at least 1, rate above 0")

    @classmethod
    def preset(cls, name: Preset = "own") -> "AuwRecipe":
        """The release's settings for a data set; "own" has those of SAMM-LV.

        The release counts frames of CAS(ME)^2 as coded, at 30 a second, which are our ticks. Its SAMM-LV runs at 25 a
        second: spread 3 and 1, sigma 4, reach 6..27 and 2..7 frames become ticks, rounded. Neither the dilations of the
        network nor the 256 ticks of a window change with it.
        """
        if name == "casme2":
            return cls()
        return cls(
            targets=TargetSettings(spread=(4, 1), sigma=4.8),
            decoding=AuwDecoding(reach=((7, 32), (2, 8)), keep=(6, 5)),
            macro_weight=0.7,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable, for provenance and to tell recipes apart."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Windows:
    """S windows of T ticks: motion (S, T + 2 context, 12, 2), targets, and which ticks are no padding (S, T)."""

    motion: Tensor
    ends: Tensor
    apex: Tensor
    action: Tensor
    valid: Tensor

    def __len__(self) -> int:
        return len(self.motion)

    def pick(self, rows: Tensor, device: torch.device) -> "_Windows":
        return _Windows(*(getattr(self, name)[rows].to(device) for name in self.__dataclass_fields__))


class AuwTrainer(Trainer[AuwRecipe]):
    """A training in progress, one epoch at a time; `train_auw_gcn` is the whole of it.

    init: weights to go on from, with their own statistics and adjacency. Raises AnnotationError if no video has an
    expression where a face is seen, or none an action unit of the graph; WeightsError for weights that do not fit.
    """

    def __init__(
        self,
        videos: Sequence[IntervalVideo],
        recipe: AuwRecipe,
        seed: int = 0,
        *,
        device: torch.device | str = "cpu",
        init: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(recipe, seed, device)
        motions = [tick_motion(video.features) for video in videos]
        self._windows = _learning_windows(videos, motions, recipe.targets)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if init is None:
                network = _fresh_network(videos, motions, recipe)
            else:
                network = AUWGCN.rebuild(load_checkpoint(init, KIND))
        self.networks = self.network = network.to(self.device)
        # Vectors are biases, and scales of batch norms.
        vectors = [p for p in self.network.parameters() if p.ndim == 1]
        matrices = [p for p in self.network.parameters() if p.ndim > 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = make_optimiser(groups, recipe.rate, recipe.weight_decay)
        self.schedule = step_schedule(self.optimiser, 1, recipe.rate_decay)
        data = [
            (f"{v.dataset}|{v.subject}|{v.video}|{v.intervals}|{v.units}", v.features.segment, motion)
            for v, motion in zip(videos, motions, strict=True)
        ]
        self.fingerprint = self._identify(init, (part for parts in data for part in parts))

    def _run_steps(self, epoch: int) -> dict[str, float]:
        """Every window once."""
        with seeded(self.seed, epoch) as generator:
            order = torch.randperm(len(self._windows), generator=generator)
        sums: dict[str, float] = {}
        for rows in order.split(self.recipe.batch):
            part = self._windows.pick(rows, self.device)
            output = self.network(part.motion)
            terms = detection_loss(output, part.ends, part.apex, part.action, part.valid, self.recipe.macro_weight)
            self.optimiser.zero_grad(set_to_none=True)
            terms["total"].backward()
            self.optimiser.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(rows) / len(order)
        self._check_finite(sums["total"])
        return sums

    def save_weights(self, path: str | os.PathLike[str]) -> str:
        """Weights for `Spotter.load`; returns their digest."""
        config = {"network": self.network.config.to_dict(), "decoding": asdict(self.recipe.decoding)}
        return save_checkpoint(path, KIND, config, self.network.state_dict(), self.notes)


def auw_trainer(
    videos: Sequence[PointVideo], recipe: AuwRecipe, seed: int = 0, *, records: "pd.DataFrame", **options: Any
) -> AuwTrainer:
    """A trainer for `evaluate_loso`, which hands out videos with points: `records` bring back their intervals."""
    return AuwTrainer(with_intervals(videos, records), recipe, seed, **options)


def train_auw_gcn(
    videos: Sequence[IntervalVideo],
    recipe: AuwRecipe,
    folder: str | os.PathLike[str],
    seed: int = 0,
    *,
    device: torch.device | str = "cpu",
    init: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Path:
    """Train to the last epoch of the recipe and return the file with the weights. options and what happens: as in
    `training.train_to_end`."""
    return train_to_end(AuwTrainer(videos, recipe, seed, device=device, init=init), folder, **options)


def _fresh_network(videos: Sequence[IntervalVideo], motions: Sequence[np.ndarray], recipe: AuwRecipe) -> AUWGCN:
    try:
        adjacency = au_adjacency(units for video in videos for units in video.units)
    except ValueError as error:
        raise AnnotationError(f"AUW-GCN needs annotated action units: {error}") from error
    segments = [video.features.segments() for video in videos]
    mean, scale = motion_statistics(zip(motions, segments, strict=True))
    return AUWGCN(recipe.network, *(torch.from_numpy(a) for a in (adjacency, mean, scale)))


def _learning_windows(
    videos: Sequence[IntervalVideo], motions: Sequence[np.ndarray], settings: TargetSettings
) -> _Windows:
    """All windows with a tick of an expression, whole or in part."""
    columns: list[list[np.ndarray]] = [[] for _ in _Windows.__dataclass_fields__]
    for video, motion in zip(videos, motions, strict=True):
        targets = detection_targets(video.intervals, len(motion), settings)
        for segment in video.features.segments():
            for start, stop in window_ranges(*segment):
                if not targets.action[start:stop].any():
                    continue
                values = [with_context(motion, segment, start, WINDOW_TICKS)]
                values += [_padded(a[start:stop]) for a in (targets.ends, targets.apex, targets.action)]
                values.append(np.arange(WINDOW_TICKS) < stop - start)
                for column, value in zip(columns, values, strict=True):
                    column.append(value)
    if not columns[0]:
        raise AnnotationError("no video has an expression where a face is seen")
    return _Windows(*(torch.from_numpy(np.stack(column)) for column in columns))


def _padded(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, np.zeros((WINDOW_TICKS - len(values), *values.shape[1:]), values.dtype)])
