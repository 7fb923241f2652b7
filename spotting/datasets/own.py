"""One's own recordings: lists of timestamps, and what facespot, ELAN, Praat, BORIS and BIDS write, corrected or not."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from . import boris, interval_tables
from .boris import boris_records
from .interval_tables import Rate, interval_records
from .table_files import TEXT_TABLES, WORKBOOKS, named_columns, read_sheet
from .tiers import read_elan, read_textgrid, read_webvtt

if TYPE_CHECKING:
    import pandas as pd

_READERS: dict[str, Callable[[Path], "pd.DataFrame"]] = {
    ".eaf": read_elan,
    ".textgrid": read_textgrid,
    ".vtt": read_webvtt,
}
_TABLES = (*TEXT_TABLES, *WORKBOOKS, ".json", ".parquet")


def read_own(path: str | Path, fps: Rate = None) -> "pd.DataFrame":
    """Records of one file, told apart by its ending and, where that is a table's, by its columns.

    ELAN `.eaf`, Praat `.TextGrid`, WebVTT `.vtt`; tables as CSV, TSV, Excel, Parquet or JSON: a row per expression or
    per moment (`interval_tables`), or BORIS events (`boris`). fps: frame rate, or frame rate per video, of a list that
    counts frames. Raises AnnotationError.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is not None:
        return reader(path)
    if path.suffix.lower() not in _TABLES:
        raise AnnotationError(f"{path}: no annotations end like this, but in {', '.join([*_READERS, *_TABLES])}")
    sheet = read_sheet(path, interval_tables.HEADINGS | boris.HEADINGS)
    if named_columns(sheet, {boris.BEHAVIOR}):
        return boris_records(sheet)
    return interval_records(sheet, fps)
