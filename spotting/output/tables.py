"""Tables with a row per expression: CSV, TSV, Parquet and Excel, all with the columns of `SpotResult.rows()`."""

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from ..columns import DESCRIBED, Column
from ..result import SpotResult
from .cells import columns_and_rows, delimited, guarded, unicode_text
from .documents import account

# Workbooks carry a date; a fixed one keeps equal results equal, byte for byte.
_DATE = datetime(1980, 1, 1)
_WIDEST = 60  # characters of a column in a workbook


def render_csv(result: SpotResult, path: Path) -> str:
    """Header and one line per spot; seconds and confidence to three decimals."""
    return delimited(*columns_and_rows(result))


def render_tsv(result: SpotResult, path: Path) -> str:
    """The same with tabs."""
    return delimited(*columns_and_rows(result), delimiter="\t")


def render_parquet(result: SpotResult, path: Path) -> bytes:
    """Typed columns, exact numbers; how the result came about is in the file's metadata under "facespot", as JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "real": pa.float64(), "whole": pa.int64()}
    columns, rows = columns_and_rows(result)
    arrays = {}
    for name in columns:
        values = [_unicode(row.get(name)) for row in rows]
        arrays[name] = pa.array(values, types[DESCRIBED[name].kind] if name in DESCRIBED else None)
    table = pa.table(arrays).replace_schema_metadata(
        {"facespot": json.dumps(account(result)).encode("utf-8", "replace")}
    )
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


def render_xlsx(result: SpotResult, path: Path) -> bytes:
    """A sheet "spots" with numbers as numbers and a header that stays in view, and a sheet that explains the columns.

    Nothing in it is a formula or a link.
    """
    import xlsxwriter

    columns, rows = columns_and_rows(result)
    content = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(content, options) as book:
        book.set_properties({"created": _DATE})
        bold, seconds = book.add_format({"bold": True}), book.add_format({"num_format": "0.000"})
        spots, legend = book.add_worksheet("spots"), book.add_worksheet("columns")
        spots.freeze_panes(1, 0)
        spots.autofilter(0, 0, len(rows), len(columns) - 1)
        for c, name in enumerate(columns):
            spots.write_string(0, c, name, bold)
            for r, row in enumerate(rows, 1):
                value = row.get(name)
                if isinstance(value, str):
                    spots.write_string(r, c, guarded(unicode_text(value)))
                elif value is not None:
                    spots.write_number(r, c, value, seconds if isinstance(value, float) else None)
            longest = max((len(str(row.get(name))) for row in rows if isinstance(row.get(name), str)), default=0)
            spots.set_column(c, c, min(max(longest, len(name)) + 2, _WIDEST))
        legend.set_column(0, 1, 14)
        legend.set_column(2, 2, 2 * _WIDEST)
        lines = [("column", "unit", "meaning"), *(_explained(name) for name in columns)]
        for r, line in enumerate(lines):
            for c, text in enumerate(line):
                legend.write_string(r, c, text, None if r else bold)
    return content.getvalue()


def _explained(name: str) -> tuple[str, str, str]:
    column = DESCRIBED.get(name, Column("text", ""))
    levels = "; ".join(f"{level}: {meaning}" for level, meaning in column.levels.items())
    return name, column.units, f"{column.description} ({levels})" if levels else column.description


def _unicode(value: Any) -> Any:
    return unicode_text(value) if isinstance(value, str) else value
