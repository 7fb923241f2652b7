"""CAS(ME)^2, the coding sheet as distributed: three sheets without headers, names joined through codes.

Source: Qu et al. 2017; the sheet of MEGC 2021 (300 MaE, 57 ME, 22 subjects, 30 fps).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AnnotationError
from .records import action_units, coded_frames, expression_type, make_records
from .sheets import read_workbook

if TYPE_CHECKING:
    import pandas as pd

DATASET = "CAS(ME)^2"
FPS = 30.0
# The nine films; file names hold subject and film (`15_0101disgustingteeth.avi`).
VIDEO_CODES = ("0101", "0102", "0401", "0402", "0502", "0503", "0505", "0507", "0508")

_CODING = ("subject", "video", "onset", "apex", "offset", "aus", "emotion class", "type", "emotion")
_SUBJECTS = ("subject code", "subject folder", "subject")
_VIDEOS = ("video code", "video")


def read_casme2(path: str | Path) -> "pd.DataFrame":
    """Records of `CASME_sq_gt.xlsx` / `CAS(ME)^2code_final.xlsx`.

    Subjects are named as their folders (`s15`), videos by subject and video code (`15_0401`): so file names begin.

    Offset 0 means that the face never returned to neutral; the offset is then missing. Raises AnnotationError with
    file, row and column for anything else that does not fit.
    """
    path = Path(path)
    sheets = read_workbook(path)
    rules = {name.strip().lower(): sheet for name, sheet in sheets.items()}
    for name in ("naming rule1", "naming rule2"):
        if name not in rules:
            raise AnnotationError(f"{path}: sheet {name!r} is missing, there are: {', '.join(sheets)}")
    coding = next((sheet for name, sheet in rules.items() if not name.startswith("naming rule")), None)
    if coding is None:
        raise AnnotationError(
            f"{path}: the coding sheet ('CASFEcode_final') is missing, there are: {', '.join(sheets)}"
        )

    subjects = {
        row["subject"].text(): (row["subject code"].text(), row["subject folder"].text())
        for row in rules["naming rule1"].fixed(_SUBJECTS)
    }
    videos = {row["video"].text(): row["video code"].text().zfill(4) for row in rules["naming rule2"].fixed(_VIDEOS)}

    rows, notes = [], []
    for row in coding.fixed(_CODING):
        number = row["subject"].text()
        if number not in subjects:
            raise row["subject"].error(f"unknown subject {number!r}, not in sheet 'naming rule1'")
        code, folder = subjects[number]
        name = row["video"].text().rpartition("_")[0]
        if name not in videos:
            raise row["video"].error(f"unknown video {row['video'].value!r}, not in sheet 'naming rule2'")
        frames = coded_frames(row["onset"], row["apex"], row["offset"], notes, open_offset=0, no_apex=-1)
        rows.append(
            {
                "dataset": DATASET,
                "subject": folder,
                "video": f"{code}_{videos[name]}",
                **frames,
                "type": expression_type(row["type"]),
                "aus": action_units(row),
                "fps": FPS,
            }
        )
    if not rows:
        raise AnnotationError(f"{path}, sheet {coding.name!r}: holds no expression")
    return make_records(rows, notes)
