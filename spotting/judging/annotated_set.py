"""A prepared data set and its annotations, for judging: whose the videos are, what is annotated, what is missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from ...extract.features import FaceFeatures
from ..datasets.layouts import match_videos
from ..datasets.prepared import PreparedSet, PreparedVideo
from ..datasets.records import close_open_offsets, intervals_by_video
from ..intervals import Interval
from .pairing import Absent, Pairing, pair_tables
from .tables import IntervalTable, TableRow, VideoFacts, rows_of_records

if TYPE_CHECKING:
    import pandas as pd

Spotted = Mapping[str, Sequence[Interval]]  # by video, on the clock


class AnnotatedSet:
    """Features and annotations of the same videos.

    records: the annotations, videos named as in the prepared folder. videos: the prepared videos that are annotated, by
    name; only those are spotted. subject_of: whose they are; the annotations know that better than file names.
    absent: whether annotated videos without features count as missed or are left out. open_frames: as of
    `close_open_offsets`. Raises AnnotationError for records that are points.
    """

    def __init__(
        self,
        prepared: str | Path,
        records: "pd.DataFrame",
        absent: Absent = "missed",
        open_frames: int | None = None,
    ) -> None:
        # Other processes start in the same folder, but who resumes may not.
        self.prepared = PreparedSet(Path(prepared).absolute())
        self.records = match_videos(records, list(self.prepared))
        self.absent = absent
        self.open_frames = open_frames
        named = {
            (dataset, video): str(subject)
            for dataset, video, subject in zip(
                *(self.records[name] for name in ("dataset", "video", "subject")), strict=True
            )
        }
        self.videos: dict[str, PreparedVideo] = {v.video: v for v in self.prepared if (v.dataset, v.video) in named}
        self.subject_of = {name: named[v.dataset, name] for name, v in self.videos.items()}
        self.timebases = {name: self.load(name).timebase for name in self.videos}
        try:
            self._truth = IntervalTable.of(
                rows_of_records(self.records, open_frames),
                open_ended=int(self.records["offset"].isna().sum()),
            )
        except AnnotationError as error:
            raise AnnotationError(f"judging needs the ends of every expression: {error}") from error

    @property
    def subjects(self) -> list[str]:
        """Those with features, in order of name."""
        return sorted(set(self.subject_of.values()))

    @property
    def open_ended(self) -> int:
        """Expressions that the annotations give no end."""
        return self._truth.open_ended

    def load(self, video: str) -> FaceFeatures:
        """Its features, memory-mapped."""
        return self.prepared.load(self.videos[video])

    def digests(self) -> dict[str, str]:
        """Video -> what tells its features from any others."""
        return {name: self.prepared.digest(video) for name, video in sorted(self.videos.items())}

    def truth_on_clock(self) -> dict[str, list[Interval]]:
        """The annotated intervals of the videos with features, in ticks."""
        mine = self.records[self.records["video"].isin(list(self.videos))]
        return intervals_by_video(close_open_offsets(mine, self.open_frames), self.timebases)

    def absent_on_clock(self) -> dict[str, tuple[str, list[Interval]]]:
        """Annotated videos without features, where those count as missed: subject and annotated intervals in ticks."""
        rest = self.records[~self.records["video"].isin(list(self.videos))]
        if self.absent == "left-out" or rest.empty:
            return {}
        subjects = dict(zip(rest["video"], map(str, rest["subject"]), strict=True))
        truth = intervals_by_video(close_open_offsets(rest, self.open_frames))
        return {video: (subjects[video], intervals) for video, intervals in truth.items()}

    def rows(self, found: Spotted) -> list[TableRow]:
        """Intervals on the clock as rows of a table, in order of video and time."""
        return [self._row(video, interval) for video in sorted(found) for interval in sorted(found[video])]

    def pair(self, found: Spotted, absent: Absent | None = None) -> Pairing:
        """What was found, by video also where it is nothing, beside the annotations. absent: instead of the set's own;
        "left-out" judges the videos of `found` alone."""
        facts = {
            video: VideoFacts(self.subject_of[video], self.timebases[video].fps, self.timebases[video].n_frames)
            for video in found
        }
        return pair_tables(
            IntervalTable.of(self.rows(found), facts), self._truth, absent or self.absent, lacking="features"
        )

    def _row(self, video: str, interval: Interval) -> TableRow:
        timebase = self.timebases[video]
        s = interval.on(timebase)
        seconds, frames = (s.onset_s, s.apex_s, s.offset_s), (s.onset_frame, s.apex_frame, s.offset_frame)
        return TableRow(
            video, self.subject_of[video], s.type, seconds, frames, s.confidence, timebase.fps, timebase.n_frames
        )
