"""Intervals on the tiers of ELAN and Praat, and in the cues of WebVTT.

An interval counts if its text, or else the name of its tier, begins with a type (macro, micro, MaE, ME). The apex comes
from the tier `apex` (of a second set of tiers, `expression 2`, from `apex 2`), or from a text such as `apex 1.500 s`.
An apex that a correction has left outside its interval, or that is gone, is taken as not coded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ...errors import AnnotationError, one_line
from ..output.lanes import APEX, CONFIDENCE, EXPRESSION
from .own_records import MILLISECONDS, own_record, video_key, video_of_file, within
from .records import make_records, type_of_name
from .sheets import MAX_SECONDS
from .table_files import file_bytes

if TYPE_CHECKING:
    import pandas as pd

_APEX = re.compile(r"apex\s+(\d{1,7}(?:\.\d+)?)\s*s\b")
_MAX_BYTES = 16 << 20  # of such a file: an hour of coded speech makes one or two megabytes
_NUMBER = re.compile(r"\s(\d+)$")


@dataclass
class _Tiers:
    """What is on the tiers, in milliseconds. intervals: tier -> (onset, offset, text, what to call it in an error);
    apexes: tier -> moments."""

    path: Path
    video: str
    intervals: dict[str, list[tuple[int, int, str, str]]] = field(default_factory=dict)
    apexes: dict[str, list[int]] = field(default_factory=dict)

    def records(self, what: str) -> "pd.DataFrame":
        """Raises AnnotationError if nothing on the tiers is a type and none of them is for expressions."""
        rows = [
            row
            for tier, intervals in self.intervals.items()
            for onset, offset, text, where in intervals
            if (row := self._record(tier, onset, offset, text, where))
        ]
        if not rows and EXPRESSION not in self.intervals:
            raise AnnotationError(f"{self.path}: no {what} says macro or micro, neither by its text nor by its tier")
        return make_records(sorted(rows, key=lambda row: row["onset"]))

    def _record(self, tier: str, onset: int, offset: int, text: str, where: str) -> dict[str, Any] | None:
        kind = type_of_name(_first_word(text)) or type_of_name(_first_word(tier))
        if kind is None or tier.startswith(CONFIDENCE):
            return None
        if offset < onset:
            raise AnnotationError(f"{where}: offset {offset} ms is before the onset {onset} ms")
        if onset < 0 or offset > MAX_SECONDS * 1000:
            raise AnnotationError(f"{where}: {onset / 1000:g} to {offset / 1000:g} s is no time in a video")
        return own_record(self.video, "", onset, self._apex(tier, onset, offset, text), offset, kind, MILLISECONDS)

    def _apex(self, tier: str, onset: int, offset: int, text: str) -> int | None:
        lane = _NUMBER.search(tier)
        own = self.apexes.get(f"{APEX} {lane[1]}" if lane else APEX)
        moments = self.apexes.get(APEX, []) if own is None else own
        inside = [m for m in moments if within(m, onset, offset) is not None]
        if inside:
            # Where two intervals touch, the apex of the one before ends where this one begins.
            return next((m for m in inside if onset < m), inside[0])
        written = _APEX.search(text)
        return within(round(float(written[1]) * 1000), onset, offset) if written else None


def read_elan(path: str | Path) -> "pd.DataFrame":
    """Records of an ELAN file. The video is the linked medium, or the one that the file is named after.

    Raises AnnotationError if the file is no ELAN document, holds no expression or one that ends before it begins.
    """
    from pympi.Elan import Eaf

    path = Path(path)
    file_bytes(path, _MAX_BYTES)
    try:
        eaf = Eaf(path, suppress_version_warning=True)
    except Exception as error:  # pympi lets through whatever a document lacks; encodings raise LookupError, ValueError
        raise AnnotationError(f"{path}: not an ELAN file ({_reason(error)})") from error
    media = eaf.media_descriptors[0] if eaf.media_descriptors else {}
    # The absolute link first: a relative one is not quoted, so that a sign in a name may look like one of a URL.
    name = unquote((media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL") or "").rpartition("/")[2])
    tiers = _Tiers(path, video_key(name) if name else video_of_file(path.name))
    for tier, (aligned, _, _, _) in eaf.tiers.items():
        found = tiers.intervals.setdefault(tier, [])
        for identifier, (start, end, text, _) in aligned.items():
            where = f"{path}, tier {tier!r}, annotation {identifier!r}"
            onset, offset = (_slot(eaf.timeslots, slot, where) for slot in (start, end))
            if tier.startswith(APEX):
                tiers.apexes.setdefault(tier, []).append(onset)
            else:
                found.append((onset, offset, text, where))
    return tiers.records("annotation")


def read_textgrid(path: str | Path) -> "pd.DataFrame":
    """Records of a Praat TextGrid, long or short; the video is the one that the file is named after.

    Raises AnnotationError if the file is no TextGrid or holds no expression.
    """
    from praatio import textgrid

    path = Path(path)
    file_bytes(path, _MAX_BYTES)
    try:
        grid = textgrid.openTextgrid(
            str(path), includeEmptyIntervals=False, reportingMode="silence", duplicateNamesMode="rename"
        )
    except Exception as error:  # praatio parses by splitting: what is missing raises what that raises
        raise AnnotationError(f"{path}: not a TextGrid ({_reason(error)})") from error
    tiers = _Tiers(path, video_of_file(path.name))
    for tier in grid.tiers:
        if isinstance(tier, textgrid.PointTier):
            tiers.apexes[tier.name] = [round(point.time * 1000) for point in tier.entries]
            continue
        tiers.intervals[tier.name] = [
            (round(i.start * 1000), round(i.end * 1000), i.label, f"{path}, tier {tier.name!r}, interval {number}")
            for number, i in enumerate(tier.entries, 1)
        ]
    return tiers.records("interval")


def _reason(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")


def read_webvtt(path: str | Path) -> "pd.DataFrame":
    """Records of WebVTT cues; the video is the one that the file is named after.

    Raises AnnotationError if the file is no WebVTT. One without a cue has no expression.
    """
    import webvtt

    path = Path(path)
    file_bytes(path, _MAX_BYTES)
    try:
        captions = webvtt.read(str(path)).captions
    except Exception as error:
        raise AnnotationError(f"{path}: not a WebVTT file ({_reason(error)})") from error
    tiers = _Tiers(path, video_of_file(path.name))
    cues = [
        (cue.start_time.in_milliseconds(), cue.end_time.in_milliseconds(), cue.text, f"{path}, cue {number}")
        for number, cue in enumerate(captions, 1)
    ]
    # One without cues says that nothing was found.
    tiers.intervals["cues" if cues else EXPRESSION] = cues
    return tiers.records("cue")


def _slot(slots: Mapping[str, int | None], reference: str, where: str) -> int:
    value = slots.get(reference)
    if value is None:
        raise AnnotationError(f"{where}: its end {reference!r} has no time")
    return value


def _first_word(text: str) -> str:
    return next(iter(text.split()), "")
