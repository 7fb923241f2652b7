"""Cells of coding sheets, read so that whatever is wrong is named by file, sheet, row and column."""

import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import AnnotationError, one_line

HEADER_SEARCH_ROWS = 40
MAX_ROWS = 100_000
MAX_COLUMNS = 256  # those further to the right are not read
# Uncompressed bytes of a workbook: of sheets and their texts, and of any other part, which openpyxl holds as objects.
# SAMM-LV's workbook has 0.3 MB in all.
_MAX_SHEET_BYTES = 32 << 20
_MAX_PART_BYTES = 1 << 20
_MAX_PARTS = 1000
_MAX_SHEETS = 32
# Longer than any recording: about eleven days, and as many frames as 100 a second make in that time.
MAX_SECONDS = 1e6
MAX_FRAME = 100_000_000
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")


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
        """A finite number, also when the sheet stores it as text, with a point or a decimal comma; raises
        AnnotationError otherwise."""
        if self.empty:
            raise self.error(f"is empty, {what} is needed")
        value = self.value
        if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()):
            value = value.replace(",", ".")
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.error(f"{self.value!r} is not {what}")
        return number

    def frame(self) -> int:
        """A frame number, rounded to the nearest whole one (sheets store some as 566.4000000000001)."""
        number = self.number("a frame number")
        if abs(number) > MAX_FRAME or (isinstance(self.value, str) and _THOUSANDS.fullmatch(self.value.strip())):
            raise self.error(f"{self.value!r} is not a frame number")
        return round(number)

    def seconds(self) -> float:
        """A time from the beginning of the video; raises AnnotationError where no video has such a one."""
        seconds = self.number("a time in seconds")
        if seconds < 0:
            raise self.error(f"{seconds:g} s is before the video begins")
        if seconds > MAX_SECONDS:
            raise self.error(f"{seconds:g} s is no time in a video")
        return seconds


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
        return self._rows(*self.header(aliases, optional))

    def header(self, aliases: dict[str, Sequence[str]], optional: Sequence[str] = ()) -> tuple[int, dict[str, int]]:
        """How many rows there are up to the header, that included, and heading -> column of those that it has.

        Arguments and error as of `headed`.
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
                return number + 1, columns
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

    Raises AnnotationError where openpyxl is not installed, the file does not exist, is no .xlsx workbook, is damaged or
    holds more than any coding sheet does: what it would unpack to is known before anything is unpacked.
    """
    path = Path(path)
    try:
        import openpyxl
    except ImportError:
        raise AnnotationError(f"{path}: reading .xlsx needs openpyxl: pip install 'facespot[tables]'") from None
    if not path.is_file():
        raise AnnotationError(f"{path}: no such file")
    try:
        _check_size(path)
        workbook = openpyxl.load_workbook(path, data_only=True, read_only=True, keep_links=False)
        try:
            if len(workbook.worksheets) > _MAX_SHEETS:
                raise AnnotationError(f"{path}: more than {_MAX_SHEETS} sheets")
            return {sheet.title: Sheet(path, sheet.title, _rows_of(sheet, path)) for sheet in workbook.worksheets}
        finally:
            workbook.close()
    except AnnotationError:
        raise
    except Exception as error:  # openpyxl lets zip, XML and key errors through, while opening and while reading
        reason = one_line(error)
        raise AnnotationError(f"{path}: not an .xlsx workbook, or a damaged one; save it as one ({reason})") from error


def _check_size(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    cells = {part.filename for part in parts if re.search(r"worksheets/|sharedStrings", part.filename)}
    most = max((part.file_size for part in parts if part.filename not in cells), default=0)
    total = sum(part.file_size for part in parts if part.filename in cells)
    if len(parts) > _MAX_PARTS or most > _MAX_PART_BYTES or total > _MAX_SHEET_BYTES:
        raise AnnotationError(f"{path}: unpacks to more than a coding sheet can hold ({total / 1e6:.0f} MB of cells)")


def _rows_of(sheet: Any, path: Path) -> list[tuple[Any, ...]]:
    """Rows of an openpyxl worksheet without the empty cells at their ends."""
    rows = []
    for row in sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS):
        if len(rows) == MAX_ROWS:
            raise AnnotationError(f"{path}, sheet {sheet.title!r}: more than {MAX_ROWS} rows")
        filled = max((column for column, value in enumerate(row, 1) if value is not None), default=0)
        rows.append(row[:filled])
    return rows


def column_letter(column: int) -> str:
    """Spreadsheet letter of a 1-based column: 1 -> A, 27 -> AA."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
