"""Intervals on the tiers of annotation programs, where those of one tier may not overlap."""

from collections.abc import Iterable

from ..intervals import Spot

# Tiers that belong together carry the same number: `expression 2`, `apex 2`, `confidence 2`.
EXPRESSION, APEX, CONFIDENCE = "expression", "apex", "confidence"


def lanes(spots: Iterable[Spot], least_ms: int) -> list[list[Spot]]:
    """The spots in order of time, in as few lists as hold them without overlap; at least one list."""
    found: list[list[Spot]] = [[]]
    for spot in sorted(spots):
        onset, _ = milliseconds(spot, least_ms)
        free = (lane for lane in found if not lane or milliseconds(lane[-1], least_ms)[1] <= onset)
        lane = next(free, None)
        if lane is None:
            found.append(lane := [])
        lane.append(spot)
    return found


def tier_name(name: str, number: int) -> str:
    """number: of the lane, counted from 1; the first goes without."""
    return name if number == 1 else f"{name} {number}"


def milliseconds(spot: Spot, least_ms: int = 1) -> tuple[int, int]:
    """Onset and offset, at least `least_ms` apart, for formats whose intervals must have a length."""
    onset = round(spot.onset_s * 1000)
    return onset, max(round(spot.offset_s * 1000), onset + least_ms)


def apex_ms(spot: Spot, least_ms: int = 1) -> int:
    """The apex in milliseconds, within the rounded interval."""
    onset, offset = milliseconds(spot, least_ms)
    return min(max(round(spot.apex_s * 1000), onset), offset)
