"""Submissions to the Micro-Expression Grand Challenge: frames of onset and offset, types `mae` and `me`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ..intervals import ExpressionType
from ..result import SpotResult
from .cells import delimited

MegcYear = Literal["2022", "2023"]

_COLUMNS: dict[MegcYear, tuple[str, ...]] = {
    "2022": ("vid", "pred_onset", "pred_offset", "type"),
    "2023": ("vid", "onset", "offset", "type"),
}
_TYPES: dict[ExpressionType, str] = {"macro": "mae", "micro": "me"}


def render_submission(claims: Iterable[tuple[str, int, int, ExpressionType]], year: MegcYear) -> str:
    """CSV of (video, first and last frame, type), sorted by video and frames."""
    columns = _COLUMNS[year]
    rows = ((video, onset, offset, _TYPES[kind]) for video, onset, offset, kind in sorted(claims))
    return delimited(columns, (dict(zip(columns, row, strict=True)) for row in rows))


def render_megc2022(result: SpotResult, path: Path) -> str:
    """`vid,pred_onset,pred_offset,type`; frames are counted from 0."""
    return render_submission(_claims(result), "2022")


def render_megc2023(result: SpotResult, path: Path) -> str:
    """`vid,onset,offset,type`; frames are counted from 0."""
    return render_submission(_claims(result), "2023")


def _claims(result: SpotResult) -> list[tuple[str, int, int, ExpressionType]]:
    """The challenge names videos without folder and ending."""
    video = Path(result.video).stem
    return [(video, s.onset_frame, s.offset_frame, s.type) for s in result.spots]
