"""The one table of annotated expressions, whatever they were read from.

A row is one expression. `onset`, `apex` and `offset` count frames of `fps` per second, as coded (the distributed image
files are numbered from 1, so a number may name the frame one before our 0-based one; published figures use the numbers
as they stand, and so do we). Missing values are `<NA>`: an apex that was not coded or cannot be right, an offset of an
expression that never returned to neutral, onset and offset of a point label. What a reader had to repair is listed in
`records.attrs["notes"]`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...extract.timebase import CLOCK_HZ, Timebase
from ..intervals import ExpressionType, Interval
from .aus import parse_aus
from .sheets import Cell

if TYPE_CHECKING:
    import pandas as pd

RECORD_COLUMNS = ("dataset", "subject", "video", "onset", "apex", "offset", "type", "aus", "fps")
KEY = ("dataset", "subject", "video")

# The authors' release of GIM ends an expression without an offset 20 frames after its onset (CAS(ME)^2, 30 fps).
OPEN_EXPRESSION_S = 20 / 30
# Sheets write 30 for 29.97; the next rate in use is 4 % away (24 and 25).
_SAME_RATE = 0.02


def make_records(rows: Iterable[dict[str, Any]], notes: Sequence[str] = ()) -> "pd.DataFrame":
    """The table from one mapping per expression with the keys `RECORD_COLUMNS`; None stands for a missing frame."""
    import pandas as pd

    table = pd.DataFrame(list(rows), columns=list(RECORD_COLUMNS))
    for name in ("onset", "apex", "offset"):
        table[name] = pd.array([None if pd.isna(v) else int(v) for v in table[name]], dtype="Int64")
    table["fps"] = table["fps"].astype("float64")
    table.attrs["notes"] = list(notes)
    return table


def concat_records(tables: Sequence["pd.DataFrame"]) -> "pd.DataFrame":
    """Several tables under one another, their notes too."""
    import pandas as pd

    notes = [note for table in tables for note in table.attrs.get("notes", [])]
    # pandas compares attrs while concatenating; the merged notes are set afterwards.
    joined = pd.concat([table[list(RECORD_COLUMNS)] for table in tables], ignore_index=True)
    joined.attrs = {"notes": notes}
    return joined


def coded_frames(
    onset: Cell, apex: Cell, offset: Cell, notes: list[str], *, open_offset: int | None, no_apex: int
) -> dict[str, int | None]:
    """Onset, apex and offset of one coded expression, checked.

    `open_offset` and `no_apex` are the numbers by which a sheet says "never returned" and "not coded". An apex outside
    its expression is treated as not coded and noted: the real sheets hold a few. Raises AnnotationError for what is no
    frame number, is negative, or for an offset before its onset.
    """
    first, top, last = onset.frame(), apex.frame(), offset.frame()
    if first < 0:
        raise onset.error(f"onset {first} is negative")
    ending: int | None = last
    if open_offset is not None and last == open_offset and first > open_offset:
        ending = None
    elif last < first:
        raise offset.error(f"offset {last} is before the onset {first}")
    peak: int | None = top
    if top == no_apex:
        peak = None
    elif top < first or (ending is not None and top > ending):
        end = "open" if ending is None else ending
        notes.append(str(apex.error(f"apex {top} outside {first}..{end}, taken as not coded")))
        peak = None
    return {"onset": first, "apex": peak, "offset": ending}


def expression_type(cell: Cell) -> ExpressionType:
    """macro or micro from the ways sheets write them; raises AnnotationError for anything else."""
    name = type_of_name(cell.text())
    if name is None:
        raise cell.error(f"{cell.value!r} is neither a macro- nor a micro-expression")
    return name


def type_of_name(text: str) -> ExpressionType | None:
    """The type that a label such as "Micro - 1/2", "macro-expression", "MaE" or "me" stands for; None if neither."""
    name = text.strip().lower()
    if name.startswith("macro") or name == "mae":
        return "macro"
    if name.startswith("micro") or name in ("me", "mie"):
        return "micro"
    return None


def action_units(row: Any) -> tuple:
    """The parsed AU column of a row, empty where the sheet has none."""
    return parse_aus(row["aus"].value) if "aus" in row else ()


def counts(records: "pd.DataFrame") -> dict[str, int]:
    """Expressions per type."""
    return {kind: int((records["type"] == kind).sum()) for kind in ("macro", "micro")}


def close_open_offsets(records: "pd.DataFrame", frames: int | None = None) -> "pd.DataFrame":
    """A copy in which every expression that never returned to neutral ends `frames` after its onset (by default the
    frames of `OPEN_EXPRESSION_S`), or at its apex if that comes later; 0 therefore ends all of them at the apex.

    Evaluation needs an end, and others choose another: the baseline of MEGC 2020 takes the apex. The authors' released labels of CAS(ME)^2 end the same way in 36 of its 44 open
    expressions; in the others they kept the 20 frames and moved the apex, or set the end by hand. Point labels, which
    have no onset either, stay as they are.
    """
    closed = records.copy()
    open_ended = closed["onset"].notna() & closed["offset"].isna()
    after = (closed["fps"] * OPEN_EXPRESSION_S).round().astype("Int64") if frames is None else frames
    last = closed["onset"] + after
    apex = closed["apex"].fillna(closed["onset"])
    closed.loc[open_ended, "offset"] = last.where(last >= apex, apex)[open_ended]
    return closed


def tick_of_frame(frame: int, fps: float, timebase: Timebase | None = None) -> int:
    """The clock tick of a coded frame.

    With the video's own `timebase`, a frame number coded at the video's rate counts frames, whatever their timestamps
    (a rate of 29.97 written down as 30 would be 4 frames off after two minutes). Numbers at another rate, such as
    milliseconds, and all without a time base, are times: frame / fps seconds on the 30 Hz clock.
    """
    if timebase is None:
        return round(frame / fps * CLOCK_HZ)
    if abs(fps / timebase.fps - 1) < _SAME_RATE:
        return timebase.tick_of_frame(min(frame, timebase.n_frames - 1))
    return timebase.tick_of_seconds(frame / fps)


def intervals_by_video(
    records: "pd.DataFrame", timebases: Mapping[str, Timebase] | None = None
) -> dict[str, list[Interval]]:
    """Ground truth on the clock: video -> intervals in ticks, sorted; the middle stands for an uncoded apex.

    timebases: of the videos as they were extracted, where they are known (see `tick_of_frame`). Raises ValueError if an
    expression lacks onset or offset (see `close_open_offsets`).
    """
    import pandas as pd

    found: dict[str, list[Interval]] = {}
    for row in records.itertuples(index=False):
        if pd.isna(row.onset) or pd.isna(row.offset):
            raise ValueError(f"{row.video}: an expression has no onset or no offset, so it is no interval")
        timebase = (timebases or {}).get(row.video)
        onset, offset = (tick_of_frame(int(frame), row.fps, timebase) for frame in (row.onset, row.offset))
        apex = (onset + offset) // 2 if pd.isna(row.apex) else tick_of_frame(int(row.apex), row.fps, timebase)
        found.setdefault(row.video, []).append(Interval(onset, min(max(apex, onset), offset), offset, row.type))
    return {video: sorted(intervals) for video, intervals in found.items()}
