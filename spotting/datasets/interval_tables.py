"""Tables with a row per expression: facespot's own, BIDS events, MEGC submissions, and lists of single moments.

Columns are found by name, in any case and order: `video` (also vid, file, clip, video_name, stim_file), `type` (also
label, trial_type) and one of
- `onset_s` and `offset_s`, seconds from the first frame, `apex_s` where it is known,
- `onset` and `duration`, seconds, as BIDS has them,
- `onset_frame` and `offset_frame` (also onset and offset, pred_onset and pred_offset), with the frame rate in a column
  `fps` or given apart,
- `time_s` or `frame` for a moment inside the expression: a point, which becomes a record with an apex only.
`subject`, `confidence` and `frames` (of the video) are optional; without a subject every video is its own. Videos are
named by their path below the data folder without the ending (`anna/day1`), or by the file name alone; records of a
table without the column are of the video that the file is named after.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ...errors import AnnotationError, one_line
from ..intervals import ExpressionType
from .own_records import MILLISECONDS, own_record, subject_of, video_key, video_of_file, within
from .records import expression_type, make_records
from .sheets import HEADER_SEARCH_ROWS, Cell, Row, Sheet

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {
    "video": ("video", "vid", "file", "clip", "video_name", "stim_file"),
    "subject": ("subject", "subject_id", "participant_id"),
    "type": ("type", "label", "trial_type"),
    "onset_s": ("onset_s",),
    "apex_s": ("apex_s",),
    "offset_s": ("offset_s",),
    "onset_frame": ("onset_frame", "pred_onset"),
    "apex_frame": ("apex_frame", "pred_apex"),
    "offset_frame": ("offset_frame", "pred_offset"),
    "onset": ("onset",),
    "apex": ("apex",),
    "offset": ("offset",),
    "duration": ("duration",),
    "time": ("time_s",),
    "frame": ("frame",),
    "fps": ("fps",),
    "frames": ("frames", "n_frames"),
    "confidence": ("confidence",),
}
HEADINGS = frozenset(name for names in _NAMES.values() for name in names)
_OPTIONAL = [name for name in _NAMES if name != "type"]
_MISSING = ("n/a", "nan", "none", "na")
_SHOWN = 40  # characters of a heading in a message
_NOT_CODED = "-1"  # an apex in the sheets of data sets
_ENDS = (
    "onset and offset (onset_s and offset_s in seconds, onset_frame and offset_frame, or onset and duration; "
    "for single moments time_s or frame)"
)

_Time = TypeVar("_Time", int, float)
Rate = float | Mapping[str, float] | None


@dataclass(frozen=True)
class TableRow:
    """One interval. seconds, frames: onset, apex and offset, as far as the table tells; an apex may be missing.

    video: empty where the table names none. confidence: None where it tells none. n_frames: length of the video in
    frames.
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
class _Layout:
    """Columns that tell when. offset: may be a duration. apexes: the first of these that there is."""

    onset: str
    offset: str
    apexes: tuple[str, ...]


# Of each the first that a table has all of.
_IN_SECONDS = (_Layout("onset_s", "offset_s", ("apex_s",)), _Layout("onset", "duration", ("apex_s", "apex")))
_IN_FRAMES = (_Layout("onset_frame", "offset_frame", ("apex_frame",)), _Layout("onset", "offset", ("apex",)))


class _NoInterval(Exception):
    """A row whose offset comes before its onset; the message names file, row and column."""


def interval_rows(sheet: Sheet, left_out: list[str], notes: list[str], fps: float | None = None) -> list[TableRow]:
    """The intervals of such a table. fps: frame rate of one that counts frames and does not tell it.

    left_out gets a sentence for each row that is none as its offset comes before its onset, notes one for each apex
    outside its expression, which is taken as not coded: so a corrected onset may leave it. Raises AnnotationError.
    """
    columns = _columns(sheet)
    layouts = [next((k for k in known if {k.onset, k.offset} <= columns), None) for known in (_IN_SECONDS, _IN_FRAMES)]
    if not any(layouts):
        raise _not_a_table(sheet, [_ENDS])
    rows = []
    for row in sheet.headed(_NAMES, _OPTIONAL):
        try:
            rows.append(_table_row(row, *layouts, fps, notes))
        except _NoInterval as problem:
            left_out.append(str(problem))
    return rows


def interval_records(sheet: Sheet, fps: Rate = None) -> "pd.DataFrame":
    """Records of such a table, or of a list of moments. fps: frame rate, or rate per video, of one that counts frames
    and does not tell it.

    What `interval_rows` leaves out or repairs is in `records.attrs["notes"]`. Raises AnnotationError, also for a list
    of moments that is empty, or a table whose every row is left out.
    """
    columns = _columns(sheet)
    if columns & {"time", "frame"} and not any({k.onset, k.offset} <= columns for k in (*_IN_SECONDS, *_IN_FRAMES)):
        return _points(sheet, columns, fps)
    left_out: list[str] = []
    notes: list[str] = []
    rows = interval_rows(sheet, left_out, notes)
    if left_out and not rows:
        raise AnnotationError(f"every row is left out: {left_out[0]}")
    records = []
    for row in rows:
        # What is coded in frames at a known rate counts those; of the rest, what is exact.
        video, rate = row.video or video_of_file(sheet.file.name), row.fps if row.frames else None
        if rate is None and row.seconds is None:
            rate = _rate(video, fps, sheet)
        ends = row.frames if rate else tuple(None if s is None else round(s * 1000) for s in row.seconds)
        records.append(own_record(video, row.subject, *ends, row.type, rate or MILLISECONDS))
    return make_records(records, [*(f"left out: {text}" for text in left_out), *notes])


