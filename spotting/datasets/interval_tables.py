"""Tables with a row per expression: facespot's own, BIDS events, MEGC submissions, and lists of single moments.

Columns are found by name, in any case and order: `video` (also vid, file, clip, video_name, stim_file), `type` (also
label, trial_type) and one of
- `onset_s` and `offset_s`, seconds from the first frame, `apex_s` where it is known,
- `onset` and `duration`, seconds, as BIDS has them,
- `onset_frame` and `offset_frame` (also onset and offset, pred_onset and pred_offset), with the frame rate in a column
  `fps` or given apart,
- `time_s` or `frame` for a moment inside the expression: a point, which becomes a record with an apex only.
A column `subject` is optional, without it every video is its own subject. Videos are named by their path below the data
folder without the ending (`anna/day1`), or by the file name alone; a table without the column tells of the video that
the file is named after.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import AnnotationError
from .own_records import MILLISECONDS, own_record, subject_of, video_key, video_of_file, within
from .records import expression_type, make_records
from .sheets import Cell, Row, Sheet

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
}
HEADINGS = frozenset(name for names in _NAMES.values() for name in names)
_OPTIONAL = [name for name in _NAMES if name != "type"]
_MISSING = ("n/a", "nan", "none", "na")
_NOT_CODED = -1  # an apex in the sheets of data sets

Rate = float | Mapping[str, float] | None


@dataclass(frozen=True)
class _Layout:
    """Which columns tell when. offset: may be a duration. apexes: the first of these that there is."""

    onset: str
    offset: str
    apexes: tuple[str, ...]
    seconds: bool


# The first that a table has all of counts.
_LAYOUTS = (
    _Layout("onset_s", "offset_s", ("apex_s",), True),
    _Layout("onset", "duration", ("apex_s", "apex"), True),
    _Layout("onset_frame", "offset_frame", ("apex_frame",), False),
    _Layout("onset", "offset", ("apex",), False),
)


def interval_records(sheet: Sheet, fps: Rate = None) -> "pd.DataFrame":
    """Records of such a table. fps: frame rate, or rate per video, of one that counts frames and does not tell it.

    An apex outside its expression, as an onset corrected by hand leaves it, is taken as not coded; an expression whose
    offset comes before its onset is left out. Both are noted (`records.attrs["notes"]`). Raises AnnotationError, also
    for a list of moments that is empty, or a table whose every row is left out.
    """
    _, columns = sheet.header(_NAMES, _OPTIONAL)
    layout = next((known for known in _LAYOUTS if {known.onset, known.offset} <= columns.keys()), None)
    rows = sheet.headed(_NAMES, _OPTIONAL)
    if layout is None:
        return _points(sheet, rows, columns, fps)
    notes: list[str] = []
    records = [_interval(row, layout, fps, notes) for row in rows]
    kept = [record for record in records if record is not None]
    if records and not kept:
        raise AnnotationError(f"every row is left out: {notes[0]}")
    return make_records(kept, notes)


def _interval(row: Row, layout: _Layout, fps: Rate, notes: list[str]) -> dict[str, Any] | None:
    """The record of a row, or None for one that ends before it begins."""
    kind, video, last = expression_type(row["type"]), _video(row), row[layout.offset]
    rate = MILLISECONDS if layout.seconds else _rate(row, video, row[layout.onset], fps)
    onset, offset = _moment(row[layout.onset], layout.seconds), _moment(last, layout.seconds)
    if layout.offset == "duration":
        offset += onset
    if offset < onset:
        notes.append(str(last.error(f"the offset is before the onset, so this {kind}-expression is left out")))
        return None
    apex = next((row[name] for name in layout.apexes if name in row), None)
    top = None if apex is None or _missing(apex) else _moment(apex, layout.seconds)
    peak = within(top, onset, offset)
    if top is not None and peak is None:
        notes.append(str(apex.error(f"apex {apex.text()} is outside its expression, taken as not coded")))
    return own_record(video, subject_of(row), onset, peak, offset, kind, rate)


def _points(sheet: Sheet, rows: Iterator[Row], columns: Mapping[str, int], fps: Rate) -> "pd.DataFrame":
    if not columns.keys() & {"time", "frame"}:
        raise AnnotationError(
            f"{sheet.file}: no columns that say when: onset_s and offset_s (seconds), onset_frame and offset_frame, or "
            "onset and duration; for single moments time_s or frame"
        )
    if {"time", "frame"} <= columns.keys():
        raise AnnotationError(f"{sheet.file}: needs one column of time_s and frame, and has both")
    if "video" not in columns:
        raise AnnotationError(f"{sheet.file}: column missing: video")
    seconds = "time" in columns
    records = []
    for row in rows:
        video, cell = video_key(row["video"].text()), row["time" if seconds else "frame"]
        rate = MILLISECONDS if seconds else _rate(row, video, cell, fps)
        kind = expression_type(row["type"])
        records.append(own_record(video, subject_of(row), None, _moment(cell, seconds), None, kind, rate))
    if not records:
        raise AnnotationError(f"{sheet.file}: holds no point")
    return make_records(records)


def _video(row: Row) -> str:
    """Of the row, or else the one that the file is named after."""
    if "video" in row and not _missing(row["video"]):
        return video_key(row["video"].text())
    return video_of_file(row["type"].file.name)


def _rate(row: Row, video: str, cell: Cell, fps: Rate) -> float:
    if "fps" in row and not row["fps"].empty:
        rate = row["fps"].number("a frame rate")
        if not 0 < rate <= 1e5:
            raise row["fps"].error(f"{rate:g} is no frame rate")
        return rate
    rate = fps.get(video) if isinstance(fps, Mapping) else fps
    if rate is None:
        raise cell.error(f"counts frames, so the frame rate of {video!r} must be given (--fps)")
    return rate


def _missing(cell: Cell) -> bool:
    return cell.empty or cell.text().lower() in _MISSING or cell.text() == str(_NOT_CODED)


def _moment(cell: Cell, seconds: bool) -> int:
    """A cell with seconds in milliseconds, any other as a frame; raises AnnotationError for what is no such thing."""
    if seconds:
        return round(cell.seconds() * 1000)
    frame = cell.frame()
    if frame < 0:
        raise cell.error(f"frame {frame} is negative")
    return frame
