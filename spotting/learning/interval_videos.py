"""Features and full annotations of many videos, for learning that is told everything."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from ...extract.features import FaceFeatures
from ..datasets.aus import ActionUnit
from ..datasets.layouts import match_videos
from ..datasets.prepared import PreparedSet
from ..datasets.records import close_open_offsets, intervals_by_video
from ..intervals import Interval, Point
from .point_videos import Pairing, PointVideo, pair_points

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class IntervalVideo:
    """One video with its expressions in ticks, sorted, and the action units of each annotated expression, in any order.

    Raises ValueError for an expression beyond the video.
    """

    dataset: str
    subject: str
    video: str
    features: FaceFeatures
    intervals: tuple[Interval, ...]
    units: tuple[tuple[ActionUnit, ...], ...] = ()

    def __post_init__(self) -> None:
        last = max((i.offset for i in self.intervals), default=0)
        if last >= self.features.timebase.n_ticks:
            raise ValueError(f"{self.video}: an expression ends at tick {last} of {self.features.timebase.n_ticks}")

    @property
    def points(self) -> tuple[Point, ...]:
        """The apexes."""
        return tuple(Point(i.apex, i.type) for i in self.intervals)


def pair_intervals(
    prepared: PreparedSet, records: "pd.DataFrame", subjects: Collection[str] | None = None
) -> tuple[list[IntervalVideo], Pairing]:
    """The prepared videos with their annotations, chosen and ordered as by `pair_points`, with an expression's onset
    as its point. Raises AnnotationError if nothing fits, or if a record is a point label."""
    _refuse_points(records)
    records = match_videos(records, list(prepared))
    found, pairing = pair_points(prepared, records.assign(frame=records["onset"]), subjects)
    return with_intervals(found, records), pairing


def with_intervals(videos: Sequence[PointVideo], records: "pd.DataFrame") -> list[IntervalVideo]:
    """The same videos with all that `records`, whose videos are named alike, say of them.

    Expressions that never returned to neutral are closed (`close_open_offsets`); those that begin beyond the end of
    their video are left out, and what lasts beyond it ends there. Raises AnnotationError if a record is a point label.
    """
    _refuse_points(records)
    rows = dict(iter(close_open_offsets(records).groupby(["dataset", "video"], sort=False)))
    found = []
    for video in videos:
        intervals, units = [], ()
        if (video.dataset, video.video) in rows:
            clock, last = video.features.timebase, video.features.timebase.n_ticks - 1
            table = rows[video.dataset, video.video]
            table = table[table["onset"] / table["fps"] <= clock.duration_s]
            units = tuple(table["aus"])
            for i in intervals_by_video(table, {video.video: clock}).get(video.video, ()):
                onset, apex, offset = (min(tick, last) for tick in (i.onset, i.apex, i.offset))
                intervals.append(Interval(onset, apex, offset, i.type))
        found.append(IntervalVideo(video.dataset, video.subject, video.video, video.features, tuple(intervals), units))
    return found


def _refuse_points(records: "pd.DataFrame") -> None:
    if records["onset"].isna().any():
        raise AnnotationError("full supervision needs onset and offset of every expression; some have only a point")
