"""Cells of text tables that no spreadsheet takes for a formula."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..result import SpotResult

# Excel and LibreOffice compute what begins like this, also where a CSV file says it
# (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def guarded(text: str) -> str:
    """The text with an apostrophe before it, if a spreadsheet would compute it; `unguarded` takes that away again."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text as it was before `guarded`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def cell(value: Any) -> Any:
    """A value as text tables hold it: three decimals, nothing for what is missing, no formulas."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return guarded(value) if isinstance(value, str) else value


def columns_and_rows(result: "SpotResult") -> tuple[list[str], list[dict[str, Any]]]:
    """The table of a result; its columns are those it always has, and what some row has beside them."""
    rows = result.rows()
    return list(dict.fromkeys([*result.columns, *(name for row in rows for name in row)])), rows


def delimited(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], delimiter: str = ",") -> str:
    """A text table with a header; a column that a row lacks is empty there."""
    text = io.StringIO()
    table = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow([cell(row.get(name)) for name in columns])
    return text.getvalue()


def unicode_text(text: str) -> str:
    """The text with replacement characters for bytes that are not Unicode, for formats that hold nothing else."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
