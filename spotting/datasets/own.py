"""One's own recordings: a list of timestamps, or an ELAN or BORIS export of the same.

`points.csv` has a header with `video`, `type` (macro|micro) and either `time_s` (seconds from the first frame) or
`frame` (0-based); a column `subject` is optional, without it every video is its own subject. Videos are named by their
path below the data folder without the ending (`anna/day1`), or by the file name alone.

A labelled moment becomes a record with an apex and neither onset nor offset. What is given in seconds is kept in
milliseconds: such records have 1000 frames per second.
"""

import csv
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree as ET

from ...errors import AnnotationError
from .records import expression_type, make_records, type_of_name
from .sheets import Cell, Row, Sheet

if TYPE_CHECKING:
    import pandas as pd

DATASET = "own"
MILLISECONDS = 1000.0
VIDEO_SUFFIXES = frozenset(
    (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".m2ts", ".ogv", ".webm", ".wmv", ".3gp", ".flv")
)

_POINTS = {"video": ("video",), "type": ("type",), "time": ("time_s",), "frame": ("frame",), "subject": ("subject",)}
_BORIS = {
    "video": ("Media file name", "Media file path", "Media file"),
    "behavior": ("Behavior",),
    "status": ("Behavior type", "Status"),
    "time": ("Time",),
    "start": ("Start (s)",),
    "stop": ("Stop (s)",),
    "subject": ("Subject",),
}
# facespot's own ELAN export writes the apex into the annotation's text.
_APEX = re.compile(r"apex\s+(\d+(?:\.\d+)?)\s*s\b")


def read_own(path: str | Path, fps: float | Mapping[str, float] | None = None) -> "pd.DataFrame":
    """Records of a `points.csv`, an ELAN `.eaf` or a BORIS events table (tabular or aggregated; CSV or TSV).

    fps: frame rate, or frame rate per video, of a list that counts frames. Raises AnnotationError.
    """
    path = Path(path)
    if not path.is_file():
        raise AnnotationError(f"{path}: no such file")
    if path.suffix.lower() == ".eaf":
        return read_elan(path)
    sheet = _read_table(path)
    head = {str(value).strip().lower() for row in sheet.rows[:40] for value in row}
    return _boris_records(sheet) if "behavior" in head else _point_records(sheet, fps)


def read_elan(path: str | Path) -> "pd.DataFrame":
    """Records of the annotations in an ELAN file whose text or tier begins with a type (macro, micro, MaE, ME).

    Onset and offset are the annotation's ends. The video is the linked medium, or the file's own name.
    Raises AnnotationError if the file is no ELAN document, holds no such annotation or one without a length.
    """
    path = Path(path)
    try:
        root = ET.parse(path).getroot()
    except (ET.ParseError, OSError) as error:
        raise AnnotationError(f"{path}: not an ELAN file ({error})") from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise AnnotationError(f"{path}: not an ELAN file (its root is {root.tag!r})")
    media = root.find(".//MEDIA_DESCRIPTOR")
    link = "" if media is None else media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
    video = video_key(Path(unquote(urlparse(link).path)).name or path.name.removesuffix(path.suffix))
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    rows = []
    for tier in root.iter("TIER"):
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            text = annotation.findtext("ANNOTATION_VALUE") or ""
            kind = type_of_name(_first_word(text)) or type_of_name(_first_word(tier.get("TIER_ID", "")))
            if kind is None:
                continue
            where = f"{path}, tier {tier.get('TIER_ID')!r}, annotation {annotation.get('ANNOTATION_ID')!r}"
            onset, offset = (_slot(slots, annotation.get(f"TIME_SLOT_REF{end}"), where) for end in (1, 2))
            if offset < onset:
                raise AnnotationError(f"{where}: offset {offset} ms is before the onset {onset} ms")
            apex = _APEX.search(text)
            peak = round(float(apex[1]) * 1000) if apex else None
            if peak is not None and not onset <= peak <= offset:
                raise AnnotationError(f"{where}: apex {peak} ms is outside {onset}..{offset} ms")
            rows.append(_record(video, "", onset, peak, offset, kind, MILLISECONDS))
    if not rows:
        raise AnnotationError(f"{path}: no annotation says macro or micro, neither by its text nor by its tier")
    return make_records(rows)


def video_key(name: str) -> str:
    """How tables name a video: forward slashes, no drive, no video ending."""
    key = PureWindowsPath(name).as_posix() if "\\" in name else name
    key = key.removeprefix("./")
    stem, dot, ending = key.rpartition(".")
    return stem if dot and f".{ending.lower()}" in VIDEO_SUFFIXES else key


