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
_ROUNDING_S = 0.0025  # ELAN's shortest annotation lasts two milliseconds
# Of these a workbook of one's own has some, and no coding sheet of a data set has.
_OWN_COLUMNS = {"onset_s", "onset_frame", "pred_onset", "time_s", "trial_type", boris.BEHAVIOR, "video"}


def read_annotations(path: str | Path, fps: Rate = None) -> "pd.DataFrame":
    """Records of an official sheet (.xlsx, told apart by its sheets), of one's own list, of any file that facespot
    writes, or of a folder of such files.

    fps: frame rate, or frame rate per video, of one's own list, if it counts frames. Raises AnnotationError.
    """
    path = Path(path)
    if path.is_dir():
        return concat_records([read_annotations(file, fps) for file in annotation_files(path, fps)])
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


def annotation_files(folder: str | Path, fps: Rate = None) -> list[Path]:
    """The annotation files in a folder and below, one per recording: of several formats the first in `WRITERS`.

    Raises AnnotationError for none, or where two formats of one recording say different things, as they do when one of
    them was corrected. fps: as of `read_annotations`.
    """
    folder = Path(folder)
    found: dict[Path, list[Path]] = {}
    for file in folder.rglob("*"):
        if file.name.lower().endswith(_IN_FOLDERS) and not file.name.startswith("."):
            found.setdefault(file.with_name(video_of_file(file.name)), []).append(file)
    if not found:
        raise AnnotationError(f"{folder}: holds no annotations ({', '.join(_IN_FOLDERS)})")
    chosen = []
    for _, files in sorted(found.items()):
        first, *others = sorted(files, key=lambda f: (_rank(f), f.name))
        for other in others:
            # Submissions say less than any other format, and only where the frame rate is given.
            if ".megc" not in other.name and not _agree(read_own(first, fps), read_own(other, fps)):
                raise AnnotationError(
                    f"{first} and {other.name} say different things of one recording; name the one that counts"
                )
        chosen.append(first)
    return chosen


def _rank(file: Path) -> int:
    return next(rank for rank, ending in enumerate(_IN_FOLDERS) if file.name.lower().endswith(ending))


def _agree(one: "pd.DataFrame", other: "pd.DataFrame") -> bool:
    """Whether both hold the same expressions, but for what formats round."""
    first, second = _ends(one), _ends(other)
    return len(first) == len(second) and all(
        kind == same and max(abs(onset - a), abs(offset - b)) <= _ROUNDING_S
        for (onset, offset, kind), (a, b, same) in zip(first, second, strict=True)
    )


def _ends(records: "pd.DataFrame") -> list[tuple[float, float, str]]:
    """Onset and offset in seconds, and type, in order of time; points have none."""
    whole = records.dropna(subset=["onset", "offset"])
    return sorted((r.onset / r.fps, r.offset / r.fps, r.type) for r in whole.itertuples())
