"""CAS(ME)^3, part A: the label sheets as far as their columns are published (30 fps).

Source: Li et al. 2022. ME and MaE come in two workbooks (`cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx`, columns Subject,
Filename, Onset, Apex, Offset, AU, ...; `cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx`, columns sub, seq, onset,
...), or in one with the type in a column.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from ..intervals import ExpressionType
from .records import action_units, coded_frames, expression_type, make_records
from .sheets import Row, read_workbook

if TYPE_CHECKING:
    import pandas as pd

DATASET = "CAS(ME)^3"
FPS = 30.0

_SUBJECT = re.compile(r"spno\.(\d+)", re.IGNORECASE)
_HEADINGS = {
    "subject": ("Subject", "sub"),
    "video": ("Filename", "seq"),
    "onset": ("Onset",),
    "apex": ("Apex",),
    "offset": ("Offset",),
    "type": ("Expression type", "Type", "Expression"),
    "aus": ("AU", "AUs", "Action Units"),
}


def read_casme3(path: str | Path, type: ExpressionType | None = None) -> "pd.DataFrame":
    """Records of one CAS(ME)^3 workbook. Videos are named by subject and film (`spNO.1_a`).

    Sheets without a type column hold one type: `type`, or else what the file name says (`_ME_`, `_MaE_`). Offset 0 is
    taken as never returned, as in CAS(ME)^2. Raises AnnotationError with file, row and column.
    """
    path = Path(path)
    rows, notes = [], []
    sheet_type = type or _type_of_file(path)
    for row in _rows(path):
        subject = row["subject"].text()
        match = _SUBJECT.fullmatch(subject)
        if not match:
            raise row["subject"].error(f"unknown subject {subject!r}, CAS(ME)^3 names them spNO.<number>")
        subject = f"spNO.{int(match[1])}"
        if "type" in row:
            kind = expression_type(row["type"])
        elif sheet_type is None:
            raise AnnotationError(f"{path}: no type column, and the file name does not say ME or MaE: give the type")
        else:
            kind = sheet_type
        frames = coded_frames(row["onset"], row["apex"], row["offset"], notes, open_offset=0, no_apex=-1)
        rows.append(
            {
                "dataset": DATASET,
                "subject": subject,
                "video": f"{subject}_{row['video'].text().lower()}",
                **frames,
                "type": kind,
                "aus": action_units(row),
                "fps": FPS,
            }
        )
    if not rows:
        raise AnnotationError(f"{path}: holds no expression")
    return make_records(rows, notes)


def _rows(path: Path) -> list[Row]:
    """Rows of the first sheet that has the header."""
    failures = []
    for sheet in read_workbook(path).values():
        try:
            return list(sheet.headed(_HEADINGS, optional=("type", "aus")))
        except AnnotationError as error:
            failures.append(error)
    raise failures[0] if failures else AnnotationError(f"{path}: holds no sheet")


def _type_of_file(path: Path) -> ExpressionType | None:
    words = re.split(r"[^A-Za-z]+", path.stem.split("part", 1)[-1].lower())
    if "mae" in words:
        return "macro"
    return "micro" if "me" in words else None
