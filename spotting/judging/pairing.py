"""Two tables of intervals on one axis: which videos are the same, in what unit they are compared, and what looks wrong.

The unit is the frame of the annotations where they count frames, so that an inclusive end is one of their frames long
and knowing a frame rate changes nothing; predictions of another rate, or in seconds, are brought to it. Annotations in
seconds are compared in milliseconds.

Videos go by their path without the ending, by the file name alone where that is unambiguous, and by the names of the
public data sets (`names.public_name`). Annotations that name no video are those of the only predicted one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...errors import AnnotationError
from ..datasets.names import public_name
from ..intervals import Interval, iou_matrix
from .metrics import HIT_IOU, VideoIntervals
from .tables import IntervalTable, TableRow, VideoFacts

Unit = Literal["frames", "milliseconds"]
Absent = Literal["missed", "left-out"]

# Rates are written rounded (30 for 29.97); the next one in use is 4 % away (24 and 25).
_SAME_RATE = 0.02
_RATES = (24, 25, 30, 50, 60, 100, 120, 200)
_NAMED = 5  # videos in one sentence
# Fewer hits than this part of what there could be, and another rate is tried.
_FEW_HITS = 0.1
_ENOUGH = 5


@dataclass(frozen=True)
class Pairing:
    """One entry per video of either table, in order of name.

    names: of the videos, in that order. coverage: part of the annotated videos that the predictions speak of. absent:
    the others, whether counted or left out. unannotated: predicted videos that no annotation names. notes: sentences on
    all of it, and on what looks like a mistake; none where all is well.
    """

    videos: tuple[VideoIntervals, ...]
    names: tuple[str, ...]
    unit: Unit
    coverage: float
    absent: tuple[str, ...]
    unannotated: tuple[str, ...]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        """For the report, JSON-serialisable."""
        coverage = {"coverage": self.coverage, "absent": list(self.absent), "unannotated": list(self.unannotated)}
        return {**coverage, "notes": list(self.notes)}


def pair_tables(
    predicted: IntervalTable, truth: IntervalTable, absent: Absent = "missed", lacking: str = "predictions"
) -> Pairing:
    """absent: whether annotated videos of which the predictions do not speak count as missed or are left out. lacking:
    what those are without, for the notes.

    Videos without annotations count with all their false alarms, for the subject whose they are if anybody says so.
    Raises AnnotationError if the tables have no unit or no video in common, or hold nothing at all.
    """
    claims = _by_video(predicted)
    if list(truth.videos) == [""] and len(claims) == 1:
        rows = tuple(replace(row, video=next(iter(claims))) for row in truth.rows)
        truth = replace(truth, rows=rows, videos={next(iter(claims)): truth.videos[""]})
    facts = _by_video(truth)
    if not claims and not facts:
        raise AnnotationError("both tables are empty")
    names = _same_names(list(claims), list(facts))
    if claims and facts and not set(names.values()) & set(facts):
        raise AnnotationError(
            f"no video is in both tables: predicted {min(claims)!r} ..., annotated {min(facts)!r} ..."
        )
    answered: dict[str, list[TableRow]] = {}
    about: dict[str, list[VideoFacts]] = {}
    for video, rows in claims.items():
        answered.setdefault(names[video], []).extend(rows)
        about.setdefault(names[video], []).append(predicted.videos[video])
    rates = _rates(answered, truth)
    unit = _unit(predicted.rows, truth.rows, {video: rates[name] for video, name in names.items()})
    missing = sorted(set(facts) - set(answered))
    judged = sorted(set(answered) | (set(facts) if absent == "missed" else set()))
    subjects = _subjects(judged, truth, {v: about.get(v, ()) for v in judged})
    videos, beyond = [], []
    for video in judged:
        lengths = [truth.videos.get(video, VideoFacts()), *about.get(video, ())]
        rate = rates.get(video) if unit == "frames" else 1000.0
        entry, reached = _entry(facts.get(video, []), answered.get(video, []), lengths, unit, rate)
        videos.append(replace(entry, subject=subjects[video]))
        if reached is not None:
            beyond.append(f"{video} ({reached})")
    unannotated = sorted(set(answered) - set(facts))
    notes = [
        *_notes(predicted, truth),
        *_about_videos(unannotated, "predicted and not annotated: what is found in them counts as false alarms"),
        *_about_videos(
            missing,
            f"annotated and without {lacking}, so that {len(set(facts) & set(answered))} of {len(facts)} are covered: "
            + ("all their expressions count as missed" if absent == "missed" else "left out, as if there were no such"),
        ),
        *_about_videos(beyond, "with intervals beyond the length that a table gives"),
        *_rate_note(videos),
    ]
    coverage = 1.0 - len(missing) / len(facts) if facts else 1.0
    return Pairing(tuple(videos), tuple(judged), unit, coverage, tuple(missing), tuple(unannotated), tuple(notes))


def _by_video(table: IntervalTable) -> dict[str, list[TableRow]]:
    found: dict[str, list[TableRow]] = {video: [] for video in table.videos}
    for row in table.rows:
        found[row.video].append(row)
    return found


def _same_names(claimed: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Predicted video -> its name in the annotations, or its own where they have none for it."""

    def last(video: str) -> str:
        return video.rpartition("/")[2]

    def public(video: str) -> str | None:
        found = public_name(video)
        return None if found is None else "/".join((found.dataset, found.video))

    names = {}
    for video in claimed:
        names[video] = video
        if video in known:
            continue
        for key in (last, public):
            same = [k for k in known if key(k) is not None and key(k) == key(video)]
            if len(same) == 1:
                names[video] = same[0]
                break
    return names


