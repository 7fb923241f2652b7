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
from ..datasets.own_records import MILLISECONDS, video_key
from ..datasets.records import close_open_offsets, type_of_name
from ..intervals import ExpressionType

if TYPE_CHECKING:
    import pandas as pd

MegcYear = Literal["2022", "2023"]

_VIDEO = ("video", "vid", "file", "clip", "video_name")
_SUBJECT = ("subject", "subject_id")
_TYPE = ("type", "label")
_FRAMES = ("frames", "n_frames")
_SECONDS = {end: (f"{end}_s",) for end in ("onset", "apex", "offset")}
_FRAME = {end: (f"{end}_frame", end, f"pred_{end}") for end in ("onset", "apex", "offset")}
# Columns by which events tables of BORIS and of BIDS are known.
_OF_OTHERS = {"behavior", "trial_type"}
_TABLES = (".csv", ".tsv", ".txt")
# Of a folder, what `spot` writes; one format of it, the first that is there, as the others say the same again.
_IN_FOLDERS = (
    "*.spots.csv",
    "*.spots.tsv",
    "*.spots.json",
    "*.spots.eaf",
    "*.spots.TextGrid",
    "*_events.tsv",
    "*.spots.xlsx",
    "*.csv",
    "*.eaf",
    "*.TextGrid",
)
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
    name, dot, _ = path.name.rpartition(".spots.")
    videos = {video_key(name): VideoFacts()} if dot else {}
    if path.suffix.lower() not in _TABLES:
        return _of_records(read_annotations(path, fps), open_frames, videos)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AnnotationError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: not a text table in UTF-8 ({error})") from error
    header = text.partition("\n")[0]
    table = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=header.count))
    columns = {name.strip().lower(): name for name in table.fieldnames or ()}
    if columns.keys() & _OF_OTHERS:
        return _of_records(read_annotations(path, fps), open_frames, videos)
    _check_columns(path, columns)
    rows, left_out = [], []
    try:
        for row in table:
            try:
                rows.append(_Reader(path, table.line_num, row, columns, fps).row())
            except _NoInterval as problem:
                left_out.append(str(problem))
    except csv.Error as error:
        raise AnnotationError(f"{path}, row {table.line_num + 1}: {error}") from error
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


def _check_columns(path: Path, columns: Mapping[str, str]) -> None:
    """That a header has what every row needs. Raises AnnotationError naming what is missing."""
    pairs = [[ends["onset"], ends["offset"]] for ends in (_SECONDS, _FRAME)]
    missing = []
    if not any(name in columns for name in _TYPE):
        missing.append(f"type ({' or '.join(_TYPE)})")
    if not any(all(any(name in columns for name in end) for end in pair) for pair in pairs):
        missing.append("onset and offset (onset_s and offset_s in seconds, or onset_frame and offset_frame)")
    if missing:
        there = ", ".join(columns.values()) or "none"
        raise AnnotationError(
            f"{path}: is this a table of intervals? column missing: {'; '.join(missing)}; the columns are: {there}"
        )


@dataclass(frozen=True)
class _Reader:
    """One row of a CSV table under construction."""

    path: Path
    number: int
    cells: Mapping[str, str | None]
    columns: Mapping[str, str]
    fps: float | None

    def text(self, names: Sequence[str]) -> str:
        return next(((self.cells[self.columns[n]] or "").strip() for n in names if n in self.columns), "")

    def value(self, names: Sequence[str]) -> float | None:
        text = self.text(names)
        if not text or text.lower() in ("nan", "none"):
            return None
        try:
            value = float(text)
        except ValueError:
            raise self.error(names, f"{text!r} is no number") from None
        if not abs(value) < _HUGE:
            raise self.error(names, f"{text!r} is no possible number here")
        return value

    def error(self, names: Sequence[str], text: str) -> AnnotationError:
        return AnnotationError(f"{self._place(names)}: {text}")

    def _place(self, names: Sequence[str]) -> str:
        column = next((self.columns[n] for n in names if n in self.columns), names[0])
        return f"{self.path}, row {self.number}, column {column!r}"

    def ends(self, names: Mapping[str, Sequence[str]]) -> tuple[float, float | None, float] | None:
        onset, apex, offset = (self.value(names[end]) for end in ("onset", "apex", "offset"))
        if onset is None or offset is None:
            return None
        if not 0 <= onset <= offset:
            raise _NoInterval(f"{self._place(names['offset'])}: {offset:g} after an onset of {onset:g} is no interval")
        # Sheets write -1 for an apex that was not coded.
        return onset, apex if apex is not None and onset <= apex <= offset else None, offset

    def row(self) -> TableRow:
        kind = type_of_name(self.text(_TYPE))
        if kind is None:
            said = f"{self.text(_TYPE)!r} is neither macro nor micro (mae, me)" if self.text(_TYPE) else "no type"
            raise self.error(_TYPE, said)
        seconds, frames = self.ends(_SECONDS), self.ends(_FRAME)
        if seconds is None and frames is None:
            raise self.error(_FRAME["onset"], "no onset and offset, in seconds (onset_s) or frames (onset_frame)")
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
    lines = (
        [r.video, r.subject, r.type, *(f"{s:.3f}" for s in r.seconds), *r.frames, f"{r.confidence:.3f}"] for r in rows
    )
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
    table.writerows(lines)
    return text.getvalue()
