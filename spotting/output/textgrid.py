"""Praat TextGrids with the tiers `expression` (macro or micro), `apex` (points) and `confidence`."""

from pathlib import Path
from typing import Any

from ..result import SpotResult
from .lanes import APEX, CONFIDENCE, EXPRESSION, apex_ms, lanes, milliseconds, tier_name


def render_textgrid(result: SpotResult, path: Path) -> str:
    """Where expressions overlap, the later one goes to a second set of tiers (`expression 2` and so on)."""
    from praatio.utilities.constants import INTERVAL_TIER, POINT_TIER, TextgridFormats
    from praatio.utilities.textgrid_io import getTextgridAsStr

    ends = [milliseconds(s)[1] for s in result.spots]
    stop = max([round(result.timebase.duration_s * 1000), 1, *ends]) / 1000
    tiers: list[dict[str, Any]] = []

    def add(kind: str, name: str, entries: list[tuple[Any, ...]]) -> None:
        tiers.append({"class": kind, "name": name, "xmin": 0.0, "xmax": stop, "entries": entries})

    for number, lane in enumerate(lanes(result.spots, 1), 1):
        bounds = [tuple(ms / 1000 for ms in milliseconds(s)) for s in lane]
        # Praat allows one point at a time.
        apexes = {apex_ms(s) / 1000: s.type for s in lane}
        add(INTERVAL_TIER, tier_name(EXPRESSION, number), [(*b, s.type) for b, s in zip(bounds, lane, strict=True)])
        add(POINT_TIER, tier_name(APEX, number), list(apexes.items()))
        confidences = [(*b, f"{s.confidence:.3f}") for b, s in zip(bounds, lane, strict=True)]
        add(INTERVAL_TIER, tier_name(CONFIDENCE, number), confidences)
    grid = {"xmin": 0.0, "xmax": stop, "tiers": tiers}
    return getTextgridAsStr(grid, TextgridFormats.LONG_TEXTGRID, includeBlankSpaces=True)
