"""SAMM Long Videos, the FACS sheet as distributed (343 MaE, 159 ME, 200 fps).

Source: Yap et al. 2020. The database numbers its 32 subjects 006 to 037; the sheet holds expressions of 30 of them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from .records import action_units, coded_frames, expression_type, make_records
from .sheets import Sheet, read_workbook

if TYPE_CHECKING:
    import pandas as pd

DATASET = "SAMM-LV"
FPS = 200.0
# Of 027 and 029 the published sheet has no expression, so that leave-one-subject-out has 30 folds.
SUBJECTS = tuple(f"{number:03d}" for number in range(6, 38))

_HEADINGS = {
    "subject": ("Subject",),
    "video": ("Filename",),
    "onset": ("Onset", "Onset Frame"),
    "apex": ("Apex", "Apex Frame"),
    "offset": ("Offset", "Offset Frame"),
    "type": ("Type",),
    "aus": ("Action Units", "AUs"),
}


def read_samm_lv(path: str | Path) -> "pd.DataFrame":
    """Records of `SAMMLV_gt.xlsx` / `SAMM_LongVideos_V*_Release.xlsx`. Videos are named as their folders (`006_1`).

    Frame numbers are rounded, apex -1 (not coded) is missing, the Duration column (formulas) is not needed. Onset 0
    stands as it is: the expression was there when the video began. Raises AnnotationError with file, row and column.
    """
    path = Path(path)
    sheet = _coding_sheet(path, read_workbook(path))
    rows, notes = [], []
    seen: dict[str, int] = {}
    for row in sheet.headed(_HEADINGS, optional=("aus",)):
        subject = row["subject"].text().zfill(3)
        if subject not in SUBJECTS:
            raise row["subject"].error(f"unknown subject {subject!r}, SAMM-LV has {SUBJECTS[0]} to {SUBJECTS[-1]}")
        event = row["video"].text()
        video = event.rpartition("_")[0]
        if not video.startswith(f"{subject}_"):
            raise row["video"].error(f"{event!r} is not an event of subject {subject}")
        if event in seen:
            notes.append(str(row["video"].error(f"{event!r} is also the name of row {seen[event]}, both kept")))
        seen.setdefault(event, row["video"].row)
        frames = coded_frames(row["onset"], row["apex"], row["offset"], notes, open_offset=None, no_apex=-1)
        rows.append(
            {
                "dataset": DATASET,
                "subject": subject,
                "video": video,
                **frames,
                "type": expression_type(row["type"]),
                "aus": action_units(row),
                "fps": FPS,
            }
        )
    if not rows:
        raise AnnotationError(f"{path}, sheet {sheet.name!r}: holds no expression")
    return make_records(rows, notes)


def _coding_sheet(path: Path, sheets: dict[str, Sheet]) -> Sheet:
    """The one sheet of the release, or the movement sheet among several."""
    if len(sheets) == 1:
        return next(iter(sheets.values()))
    for name, sheet in sheets.items():
        if name.strip().lower() == "facs_movement_only":
            return sheet
    raise AnnotationError(f"{path}: sheet 'FACS_Movement_Only' is missing, there are: {', '.join(sheets) or 'none'}")
