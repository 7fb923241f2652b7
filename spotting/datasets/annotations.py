"""One door to all readers: the file itself says which one it needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .casme2 import read_casme2
from .casme3 import read_casme3
from .own import read_own
from .samm_lv import read_samm_lv
from .sheets import read_workbook

if TYPE_CHECKING:
    import pandas as pd


def read_annotations(path: str | Path, fps: float | Mapping[str, float] | None = None) -> "pd.DataFrame":
    """Records of an official sheet (.xlsx, told apart by its sheets), or of one's own list, ELAN or BORIS export.

    fps: frame rate of one's own list, if it counts frames. Raises AnnotationError.
    """
    path = Path(path)
    if path.suffix.lower() not in (".xlsx", ".xlsm", ".xls"):
        return read_own(path, fps)
    sheets = read_workbook(path)
    if any(name.strip().lower().startswith("naming rule") or name.startswith("CASFE") for name in sheets):
        return read_casme2(path)
    top = {str(value).strip().lower() for sheet in sheets.values() for row in sheet.rows[:40] for value in row}
    if "inducement code" in top or any("samm" in value for value in top):
        return read_samm_lv(path)
    return read_casme3(path)
