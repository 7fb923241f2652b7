"""Intensity labels for every tick near a point: the three stages of GIM (paper sections 3.4 and 3.6.2).

Stage 1 labels 1 around each point; stage 2 puts a Gaussian in feature space around the point; stage 3 finds the
pseudo-apex near the point, estimates how long the expression lasts, and puts the Gaussian there (eq. 1-5). The
Gaussian is over feature distance, not time, so labels need not fall steadily away from the apex.

Columns of every (N, 2) array are macro, micro. A label above 0 means "claimed by an expression", 0 means unlabelled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ..intervals import EXPRESSION_TYPES, Point

Strategy = Literal["gim", "hard", "cosine", "class_mean", "lac", "hr_pro", "tsp_net"]
# Methods of other papers with ranges and a loss of their own (`range_methods`).
RANGE_METHODS = ("lac", "hr_pro", "tsp_net")
Overlap = Literal["random", "higher", "lower", "later"]
Durations = Literal["intensity", "landmarks"]

_LEAST = 1e-3  # a claimed tick keeps a label above 0 even where the cosine is not
_APEX_REACH = (2, 1)  # ticks either side of a pseudo-apex that teach the apex classifier (journal version)


@dataclass(frozen=True)
class PseudoLabelSettings:
    """How points become labels; pairs are (macro, micro), counts are ticks. The defaults are the paper's.

    strategy: "gim", or one of the paper's ablations (Table 3): "hard" labels 1 over GIM's duration, "cosine" similarity
        with the apex feature, "class_mean" the Gaussian around the mean feature of the class's points; or one of
        `RANGE_METHODS`, which other papers made, with a loss of its own (Table 1). Of these settings only duration and
        stage_epochs are for them.
    overlap: which label a tick keeps that two points of one class claim (Table 4); "later" overwrites.
    hard_reach, soft_reach: k_s1 and k_s2. duration: k_c. expansion: delta. threshold: theta, first and last.
    longest: the longest range, in multiples of k_c; the shortest is k_c / 2. The paper gives no limits; these are the
        authors' (16..36 and 8..16), without which a video of low intensities labels single ticks.
    durations: where stage 3 takes an expression's range from: the intensity, as the paper does, or what the landmarks
        tell of each point (`extents`); "landmarks" has no use for expansion, threshold and longest.
    certain: ticks from every point of a class beyond which nothing of its expression can lie; what is that far from all
        points is neutral whatever its intensity. None leaves it to eq. 6, as the paper does.
    margin: ticks from the ranges that the landmarks tell, beyond which everything is neutral; bolder than `certain`.
    stage_epochs: epochs of stages 1 and 2. threshold_epochs: epoch count after which theta has reached its last value.
    release_windows: the windows of the authors' code: one-sided in stage 1, growing in stage 2, never the last tick.
    Raises ValueError for an unknown strategy, overlap rule or source of durations, and for a margin of other ranges.
    """

    strategy: Strategy = "gim"
    overlap: Overlap = "random"
    hard_reach: tuple[int, int] = (5, 3)
    soft_reach: tuple[int, int] = (4, 2)
    duration: tuple[int, int] = (32, 16)
    longest: tuple[float, float] = (1.125, 1.0)
    durations: Durations = "intensity"
    certain: tuple[int, int] | None = None
    margin: int | None = None
    expansion: float = 1.2
    threshold: tuple[float, float] = (0.8, 0.5)
    stage_epochs: tuple[int, int] = (1, 4)
    threshold_epochs: int = 30
    release_windows: bool = False

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise ValueError(f"strategy must be one of {get_args(Strategy)}, got {self.strategy!r}")
        if self.overlap not in get_args(Overlap):
            raise ValueError(f"overlap must be one of {get_args(Overlap)}, got {self.overlap!r}")
        if self.durations not in get_args(Durations):
            raise ValueError(f"durations must be one of {get_args(Durations)}, got {self.durations!r}")
        if self.margin is not None and self.durations != "landmarks":
            raise ValueError("only ranges from the landmarks have a margin")

    @classmethod
    def reference(cls) -> "PseudoLabelSettings":
        """What the authors' release computes."""
        return cls(overlap="later", release_windows=True)

    @classmethod
    def own(cls) -> "PseudoLabelSettings":
        """The project's own: durations from the landmarks, and whatever no expression can reach is neutral."""
        return cls(durations="landmarks", certain=(120, 17))

    @classmethod
    def tuning(cls) -> "PseudoLabelSettings":
        """For weights that know what an expression is: ranges at once, and all that lies outside them is neutral."""
        return cls(durations="landmarks", margin=4, stage_epochs=(0, 0))

    def stage(self, epoch: int) -> int:
        """1, 2 or 3 for a 0-based epoch."""
        first, second = self.stage_epochs
        return 1 if epoch < first else 2 if epoch < first + second else 3

    def threshold_at(self, epoch: int) -> float:
        """theta of a 0-based epoch: level until stage 3 begins, then falling linearly."""
        start, end = self.threshold
        begins, ends = sum(self.stage_epochs), self.threshold_epochs - 1
        if epoch >= ends:
            return end
        if epoch <= begins:
            return start
        return start - (start - end) * (epoch - begins) / (ends - begins)


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Targets of one video of N ticks; no gradient flows through them.

    labels: (N, 2) in 0..1. apex: (N, 2) bool, ticks that teach the apex classifier; None before stage 3.
    neutral: (k,) sorted ticks taken as neutral.
    """

    labels: Tensor
    apex: Tensor | None
    neutral: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@torch.no_grad()
def pseudo_labels(
    intensity: Tensor,
    attention: Tensor,
    points: Sequence[Point],
    epoch: int,
    settings: PseudoLabelSettings | None = None,
    generator: torch.Generator | None = None,
    class_means: Tensor | None = None,
    extents: Mapping[Point, tuple[int, int]] | None = None,
    neutral: Tensor | None = None,
) -> PseudoLabels:
    """Targets of one video from its points and the network's present opinion of it.

    intensity: (N,) a. attention: (N, D) X. epoch: 0-based. generator: a CPU generator for overlap="random".
    class_means: (2, D) for strategy="class_mean"; without it the mean over this video's own points is taken.
    extents: first and last tick around each point, for durations="landmarks"; they may reach beyond the video.
    neutral: (N,) bool, ticks that are neutral for certain. Raises ValueError for a point outside the video, and for
    durations="landmarks" without extents.
    """
    settings = settings or PseudoLabelSettings()
    if settings.durations == "landmarks" and extents is None:
        raise ValueError("durations from the landmarks need the extents of the points")
    n, stage = len(intensity), settings.stage(epoch)
    labels = intensity.new_zeros(n, 2)
    apex = torch.zeros(n, 2, dtype=torch.bool, device=intensity.device) if stage == 3 else None
    for column, kind in enumerate(EXPRESSION_TYPES):
        ticks = sorted({p.tick for p in points if p.type == kind})
        if ticks and ticks[-1] >= n:
            raise ValueError(f"a point lies at tick {ticks[-1]} of a video of {n}")
        mean = None
        if settings.strategy == "class_mean" and ticks:
            mean = attention[ticks].mean(dim=0) if class_means is None else class_means[column]
        for tick in ticks:
            centre, window = tick, _early_window(tick, n, column, epoch, settings)
            if stage == 3:
                if settings.durations == "landmarks":
                    centre, window = _within(intensity, tick, column, extents[Point(tick, kind)], settings)
                else:
                    centre, window = _estimate(intensity, tick, column, epoch, settings)
                reach = _APEX_REACH[column]
                apex[max(0, centre - reach) : centre + reach + 1, column] = True
            values = attention.new_ones(window.stop - window.start)
            if stage > 1:
                values = _soft(attention[window], attention[centre], mean, settings.strategy)
            _claim(labels[window, column], values.to(labels.dtype), settings.overlap, generator)
    chosen = pseudo_neutral(intensity, labels)
    if neutral is not None:
        mask = neutral.to(labels.device) & (labels == 0).all(dim=1)
        mask[chosen] = True
        chosen = mask.nonzero()[:, 0]
    return PseudoLabels(labels, apex, chosen)


@torch.no_grad()
def pseudo_neutral(intensity: Tensor, labels: Tensor) -> Tensor:
    """The min(N_exp, N - N_exp) unlabelled ticks of lowest intensity (eq. 6), sorted.

    At least one as long as any tick is unlabelled, so that a video without expressions teaches too.
    """
    unlabelled = (labels == 0).all(dim=1).nonzero()[:, 0]
    count = max(1, min(len(unlabelled), len(labels) - len(unlabelled)))
    lowest = intensity[unlabelled].topk(min(count, len(unlabelled)), largest=False).indices
    return unlabelled[lowest].sort().values


def _window(centre: int, reach: int, n: int, settings: PseudoLabelSettings) -> slice:
    """Ticks centre - reach .. centre + reach inside the video; the authors' code never takes the last one."""
    return slice(max(0, centre - reach), min(n - settings.release_windows, centre + reach + 1))


