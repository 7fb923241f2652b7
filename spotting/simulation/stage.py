"""The stage a clip is composed on: tracks of movement, and the truth about those that are expressions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..intervals import ExpressionType
from .anatomy import Person

MICRO_MAX_TICKS = 15  # under 0.5 s
# From which share of its peak, and from how much motion in IOD, people mark an expression. FACS calls a sixth of the
# greatest "slight" and less a trace; who marks by eye starts there or later, and a third of a pixel is seen by nobody
# where the eyes are 80 apart. Coders of laboratory recordings see the traces too: large faces at 200 pictures a second.
_MARKED, _MARKED_BY_CODERS = (0.2, 0.004), (0.08, 0.003)


@dataclass(frozen=True, order=True)
class Event:
    """One expression as an annotator would mark it: ticks (inclusive), the type that their number makes it, and the
    largest ROI displacement it was drawn with, in IOD."""

    onset: int
    apex: int
    offset: int
    type: ExpressionType
    amplitude: float


@dataclass(eq=False)
class Performance:
    """displacement: (T, K, 3) IOD in the head's own frame; events: labelled truth, in order of time; intensity: (T,) in
    0..1; speaking: (T,) bool; blink: (T,) how far the lids are closed, 0 to about 1, and nods: (T, 3) yaw, pitch and
    roll in radians that belong to the performance (beats of speech, agreement), which only cameras need; empty for
    none."""

    displacement: np.ndarray
    events: list[Event]
    intensity: np.ndarray
    speaking: np.ndarray
    blink: np.ndarray = field(default_factory=lambda: np.zeros(0))
    nods: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))


class Stage:
    """Collects tracks and labels while a clip is composed."""

    def __init__(self, n: int, laboratory: bool = False):
        self.n = n
        self._marked = _MARKED_BY_CODERS if laboratory else _MARKED
        self.fields: list[np.ndarray] = []
        self.curves: list[np.ndarray] = []
        self.events: list[Event] = []
        self.shapes: list[np.ndarray] = []  # of the events, at their apexes
        self.intensity = np.zeros(n)
        self.speaking = np.zeros(n, bool)
        self.blink = np.zeros(n)
        self.nods = np.zeros((n, 3))

    def add_both(self, person: Person, strengths: Mapping[str, float], curve: np.ndarray) -> None:
        """Both sides of some paired action units, by their strengths, along one curve."""
        sides = ((au, side, strength) for au, strength in strengths.items() for side in ("left", "right"))
        self.add(sum(strength * person.fields[au, side] for au, side, strength in sides), curve)

    def add(self, shape: np.ndarray, curve: np.ndarray) -> None:
        self.fields.append(shape.ravel())
        self.curves.append(curve)

    def express(self, shape: np.ndarray, curve: np.ndarray, amplitude: float) -> None:
        """Show an expression of `amplitude` IOD along a curve, and mark it as an annotator would."""
        self.add(shape, curve)
        share, motion = self._marked
        visible = np.flatnonzero(curve > max(share, motion / amplitude))
        if visible.size < 3:
            return
        onset, offset = int(visible[0]), int(visible[-1])
        ticks = offset - onset + 1
        if onset == 0 and offset == self.n - 1:
            # A face that never shows another one cannot be told from its resting set.
            return
        cut = onset == 0 or offset == self.n - 1
        apex = int(np.argmax(curve))
        if cut and (ticks < 8 or curve[onset : offset + 1].max() < 0.6):
            return
        self.events.append(Event(onset, apex, offset, _type(ticks), amplitude))
        self.shapes.append(shape)
        self.intensity = np.maximum(self.intensity, curve)

    def give_way(self, earlier: int) -> None:
        """End expression number `earlier` where the last one to be shown begins, if that is inside it: annotators
        mark the change of one face into another once."""
        event, later = self.events[earlier], self.events[-1]
        offset = later.onset - 1
        if event.apex < offset < event.offset:
            self.events[earlier] = replace(event, offset=offset, type=_type(offset - event.onset + 1))

    def performance(self, k: int) -> Performance:
        total = np.zeros((self.n, k * 3)) if not self.fields else np.stack(self.curves, axis=1) @ np.stack(self.fields)
        return Performance(
            total.reshape(self.n, k, 3), sorted(self.events), self.intensity, self.speaking, self.blink, self.nods
        )


def _type(ticks: int) -> ExpressionType:
    return "micro" if ticks <= MICRO_MAX_TICKS else "macro"


def smooth_steps(times: list[int], values: list[float], n: int, sigma: float) -> np.ndarray:
    """(n,) a value from each time (tick) to the next, smoothed by sigma ticks."""
    curve = np.zeros(n)
    for start, stop, value in zip(times[:-1], times[1:], values, strict=False):
        curve[max(start, 0) : max(stop, 0)] = value
    return gaussian_filter1d(curve, sigma, mode="nearest")
