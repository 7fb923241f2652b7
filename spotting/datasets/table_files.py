"""Tables of one's own, whatever they are stored as, as sheets of cells that know where they stand."""

import csv
import io
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import AnnotationError, one_line
from ..output.cells import unguarded
from ..result import COLUMNS
from .sheets import HEADER_SEARCH_ROWS, MAX_ROWS, Sheet, read_workbook

WORKBOOKS = (".xlsx", ".xlsm", ".xls")
TEXT_TABLES = (".csv", ".tsv", ".txt")
MAX_FILE_BYTES = 64 << 20
_DELIMITERS = ",;\t"


def read_sheet(path: Path, headings: Collection[str]) -> Sheet:
    """The table in a CSV or TSV file, an Excel workbook, a Parquet file or a JSON document.

    headings: names of columns, in lower case, by which the header and, in text, the delimiter is found. Raises
    AnnotationError for a file that does not exist or is none of these.
    """
    suffix = path.suffix.lower()
    if suffix in WORKBOOKS:
        sheets = [sheet_without_guards(sheet) for sheet in read_workbook(path).values()]
        return max(sheets, key=lambda sheet: named_columns(sheet, headings), default=Sheet(path, "", []))
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix == ".json":
        return _read_json(path)
    return _read_text(path, headings)


def named_columns(sheet: Sheet, headings: Collection[str]) -> int:
    """The most cells of one of the first rows that are names of columns."""
    return max((_known(row, headings) for row in sheet.rows[:HEADER_SEARCH_ROWS]), default=0)


def sheet_without_guards(sheet: Sheet) -> Sheet:
    """The sheet with texts as they were before they were guarded against being taken for formulas."""
    rows = [[unguarded(v) if isinstance(v, str) else v for v in row] for row in sheet.rows]
    return Sheet(sheet.file, sheet.name, rows)


def file_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 with its mark, or the code page 1252 of Excel's "CSV".

    Raises AnnotationError if there is no such file, or it is none or a huge one.
    """
    data = file_bytes(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig"] if b"\0" in data else ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise AnnotationError(f"{path}: not a text file in UTF-8")


def file_bytes(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """Raises AnnotationError if there is no such file, it cannot be read or is larger than any list of expressions."""
    if not path.is_file():
        raise AnnotationError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise AnnotationError(f"{path}: {error.strerror}") from error
    if len(data) > limit:
        raise AnnotationError(f"{path}: larger than {limit >> 20} MB, which is no list of expressions")
    return data


def _read_text(path: Path, headings: Collection[str]) -> Sheet:
    text = file_text(path)
    top = text[:100_000].splitlines()[:HEADER_SEARCH_ROWS]
    choices = [(_known(re.split(re.escape(d), line), headings), d) for line in top for d in _DELIMITERS]
    delimiter = max(choices, key=lambda choice: choice[0], default=(0, ","))[1]
    rows: list[Sequence[Any]] = []
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in table:
            if len(rows) == MAX_ROWS:
                raise AnnotationError(f"{path}: more than {MAX_ROWS} rows")
            rows.append(row)
    except csv.Error as error:
        raise AnnotationError(f"{path}, line {table.line_num}: {error}") from error
    return sheet_without_guards(Sheet(path, "", rows))


def _known(cells: Sequence[Any], headings: Collection[str]) -> int:
    return sum(str(cell).strip().strip('"').lower() in headings for cell in cells if cell is not None)


def _read_parquet(path: Path) -> Sheet:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise AnnotationError(f"{path}: reading .parquet needs pyarrow: pip install 'facespot[tables]'") from None
    data = file_bytes(path)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        metadata = file.metadata
        groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        if metadata.num_rows > MAX_ROWS or sum(groups) > MAX_FILE_BYTES:
            raise AnnotationError(
                f"{path}: holds {metadata.num_rows} rows, {sum(groups) / 1e6:.0f} MB unpacked: too many"
            )
        table = file.read()
        return Sheet(path, "", [table.column_names, *zip(*(c.to_pylist() for c in table.columns), strict=True)])
    except AnnotationError:
        raise
    except Exception as error:  # pyarrow raises its own, OSError and what its decoders do
        raise AnnotationError(f"{path}: not a Parquet file, or a damaged one ({one_line(error)})") from error


def _read_json(path: Path) -> Sheet:
    """facespot's document, or a list of objects with a row's columns as keys."""
    try:
        document = json.loads(file_text(path))
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not a JSON document ({error})") from error
    common: dict[str, Any] = {}
    columns: tuple[str, ...] = ()
    entries = document
    if isinstance(document, Mapping):
        # A document without spots has the columns all the same.
        entries, columns = document.get("spots"), COLUMNS
        common = {"video": document["video"]} if isinstance(document.get("video"), str) else {}
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise AnnotationError(f"{path}: neither a document of facespot (with a list 'spots') nor a list of objects")
    if len(entries) > MAX_ROWS:
        raise AnnotationError(f"{path}: more than {MAX_ROWS} entries")
    header = list(dict.fromkeys([*common, *columns, *(name for entry in entries for name in entry)]))
    return Sheet(path, "", [header, *([(common | dict(entry)).get(name) for name in header] for entry in entries)])
