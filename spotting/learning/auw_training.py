"""Training of AUW-GCN (ICME 2023) from full intervals, called like the training from points.

Statistics and adjacency come from the training videos, and stay with the weights. As in the release only windows that
hold an expression are learnt from, and weight decay (AdamW) spares biases and batch norms.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import AnnotationError, FacespotError, WeightsError
from ...files import replacing
from ...models.auw_gcn import AUWGCN, KIND, AUWGCNConfig
from ...models.checkpoint import load_checkpoint, save_checkpoint
from ..readers.auw_decoding import AuwDecoding
from ..readers.auw_features import WINDOW_TICKS, motion_statistics, tick_motion, window_ranges, with_context
from .auw_graph import au_adjacency
from .auw_losses import detection_loss
from .auw_targets import TargetSettings, detection_targets
from .from_points import EpochReport, train
from .interval_videos import IntervalVideo, with_intervals
from .point_videos import PointVideo
from .recipes import Preset

if TYPE_CHECKING:
    import pandas as pd

_STATE_FORMAT = 1


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


class AuwTrainer:
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
        self.recipe, self.seed, self.epoch = recipe, seed, 0
        self._device = torch.device(device)
        motions = [tick_motion(video.features) for video in videos]
        self._windows = _learning_windows(videos, motions, recipe.targets)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if init is None:
                network = _fresh_network(videos, motions, recipe)
            else:
                network = AUWGCN.rebuild(load_checkpoint(init, KIND))
        self.network = network.to(self._device)
        # Vectors are biases, and scales of batch norms.
        vectors = [p for p in self.network.parameters() if p.ndim == 1]
        matrices = [p for p in self.network.parameters() if p.ndim > 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.weight_decay)
        self._fingerprint = self._identify(videos, motions, init)

    def run_epoch(self) -> EpochReport:
        """Visit every window once."""
        number, recipe = self.epoch, self.recipe
        for group in self._optimiser.param_groups:
            group["lr"] = recipe.rate * recipe.rate_decay**number
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        order = torch.randperm(len(self._windows), generator=torch.Generator().manual_seed(seed))
        sums: dict[str, float] = {}
        self.network.train()
        for rows in order.split(recipe.batch):
            part = self._windows.pick(rows, self._device)
            output = self.network(part.motion)
            terms = detection_loss(output, part.ends, part.apex, part.action, part.valid, recipe.macro_weight)
            self._optimiser.zero_grad(set_to_none=True)
            terms["total"].backward()
            self._optimiser.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(rows) / len(order)
        if not math.isfinite(sums["total"]):
            raise FacespotError(f"the loss is {sums['total']} in epoch {number}; a smaller rate may help")
        self.epoch += 1
        return EpochReport(number, recipe.epochs, sums)

    def save_weights(self, path: str | os.PathLike[str]) -> str:
        """Weights for `Spotter.load`; returns their digest."""
        config = {"network": self.network.config.to_dict(), "decoding": asdict(self.recipe.decoding)}
        notes = {"recipe": self.recipe.to_dict(), "seed": self.seed, "epochs": self.epoch}
        return save_checkpoint(path, KIND, config, self.network.state_dict(), notes)

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Everything that a resumed training needs, written so that a kill leaves the old file or the new one."""
        state = {
            "format": _STATE_FORMAT,
            "fingerprint": self._fingerprint,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        with replacing(path) as temporary:
            torch.save(state, temporary)

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Go on where `save_state` left off.

        Raises WeightsError if the file is damaged, or belongs to other data, recipe, initial weights or seed.
        """
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            ours = (state["format"], state["fingerprint"]) == (_STATE_FORMAT, self._fingerprint)
        except Exception as error:  # torch has many ways of saying that a file is broken
            raise WeightsError(
                f"{path}: no state of a training that can be read ({error}); remove it to start anew"
            ) from error
        if not ours:
            raise WeightsError(
                f"{path}: belongs to a training with other data, recipe, weights or seed; use another folder"
            )
        self.epoch = state["epoch"]
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])

    def _identify(
        self, videos: Sequence[IntervalVideo], motions: Sequence[np.ndarray], init: str | os.PathLike[str] | None
    ) -> str:
        digest = hashlib.sha256(json.dumps([KIND, self.recipe.to_dict(), self.seed], sort_keys=True).encode())
        digest.update(b"" if init is None else Path(init).read_bytes())
        for video, motion in zip(videos, motions, strict=True):
            digest.update(f"{video.dataset}|{video.subject}|{video.video}|{video.intervals}|{video.units}".encode())
            digest.update(np.ascontiguousarray(video.features.segment))
            digest.update(motion)
        return digest.hexdigest()


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
    **options: Any,
) -> Path:
    """Train to the last epoch of the recipe and return the file with the weights. options and what happens: as in
    `training.train`."""
    return train(videos, recipe, folder, seed, trainer=AuwTrainer, **options)


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
