"""A row per recording, for R and SPSS: how many expressions, how often, how long and how strong; and per condition.

Rates are per minute in which a usable face was seen: an expression that nobody could see is not missing.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ...files import replacing
from ..intervals import EXPRESSION_TYPES, ExpressionType
from ..result import SpotResult
from ..stimuli import Stimulus, stimuli_of
from ..voice import agreement
from .cells import delimited

SUMMARY_COLUMNS: tuple[str, ...] = (
    "video",
    "segment",
    "duration_s",
    "coverage",
    *(f"{kind}_{what}" for kind in EXPRESSION_TYPES for what in ("count", "per_min", "mean_duration_s", "mean_motion")),
    "speech",
    "voiced",
    "warnings",
)
_ALWAYS = frozenset(SUMMARY_COLUMNS) - {"voiced"}


def summary_rows(results: Iterable[SpotResult], stimuli: Sequence[Stimulus] = ()) -> list[dict[str, Any]]:
    """A row per recording, keyed by `SUMMARY_COLUMNS`, and after it one per stimulus that was shown during it.

    `segment` is empty in the recording's own row and the stimulus's name in the others; a stimulus shown repeatedly has
    one row. An expression counts where its apex lies. None where there is nothing to take a mean of, or nothing known:
    mean_motion without explanations, speech (share of the seen time) where the weights do not tell, voiced (the same
    while a voice is heard) where no sound was listened to.
    """
    rows = []
    for result in results:
        everything = np.ones(result.timebase.n_ticks, bool)
        rows.append(_row(result, "", everything, result.timebase.duration_s, result.rows()))
        shown = stimuli_of(stimuli, result.video)
        for name in dict.fromkeys(s.name for s in sorted(shown)):
            times = [s for s in shown if s.name == name]
            ticks = result.timebase.tick_times
            during = np.any([(ticks >= s.start_s) & (ticks < s.end_s) for s in times], axis=0)
            length = sum(s.shared_s(0.0, result.timebase.duration_s) for s in times)
            inside = [r for r in result.rows() if any(s.start_s <= r["apex_s"] < s.end_s for s in times)]
            rows.append(_row(result, name, during, length, inside))
    return rows


def write_summary(rows: Sequence[dict[str, Any]], path: str | os.PathLike[str]) -> None:
    """`render_summary` in a file, atomically. Raises FileExistsError where that would replace another file, and another
    OSError where the folder cannot be written."""
    path = Path(path)
    with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as old:
        header = old.readline().rstrip("\n").split(",")
        # Earlier versions had fewer columns.
        if header != [name for name in SUMMARY_COLUMNS if name in header or name in _ALWAYS]:
            raise FileExistsError(f"{path}: is there already and no summary that facespot wrote")
    with replacing(path) as temporary:
        temporary.write_text(render_summary(rows), encoding="utf-8", errors="surrogateescape", newline="")


def render_summary(rows: Sequence[dict[str, Any]]) -> str:
    """`summary.csv`: numbers to three decimals, empty where there is none."""
    return delimited(SUMMARY_COLUMNS, rows)


def _row(
    result: SpotResult, segment: str, during: np.ndarray, length_s: float, rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """during: (N,) bool, the ticks that count."""
    seen = during & (result.segment >= 0)
    coverage = float(seen.sum() / during.sum()) if during.any() else None
    minutes = length_s * (coverage or 0.0) / 60
    row: dict[str, Any] = {"video": result.video, "segment": segment, "duration_s": length_s, "coverage": coverage}
    for kind in EXPRESSION_TYPES:
        row |= _of_type(kind, [r for r in rows if r["type"] == kind], minutes)
    speaking = result.speaking
    row["speech"] = float(speaking[seen].mean()) if speaking is not None and seen.any() else None
    voiced = agreement(speaking, result.voice, result.timebase.rate)
    row["voiced"] = float(voiced[seen].mean()) if voiced is not None and seen.any() else None
    row["warnings"] = " | ".join(result.warnings)
    return row


def _of_type(kind: ExpressionType, rows: Sequence[dict[str, Any]], minutes: float) -> dict[str, Any]:
    motions = [r["peak_motion"] for r in rows if r.get("peak_motion") is not None]
    return {
        f"{kind}_count": len(rows),
        f"{kind}_per_min": len(rows) / minutes if minutes > 0 else None,
        f"{kind}_mean_duration_s": fmean(r["offset_s"] - r["onset_s"] for r in rows) if rows else None,
        f"{kind}_mean_motion": fmean(motions) if motions else None,
    }
