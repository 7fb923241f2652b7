"""One recording on the desk of one coder: its journal, its history, and the files that other programs read."""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import AnnotationError, FacespotError
from ...extract.reading.video import open_video
from ...extract.timebase import Timebase
from ...files import replacing
from ...version import __version__
from ..intervals import Interval
from ..output.formats import get_writer
from ..result import SpotResult
from .events import ActError, CodedEvent, History, event_to_json, events_of_header
from .journal import Journal, read_journal

# What is written beside the journal at every act.
FORMATS = ("csv", "elan", "boris")
_CODER = re.compile(r"\w[\w-]{0,39}")


@dataclass(frozen=True)
class Task:
    """What is asked of the coder. mode: "open" (the machine's events are shown), "blind" or "audit" (they are not).

    coder: "" for the only one. Raises FacespotError for a name that cannot be part of a file name.
    """

    mode: str = "open"
    coder: str = ""

    def __post_init__(self) -> None:
        if self.coder and not _CODER.fullmatch(self.coder):
            raise FacespotError(f"--coder {self.coder!r}: use up to 40 letters, digits, - and _")

    def file(self, base: Path, ending: str) -> Path:
        """`clip.labels.anna.csv` of the base `clip`, the coder anna and the ending `.csv`."""
        kind = "audit" if self.mode == "audit" else "labels"
        return base.with_name(f"{base.name}.{kind}{'.' if self.coder else ''}{self.coder}{ending}")

    def points(self, folder: Path) -> Path:
        """The table of points of all recordings that this coder has labelled in a folder."""
        return folder / f"points{'.' if self.coder else ''}{self.coder}.csv"


class LabelledRecording:
    """One recording and everything its coder has done to it. path: the video. base: of its files, without ending."""

    def __init__(self, path: Path, base: Path, task: Task, timebase: Timebase, journal: Journal) -> None:
        self.path = path
        self.base = base
        self.task = task
        self.timebase = timebase
        self.journal = journal
        header = journal.header
        self.predicted = events_of_header(journal.path, header)
        shown = self.predicted if task.mode == "open" else ()
        self.history = history_of(journal.path, timebase.n_frames, shown, journal.acts)
        self._keys = {act["key"] for act in journal.acts if isinstance(act.get("key"), str)}

    @classmethod
    def open(
        cls,
        path: Path,
        base: Path,
        task: Task,
        timebase: Timebase,
        machine: Sequence[CodedEvent] = (),
        plan: Mapping[str, Any] | None = None,
    ) -> "LabelledRecording":
        """Begun, or gone on with: then the machine's events are those of the journal.

        plan: of an audit, the same in all its recordings. Raises AnnotationError if the journal is of another
        recording, task or plan, FacespotError while another process writes to it, OSError.
        """
        header = {
            "facespot": __version__,
            "video": path.name,
            "frames": timebase.n_frames,
            "duration_s": round(timebase.duration_s, 6),
            "coder": task.coder,
            "mode": task.mode,
            "machine": [event_to_json(e) for e in machine],
            "plan": dict(plan or {}),
            "begun": _now(),
        }
        journal = Journal.open(task.file(base, ".jsonl"), header)
        kept = journal.header
        for name, told in (("frames", "{} frames"), ("mode", "mode {}"), ("plan", "another sample than now")):
            if kept.get(name) != header[name]:
                journal.close()
                begun, now = told.format(kept.get(name)), told.format(header[name])
                against = "" if begun == now else f", not {now}"
                raise AnnotationError(f"{journal.path}: begun with {begun}{against}; move it away to start anew")
        try:
            return cls(path, base, task, timebase, journal)
        except BaseException:
            journal.close()
            raise

    def act(self, act: Mapping[str, Any]) -> None:
        """Do an act; when this returns it is on the disk. An act with the `key` of an earlier one is that one, sent
        again, and changes nothing. Raises ActError, OSError."""
        if "key" in act and (not isinstance(act["key"], str) or len(act["key"]) > 64):
            raise ActError("a key is a short text")
        if act.get("key") in self._keys:
            return
        after = self.history.after(act)
        self.journal.append({**act, "at": _now()})
        self.history = after
        if "key" in act:
            self._keys.add(act["key"])

    @property
    def labels(self) -> Path:
        """The table of accepted intervals."""
        return self.task.file(self.base, ".csv")

    def result(self) -> SpotResult:
        """The accepted events as if they had been spotted; the curves, which nobody has labelled, are empty."""
        n = self.timebase.n_ticks
        return SpotResult(
            video=str(self.path),
            spots=tuple(e.spot(self.timebase) for e in self.history.accepted),
            intensity=np.full(n, np.nan),
            segment=np.zeros(n, np.int64),
            timebase=self.timebase,
            coverage=float("nan"),
            provenance={"facespot": __version__, "coder": self.task.coder, "journal": self.journal.path.name},
        )

    def write(self) -> list[Path]:
        """The accepted events in every format of `FORMATS`; returns the paths. Raises OSError."""
        written, result = [], self.result()
        for name in FORMATS:
            writer = get_writer(name)
            path = self.task.file(self.base, writer.suffix.removeprefix(".spots"))
            writer.write(result, path)
            written.append(path)
        return written

    def truth(self) -> list[Interval]:
        """The accepted events on the clock."""
        return [e.interval(self.timebase) for e in self.history.accepted]

    def close(self) -> None:
        self.journal.close()


