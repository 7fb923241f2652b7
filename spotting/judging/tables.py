"""Intervals in tables, as anybody writes them: facespot's own CSV, MEGC submissions, coding sheets.

A table has a row per interval. Columns are found by name: `video` (also vid, file, clip, video_name), `type`, onset,
apex and offset as seconds (`onset_s`) or as frames (`onset_frame`, `onset`, `pred_onset`), and, where they are known,
`subject`, `fps`, `confidence` and `frames` (of the video). Types are macro and micro, or mae and me.

Both tables of a comparison are laid on one axis: the 30 Hz clock where both know seconds, frames where either knows no
more than those.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...errors import AnnotationError
from ...extract.timebase import CLOCK_HZ
from ..datasets.annotations import read_annotations
from ..datasets.own_records import video_key
from ..datasets.records import close_open_offsets, type_of_name
from ..intervals import ExpressionType, Interval
from .metrics import VideoIntervals

if TYPE_CHECKING:
    import pandas as pd

Unit = Literal["ticks", "frames"]
MegcYear = Literal["2022", "2023"]

_VIDEO = ("video", "vid", "file", "clip", "video_name")
_SUBJECT = ("subject", "subject_id")
_TYPE = ("type", "label")
_FRAMES = ("frames", "n_frames")
_SECONDS = {end: (f"{end}_s",) for end in ("onset", "apex", "offset")}
_FRAME = {end: (f"{end}_frame", end, f"pred_{end}") for end in ("onset", "apex", "offset")}
_SHEETS = (".xlsx", ".xlsm", ".xls")
_MEGC_TYPES: dict[ExpressionType, str] = {"macro": "mae", "micro": "me"}


@dataclass(frozen=True)
class TableRow:
    """One interval. seconds, frames: onset, apex and offset, as far as the table tells; an apex may be missing.

    n_frames: length of the video in frames.
    """

    video: str
    subject: str
    type: ExpressionType
    seconds: tuple[float, float | None, float] | None
    frames: tuple[int, int | None, int] | None
    confidence: float = 1.0
    fps: float | None = None
    n_frames: int | None = None


def read_table(path: str | Path, fps: float | None = None) -> list[TableRow]:
    """The intervals of a CSV table, or of a coding sheet (.xlsx).

    fps: frame rate of a table that counts frames and does not tell it. Raises AnnotationError with row and column.
    """
    path = Path(path)
    if path.suffix.lower() in _SHEETS:
        return rows_of_records(read_annotations(path))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise AnnotationError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: not a text table in UTF-8 ({error})") from error
    header = lines[0] if lines else ""
    table = csv.DictReader(lines, delimiter=max(",;\t", key=header.count))
    columns = {name.strip().lower(): name for name in table.fieldnames or ()}
    return [_Reader(path, number, row, columns, fps).row() for number, row in enumerate(table, 2)]


def rows_of_records(records: "pd.DataFrame") -> list[TableRow]:
    """The same of a table of records; expressions without an end are closed as `close_open_offsets` does.

    Raises AnnotationError for records that are points.
    """
    import pandas as pd

    rows = []
    for record in close_open_offsets(records).itertuples(index=False):
        if pd.isna(record.onset) or pd.isna(record.offset):
            raise AnnotationError(f"{record.video}: has points only, and a judgement needs onset and offset")
        apex = None if pd.isna(record.apex) else int(record.apex)
        frames = (int(record.onset), apex, int(record.offset))
        seconds = tuple(None if f is None else f / record.fps for f in frames)
        rows.append(TableRow(record.video, record.subject, record.type, seconds, frames, fps=record.fps))
    return rows


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
            return float(text)
        except ValueError:
            raise self.error(names, f"{text!r} is no number") from None

    def error(self, names: Sequence[str], text: str) -> AnnotationError:
        column = next((self.columns[n] for n in names if n in self.columns), names[0])
        return AnnotationError(f"{self.path}, row {self.number}, column {column!r}: {text}")

    def ends(self, names: Mapping[str, Sequence[str]]) -> tuple[float, float | None, float] | None:
        onset, apex, offset = (self.value(names[end]) for end in ("onset", "apex", "offset"))
        if onset is None or offset is None:
            return None
        if not 0 <= onset <= offset:
            raise self.error(names["offset"], f"{offset:g} after an onset of {onset:g} is no interval")
        # Sheets write -1 for an apex that was not coded.
        return onset, apex if apex is not None and onset <= apex <= offset else None, offset

    def row(self) -> TableRow:
        kind = type_of_name(self.text(_TYPE))
        if kind is None:
            raise self.error(_TYPE, f"{self.text(_TYPE)!r} is neither macro nor micro (mae, me)")
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
            1.0 if confidence is None else min(max(confidence, 0.0), 1.0),
            fps,
            None if count is None else round(count),
        )


def pair_tables(predicted: Sequence[TableRow], truth: Sequence[TableRow]) -> tuple[list[VideoIntervals], Unit]:
    """One recording per video of either table, and the unit of its intervals.

    Videos go by their path without the ending, or by the file name alone where that is unambiguous; a truth that names
    no video is that of the only predicted one. A video without a named subject is its own. Lengths are known where the
    truth gives them. Raises AnnotationError if the tables have no unit or no video in common.
    """
    rows = [*predicted, *truth]
    if all(row.seconds for row in rows):
        unit: Unit = "ticks"
    elif all(row.frames for row in rows):
        unit = "frames"
    else:
        raise AnnotationError("one table counts frames and the other seconds; tell the frame rate (--fps)")
    claims, facts = _by_video(predicted), _by_video(truth)
    if list(facts) == [""] and len(claims) == 1:
        facts = {next(iter(claims)): facts[""]}
    claims = _renamed(claims, facts)
    if claims and facts and not set(claims) & set(facts):
        raise AnnotationError(
            f"no video is in both tables: predicted {min(claims)!r} ..., annotated {min(facts)!r} ..."
        )
    recordings = []
    for video in sorted(set(claims) | set(facts)):
        known = facts.get(video, [])
        recordings.append(
            VideoIntervals(
                truth=[_interval(row, unit) for row in known],
                predicted=[_interval(row, unit) for row in claims.get(video, [])],
                subject=next((row.subject for row in known if row.subject), video),
                n_ticks=_length(known, unit),
            )
        )
    return recordings, unit


def _by_video(rows: Iterable[TableRow]) -> dict[str, list[TableRow]]:
    found: dict[str, list[TableRow]] = {}
    for row in rows:
        found.setdefault(row.video, []).append(row)
    return found


def _renamed(claims: dict[str, list[TableRow]], facts: Mapping[str, object]) -> dict[str, list[TableRow]]:
    """Predicted videos under the names that the truth has for them."""
    by_name: dict[str, list[str]] = {}
    for video in facts:
        by_name.setdefault(video.rpartition("/")[2], []).append(video)
    renamed: dict[str, list[TableRow]] = {}
    for video, rows in claims.items():
        same = by_name.get(video.rpartition("/")[2], [])
        renamed.setdefault(video if video in facts or len(same) != 1 else same[0], []).extend(rows)
    return renamed


def _interval(row: TableRow, unit: Unit) -> Interval:
    ends = row.frames if unit == "frames" else tuple(None if s is None else round(s * CLOCK_HZ) for s in row.seconds)
    onset, apex, offset = ends
    return Interval(onset, (onset + offset) // 2 if apex is None else apex, offset, row.type, row.confidence)


def _length(rows: Sequence[TableRow], unit: Unit) -> int | None:
    row = next((r for r in rows if r.n_frames), None)
    if row is None or (unit == "ticks" and not row.fps):
        return None
    return row.n_frames if unit == "frames" else round(row.n_frames / row.fps * CLOCK_HZ) + 1


def render_megc(rows: Sequence[TableRow], year: MegcYear) -> str:
    """MEGC submission: `vid,pred_onset,pred_offset,type` in 2022, `vid,onset,offset,type` in 2023.

    Onset and offset are frames of the videos, types `mae` and `me`. Raises AnnotationError for a row without frames.
    """
    names = ("vid", "pred_onset", "pred_offset", "type") if year == "2022" else ("vid", "onset", "offset", "type")
    lines = [",".join(names)]
    for row in sorted(rows, key=lambda r: (r.video, r.frames or ())):
        if row.frames is None:
            raise AnnotationError(f"{row.video}: a submission counts frames, and this table knows seconds only")
        lines.append(f"{row.video},{row.frames[0]},{row.frames[2]},{_MEGC_TYPES[row.type]}")
    return "\n".join(lines) + "\n"
