"""How sensitive spotting is on a recording, as a table and as a picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ...files import replacing

COLUMNS = ("duration_s", "type", "amplitude_iod", "trials", "found", "share", "share_low", "share_high")
_COLOURS = {"micro": (0.85, 0.45, 0.1), "macro": (0.12, 0.4, 0.75)}


class SensitivityCell(Protocol):
    """As `simulation.sensitivity.Cell`."""

    amplitude: float
    duration_s: float
    type: str
    trials: int
    found: int

    @property
    def share(self) -> float: ...

    @property
    def bounds(self) -> tuple[float, float]: ...


def render_sensitivity(cells: Sequence[SensitivityCell]) -> str:
    """CSV with the columns `COLUMNS`; the last two are a 95 % interval of the share."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for c in cells:
        shares = [f"{v:.3f}" for v in (c.share, *c.bounds)]
        table.writerow([f"{c.duration_s:g}", c.type, f"{c.amplitude:g}", c.trials, c.found, *shares])
    return text.getvalue()


def plot_sensitivity(cells: Sequence[SensitivityCell], path: Path, title: str) -> None:
    """Draw the share found over amplitude, a line per duration. Raises OSError if `path` cannot be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    by_duration: dict[float, list[SensitivityCell]] = {}
    for cell in sorted(cells, key=lambda c: (c.duration_s, c.amplitude)):
        by_duration.setdefault(cell.duration_s, []).append(cell)
    drawn = {"micro": 0, "macro": 0}
    for duration_s, mine in by_duration.items():
        kind = mine[0].type
        marker = "osD^v"[drawn[kind] % 5]
        shade = 0.45 + 0.55 / (1 + drawn[kind])
        drawn[kind] += 1
        y = [100 * c.share for c in mine]
        spread = [[100 * abs(c.bounds[end] - c.share) for c in mine] for end in (0, 1)]
        colour = (*_COLOURS[kind], shade)
        axes.errorbar(
            [100 * c.amplitude for c in mine],
            y,
            spread,
            color=colour,
            marker=marker,
            markersize=5,
            elinewidth=0.6,
            label=f"{duration_s:g} s ({kind})",
        )
    axes.axhline(80, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    ticks = sorted({100 * c.amplitude for c in cells})
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(-3, 103)
    axes.set_xlabel("largest movement, % of the inter-ocular distance")
    axes.set_ylabel("found, %")
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(title="duration", frameon=False, fontsize=8, title_fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