def _early_window(tick: int, n: int, column: int, epoch: int, settings: PseudoLabelSettings) -> slice:
    """Around the point in stages 1 and 2."""
    hard, soft = settings.hard_reach[column], settings.soft_reach[column]
    if settings.stage(epoch) == 1:
        window = _window(tick, hard, n, settings)
        return slice(window.start, min(window.stop, tick + hard)) if settings.release_windows else window
    if settings.release_windows and epoch < settings.stage_epochs[0] + settings.stage_epochs[1] // 2:
        soft //= 2
    return _window(tick, soft, n, settings)


def _estimate(
    intensity: Tensor, tick: int, column: int, epoch: int, settings: PseudoLabelSettings
) -> tuple[int, slice]:
    """Stage 3: the pseudo-apex (eq. 1) and the range that is labelled around it (eq. 3 and K_i of eq. 4)."""
    n, general = len(intensity), settings.duration[column]
    search = _window(tick, general // 4, n, settings)
    centre = search.start + int(intensity[search].argmax())
    rough = int((intensity[_window(centre, general // 2, n, settings)] > settings.threshold_at(epoch)).sum())
    longest = round(settings.longest[column] * general)
    length = min(longest, max(general // 2, round(settings.expansion * rough)))
    return centre, _window(centre, length // 2, n, settings)


def _within(
    intensity: Tensor, tick: int, column: int, extent: tuple[int, int], settings: PseudoLabelSettings
) -> tuple[int, slice]:
    """Stage 3 with a range that is known: the pseudo-apex (eq. 1) inside it, and as much of it as lies in the video."""
    first, last = max(0, extent[0]), min(len(intensity) - 1, extent[1])
    near = settings.duration[column] // 4
    search = slice(max(first, tick - near), min(last, tick + near) + 1)
    return search.start + int(intensity[search].argmax()), slice(first, last + 1)


def _soft(features: Tensor, centre: Tensor, mean: Tensor | None, strategy: Strategy) -> Tensor:
    """Labels of the ticks of one range. features (w, D), centre (D,) the apex's or point's feature -> (w,)"""
    if strategy == "hard":
        return features.new_ones(len(features))
    if strategy == "cosine":
        return F.cosine_similarity(features, centre[None], dim=1).clamp(_LEAST, 1.0)
    distance = (features - (centre if mean is None else mean)).square().sum(dim=1)
    # The constant keeps a range of equal features at label 1; it is the authors'.
    return torch.exp(-distance / (2.0 * distance.mean() + 1e-6))


def _claim(column: Tensor, values: Tensor, overlap: Overlap, generator: torch.Generator | None) -> None:
    """Write values into a view of one class's labels, settling ticks that another point has claimed already."""
    taken = column > 0
    if overlap == "higher":
        values = torch.where(taken, torch.maximum(column, values), values)
    elif overlap == "lower":
        values = torch.where(taken, torch.minimum(column, values), values)
    elif overlap == "random":
        keep = torch.rand(len(values), generator=generator).to(column.device) < 0.5
        values = torch.where(taken & keep, column, values)
    column.copy_(values)
