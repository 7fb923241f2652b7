"""One door to all readers: the file itself says which one it needs."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from ..output.formats import WRITERS
from . import boris
from .casme2 import read_casme2
from .casme3 import read_casme3
from .interval_tables import Rate
from .own import read_own
from .own_records import video_of_file
from .records import concat_records
from .samm_lv import read_samm_lv
from .sheets import read_workbook
from .table_files import WORKBOOKS

if TYPE_CHECKING:
    import pandas as pd

# What facespot writes, and what annotation programs do; other tables in a folder may be anything.
_IN_FOLDERS = tuple(dict.fromkeys([*(w.suffix.lower() for w in WRITERS.values()), ".eaf", ".textgrid"]))
# Of these a workbook of one's own has some, and no coding sheet of a data set has.
_OWN_COLUMNS = {"onset_s", "onset_frame", "pred_onset", "time_s", "trial_type", boris.BEHAVIOR, "video"}


def read_annotations(path: str | Path, fps: Rate = None) -> "pd.DataFrame":
    """Records of an official sheet (.xlsx, told apart by its sheets), of one's own list, of any file that facespot
    writes, or of a folder of such files.

    fps: frame rate, or frame rate per video, of one's own list, if it counts frames. Raises AnnotationError.
    """
    path = Path(path)
    if path.is_dir():
        return concat_records([read_annotations(file, fps) for file in _files_of(path)])
    if path.suffix.lower() not in WORKBOOKS:
        return read_own(path, fps)
    sheets = read_workbook(path)
    if any(name.strip().lower().startswith("naming rule") or name.startswith("CASFE") for name in sheets):
        return read_casme2(path)
    top = {str(value).strip().lower() for sheet in sheets.values() for row in sheet.rows[:40] for value in row}
    if top & _OWN_COLUMNS:
        return read_own(path, fps)
    if "inducement code" in top or any("samm" in value for value in top):
        return read_samm_lv(path)
    return read_casme3(path)


def _files_of(folder: Path) -> list[Path]:
    """The annotation files in a folder and below. Raises AnnotationError for none, or for two about one recording."""
    files = sorted(f for f in folder.rglob("*") if f.name.lower().endswith(_IN_FOLDERS) and not f.name.startswith("."))
    if not files:
        raise AnnotationError(f"{folder}: holds no annotations ({', '.join(_IN_FOLDERS)})")
    seen: dict[Path, Path] = {}
    for file in files:
        recording = file.with_name(video_of_file(file.name))
        if recording in seen:
            raise AnnotationError(f"{seen[recording]} and {file.name} tell of one recording; name the one that counts")
        seen[recording] = file
    return files