def _columns(sheet: Sheet) -> set[str]:
    """The headings that a table has. Raises AnnotationError where it has no type."""
    try:
        return set(sheet.header(_NAMES, _OPTIONAL)[1])
    except AnnotationError:
        there = {str(value).strip().lower() for row in sheet.rows[:HEADER_SEARCH_ROWS] for value in row}
        ends = any({k.onset, k.offset} <= there for k in (*_IN_SECONDS, *_IN_FRAMES))
        raise _not_a_table(sheet, ["type (or label, trial_type)", *([] if ends else [_ENDS])]) from None


def _not_a_table(sheet: Sheet, missing: list[str]) -> AnnotationError:
    names = [one_line(value) for value in (sheet.rows[0] if sheet.rows else ()) if value is not None]
    # A quotation mark that is never closed puts the whole file into one of them.
    there = ", ".join(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..." for name in names[:20]) or "none"
    return AnnotationError(
        f"{sheet.file}: is this a table of intervals? column missing: {'; '.join(missing)}; the columns are: {there}"
    )


def _table_row(
    row: Row, in_seconds: _Layout | None, in_frames: _Layout | None, fps: float | None, notes: list[str]
) -> TableRow:
    kind = expression_type(row["type"])
    seconds = None if in_seconds is None else _ends(row, in_seconds, Cell.seconds, notes)
    frames = None if in_frames is None else _ends(row, in_frames, _frame, notes)
    if seconds is None and frames is None:
        raise row[(in_seconds or in_frames).onset].error("no onset and offset")
    rate = _number(row, "fps", 1e-3, 1e5) or fps
    if seconds is None and rate:
        seconds = tuple(None if f is None else f / rate for f in frames)
    count = _number(row, "frames", 0, 1e8)
    return TableRow(
        _video(row),
        subject_of(row),
        kind,
        seconds,
        frames,
        _number(row, "confidence", 0, 1),
        rate,
        None if count is None else round(count),
    )


def _ends(
    row: Row, layout: _Layout, read: Callable[[Cell], _Time], notes: list[str]
) -> tuple[_Time, _Time | None, _Time] | None:
    """Onset, apex and offset by `read`, None for a row that does not tell both ends. Raises _NoInterval."""
    first, last = row[layout.onset], row[layout.offset]
    if _missing(first) or _missing(last):
        return None
    onset, offset = read(first), read(last)
    if layout.offset == "duration":
        offset += onset
    if offset < onset:
        raise _NoInterval(str(last.error(f"{offset:g} after an onset of {onset:g} is no interval")))
    apex = next((row[name] for name in layout.apexes if name in row), None)
    if apex is None or _missing(apex) or apex.text() == _NOT_CODED:
        return onset, None, offset
    peak = within(read(apex), onset, offset)
    if peak is None:
        notes.append(str(apex.error(f"apex {apex.text()} is outside its expression, taken as not coded")))
    return onset, peak, offset


def _points(sheet: Sheet, columns: set[str], fps: Rate) -> "pd.DataFrame":
    if {"time", "frame"} <= columns:
        raise AnnotationError(f"{sheet.file}: needs one column of time_s and frame, and has both")
    if "video" not in columns:
        raise AnnotationError(f"{sheet.file}: column missing: video")
    records = []
    for row in sheet.headed(_NAMES, _OPTIONAL):
        video, kind = video_key(row["video"].text()), expression_type(row["type"])
        if "time" in row:
            point, rate = round(row["time"].seconds() * 1000), MILLISECONDS
        else:
            point, rate = _frame(row["frame"]), _number(row, "fps", 1e-3, 1e5) or _rate(video, fps, sheet)
        records.append(own_record(video, subject_of(row), None, point, None, kind, rate))
    if not records:
        raise AnnotationError(f"{sheet.file}: holds no point")
    return make_records(records)


def _video(row: Row) -> str:
    """Empty where the table names none."""
    return "" if "video" not in row or _missing(row["video"]) else video_key(row["video"].text())


def _rate(video: str, fps: Rate, sheet: Sheet) -> float:
    rate = fps.get(video) if isinstance(fps, Mapping) else fps
    if rate is None:
        raise AnnotationError(f"{sheet.file}: counts frames, so the frame rate of {video!r} must be given (--fps)")
    return rate


def _number(row: Row, name: str, least: float, most: float) -> float | None:
    if name not in row or _missing(row[name]):
        return None
    number = row[name].number()
    if not least <= number <= most:
        raise row[name].error(f"{number:g} is not between {least:g} and {most:g}")
    return number


def _missing(cell: Cell) -> bool:
    return cell.empty or cell.text().lower() in _MISSING


def _frame(cell: Cell) -> int:
    frame = cell.frame()
    if frame < 0:
        raise cell.error(f"frame {frame} is negative")
    return frame
