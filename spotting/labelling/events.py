"""What a coder says of one recording: its events, and the acts that change them. All times are source frames.

An act is a JSON object with the key `act`:

| act    | further keys                             | what happens                                 |
|--------|------------------------------------------|----------------------------------------------|
| judge  | id, status (open, accepted, rejected)    | an event is believed, or not                 |
| change | id, some of onset, apex, offset, type    | moved or renamed, and thereby accepted       |
| add    | onset, offset, type, apex (or middle) | a new accepted event with the next free id   |
| watch  | stretch, done (true or false)            | a stretch of an audit was watched to its end |
| undo   |                                          | takes the last act back                      |
| redo   |                                          | does again what was taken back last          |
| close  |                                          | the audit has told its result; no more acts  |

Whatever else an act holds (`key`, `at`) is kept and not read here.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from ...errors import AnnotationError, one_line
from ...extract.timebase import Timebase
from ..intervals import EXPRESSION_TYPES, ExpressionType, Interval, Spot

Status = Literal["open", "accepted", "rejected"]
STATUSES: tuple[Status, ...] = get_args(Status)
_MOMENTS = ("onset", "apex", "offset")


class ActError(ValueError):
    """An act that cannot be done; the message says why."""


@dataclass(frozen=True)
class CodedEvent:
    """One expression in source frames, both ends inclusive, and what the coder thinks of it.

    id: unique in its recording, never used again. machine: found by facespot, not by the coder. confidence: the
    machine's, None for the coder's own. moved: edges, apex or type are the coder's.
    """

    id: int
    onset: int
    apex: int
    offset: int
    type: ExpressionType
    status: Status = "open"
    machine: bool = True
    confidence: float | None = None
    moved: bool = False

    def interval(self, timebase: Timebase) -> Interval:
        """On the 30 Hz clock."""
        onset, apex, offset = (timebase.tick_of_frame(f) for f in (self.onset, self.apex, self.offset))
        return Interval(onset, apex, offset, self.type)

    def spot(self, timebase: Timebase) -> Spot:
        """As a user reads it, at the time stamps of its own frames; a person's word has confidence 1."""
        onset, apex, offset = (float(timebase.frame_times[f]) for f in (self.onset, self.apex, self.offset))
        return Spot(onset, apex, offset, self.onset, self.apex, self.offset, self.type, 1.0)


@dataclass(frozen=True)
class History:
    """The acts on one recording. machine: the events it opened with. acts: those in force. undone: the latest last."""

    n_frames: int
    machine: tuple[CodedEvent, ...] = ()
    acts: tuple[Mapping[str, Any], ...] = ()
    undone: tuple[Mapping[str, Any], ...] = ()
    closed: bool = False

    def after(self, act: Mapping[str, Any]) -> "History":
        """The history with one act more. Raises ActError for one that cannot be done."""
        name = act.get("act")
        if self.closed:
            raise ActError("this audit has told its result and takes no more labels")
        if name == "close":
            return replace(self, closed=True)
        if name == "undo":
            if not self.acts:
                raise ActError("there is nothing to undo")
            return replace(self, acts=self.acts[:-1], undone=(*self.undone, self.acts[-1]))
        if name == "redo":
            if not self.undone:
                raise ActError("there is nothing to redo")
            return replace(self, acts=(*self.acts, self.undone[-1]), undone=self.undone[:-1])
        if name == "watch":
            if type(act.get("stretch")) is not int or not isinstance(act.get("done"), bool):
                raise ActError("watching needs the number of a stretch, and whether it is done")
        else:
            _applied(self._by_id, act, self.n_frames)
        return replace(self, acts=(*self.acts, act), undone=())

    @cached_property
    def _by_id(self) -> dict[int, CodedEvent]:
        events = {event.id: event for event in self.machine}
        for act in self.acts:
            if act["act"] != "watch":
                events = _applied(events, act, self.n_frames)
        return events

    @property
    def events(self) -> list[CodedEvent]:
        """In order of time."""
        return sorted(self._by_id.values(), key=lambda e: (e.onset, e.offset, e.id))

    @property
    def accepted(self) -> list[CodedEvent]:
        return [event for event in self.events if event.status == "accepted"]

    @property
    def watched(self) -> set[int]:
        """Numbers of the stretches that are done."""
        said = {act["stretch"]: act["done"] for act in self.acts if act["act"] == "watch"}
        return {stretch for stretch, done in said.items() if done}


