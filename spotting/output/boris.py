"""BORIS tabular events: START and STOP of the state events `macro` and `micro`, and a point event `apex` for each.

The columns are those of BORIS 8, "Export events" (tab-separated). Overlapping events of one kind carry a modifier, by
which BORIS tells them apart; the confidence is the comment of the START row.
"""

from pathlib import Path
from typing import Any

from ..intervals import Spot
from ..result import SpotResult
from .cells import cell, delimited
from .lanes import APEX, lanes, milliseconds

COLUMNS = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation duration",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Subject",
    "Observation duration by subject by observation",
    "Behavior",
    "Behavioral category",
    "Modifier #1",
    "Behavior type",
    "Time",
    "Media file name",
    "Image index",
    "Image file path",
    "Comment",
)
_NOBODY = "No focal subject"
CATEGORY = "expression"


def render_boris(result: SpotResult, path: Path) -> str:
    """Rows in order of time; "Image index" is the frame, counted from 0."""
    duration = round(result.timebase.duration_s, 3)
    common = {
        "Observation id": Path(result.video).stem,
        "Observation duration": duration,
        "Observation type": "Media file",
        "Source": f"player #1:{result.video}",
        "Time offset (s)": 0,
        "Subject": _NOBODY,
        "Observation duration by subject by observation": duration,
        "Media file name": result.video,
    }
    events: list[tuple[float, int, dict[str, Any]]] = []
    for number, lane in enumerate(lanes(result.spots, 1), 1):
        for spot in lane:
            modifier = "" if number == 1 else f"{CATEGORY} {number}"
            events += [(t, order, common | {"Modifier #1": modifier} | event) for t, order, event in _events(spot)]
    # What stops at a moment goes before what starts then, lest one kind starts twice; an apex lies between its ends.
    rows = (event for _, _, event in sorted(events, key=lambda e: e[:2]))
    return delimited(COLUMNS, rows, delimiter="\t")


def _events(spot: Spot) -> list[tuple[float, int, dict[str, Any]]]:
    """(seconds, order among equal times, columns) of the three rows of one expression."""
    onset, offset = (ms / 1000 for ms in milliseconds(spot))
    apex = min(max(round(spot.apex_s, 3), onset), offset)

    def row(seconds: float, frame: int, behavior: str, kind: str, comment: str = "") -> dict[str, Any]:
        category = CATEGORY if behavior != APEX else spot.type
        return {
            "Behavior": behavior,
            "Behavioral category": category,
            "Behavior type": kind,
            "Time": cell(seconds),
            "Image index": frame,
            "Comment": comment,
        }

    comment = f"confidence {spot.confidence:.3f}"
    return [
        (onset, 1, row(onset, spot.onset_frame, spot.type, "START", comment)),
        (apex, 2 if apex == onset else -1, row(apex, spot.apex_frame, APEX, "POINT")),
        (offset, 0, row(offset, spot.offset_frame, spot.type, "STOP")),
    ]
