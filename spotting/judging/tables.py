"""Intervals in files, as anybody writes them: facespot's own, MEGC submissions, coding sheets, ELAN and the like.

What a table of intervals is, and what a row of it may say, is in `datasets.interval_tables`; everything else is read as
annotations are. A row whose offset comes before its onset is no interval. Among many good rows it is left out and
named; the caller decides whether that is acceptable.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from ..datasets import boris, interval_tables
from ..datasets.annotations import annotation_files, read_annotations
from ..datasets.interval_tables import TableRow, interval_rows
from ..datasets.own_records import MILLISECONDS, video_of_file
from ..datasets.records import close_open_offsets
from ..datasets.table_files import TEXT_TABLES, WORKBOOKS, named_columns, read_sheet
from ..output.cells import delimited
from ..output.challenge import MegcYear, render_submission
from ..output.formats import WRITERS

if TYPE_CHECKING:
    import pandas as pd

# Of these, the rows are read as they stand, with seconds, frames and confidence.
_TABLES = (*TEXT_TABLES, *WORKBOOKS, ".json", ".parquet")
# Columns by which a workbook is no coding sheet of a data set.
_OF_OURS = {"onset_s", "onset_frame", "pred_onset"}
_OF_SPOT = tuple(writer.suffix for writer in WRITERS.values())


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video apart from its intervals: whose it is, its frame rate and its length in frames."""

    subject: str = ""
    fps: float | None = None
    n_frames: int | None = None


@dataclass(frozen=True)
class IntervalTable:
    """What one or several files say.

    videos: all they speak of, those without any interval too. left_out: a sentence for each row that is no interval.
    notes: what a reader had to repair. open_ended: expressions whose end the sheet does not tell and that were given
    one.
    """

    rows: tuple[TableRow, ...]
    videos: Mapping[str, VideoFacts] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    open_ended: int = 0

    @classmethod
    def of(
        cls, rows: Iterable[TableRow], videos: Mapping[str, VideoFacts] | None = None, **more: object
    ) -> "IntervalTable":
        """The table of these rows, and of the videos that have no row."""
        rows = tuple(rows)
        known: dict[str, VideoFacts] = dict(videos or {})
        for row in rows:
            before = known.get(row.video, VideoFacts())
            known[row.video] = VideoFacts(
                before.subject or row.subject, before.fps or row.fps, before.n_frames or row.n_frames
            )
        return cls(rows, known, **more)

    def __add__(self, other: "IntervalTable") -> "IntervalTable":
        return IntervalTable.of(
            (*self.rows, *other.rows),
            {**self.videos, **other.videos},
            left_out=self.left_out + other.left_out,
            notes=self.notes + other.notes,
            open_ended=self.open_ended + other.open_ended,
        )


def read_tables(paths: Sequence[str | Path], fps: float | None = None, open_frames: int | None = None) -> IntervalTable:
    """Files, and folders of what `spot` wrote, as one table. Arguments as of `read_table`.

    A file that `spot` wrote and that has no row says that nothing was found in its video. Raises AnnotationError.
    """
    together = IntervalTable(())
    for path in paths:
        for file in annotation_files(path, fps) if Path(path).is_dir() else [path]:
            together += read_table(file, fps, open_frames)
    return together


def read_table(path: str | Path, fps: float | None = None, open_frames: int | None = None) -> IntervalTable:
    """The intervals of one file.

    fps: frame rate of a table that counts frames and does not tell it. open_frames: where expressions without an end
    end (`close_open_offsets`). Raises AnnotationError with row and column.
    """
    path = Path(path)
    ending = path.suffix.lower()
    # Files of `spot` are named after their video, of which they may have no row.
    video = video_of_file(path.name) if path.name.endswith(_OF_SPOT) else ""
    videos = {video: VideoFacts()} if video else {}
    sheet = read_sheet(path, interval_tables.HEADINGS | boris.HEADINGS) if ending in _TABLES else None
    coding_sheet = ending in WORKBOOKS and not named_columns(sheet, _OF_OURS)
    if sheet is None or coding_sheet or named_columns(sheet, {boris.BEHAVIOR}):
        return _of_records(read_annotations(path, fps), open_frames, videos)
    left_out: list[str] = []
    notes: list[str] = []
    rows = [replace(r, video=r.video or video) for r in interval_rows(sheet, left_out, notes, fps)]
    # Rows that name their video know better than the file's name does.
    return IntervalTable.of(rows, {} if rows else videos, left_out=tuple(left_out), notes=tuple(notes))


def _of_records(records: "pd.DataFrame", open_frames: int | None, videos: Mapping[str, VideoFacts]) -> IntervalTable:
    rows = rows_of_records(records, open_frames)
    open_ended = int((records["offset"].isna() & records["onset"].notna()).sum())
    notes = tuple(records.attrs.get("notes", ()))
    return IntervalTable.of(rows, {} if rows else videos, notes=notes, open_ended=open_ended)


def rows_of_records(records: "pd.DataFrame", open_frames: int | None = None) -> list[TableRow]:
    """The rows of a table of records; expressions without an end are closed as `close_open_offsets` does.

    Raises AnnotationError for records that are points.
    """
    import pandas as pd

    rows = []
    for record in close_open_offsets(records, open_frames).itertuples(index=False):
        if pd.isna(record.onset) or pd.isna(record.offset):
            raise AnnotationError(f"{record.video}: has points only, and a judgement needs onset and offset")
        apex = None if pd.isna(record.apex) else int(record.apex)
        frames = (int(record.onset), apex, int(record.offset))
        seconds = tuple(None if f is None else f / record.fps for f in frames)
        # Records of what was coded in seconds count milliseconds, and those are no frames.
        coded = record.fps != MILLISECONDS
        subject = "" if record.subject == record.video else record.subject
        rows.append(
            TableRow(
                record.video,
                subject,
                record.type,
                seconds,
                frames if coded else None,
                fps=record.fps if coded else None,
            )
        )
    return rows


def render_rows(rows: Iterable[TableRow]) -> str:
    """CSV with the columns of `spots.csv`, and the subject; of rows that know seconds and frames."""
    ends = [f"{end}_{unit}" for unit in ("s", "frame") for end in ("onset", "apex", "offset")]
    columns = ["video", "subject", "type", *ends, "confidence"]
    lines = ([r.video, r.subject, r.type, *r.seconds, *r.frames, r.confidence] for r in rows)
    return delimited(columns, (dict(zip(columns, line, strict=True)) for line in lines))


def render_megc(rows: Iterable[TableRow], year: MegcYear) -> str:
    """A submission (`output.challenge`) of the intervals. Raises AnnotationError for a row without frames."""
    claims = []
    for row in rows:
        if row.frames is None:
            raise AnnotationError(f"{row.video}: a submission counts frames, and this table knows seconds only")
        claims.append((row.video, row.frames[0], row.frames[2], row.type))
    return render_submission(claims, year)
