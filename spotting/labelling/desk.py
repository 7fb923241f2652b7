"""What lies before one coder: the recordings of one call of `spot label`, and in an audit the stretches to watch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...extract.timebase import CLOCK_HZ
from .audit import AuditResult, Stretch, describe, draw_stretches, estimate, judge_stretch, reviewing_ticks
from .events import ActError, CodedEvent, event_to_json
from .recording import LabelledRecording, PointsTable, Task

CONTEXT_S = 2.0  # shown before and after a stretch of an audit, so that an event at its border is seen whole


class Desk:
    """Recordings under one task. points: the table written along, None in an audit, whose labels cover stretches only.

    plan: of an audit, as `draw_plan` made it.
    """

    def __init__(
        self,
        recordings: Sequence[LabelledRecording],
        task: Task,
        points: PointsTable | None = None,
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        self.recordings = tuple(recordings)
        self.task = task
        self.points = points
        self.stretches = tuple(Stretch(**record) for record in (plan or {}).get("stretches", ()))

    def session(self) -> dict[str, Any]:
        """What the page needs to know of all recordings. Of a stretch it learns neither stratum nor probability, which
        would tell whether facespot found something there."""
        return {
            "mode": self.task.mode,
            "coder": self.task.coder,
            "context_s": CONTEXT_S,
            "videos": [
                {
                    "name": r.path.name,
                    "duration_s": round(r.timebase.duration_s, 3),
                    "events": len(r.history.accepted),
                    "open": sum(e.status == "open" for e in r.history.events),
                }
                for r in self.recordings
            ],
            "stretches": [
                {**self._frames(s), "recording": s.recording, "done": i in self.recordings[s.recording].history.watched}
                for i, s in enumerate(self.stretches)
            ],
            "closed": self.closed,
            "files": [str(path) for path in self.files()],
        }

    def state(self, number: int) -> dict[str, Any]:
        """One recording as the page shows it."""
        recording = self.recordings[number]
        history = recording.history
        return {
            "number": number,
            "name": recording.path.name,
            "events": [event_to_json(e) for e in history.events],
            "acts": len(recording.journal.acts),
            "undo": len(history.acts),
            "redo": len(history.undone),
        }

    def times(self, number: int) -> list[float]:
        """Seconds at which each frame of a recording is shown, from the first one on."""
        return [round(float(t), 6) for t in self.recordings[number].timebase.frame_times]

    def act(self, number: int, act: Mapping[str, Any]) -> dict[str, Any]:
        """Do an act and write the files of that recording; the new state. Raises ActError, OSError."""
        if act.get("act") == "close":
            raise ActError("an audit closes itself when its result is asked for")
        if act.get("act") == "watch" and act.get("stretch") not in self._stretches_of(number):
            raise ActError("there is no such stretch in this recording")
        self.recordings[number].act(act)
        if self.task.mode != "audit":
            self.recordings[number].write()
            self.points.write()
        return self.state(number)

    def write(self) -> None:
        """All files anew, as after a start."""
        if self.task.mode != "audit":
            for recording in self.recordings:
                recording.write()
            self.points.write()

    def files(self) -> list[Path]:
        """What the labels are written to."""
        if self.task.mode == "audit":
            return [r.journal.path for r in self.recordings]
        return [*(r.labels for r in self.recordings), self.points.path]

    @property
    def closed(self) -> bool:
        return bool(self.recordings) and all(r.history.closed for r in self.recordings)

    def unwatched(self) -> int:
        """Stretches of the audit that are not done."""
        return len(self.stretches) - sum(len(r.history.watched) for r in self.recordings)

    def audit(self) -> tuple[AuditResult, str]:
        """The result of the audit, in figures and in words. From now on it takes no more labels: whoever knows the
        result could no longer label blindly. Raises ActError while stretches are unwatched."""
        if not self.stretches:
            raise ActError("this is no audit")
        if left := self.unwatched():
            raise ActError(f"{left} of {len(self.stretches)} stretches are still to be watched")
        counts = {}
        predicted = [[e.interval(r.timebase) for e in r.predicted] for r in self.recordings]
        for i, stretch in enumerate(self.stretches):
            recording = self.recordings[stretch.recording]
            counts[i] = judge_stretch(stretch, recording.truth(), predicted[stretch.recording])
        result = estimate(self.stretches, counts)
        ticks = [r.timebase.n_ticks for r in self.recordings]
        reviewing = sum(reviewing_ticks(n, found) for n, found in zip(ticks, predicted, strict=True))
        watched = sum(s.end - s.start for s in self.stretches)
        for recording in self.recordings:
            if not recording.history.closed:
                recording.act({"act": "close"})
        return result, describe(result, sum(ticks) / CLOCK_HZ, watched / CLOCK_HZ, reviewing / CLOCK_HZ)

    def close(self) -> None:
        for recording in self.recordings:
            recording.close()

    def _stretches_of(self, number: int) -> list[int]:
        return [i for i, s in enumerate(self.stretches) if s.recording == number]

    def _frames(self, stretch: Stretch) -> dict[str, int]:
        """First and last frame of a stretch."""
        timebase = self.recordings[stretch.recording].timebase
        return {"start": timebase.frame_of_tick(stretch.start), "end": timebase.frame_of_tick(stretch.end - 1)}


def draw_plan(
    names: Sequence[str],
    found: Sequence[tuple[int, Sequence[CodedEvent], Any]],
    n: int,
    seed: int,
) -> dict[str, Any]:
    """The sample of an audit, JSON-serialisable. found: (ticks, machine's events, time base) of each recording.

    Raises ValueError as `draw_stretches`.
    """
    recordings = [(ticks, [e.interval(timebase) for e in events]) for ticks, events, timebase in found]
    stretches = draw_stretches(recordings, n, np.random.default_rng(seed))
    return {"videos": list(names), "asked": n, "seed": seed, "stretches": [vars(s) for s in stretches]}
