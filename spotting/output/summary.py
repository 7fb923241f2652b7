"""Many results as one table: a row per recording."""

import csv
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...files import replacing
from ..result import SpotResult

COLUMNS = ("video", "duration_s", "coverage", "macro", "micro", "macro_per_min", "micro_per_min", "warnings")


def summary_rows(results: Sequence[SpotResult]) -> list[dict[str, Any]]:
    """One dict per recording, keyed by `COLUMNS`. Rates are per minute with a usable face, None without any."""
    rows = []
    for result in results:
        counts = result.count()
        minutes = result.coverage * result.timebase.duration_s / 60
        rates = {f"{kind}_per_min": counts[kind] / minutes if minutes else None for kind in counts}
        seen = {"video": result.video, "duration_s": result.timebase.duration_s, "coverage": result.coverage}
        rows.append({**seen, **counts, **rates, "warnings": len(result.warnings)})
    return rows


def write_summary(results: Sequence[SpotResult], path: str | os.PathLike[str]) -> None:
    """The rows as CSV, atomically. Raises FileExistsError rather than replace a file that is no summary, OSError where
    the folder cannot be written."""
    path = Path(path)
    with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as old:
        if old.readline().strip() != ",".join(COLUMNS):
            raise FileExistsError(f"{path}: is there already and no summary that facespot wrote")
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in summary_rows(results):
            table.writerow({k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()})
