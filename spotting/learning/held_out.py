"""Whether learning helped, told by points that were not learnt from.

Points have no ends, so no IoU can be counted. As in `calibration`, an interval that holds a point of its type is right
and takes that point; F1 is over intervals and points. It rewards finding expressions and punishes false alarms, and
says nothing of how well the ends fit.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch

from ...extract.features import FaceFeatures
from ..intervals import EXPRESSION_TYPES, Interval, Point
from ..spotter import Spotter
from .calibration import judge_by_points
from .point_videos import counted

LEAST_VIDEOS = 4  # of fewer none is held out


class Video(Protocol):
    """What `PointVideo` and `IntervalVideo` have in common."""

    @property
    def features(self) -> FaceFeatures: ...

    @property
    def points(self) -> tuple[Point, ...]: ...


AnyVideo = TypeVar("AnyVideo", bound=Video)


@dataclass(frozen=True)
class PointScore:
    """Over some videos: how many, intervals found, points, and how many of either belong together."""

    videos: int = 0
    found: int = 0
    points: int = 0
    hits: int = 0

    @property
    def f1(self) -> float:
        """0 where there is neither an interval nor a point."""
        return 2 * self.hits / max(self.found + self.points, 1)


def split_videos(videos: Sequence[AnyVideo], share: float, seed: int) -> tuple[list[AnyVideo], list[AnyVideo]]:
    """Videos to learn from and videos held out, both in their order; which ones follows from the seed.

    share: of the videos, in 0..1, at least one; only videos with a point are held out. Of fewer than `LEAST_VIDEOS`
    none is.
    """
    pointed = [i for i, video in enumerate(videos) if video.points]
    if not share or len(pointed) < LEAST_VIDEOS:
        return list(videos), []
    count = min(max(1, round(share * len(pointed))), len(pointed) - 1)
    chosen = set(np.random.default_rng(seed).choice(pointed, count, replace=False).tolist())
    return (
        [video for i, video in enumerate(videos) if i not in chosen],
        [video for i, video in enumerate(videos) if i in chosen],
    )


def score_points(videos: Iterable[tuple[Sequence[Interval], Sequence[Point]]]) -> PointScore:
    """Of the intervals that were found and the points of each video."""
    count, found, points, hits = 0, 0, 0, 0
    for intervals, marks in videos:
        count += 1
        for kind in EXPRESSION_TYPES:
            judged = judge_by_points(intervals, marks, kind)
            found, hits = found + len(judged), hits + sum(hit for _, hit in judged)
        points += len(marks)
    return PointScore(count, found, points, hits)


def score_weights(
    weights: str | os.PathLike[str] | None, videos: Sequence[Video], device: torch.device | str = "cpu"
) -> PointScore:
    """What these weights (None: the shipped ones) find in some videos, as `spot` would, against their points.

    Raises as `Spotter.load`.
    """
    spotter = Spotter.load(weights, str(device))
    return score_points((spotter.intervals(video.features)[0], video.points) for video in videos)


def comparison(after: PointScore, before: PointScore | None = None) -> str:
    """One line for the user: what held-out points say of weights, and of those they were tuned from."""
    where = f"held out: {counted(after.videos, 'videos')}, {counted(after.points, 'points')}"
    if before is None:
        return f"{where}: F1 {after.f1:.2f} ({after.hits} found, {after.found - after.hits} false alarms)"
    verdict = "helped" if after.f1 > before.f1 else "did not help"
    return (
        f"{where}: tuning {verdict}: F1 {before.f1:.2f} before and {after.f1:.2f} after "
        f"({before.hits} and {after.hits} found, "
        f"{before.found - before.hits} and {after.found - after.hits} false alarms)"
    )
