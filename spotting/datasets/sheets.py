"""Cells of coding sheets, read so that whatever is wrong is named by file, sheet, row and column."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import AnnotationError

HEADER_SEARCH_ROWS = 40


@dataclass(frozen=True)
class Cell:
    """One cell and where it stands. column: 1-based number; heading: what the column holds; sheet "" for CSV files."""

    value: Any
    file: Path
    sheet: str
    row: int
    column: int
    heading: str

    @property
    def empty(self) -> bool:
        return self.value is None or (isinstance(self.value, str) and not self.value.strip())

    def error(self, problem: str) -> AnnotationError:
        """The error to raise about this cell."""
        sheet = f", sheet {self.sheet!r}" if self.sheet else ""
        place = f"row {self.row}, column {column_letter(self.column)} ({self.heading})"
        return AnnotationError(f"{self.file}{sheet}, {place}: {problem}")

    def text(self) -> str:
        """The cell as text without blanks around it; whole numbers without a point. Raises AnnotationError if empty."""
        if self.empty:
            raise self.error("is empty")
        if isinstance(self.value, float) and self.value.is_integer():
            return str(int(self.value))
        return str(self.value).strip()

    def number(self, what: str = "a number") -> float:
        """A finite number, also when the sheet stores it as text; raises AnnotationError otherwise."""
        if self.empty:
            raise self.error(f"is empty, {what} is needed")
        try:
            number = float("nan") if isinstance(self.value, bool) else float(self.value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise self.error(f"{self.value!r} is not {what}")
        return number

    def frame(self) -> int:
        """A frame number, rounded to the nearest whole one (sheets store some as 566.4000000000001)."""
        return round(self.number("a frame number"))


@dataclass(frozen=True)
class Row:
    """One row of a table: `row["onset"]` is the cell under that heading."""

    cells: dict[str, Cell]

    def __getitem__(self, heading: str) -> Cell:
        return self.cells[heading]

    def __contains__(self, heading: str) -> bool:
        return heading in self.cells


@dataclass(frozen=True)
class Sheet:
    """One worksheet (or CSV file): its rows as they are stored, row 1 first."""

    file: Path
    name: str
    rows: Sequence[Sequence[Any]]

    def fixed(self, headings: Sequence[str]) -> Iterator[Row]:
        """Rows of a sheet without a header; the columns are `headings`, in order. Empty rows are passed over."""
        return self._rows(0, {heading: column for column, heading in enumerate(headings)})

    def headed(self, aliases: dict[str, Sequence[str]], optional: Sequence[str] = ()) -> Iterator[Row]:
        """Rows below the header row, which is searched for: heading -> names it may have in the file, in any case.

        Raises AnnotationError if no row has all the headings that are not `optional`.
        """
        needed = [heading for heading in aliases if heading not in optional]
        best: list[str] = needed
        for number, values in enumerate(self.rows[:HEADER_SEARCH_ROWS]):
            names = [str(v).strip().lower() if v is not None else "" for v in values]
            columns = {}
            for heading, known in aliases.items():
                column = next((names.index(k.lower()) for k in known if k.lower() in names), None)
                if column is not None:
                    columns[heading] = column
            missing = [heading for heading in needed if heading not in columns]
            if not missing:
                return self._rows(number + 1, columns)
            if len(missing) < len(best):
                best = missing
        sheet = f", sheet {self.name!r}" if self.name else ""
        wanted = ", ".join(aliases[heading][0] for heading in best)
        raise AnnotationError(
            f"{self.file}{sheet}, rows 1-{min(HEADER_SEARCH_ROWS, len(self.rows))}: no header row, "
            f"column missing: {wanted}"
        )

    def _rows(self, first: int, columns: dict[str, int]) -> Iterator[Row]:
        for number, values in enumerate(self.rows[first:], first + 1):
            row = Row(
                {
                    heading: Cell(
                        values[column] if column < len(values) else None,
                        self.file,
                        self.name,
                        number,
                        column + 1,
                        heading,
                    )
                    for heading, column in columns.items()
                }
            )
            if not all(cell.empty for cell in row.cells.values()):
                yield row


def read_workbook(path: str | Path) -> dict[str, Sheet]:
    """All worksheets of an .xlsx file by name, in order; formulas as the value that was stored with them.

    Raises AnnotationError where openpyxl is not installed, the file does not exist or is no .xlsx workbook.
    """
    path = Path(path)
    try:
        import openpyxl
    except ImportError:
        raise AnnotationError(f"{path}: reading .xlsx needs openpyxl, install facespot[datasets]") from None
    if not path.is_file():
        raise AnnotationError(f"{path}: no such file")
    try:
        workbook = openpyxl.load_workbook(path, data_only=True, read_only=True)
    except Exception as error:  # openpyxl lets zip, XML and key errors through
        raise AnnotationError(f"{path}: not an .xlsx workbook, save it as one ({error})") from error
    try:
        return {
            sheet.title: Sheet(path, sheet.title, list(sheet.iter_rows(values_only=True)))
            for sheet in workbook.worksheets
        }
    finally:
        workbook.close()


def column_letter(column: int) -> str:
    """Spreadsheet letter of a 1-based column: 1 -> A, 27 -> AA."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
