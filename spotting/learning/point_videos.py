"""Features and points of many videos, as training takes them, and the windows an epoch visits."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...errors import AnnotationError
from ...extract.features import FaceFeatures
from ...extract.motion.geometry import geometry_channels
from ..datasets.layouts import match_videos
from ..datasets.prepared import PreparedSet
from ..datasets.records import tick_of_frame
from ..intervals import EXPRESSION_TYPES, Point

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 3  # of the videos that are absent
MIN_TICKS = 34  # a shorter segment holds no macro-expression with anything around it


@dataclass(frozen=True, eq=False)
class PointVideo:
    """One video to learn from: its features, and nothing about its expressions but one point each.

    Raises ValueError for a point beyond the video.
    """

    dataset: str
    subject: str
    video: str
    features: FaceFeatures
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        last = max((p.tick for p in self.points), default=0)
        if last >= self.features.timebase.n_ticks:
            raise ValueError(f"{self.video}: a point lies at tick {last} of {self.features.timebase.n_ticks}")


@dataclass(frozen=True)
class Pairing:
    """What pairing points with prepared videos left over: videos with points but no features, points beyond the end of
    their video, and points where no usable face is seen."""

    without_features: tuple[str, ...] = ()
    beyond_end: int = 0
    without_face: int = 0

    def lines(self, nouns: str = "points") -> list[str]:
        """For the user, one line for each kind of loss. nouns: what was paired."""
        found = []
        if self.without_features:
            first, rest = ", ".join(self.without_features[:_NAMED]), len(self.without_features) - _NAMED
            more = f" and {rest} more" if rest > 0 else ""
            found.append(f"without features: {counted(len(self.without_features), 'videos')} ({first}{more})")
        for count, what in (
            (self.beyond_end, "beyond the end of the video"),
            (self.without_face, "without a face"),
        ):
            if count:
                found.append(f"left out: {counted(count, nouns)} {what}")
        return found


def counted(count: int, nouns: str) -> str:
    """nouns: the plural of one that takes an s."""
    return f"{count} {nouns if count != 1 else nouns[:-1]}"


def pair_points(
    prepared: PreparedSet, points: "pd.DataFrame", subjects: Collection[str] | None = None
) -> tuple[list[PointVideo], Pairing]:
    """The prepared videos that have points (`datasets.points.sample_points`), in the order of the index.

    Videos without any are left out: perhaps nobody has looked at them. subjects: only these. Raises AnnotationError if
    nothing fits.
    """
    points = match_videos(points, list(prepared))
    found, beyond, unseen = [], 0, 0
    rows = dict(iter(points.groupby(["dataset", "video"], sort=False)))
    # A list may know more about the subjects of one's own videos than their names tell.
    subject_of = {key: str(group["subject"].iloc[0]) for key, group in rows.items()}
    for video in prepared:
        key = (video.dataset, video.video)
        subject = subject_of.get(key, video.subject)
        if key not in rows or (subjects is not None and subject not in subjects):
            continue
        features = prepared.load(video)
        clock, kept = features.timebase, []
        for row in rows[key].itertuples(index=False):
            if row.frame / row.fps > clock.duration_s:
                beyond += 1
                continue
            tick = tick_of_frame(int(row.frame), row.fps, clock)
            if features.segment[tick] < 0:
                unseen += 1
            kept.append(Point(tick, row.type))
        found.append(PointVideo(video.dataset, subject, video.video, features, tuple(sorted(set(kept)))))
    if not found:
        raise AnnotationError(f"{prepared.folder}: none of its videos has a point; are the videos named alike in both?")
    lost = tuple(f"{video} ({dataset})" for dataset, video in rows if prepared.find(dataset, video) is None)
    return found, Pairing(lost, beyond, unseen)


@dataclass(frozen=True, eq=False)
class Segment:
    """One unbroken segment of a video. snippets: (n, 17, 10, 2); geometry: (n, G); points: in its own ticks."""

    snippets: np.ndarray
    geometry: np.ndarray
    points: tuple[Point, ...]

    def __len__(self) -> int:
        return len(self.snippets)


@dataclass(frozen=True, eq=False)
class Window:
    """Ticks start .. stop of a segment, and the points among them, in the window's own ticks."""

    segment: Segment
    start: int
    stop: int
    mirrored: bool

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(
            Point(p.tick - self.start, p.type) for p in self.segment.points if self.start <= p.tick < self.stop
        )

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Snippets and geometry of the window, float32."""
        part = slice(self.start, self.stop)
        snippets, geometry = (
            torch.from_numpy(np.array(a[part], dtype=np.float32))
            for a in (self.segment.snippets, self.segment.geometry)
        )
        return snippets, geometry


def certainly_neutral(window: Window, reach: tuple[int, int]) -> torch.Tensor:
    """(n,) bool: ticks of a window farther than `reach` (macro, micro; ticks) from every point of its segment."""
    free = torch.ones(len(window), dtype=torch.bool)
    for point in window.segment.points:
        tick, far = point.tick - window.start, reach[EXPRESSION_TYPES.index(point.type)]
        free[max(0, tick - far) : max(0, tick + far + 1)] = False
    return free


def outside_extents(window: Window, extents: Iterable[tuple[int, int]], margin: int) -> torch.Tensor:
    """(n,) bool: ticks of a window more than `margin` ticks outside every extent.

    extents: first and last tick of each, in ticks of the window's segment.
    """
    free = torch.ones(len(window), dtype=torch.bool)
    for first, last in extents:
        free[max(0, first - margin - window.start) : max(0, last + margin + 1 - window.start)] = False
    return free


def learning_segments(videos: Sequence[PointVideo]) -> list[Segment]:
    """Unbroken segments of at least `MIN_TICKS`, or with a point in them. Points where no face is seen are lost."""
    found = []
    for video in videos:
        segments = video.features.segments()
        geometry = geometry_channels(video.features.landmarks, segments).astype(np.float32)
        for start, stop in segments:
            points = tuple(Point(p.tick - start, p.type) for p in video.points if start <= p.tick < stop)
            if points or stop - start >= MIN_TICKS:
                found.append(Segment(video.features.snippets[start:stop], geometry[start:stop], points))
    return found


def draw_windows(
    found: Sequence[Segment], ticks: int | None, empty: float, mirror: bool, generator: torch.Generator
) -> list[Window]:
    """The windows of one epoch in random order.

    Each segment is tiled from a random beginning by windows of `ticks`; those with a point are all kept, of the others
    a share of `empty`. ticks=None: whole segments, all of them.
    """

    def uniform() -> float:
        return float(torch.rand((), generator=generator))

    windows = []
    for segment in found:
        bounds = [0, len(segment)]
        if ticks is not None and len(segment) > ticks:
            phase = int(uniform() * ticks)
            # Starts are even: the context network reads ticks in pairs, and answers each pair at one place.
            inner = (b - b % 2 for b in range(phase, len(segment), ticks))
            bounds = [0, *(b for b in inner if MIN_TICKS <= b <= len(segment) - MIN_TICKS), len(segment)]
        for start, stop in pairwise(bounds):
            window = Window(segment, start, stop, mirror and uniform() < 0.5)
            chosen = ticks is None or uniform() < empty
            if window.points or (chosen and len(window) >= MIN_TICKS):
                windows.append(window)
    return [windows[i] for i in torch.randperm(len(windows), generator=generator).tolist()]
