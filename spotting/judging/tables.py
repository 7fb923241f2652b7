"""Intervals in tables, as anybody writes them: facespot's own CSV, MEGC submissions, coding sheets, ELAN and the like.

A table has a row per interval. Columns are found by name: `video` (also vid, file, clip, video_name), `type`, onset,
apex and offset as seconds (`onset_s`) or as frames (`onset_frame`, `onset`, `pred_onset`), and, where they are known,
`subject`, `fps`, `confidence` and `frames` (of the video). Types are macro and micro, or mae and me. What is no such
table is read as annotations are.

A row whose offset comes before its onset is no interval. Among many good rows it is left out and named; the caller
decides whether that is acceptable.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...errors import AnnotationError
from ..datasets.annotations import read_annotations
from ..datasets.own_records import MILLISECONDS, video_key, video_of_file
from ..datasets.records import close_open_offsets, expression_type
from ..datasets.sheets import HEADER_SEARCH_ROWS, Cell, Sheet
from ..datasets.table_files import TEXT_TABLES, WORKBOOKS, named_columns, read_sheet
from ..intervals import ExpressionType
from ..output.cells import cell as text_cell
from ..output.formats import WRITERS

if TYPE_CHECKING:
    import pandas as pd

MegcYear = Literal["2022", "2023"]

_VIDEO = ("video", "vid", "file", "clip", "video_name")
_SUBJECT = ("subject", "subject_id")
_TYPE = ("type", "label")
_FRAMES = ("frames", "n_frames")
_SECONDS = {end: (f"{end}_s",) for end in ("onset", "apex", "offset")}
_FRAME = {end: (f"{end}_frame", end, f"pred_{end}") for end in ("onset", "apex", "offset")}
_TIMES = [name for ends in (_SECONDS, _FRAME) for names in ends.values() for name in names]
_HEADINGS = frozenset((*_VIDEO, *_SUBJECT, *_TYPE, *_FRAMES, *_TIMES))
_NOTHING = ("", "nan", "none", "n/a")
_TABLES = (*TEXT_TABLES, *WORKBOOKS, ".json", ".parquet")
# Columns by which a workbook is no coding sheet of a data set, and those of events tables of BORIS and BIDS.
_OF_OURS = {"onset_s", "onset_frame", "pred_onset"}
_OF_OTHERS = {"behavior", "trial_type"}
# Of a folder, what `spot` writes; one format of it, the first that is there, as the others say the same again.
_OF_SPOT = tuple(writer.suffix for writer in WRITERS.values())
_IN_FOLDERS = (*(f"*{suffix}" for suffix in _OF_SPOT), "*.csv", "*.eaf", "*.TextGrid")
# Frames or seconds beyond this are no time of a video.
_HUGE = 1e9
_MEGC_TYPES: dict[ExpressionType, str] = {"macro": "mae", "micro": "me"}


class _NoInterval(Exception):
    """A row of a table with an offset before its onset; the message names file, row and column."""


@dataclass(frozen=True)
class TableRow:
    """One interval. seconds, frames: onset, apex and offset, as far as the table tells; an apex may be missing.

    confidence: None where the table tells none. n_frames: length of the video in frames.
    """

    video: str
    subject: str
    type: ExpressionType
    seconds: tuple[float, float | None, float] | None
    frames: tuple[int, int | None, int] | None
    confidence: float | None = None
    fps: float | None = None
    n_frames: int | None = None


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

    A `NAME.spots.*` file without a row says that nothing was found in NAME. Raises AnnotationError.
    """
    together = IntervalTable(())
    for path in paths:
        for file in _files(Path(path)):
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
    videos = {video_of_file(path.name): VideoFacts()} if path.name.endswith(_OF_SPOT) else {}
    sheet = read_sheet(path, _HEADINGS) if ending in _TABLES else None
    coding_sheet = ending in WORKBOOKS and not named_columns(sheet, _OF_OURS)
    if sheet is None or coding_sheet or named_columns(sheet, _OF_OTHERS):
        return _of_records(read_annotations(path, fps), open_frames, videos)
    top, columns = _header(sheet)
    rows, left_out = [], []
    for number, values in enumerate(sheet.rows[top:], top + 1):
        cells = {
            name: Cell(values[at], path, sheet.name, number, at + 1, name)
            for name, at in columns.items()
            if at < len(values)
        }
        if all(cell.empty for cell in cells.values()):
            continue
        try:
            rows.append(_Reader(cells, fps).row())
        except _NoInterval as problem:
            left_out.append(str(problem))
    # Rows that name their video know better than the file's name does.
    return IntervalTable.of(rows, {} if rows else videos, left_out=tuple(left_out))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = next((files for pattern in _IN_FOLDERS if (files := sorted(path.rglob(pattern)))), None)
    if not found:
        raise AnnotationError(f"{path}: holds no table of intervals ({', '.join(_IN_FOLDERS)})")
    return found


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


