"""Tables of what was shown when: `stimulus`, `start` and `end` in seconds, and perhaps `video`."""

from pathlib import Path

from ...errors import AnnotationError
from ..stimuli import Stimulus
from .table_files import read_sheet

_NAMES = {
    "stimulus": ("stimulus", "condition", "segment", "trial_type", "name"),
    "start": ("start", "start_s", "onset"),
    "end": ("end", "end_s", "offset"),
    "duration": ("duration",),
    "video": ("video", "file", "clip"),
}
_HEADINGS = frozenset(name for names in _NAMES.values() for name in names)


def read_stimuli(path: str | Path) -> tuple[Stimulus, ...]:
    """A CSV, TSV, Excel, Parquet or JSON table of stimuli, in order of time; also a BIDS events.tsv, whose `onset` and
    `duration` say the same. Without a column `video` they hold for every recording.

    Raises AnnotationError with row and column.
    """
    sheet = read_sheet(Path(path), _HEADINGS)
    _, columns = sheet.header(_NAMES, ("end", "duration", "video"))
    if not columns.keys() & {"end", "duration"}:
        raise AnnotationError(f"{path}: column missing: end (or duration)")
    stimuli = []
    for row in sheet.headed(_NAMES, ("end", "duration", "video")):
        start = row["start"].seconds()
        last = row["end"] if "end" in row else row["duration"]
        end = last.seconds() + (0.0 if "end" in row else start)
        video = row["video"].text() if "video" in row and not row["video"].empty else ""
        try:
            stimuli.append(Stimulus(start, end, row["stimulus"].text(), video))
        except ValueError as error:
            raise last.error(str(error)) from None
    if not stimuli:
        raise AnnotationError(f"{path}: holds no stimulus")
    return tuple(sorted(stimuli))