class PointsTable:
    """`points.csv` of a folder: the apexes of all that this coder has accepted there, for `spot train`.

    recordings: those on the desk now; what was labelled there before is taken from its `.labels.csv`. A video is named
    by its stem, or by its folder and stem where two on the desk share one.
    """

    def __init__(self, folder: Path, task: Task, recordings: Sequence[LabelledRecording]) -> None:
        self.path = task.points(folder)
        self._recordings = recordings
        stems = Counter(r.path.stem for r in recordings)
        self._names = [
            r.path.stem if stems[r.path.stem] == 1 else f"{r.path.absolute().parent.name}/{r.path.stem}"
            for r in recordings
        ]
        own = {r.labels.resolve() for r in recordings}
        self._others = [
            (Path(row["video"]).stem, row["type"], float(row["apex_s"]))
            for path in sorted(folder.glob(task.file(Path("*"), ".csv").name))
            if path.resolve() not in own
            for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        ]

    @staticmethod
    def refuse_foreign(folder: Path, task: Task) -> None:
        """Raises FacespotError if there is such a table in a folder where nobody has labelled: it is the user's own."""
        table = task.points(folder)
        if table.exists() and not any(folder.glob(task.file(Path("*"), ".jsonl").name)):
            raise FacespotError(f"{table}: is there already and not from `spot label`; give another folder with -o")

    def write(self) -> Path:
        """Atomically; raises OSError."""
        rows = list(self._others)
        for name, recording in zip(self._names, self._recordings, strict=True):
            times = recording.timebase.frame_times
            rows += [(name, e.type, float(times[e.apex])) for e in recording.history.accepted]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("video", "type", "time_s"))
        table.writerows((video, kind, f"{seconds:.3f}") for video, kind, seconds in sorted(rows, key=itemgetter(0, 2)))
        with replacing(self.path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
        return self.path


def history_of(path: Path, n_frames: int, machine: Sequence[CodedEvent], acts: Sequence[Mapping[str, Any]]) -> History:
    """The acts of the journal at `path` done again. Raises AnnotationError where one cannot be."""
    history = History(n_frames, tuple(machine))
    for number, act in enumerate(acts, 2):
        try:
            history = history.after(act)
        except ActError as error:
            raise AnnotationError(f"{path}, line {number}: {error}") from error
    return history


def read_times(path: Path, fps: float | None = None) -> Timebase:
    """When the frames of a recording are shown, without looking at their pictures. Raises as `open_video`."""
    with open_video(path, fps) as stream:
        return Timebase(np.array([frame.time for frame in stream.pending()]))


def coded_by(path: Path) -> tuple[dict[str, Any], History]:
    """Header and history of another coder's journal. Raises AnnotationError."""
    header, acts = read_journal(path)
    found = events_of_header(path, header)
    shown = found if header.get("mode") == "open" else ()
    return header, history_of(path, header["frames"], shown, acts)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
