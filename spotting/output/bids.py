"""BIDS events (https://bids-specification.readthedocs.io): `events.tsv`, and the JSON sidecar that tells what is in it.

`onset` and `duration` are seconds and `trial_type` is the type, as BIDS has it; the other columns of a result follow.
"""

import json
import re
from pathlib import Path
from typing import Any

from ...version import __version__
from ..columns import DESCRIBED, Column
from ..result import SpotResult
from .cells import cell, columns_and_rows

# Columns of a result -> where BIDS has the same.
_SAID = {"onset_s", "offset_s", "type"}
_MISSING = "n/a"
_OWN = {
    "onset": Column("real", "First moment of the expression, from the first frame of the recording", "s"),
    "duration": Column("real", "Time from onset to offset", "s"),
    "trial_type": DESCRIBED["type"],
}


def render_bids(result: SpotResult, path: Path) -> str:
    """Tab-separated, without quotes, which BIDS does not know: tabs and line ends in a name become blanks."""
    columns, rows = columns_and_rows(result)
    further = [name for name in columns if name not in _SAID]
    lines = [[*_OWN, *further]]
    for row in rows:
        own = (row["onset_s"], row["offset_s"] - row["onset_s"], row["type"])
        lines.append([_field(value) for value in (*own, *(row.get(name) for name in further))])
    return "".join("\t".join(line) + "\n" for line in lines)


def render_sidecar(result: SpotResult, path: Path) -> str:
    """Description, unit and levels of every column in the table."""
    columns, _ = columns_and_rows(result)
    meanings = _OWN | {name: DESCRIBED.get(name, Column("text", name)) for name in columns if name not in _SAID}
    document: dict[str, Any] = {name: _described(column) for name, column in meanings.items()}
    document["GeneratedBy"] = {"Name": "facespot", "Version": __version__}
    return json.dumps(document, indent=2) + "\n"


def _described(column: Column) -> dict[str, Any]:
    said: dict[str, Any] = {"Description": column.description}
    if column.units:
        said["Units"] = column.units
    if column.levels:
        said["Levels"] = dict(column.levels)
    return said


def _field(value: Any) -> str:
    text = re.sub(r"[\t\r\n]", " ", value) if isinstance(value, str) else value
    return str(cell(text)) or _MISSING
