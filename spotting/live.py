"""Expressions as soon as they are sure, while a recording is read or still made."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..extract.live import Window, live_features
from ..extract.options import ExtractOptions
from ..extract.pipeline import extract_features
from ..extract.reading.live import GROWTH_S, open_live
from ..extract.timebase import CLOCK_HZ
from .intervals import ExpressionType, Interval, Spot
from .readers.base import Decoding
from .result import SpotResult
from .spotter import Spotter
from .thresholds import Confidence, chosen_types
from .tidying import cut_off

# Past an expression's offset: the 4.8 s that an answer of the shipped networks depends on, and what one more decoding
# may still move.
DELAY_S = 6.0
# Long enough for the longest running median that the networks' inputs are taken from (`motion.geometry.HELD_SECONDS`)
# and an expression at its end.
WINDOW_S = 40.0
EVERY_S = 2.0
_EDGE_S = 6.0  # of a window that begins inside the recording: what its answers depend on was cut away there
_SAME = 0.5  # share of the shorter interval from which two are about one movement


class LiveSpotter:
    """Finds expressions in the windows of one recording and gives each out once.

    An interval is sure when it ended `delay_s` before the window does, or in a segment that ended: nothing the networks
    read for it is still to come. Their inputs are deviations from medians over up to 30 s around a tick and over its
    whole segment, though; of those the window holds what there is so far. So what is given out is provisional to that
    extent, and the result of the whole recording has the last word.
    """

    def __init__(
        self,
        spotter: Spotter,
        *,
        min_confidence: Confidence | None = None,
        types: ExpressionType | Sequence[ExpressionType] | None = None,
        delay_s: float = DELAY_S,
    ) -> None:
        self._spotter, self._min_confidence, self._types = spotter, min_confidence, chosen_types(types)
        self._delay, self._edge = round(delay_s * CLOCK_HZ), round(_EDGE_S * CLOCK_HZ)
        self._given: list[Interval] = []

    def take(self, window: Window) -> list[Spot]:
        """The expressions that have become sure, in order of time."""
        features, first = window.features, window.first
        n, segments = features.timebase.n_ticks, features.segments()
        found, _ = self._spotter.intervals(features, self._min_confidence)
        new = []
        for interval in found:
            ended = any(interval.offset < stop < n for _, stop in segments if interval.onset < stop)
            if (
                interval.type not in self._types
                or not (ended or interval.offset < n - self._delay)
                or (first and interval.onset < self._edge)
            ):
                continue
            onset, apex, offset = (first + tick for tick in (interval.onset, interval.apex, interval.offset))
            placed = replace(interval, onset=onset, apex=apex, offset=offset)
            if any(placed.shared_ticks(g) > _SAME * min(placed.n_ticks, g.n_ticks) for g in self._given):
                continue
            new.append(self._spotter.placed(placed, window.timebase, cut_off(interval, segments)))
            self._given.append(placed)
        # What lies before the next window cannot be found again.
        self._given = [g for g in self._given if g.offset >= first]
        return new


def follow(
    source: str | os.PathLike[str] | int,
    *,
    camera: bool = False,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    decoding: Decoding = "own",
    model: str | None = None,
    min_confidence: Confidence | None = None,
    types: ExpressionType | Sequence[ExpressionType] | None = None,
    face: str | int = "longest",
    fps: float | None = None,
    delay_s: float = DELAY_S,
    growth_s: float = GROWTH_S,
    stop: threading.Event | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Iterator[Spot | SpotResult]:
    """Each expression as soon as it is sure (see `LiveSpotter`), and at the end the result of the whole.

    source: a file, finished or still growing; "-" for standard input; a named pipe; an address such as rtsp://...; with
    `camera`, the number of one. growth_s: a file has ended when it has not grown for so many seconds. stop: set it to
    end the recording. The rest as in `spot`. The result of a file is that of `spot` with voice="off", to the byte: the
    sound is not listened to. Of what cannot be read twice it is that of the face chosen in the first second that shows
    one.
    Raises as `spot`.
    """
    name = str(source) if isinstance(source, int) else os.fspath(source)
    spotter = Spotter.load(weights, device, decoding, model)
    live = LiveSpotter(spotter, min_confidence=min_confidence, types=types, delay_s=delay_s)
    options = ExtractOptions(face=face)
    with open_live(name, camera=camera, fps=fps, growth_s=growth_s, stop=stop) as stream:
        for part in live_features(stream, options, window_s=WINDOW_S, every_s=EVERY_S, progress=progress):
            if isinstance(part, Window):
                yield from live.take(part)
                continue
            features = part.features
            if not part.as_chosen and not camera and Path(name).is_file():
                features = extract_features(name, options, fps=fps, progress=progress)
            yield spotter.spot(features, min_confidence=min_confidence, types=types)
