"""A picture of a result: intensity over time, the intervals found and how sure they are, where no face was usable,
stills of the most confident events."""

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...files import replacing
from ..intervals import EXPRESSION_TYPES, Spot
from ..result import SpotResult
from ..voice import is_heard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

COLOURS = {"macro": "#0072b2", "micro": "#d55e00"}  # told apart by colour-blind readers too (Okabe and Ito)
MAX_EVENTS_WITH_STILLS = 12
EVENTS_A_ROW = 2
ROW_S = 60.0  # seconds a row of the plot shows, unless that makes too many rows
MAX_ROWS = 24
_WIDTH_IN = 12.0
_ROW_IN = 1.5
_STILLS_IN = 2.45
_VOICE = "#009e73"
_TOP, _VOICE_HIGH = 1.18, 0.1  # on the scale of the intensity; the second below zero, for the bar of the voice
_MOMENTS = ("onset", "apex", "offset")


def events_with_stills(result: SpotResult, limit: int = MAX_EVENTS_WITH_STILLS) -> list[int]:
    """Indices of the `limit` most confident spots, in order of time."""
    ranked = sorted(range(len(result.spots)), key=lambda i: -result.spots[i].confidence)
    return sorted(ranked[:limit])


def frames_of_stills(result: SpotResult, limit: int = MAX_EVENTS_WITH_STILLS) -> list[int]:
    """The source frames `draw` has room for, without repeats, in order."""
    return sorted({f for i in events_with_stills(result, limit) for f in _frames(result.spots[i])})


def draw(result: SpotResult, stills: Mapping[int, np.ndarray] | None = None) -> "Figure":
    """The figure. stills: source frame -> (H, W, 3) uint8 for `frames_of_stills`; those that are missing stay blank."""
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

    duration = result.timebase.duration_s
    row_s = max(ROW_S, ceil(duration / MAX_ROWS / ROW_S) * ROW_S)
    n_rows = max(1, ceil((duration - 1e-6) / row_s))
    width_s = duration if n_rows == 1 else row_s
    events = events_with_stills(result) if stills else []

    still_rows = ceil(len(events) / EVENTS_A_ROW)
    heights = [_STILLS_IN] * still_rows + [_ROW_IN] * n_rows
    figure = Figure(figsize=(_WIDTH_IN, sum(heights) + 1.1), dpi=100)
    grid = GridSpec(
        len(heights), 1, figure=figure, height_ratios=heights, hspace=0.45 if n_rows > 1 else 0.25,
        left=0.055, right=0.985, top=1 - 0.55 / (sum(heights) + 1.1), bottom=0.5 / (sum(heights) + 1.1),
    )  # fmt: skip
    for row in range(still_rows):
        shown = events[row * EVENTS_A_ROW : (row + 1) * EVENTS_A_ROW]
        _draw_stills(figure, grid[row], result, shown, stills)
    for row in range(n_rows):
        axes = figure.add_subplot(grid[still_rows + row])
        _draw_row(axes, result, row * row_s, row * row_s + width_s)
    axes.set_xlabel("seconds")
    figure.suptitle(_title(result), x=0.055, y=1 - 0.12 / (sum(heights) + 1.1), ha="left", va="top", fontsize=11)
    _legend(figure, sum(heights) + 1.1, result.min_confidence is not None, result.voice is not None)
    return figure


