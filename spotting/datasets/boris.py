"""BORIS events, as it exports them: tabular (a row per START, STOP and POINT) or aggregated (a row per event).

Behaviors named macro or micro count, and points named apex that lie in one; the rest of the ethogram is passed over.
"""

from typing import TYPE_CHECKING, Any

from ...errors import AnnotationError
from ..output.lanes import APEX
from .own_records import MILLISECONDS, own_record, subject_of, video_key, within
from .records import make_records, type_of_name
from .sheets import Cell, Row, Sheet

if TYPE_CHECKING:
    import pandas as pd

BEHAVIOR = "behavior"
_NAMES = {
    "video": ("Media file name", "Media file path", "Media file"),
    "behavior": ("Behavior",),
    "modifier": ("Modifier #1", "Modifiers", "Modifier 1"),
    "status": ("Behavior type", "Status"),
    "time": ("Time",),
    "start": ("Start (s)",),
    "stop": ("Stop (s)",),
    "subject": ("Subject",),
}
_OPTIONAL = ("modifier", "status", "time", "start", "stop", "subject")
HEADINGS = frozenset(name.lower() for names in _NAMES.values() for name in names)
# Video, subject, modifier: what BORIS keeps apart, so that events of one kind overlap only across lanes.
_Lane = tuple[str, str, str]


def boris_records(sheet: Sheet) -> "pd.DataFrame":
    """Records of an events table; onset and offset from START and STOP, an apex alone from a POINT.

    Raises AnnotationError for events that do not pair up, or where no behavior is a type of expression.
    """
    pairs = _Pairs()
    apexes: list[tuple[_Lane, int]] = []
    empty = True
    for row in sheet.headed(_NAMES, _OPTIONAL):
        empty = False
        kind = type_of_name(row["behavior"].text())
        lane = _lane(row)
        if kind is not None:
            pairs.add(row, lane, kind)
        elif row["behavior"].text().lower() == APEX and "time" in row:
            apexes.append((lane, round(row["time"].seconds() * 1000)))
    pairs.finish()
    if not pairs.rows and not empty:
        raise AnnotationError(f"{sheet.file}: no behavior is named macro or micro")
    for lane, time in apexes:
        for row in pairs.rows.get(lane, ()):
            if row["apex"] is None and within(time, row["onset"], row["offset"]) is not None:
                row["apex"] = time
                break
    found = [row for rows in pairs.rows.values() for row in rows]
    return make_records(sorted(found, key=lambda row: (row["video"], row["apex" if row["onset"] is None else "onset"])))


class _Pairs:
    """Events as they are found. rows: of each lane."""

    def __init__(self) -> None:
        self.rows: dict[_Lane, list[dict[str, Any]]] = {}
        self._begun: dict[tuple[_Lane, str], Cell] = {}

    def add(self, row: Row, lane: _Lane, kind: str) -> None:
        if "start" in row and "stop" in row:
            self._event(lane, kind, row["start"], row["stop"])
            return
        if "time" not in row:
            raise AnnotationError(
                f"{row['behavior'].file}: neither column 'Time' nor columns 'Start (s)' and 'Stop (s)'"
            )
        time, status = row["time"], row["status"].text().upper() if "status" in row else "POINT"
        key = (lane, kind)
        if status == "POINT":
            self._event(lane, kind, time, time)
        elif status == "START":
            if key in self._begun:
                raise time.error(f"{kind} starts again before the one of row {self._begun[key].row} stopped")
            self._begun[key] = time
        elif status == "STOP":
            if key not in self._begun:
                raise time.error(f"{kind} stops without having started")
            self._event(lane, kind, self._begun.pop(key), time)
        else:
            raise row["status"].error(f"{status!r} is none of POINT, START, STOP")

    def finish(self) -> None:
        for (_, kind), cell in self._begun.items():
            raise cell.error(f"{kind} starts and never stops")

    def _event(self, lane: _Lane, kind: str, start: Cell, stop: Cell) -> None:
        video, subject, _ = lane
        onset, offset = (round(cell.seconds() * 1000) for cell in (start, stop))
        if offset < onset:
            raise stop.error(f"stop {offset / 1000} s is before the start {onset / 1000} s")
        ends = (None, onset, None) if offset == onset else (onset, None, offset)
        self.rows.setdefault(lane, []).append(own_record(video, subject, *ends, kind, MILLISECONDS))


def _lane(row: Row) -> _Lane:
    """Media files are named by absolute paths, of which the name alone says something elsewhere."""
    modifier = row["modifier"].text() if "modifier" in row and not row["modifier"].empty else ""
    return video_key(row["video"].text()).rpartition("/")[2], subject_of(row), modifier