def _applied(events: Mapping[int, CodedEvent], act: Mapping[str, Any], n_frames: int) -> dict[int, CodedEvent]:
    name = act.get("act")
    if name == "add":
        onset, offset = act.get("onset"), act.get("offset")
        if type(onset) is not int or type(offset) is not int:
            raise ActError("a new event needs an onset and an offset")
        number = max(events, default=0) + 1
        event = CodedEvent(
            number, onset, act.get("apex", (onset + offset) // 2), offset, act.get("type"), "accepted", False
        )
    elif name in ("judge", "change"):
        known = events.get(act["id"]) if type(act.get("id")) is int else None
        if known is None:
            raise ActError(f"there is no event {act.get('id')!r}")
        if name == "judge":
            event = replace(known, status=act.get("status"))
        else:
            changed = {key: act[key] for key in (*_MOMENTS, "type") if key in act}
            if not changed:
                raise ActError("nothing to change was named")
            event = replace(known, **changed, status="accepted", moved=True)
    else:
        raise ActError(f"{name!r} is no act")
    _check(event, n_frames)
    return {**events, event.id: event}


def _check(event: CodedEvent, n_frames: int) -> None:
    frames = [getattr(event, name) for name in _MOMENTS]
    if not all(type(frame) is int for frame in frames):
        raise ActError("onset, apex and offset are whole frames")
    onset, apex, offset = frames
    if not 0 <= onset <= apex <= offset < n_frames:
        raise ActError(
            f"need onset <= apex <= offset within frames 0..{n_frames - 1}, got {onset}, {apex} and {offset}"
        )
    if event.type not in EXPRESSION_TYPES:
        raise ActError(f"the type must be one of {', '.join(EXPRESSION_TYPES)}")
    if event.status not in STATUSES:
        raise ActError(f"the status must be one of {', '.join(STATUSES)}")


def machine_events(spots: Sequence[Spot]) -> tuple[CodedEvent, ...]:
    """What spotting found, numbered from 1 in order of time and judged by nobody yet."""
    return tuple(
        CodedEvent(
            number, s.onset_frame, s.apex_frame, s.offset_frame, s.type, confidence=round(float(s.confidence), 3)
        )
        for number, s in enumerate(sorted(spots), 1)
    )


def read_machine_events(path: str | Path, n_frames: int) -> tuple[CodedEvent, ...]:
    """The events of a `.spots.csv` or `.spots.json` of facespot. Raises AnnotationError if it is none, or if an event
    lies beyond the frames of the video."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = json.loads(text)["spots"] if path.suffix == ".json" else list(csv.DictReader(text.splitlines()))
        found = []
        for row in rows:
            onset, apex, offset = (int(row[f"{moment}_frame"]) for moment in _MOMENTS)
            found.append(CodedEvent(0, onset, apex, offset, row["type"], confidence=float(row["confidence"])))
        for event in found:
            _check(event, n_frames)
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"no column {error}" if isinstance(error, KeyError) else error
        raise AnnotationError(f"{path}: not what facespot found in this video ({said})") from error
    return tuple(replace(e, id=i) for i, e in enumerate(sorted(found, key=lambda e: (e.onset, e.offset)), 1))


def events_of_header(path: str | Path, header: Mapping[str, Any]) -> tuple[CodedEvent, ...]:
    """What the machine had found when the journal at `path` was begun. Raises AnnotationError where that is damaged."""
    try:
        found = tuple(event_from_json(record) for record in header["machine"])
        for event in found:
            _check(event, header["frames"])
            if event.confidence is not None and type(event.confidence) not in (int, float):
                raise ActError("a confidence is a number")
        numbers = [event.id for event in found]
        if any(type(number) is not int for number in numbers) or len(set(numbers)) < len(numbers):
            raise ActError("each event has a number of its own")
    except (KeyError, TypeError, ActError) as error:
        reason = one_line(f"{type(error).__name__}: {error}")[:100]
        raise AnnotationError(f"{path}, line 1: damaged ({reason}); restore it from a copy") from error
    return found


def event_from_json(record: Mapping[str, Any]) -> CodedEvent:
    """The inverse of `event_to_json`. Raises TypeError for other keys."""
    return CodedEvent(**record)


def event_to_json(event: CodedEvent) -> dict[str, Any]:
    return asdict(event)
