"""facespot's own tables as data frames."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from ..columns import DESCRIBED, typed_frame
from .table_files import read_sheet

if TYPE_CHECKING:
    import pandas as pd


def read_spots(path: str | Path) -> "pd.DataFrame":
    """A table that facespot wrote (CSV, TSV, Excel, Parquet or JSON), with the types of `SpotResult.to_frame`.

    A CSV file does not tell types, and pandas makes objects of the columns of an empty one. Names that a spreadsheet
    would compute are guarded by an apostrophe, which is gone here. Raises AnnotationError.
    """
    sheet = read_sheet(Path(path), frozenset(DESCRIBED))
    needed = {name: (name,) for name in ("type", "onset_s", "offset_s")}
    top, _ = sheet.header(needed)
    # JSON also holds what is no cell, such as the whole explanation of a row.
    columns = [str(name) for name in sheet.rows[top - 1]]
    rows = [
        {name: None if value == "" else value for name, value in zip(columns, row, strict=False)}
        for row in sheet.rows[top:]
    ]
    try:
        return typed_frame(rows, [name for name in columns if name in DESCRIBED])
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{path}: {error}") from error