def _rates(videos: Iterable[str], truth: IntervalTable) -> dict[str, float | None]:
    """Video -> frame rate of its annotations, or the one that all annotations have where it has none itself."""
    told = {video: fact.fps for video, fact in truth.videos.items()}
    common = set(told.values())
    return dict.fromkeys(videos, next(iter(common)) if len(common) == 1 else None) | told


def _unit(predicted: Iterable[TableRow], truth: Iterable[TableRow], rates: Mapping[str, float | None]) -> Unit:
    """rates: predicted video -> frame rate of its annotations."""
    predicted, truth = list(predicted), list(truth)
    if all(row.frames for row in truth) and all(row.frames or rates.get(row.video) for row in predicted):
        return "frames"
    if all(row.seconds for row in (*predicted, *truth)):
        return "milliseconds"
    raise AnnotationError("one table counts frames and the other seconds; tell the frame rate (--fps)")


def _entry(
    known: Sequence[TableRow],
    said: Sequence[TableRow],
    lengths: Iterable[VideoFacts],
    unit: Unit,
    rate: float | None,
) -> tuple[VideoIntervals, str | None]:
    """One video on the axis, `rate` units a second, and a few words where its intervals lie beyond its length. lengths:
    what is known of that, the first counts."""
    without_apex = set()

    def interval(row: TableRow) -> Interval:
        onset, apex, offset = _on_axis(row, unit, rate)
        made = Interval(
            onset,
            min(max((onset + offset) // 2 if apex is None else apex, onset), offset),
            offset,
            row.type,
            1.0 if row.confidence is None else row.confidence,
        )
        if apex is None:
            without_apex.add(made)
        return made

    truth, predicted = ([interval(row) for row in rows] for rows in (known, said))
    length = next((n for fact in lengths if (n := _length(fact, unit, rate)) is not None), None)
    beyond = None
    last = max((i.offset for i in (*truth, *predicted)), default=-1)
    if length is not None and last >= length:
        # Tables whose first frame is number 1 end at the number of frames.
        if last > length:
            beyond = f"{last} of {length} {unit}"
        length = last + 1
    return VideoIntervals(truth, predicted, n_ticks=length, without_apex=frozenset(without_apex)), beyond


def _on_axis(row: TableRow, unit: Unit, rate: float | None) -> tuple[int, int | None, int]:
    """Onset, apex and offset in frames of `rate` a second (None: the row's own frames), or in milliseconds."""
    if unit == "frames" and row.frames and _counts_at(row, rate):
        return row.frames
    return tuple(None if s is None else round(s * rate) for s in row.seconds)


def _counts_at(row: TableRow, rate: float | None) -> bool:
    """Whether a row's frames are counted at this rate, as far as anybody can tell."""
    told = row.fps
    if told is None and row.seconds and row.seconds[2] > 0:
        told = row.frames[2] / row.seconds[2]
        # Short times, rounded to whole frames and milliseconds, say little about a rate.
        slack = _SAME_RATE + 1.0 / max(row.frames[2], 1)
    else:
        slack = _SAME_RATE
    return row.seconds is None or rate is None or told is None or abs(told / rate - 1.0) < slack


def _length(fact: VideoFacts, unit: Unit, rate: float | None) -> int | None:
    if fact.n_frames is None:
        return None
    if unit == "frames" and (rate is None or fact.fps is None or abs(fact.fps / rate - 1.0) < _SAME_RATE):
        return fact.n_frames
    return None if fact.fps is None else round(fact.n_frames / fact.fps * rate)


def _subjects(videos: Iterable[str], truth: IntervalTable, about: Mapping[str, Sequence[VideoFacts]]) -> dict[str, str]:
    """Whose each video is. Annotations that name subjects name all there are: of other videos the predictions may know,
    or the names of the public data sets, and else nobody does (""). Where they name none, every video is its own."""
    named = {fact.subject for fact in truth.videos.values() if fact.subject}
    found = {}
    for video in videos:
        fact = truth.videos.get(video)
        told = fact.subject if fact else next((a.subject for a in about[video] if a.subject), "")
        if not told and (public := public_name(video)) and public.subject in named:
            told = public.subject
        found[video] = told or ("" if named else video)
    return found


def _notes(predicted: IntervalTable, truth: IntervalTable) -> list[str]:
    notes = [f"left out: {row}" for row in (*predicted.left_out, *truth.left_out)] + [*predicted.notes, *truth.notes]
    if not predicted.rows:
        notes.append("the predictions hold no interval, so that every expression is missed")
    if not truth.rows:
        notes.append("the annotations hold no interval, so that every prediction is a false alarm")
    if predicted.rows and truth.rows:
        confident = [any(row.confidence is not None for row in table.rows) for table in (predicted, truth)]
        by_subject = [any(row.subject for row in table.rows) for table in (predicted, truth)]
        if confident == [False, True]:
            notes.append("the annotations tell confidences and the predictions none: are the two tables swapped?")
        elif by_subject == [True, False] and not any(confident):
            notes.append("the predictions name subjects and the annotations none: are the two tables swapped?")
    twice = len(truth.rows) - len({(r.video, r.type, r.seconds, r.frames) for r in truth.rows})
    if twice:
        notes.append(f"annotated more than once, and to be found as often: {twice} intervals")
    return notes


def _about_videos(videos: Sequence[str], what: str) -> list[str]:
    if not videos:
        return []
    named = ", ".join(videos[:_NAMED]) + (", ..." if len(videos) > _NAMED else "")
    return [f"{len(videos)} {'videos' if len(videos) > 1 else 'video'} {what}: {named}"]


def _rate_note(videos: Sequence[VideoIntervals]) -> list[str]:
    """A sentence if the predictions fit several times better on a clock of another rate. It changes no count."""
    both = [v for v in videos if v.truth and v.predicted]
    possible = sum(min(len(v.truth), len(v.predicted)) for v in both)

    def hits(factor: float) -> int:
        def moved(i: Interval) -> Interval:
            onset, offset = round(i.onset * factor), round(i.offset * factor)
            return Interval(onset, onset, offset, i.type)

        matrices = (iou_matrix(v.truth, [moved(p) for p in v.predicted]) for v in both)
        return sum(int((m.max(axis=1) >= HIT_IOU).sum()) for m in matrices)

    now = hits(1.0)
    if possible < _ENOUGH or now > _FEW_HITS * possible:
        return []
    ratios = {a / b: (b, a) for a in _RATES for b in _RATES if a != b}
    best, factor = max((hits(ratio), ratio) for ratio in sorted(ratios))
    if best < max(_ENOUGH, 4 * now, int(np.ceil(2 * _FEW_HITS * possible))):
        return []
    return [
        f"times {factor:.3g}, as from {ratios[factor][0]} to {ratios[factor][1]} frames a second, the predictions meet "
        f"{best} annotations instead of {now}: is the frame rate (--fps) right?"
    ]