def _header(sheet: Sheet) -> tuple[int, dict[str, int]]:
    """The number of the header row (1-based), and the place of each column by its name in lower case.

    Raises AnnotationError if what every row needs is missing.
    """
    named = [
        {str(v).strip().lower(): at for at, v in reversed(list(enumerate(values))) if v not in (None, "")}
        for values in sheet.rows[:HEADER_SEARCH_ROWS]
    ] or [{}]
    top = max(range(len(named)), key=lambda row: (len(_HEADINGS & named[row].keys()), -row))
    columns = named[top]
    missing = []
    if not columns.keys() & set(_TYPE):
        missing.append(f"type ({' or '.join(_TYPE)})")
    if not any(all(columns.keys() & set(ends[end]) for end in ("onset", "offset")) for ends in (_SECONDS, _FRAME)):
        missing.append("onset and offset (onset_s and offset_s in seconds, or onset_frame and offset_frame)")
    if missing:
        there = ", ".join(sorted(columns, key=columns.__getitem__)) or "none"
        raise AnnotationError(
            f"{sheet.file}: is this a table of intervals? column missing: {'; '.join(missing)}; "
            f"the columns are: {there}"
        )
    return top + 1, columns


@dataclass(frozen=True)
class _Reader:
    """One row of a table under construction. cells: by the name of their column in lower case."""

    cells: Mapping[str, Cell]
    fps: float | None

    def cell(self, names: Sequence[str]) -> Cell | None:
        return next((self.cells[n] for n in names if n in self.cells), None)

    def text(self, names: Sequence[str]) -> str:
        cell = self.cell(names)
        return "" if cell is None or cell.empty else cell.text()

    def value(self, names: Sequence[str]) -> float | None:
        if self.text(names).lower() in _NOTHING:
            return None
        cell = self.cell(names)
        value = cell.number()
        if not abs(value) < _HUGE:
            raise cell.error(f"{cell.value!r} is no possible number here")
        return value

    def ends(self, names: Mapping[str, Sequence[str]]) -> tuple[float, float | None, float] | None:
        onset, apex, offset = (self.value(names[end]) for end in ("onset", "apex", "offset"))
        if onset is None or offset is None:
            return None
        if not 0 <= onset <= offset:
            problem = f"{offset:g} after an onset of {onset:g} is no interval"
            raise _NoInterval(str(self.cell(names["offset"]).error(problem)))
        # Sheets write -1 for an apex that was not coded.
        return onset, apex if apex is not None and onset <= apex <= offset else None, offset

    def row(self) -> TableRow:
        said = self.cells[next(name for name in _TYPE if name in self.cells)]
        kind = expression_type(said)
        seconds, frames = self.ends(_SECONDS), self.ends(_FRAME)
        if seconds is None and frames is None:
            raise said.error("the row has no onset and offset, in seconds or frames")
        whole = None if frames is None else tuple(None if f is None else round(f) for f in frames)
        fps = self.value(("fps",)) or self.fps
        if seconds is None and fps:
            seconds = tuple(None if f is None else f / fps for f in frames)
        confidence, count = self.value(("confidence",)), self.value(_FRAMES)
        return TableRow(
            video_key(self.text(_VIDEO)),
            self.text(_SUBJECT),
            kind,
            seconds,
            whole,
            None if confidence is None else min(max(confidence, 0.0), 1.0),
            fps,
            None if count is None else round(count),
        )


def render_rows(rows: Iterable[TableRow]) -> str:
    """CSV with the columns of `spots.csv`, and the subject; of rows that know seconds and frames."""
    ends = [f"{end}_{unit}" for unit in ("s", "frame") for end in ("onset", "apex", "offset")]
    lines = ([r.video, r.subject, r.type, *r.seconds, *r.frames, r.confidence] for r in rows)
    return _csv(["video", "subject", "type", *ends, "confidence"], lines)


def render_megc(rows: Iterable[TableRow], year: MegcYear) -> str:
    """MEGC submission: `vid,pred_onset,pred_offset,type` in 2022, `vid,onset,offset,type` in 2023.

    Onset and offset are frames of the videos, types `mae` and `me`. Raises AnnotationError for a row without frames.
    """
    names = ("vid", "pred_onset", "pred_offset", "type") if year == "2022" else ("vid", "onset", "offset", "type")

    def lines() -> Iterator[list[object]]:
        for row in sorted(rows, key=lambda r: (r.video, r.frames or ())):
            if row.frames is None:
                raise AnnotationError(f"{row.video}: a submission counts frames, and this table knows seconds only")
            yield [row.video, row.frames[0], row.frames[2], _MEGC_TYPES[row.type]]

    return _csv(names, lines())


def _csv(names: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    table.writerows([text_cell(value) for value in line] for line in lines)
    return text.getvalue()