def _read_table(path: Path) -> Sheet:
    """A CSV or TSV file, whatever its delimiter; tolerant of the byte order mark Excel writes."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: not a text table in UTF-8 ({error})") from error
    header = next((line for line in text.splitlines() if re.search(r"video|behavior", line, re.IGNORECASE)), "")
    delimiter = max(",;\t", key=header.count)
    return Sheet(path, "", list(csv.reader(text.splitlines(), delimiter=delimiter)))


def _point_records(sheet: Sheet, fps: float | Mapping[str, float] | None) -> "pd.DataFrame":
    rows = []
    for row in sheet.headed(_POINTS, optional=("time", "frame", "subject")):
        if ("time" in row) == ("frame" in row):
            raise AnnotationError(f"{sheet.file}, row {row['video'].row - 1}: needs one column of time_s and frame")
        video = video_key(row["video"].text())
        if "time" in row:
            rate, point = MILLISECONDS, round(_seconds(row["time"]) * 1000)
        else:
            rate = fps.get(video) if isinstance(fps, Mapping) else fps
            if rate is None:
                raise row["frame"].error(f"counts frames, so the frame rate of {video!r} must be given")
            point = row["frame"].frame()
            if point < 0:
                raise row["frame"].error(f"frame {point} is negative")
        rows.append(_record(video, _subject(row), None, point, None, expression_type(row["type"]), rate))
    if not rows:
        raise AnnotationError(f"{sheet.file}: holds no point")
    return make_records(rows)


def _boris_records(sheet: Sheet) -> "pd.DataFrame":
    """Aggregated tables hold one row per event with start and stop; tabular ones a row per POINT, START or STOP."""
    optional = ("status", "time", "start", "stop", "subject")
    rows: list[dict[str, Any]] = []
    begun: dict[tuple[str, str, str], Cell] = {}
    for row in sheet.headed(_BORIS, optional=optional):
        kind = type_of_name(row["behavior"].text())
        if kind is None:
            continue  # another behaviour of the ethogram
        video = Path(video_key(row["video"].text())).name
        subject = _subject(row)
        if "start" in row and "stop" in row:
            rows.append(_event(video, subject, kind, row["start"], row["stop"]))
            continue
        if "time" not in row:
            raise AnnotationError(f"{sheet.file}: neither column 'Time' nor columns 'Start (s)' and 'Stop (s)'")
        status = row["status"].text().upper() if "status" in row else "POINT"
        key = (video, subject, kind)
        if status == "POINT":
            rows.append(_event(video, subject, kind, row["time"], row["time"]))
        elif status == "START":
            if key in begun:
                raise row["time"].error(f"{kind} starts again before the one of row {begun[key].row} stopped")
            begun[key] = row["time"]
        elif status == "STOP":
            if key not in begun:
                raise row["time"].error(f"{kind} stops without having started")
            rows.append(_event(video, subject, kind, begun.pop(key), row["time"]))
        else:
            raise row["status"].error(f"{status!r} is none of POINT, START, STOP")
    for (_, _, kind), cell in begun.items():
        raise cell.error(f"{kind} starts and never stops")
    if not rows:
        raise AnnotationError(f"{sheet.file}: no behavior is named macro or micro")
    return make_records(rows)


def _event(video: str, subject: str, kind: str, start: Cell, stop: Cell) -> dict[str, Any]:
    onset, offset = (round(_seconds(cell) * 1000) for cell in (start, stop))
    if offset < onset:
        raise stop.error(f"stop {offset / 1000} s is before the start {onset / 1000} s")
    if offset == onset:
        return _record(video, subject, None, onset, None, kind, MILLISECONDS)
    return _record(video, subject, onset, None, offset, kind, MILLISECONDS)


def _record(
    video: str, subject: str, onset: int | None, apex: int | None, offset: int | None, kind: str, fps: float
) -> dict[str, Any]:
    values = (DATASET, subject or video, video, onset, apex, offset, kind, (), fps)
    return dict(
        zip(("dataset", "subject", "video", "onset", "apex", "offset", "type", "aus", "fps"), values, strict=True)
    )


def _subject(row: Row) -> str:
    """Empty where the table names none; BORIS writes "No focal subject" then."""
    if "subject" not in row or row["subject"].empty or row["subject"].text().lower() == "no focal subject":
        return ""
    return row["subject"].text()


def _seconds(cell: Cell) -> float:
    seconds = cell.number("a time in seconds")
    if seconds < 0:
        raise cell.error(f"{seconds} s is before the video begins")
    return seconds


def _slot(slots: Mapping[str | None, str | None], reference: str | None, where: str) -> int:
    value = slots.get(reference)
    if value is None or not value.isdigit():
        raise AnnotationError(f"{where}: its end {reference!r} has no time")
    return int(value)


def _first_word(text: str) -> str:
    return next(iter(text.split()), "")