def plot(result: SpotResult, path: Path, stills: Mapping[int, np.ndarray] | None = None) -> None:
    """Write `draw`'s figure as PNG, atomically; needs no screen. Raises OSError where the folder cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw(result, stills)
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_row(axes: "Axes", result: SpotResult, start_s: float, end_s: float) -> None:
    times = result.timebase.tick_times
    valid = result.segment >= 0
    axes.set_xlim(start_s, end_s)
    low = 0.0 if result.voice is None else -_VOICE_HIGH
    axes.set_ylim(low, _TOP)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("intensity", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)

    half = 0.5 / result.timebase.rate
    for first, end in _runs(~valid):
        axes.axvspan(
            times[first] - half, times[end - 1] + half, facecolor="#eeeeee", edgecolor="#999999", hatch="///", lw=0
        )
    curve = np.where(valid, result.intensity, np.nan)
    axes.fill_between(times, 0, curve, color="#bbbbbb", lw=0)
    axes.plot(times, curve, color="#333333", lw=0.9)
    for kind, least in zip(EXPRESSION_TYPES, result.min_confidence or (), strict=False):
        axes.axhline(least, color=COLOURS[kind], lw=0.8, ls=":")
    if result.voice is not None:
        for first, end in _runs(is_heard(result.voice, result.timebase.rate)):
            axes.axvspan(times[first] - half, times[end - 1] + half, ymax=0.6 * low / (low - _TOP), color=_VOICE, lw=0)
    for number, spot in enumerate(result.spots, 1):
        if spot.offset_s < start_s or spot.onset_s > end_s:
            continue
        colour = COLOURS[spot.type]
        axes.axvspan(spot.onset_s - half, spot.offset_s + half, color=colour, alpha=0.28, lw=0)
        # How sure it is, on the same scale as the line from which on one is reported.
        axes.hlines(spot.confidence, spot.onset_s - half, spot.offset_s + half, color=colour, lw=2)
        below, above = ((level - low) / (_TOP - low) for level in (0, 1))
        axes.axvline(spot.apex_s, below, above, color=colour, lw=1.2, ls=(0, (3, 2)))
        if start_s <= spot.apex_s <= end_s:
            axes.text(spot.apex_s, 1.03, str(number), color=colour, ha="center", va="bottom", fontsize=8, weight="bold")


def _draw_stills(
    figure: "Figure", cell: "SubplotSpec", result: SpotResult, events: list[int], stills: Mapping[int, np.ndarray]
) -> None:
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    groups = GridSpecFromSubplotSpec(1, EVENTS_A_ROW, subplot_spec=cell, wspace=0.04)
    for position, event in enumerate(events):
        spot = result.spots[event]
        places = GridSpecFromSubplotSpec(1, 3, subplot_spec=groups[position], wspace=0.03)
        for place, (moment, frame) in enumerate(zip(_MOMENTS, _frames(spot), strict=True)):
            axes = figure.add_subplot(places[place])
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_color(COLOURS[spot.type])
            if frame in stills:
                axes.imshow(stills[frame])
            else:
                axes.set_box_aspect(1)
            axes.set_xlabel(f"{moment} {frame}", fontsize=8, labelpad=2)
            if place == 0:
                label = f"{event + 1}: {spot.type}, confidence {spot.confidence:.2f}"
                axes.set_title(label, fontsize=9, loc="left", color=COLOURS[spot.type], pad=3)


def _legend(figure: "Figure", height_in: float, with_threshold: bool, with_voice: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, alpha=0.4, label=kind) for kind, colour in COLOURS.items()]
    handles += [
        Line2D([], [], color="#333333", lw=0.9, ls=(0, (3, 2)), label="apex"),
        Line2D([], [], color="#333333", lw=2, label="confidence"),
        Patch(facecolor="#eeeeee", edgecolor="#999999", hatch="///", lw=0, label="no usable face"),
    ]
    if with_voice:
        handles.append(Patch(facecolor=_VOICE, lw=0, label="voice heard"))
    if with_threshold:
        handles.insert(4, Line2D([], [], color="#333333", lw=0.8, ls=":", label="reported from"))
    anchor = (0.985, 1 - 0.05 / height_in)
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=anchor,
        ncols=len(handles),
        columnspacing=1.4,
        fontsize=8,
        frameon=False,
    )


def _title(result: SpotResult) -> str:
    counts = result.count()
    name = Path(result.video).name
    name = name if len(name) <= 48 else f"{name[:30]}...{name[-15:]}"
    # Matplotlib would read dollar signs in a file name as mathematics.
    name = name.replace("$", r"\$")
    return f"{name}: {counts['macro']} macro, {counts['micro']} micro, face usable {100 * result.coverage:.0f} %"


def _frames(spot: Spot) -> tuple[int, int, int]:
    return spot.onset_frame, spot.apex_frame, spot.offset_frame


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open ranges where a (N,) bool mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
