"""What a simulated face does over time: expressions with known onset, apex and offset, and all that is not one.

A performance is a sum of tracks, each a displacement field (K, 3) in IOD times a curve (T,). Expressions carry labels;
blinks, gaze, speech, chewing, slow lip parting and posture changes do not. Everything is drawn on a 30 Hz clock.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..intervals import ExpressionType
from .anatomy import PAIRED_AUS, Person, random_field, roi_means

MICRO_MAX_TICKS = 15  # under 0.5 s
LABORATORY_MICRO_TICKS = 8  # a quarter second: annotated ones are seldom shorter

# Expressions people show or are asked to show: AU -> relative strength. "AU30" and "MOUTH_SKEW" go either way.
PROTOTYPES: tuple[dict[str, float], ...] = (
    {"AU12": 1.0}, {"AU12": 0.9, "AU6": 1.0}, {"AU12": 1.0, "AU25": 0.8, "AU6": 0.7},
    {"AU12": 0.8, "AU26": 0.6, "AU25": 1.0}, {"AU12": 0.6, "AU14": 0.6}, {"AU14": 1.0}, {"AU12": 0.7, "AU10": 0.7},
    {"AU1": 1.0, "AU2": 1.0}, {"AU1": 1.0, "AU2": 0.8, "AU5": 1.0},
    {"AU1": 0.8, "AU2": 0.8, "AU5": 1.0, "AU26": 0.8, "AU25": 0.5}, {"AU4": 1.0}, {"AU4": 1.0, "AU7": 1.0},
    {"AU4": 0.8, "AU24": 1.0}, {"AU4": 0.8, "AU17": 0.9}, {"AU1": 1.0, "AU4": 0.7, "AU15": 1.0},
    {"AU15": 1.0, "AU17": 0.8}, {"AU9": 1.0, "AU4": 0.4}, {"AU10": 1.0}, {"AU10": 0.8, "AU9": 0.6, "AU25": 0.5},
    {"AU17": 1.0}, {"AU17": 0.8, "AU24": 0.8}, {"AU24": 1.0}, {"AU23": 1.0}, {"AU18": 1.0}, {"AU18": 0.8, "AU17": 0.7},
    {"AU22": 1.0, "AU25": 0.6, "AU26": 0.4}, {"AU22": 0.7, "AU26": 0.8}, {"AU20": 1.0, "AU25": 0.4},
    {"AU1": 0.8, "AU2": 0.5, "AU4": 0.6, "AU20": 0.8, "AU26": 0.4}, {"AU26": 1.0}, {"AU27": 0.9, "AU25": 0.6},
    {"AU27": 0.7, "AU12": 0.7, "AU6": 0.8}, {"AU28": 1.0}, {"AU16": 1.0, "AU25": 0.6}, {"AU30": 1.0},
    {"MOUTH_SKEW": 1.0}, {"AU4": 0.8, "AU22": 0.6, "AU25": 0.8}, {"AU2": 1.0}, {"AU1": 1.0},
    {"AU6": 0.9, "AU7": 1.0, "AU10": 0.5}, {"AU43": 1.0, "AU6": 0.7, "AU12": 0.6}, {"AU25": 1.0, "AU26": 0.5},
)  # fmt: skip
# Units that show alone in micro-expressions; twice means twice as often.
_MICRO_UNITS = (
    "AU1", "AU2", "AU4", "AU4", "AU7", "AU9", "AU10", "AU12", "AU12", "AU14", "AU15", "AU17", "AU20", "AU24",
)  # fmt: skip


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
    0..1; speaking: (T,) bool; blink: (T,) how far the lids are closed, 0 to about 1, which only `observe` needs."""

    displacement: np.ndarray
    events: list[Event]
    intensity: np.ndarray
    speaking: np.ndarray
    blink: np.ndarray = field(default_factory=lambda: np.zeros(0))


def _ease(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) a rise from just above 0 to 1 with random skew."""
    u = (np.arange(n) + 1.0) / n
    u = u ** rng.uniform(0.7, 1.4)
    return u * u * (3 - 2 * u)


def envelope(onset: int, apex: int, hold: int, offset: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) intensity curve: 0 before onset, about 1 from apex for `hold` ticks, back to 0 after offset.

    onset, apex and offset are ticks; they may lie outside the clip, which then shows a part of the curve.
    """
    length = offset - onset + 1
    rise = max(apex - onset, 1)
    fall = max(offset - (apex + hold) + 1, 1)
    curve = np.ones(length)
    curve[:rise] = _ease(rise, rng)
    curve[-fall:] = _ease(fall, rng)[::-1] * curve[-fall:]
    if hold > 6:
        # Held faces waver a little.
        curve *= 1 - 0.18 * rng.random() * (1 - np.cos(np.arange(length) * rng.uniform(0.05, 0.3)))
    if length > 8:
        curve = gaussian_filter1d(curve, 0.7, mode="nearest")
    full = np.zeros(n)
    a, b = max(onset, 0), min(offset + 1, n)
    if b > a:
        full[a:b] = curve[a - onset : b - onset]
    return full


def _waver(curve: np.ndarray, onset: int, offset: int, rng: np.random.Generator) -> np.ndarray:
    """The same expression growing in steps, or sagging to half and coming back, without ever leaving the face."""
    bounds = [onset - 40]
    while bounds[-1] < offset + 40:
        bounds.append(bounds[-1] + int(rng.integers(8, 30)))
    levels = _smooth_steps(
        [b - bounds[0] for b in bounds], list(rng.uniform(0.4, 1.0, len(bounds) - 1)), bounds[-1] - bounds[0], 3.0
    )
    ticks = np.clip(np.arange(len(curve)) - bounds[0], 0, len(levels) - 1)
    wavered = curve * levels[ticks]
    return wavered / max(wavered.max(), 1e-6) * min(curve.max(), 1.0)


def draw_expression(person: Person, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """(K, 3) displacement at the apex of a random expression whose largest ROI motion is `amplitude` IOD."""
    if rng.random() < 0.2:
        shape = random_field(rng)
    else:
        recipe = PROTOTYPES[rng.integers(len(PROTOTYPES))]
        if amplitude < 0.05 and rng.random() < 0.6:
            # Micro-expressions are mostly one or two units.
            recipe = {str(rng.choice(_MICRO_UNITS)): 1.0}
        balance = 1.0
        if rng.random() < 0.3:
            balance = rng.choice([0.0, rng.uniform(0.1, 0.7)])
        sides = (1.0, balance) if rng.random() < 0.5 else (balance, 1.0)
        shape = np.zeros_like(person.shape)
        for au, strength in recipe.items():
            strength = strength * rng.uniform(0.6, 1.3)
            if au in PAIRED_AUS:
                jaw = au in ("AU25", "AU26", "AU27", "AU17", "AU16")
                for side, share in zip(("left", "right"), (1.0, 1.0) if jaw else sides, strict=True):
                    shape = shape + strength * share * person.fields[au, side]
            else:
                shape = shape + strength * rng.choice([-1, 1]) * person.fields[au, "both"]
    reach = np.linalg.norm(roi_means(shape)[:, :2], axis=1).max()
    return shape * (amplitude / max(reach, 0.02))


def _draw_amplitude(kind: ExpressionType, laboratory: bool, rng: np.random.Generator) -> float:
    """Largest ROI motion of an expression in IOD."""

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    if laboratory:
        return log_uniform(0.05, 0.35) if kind == "macro" else log_uniform(0.01, 0.04)
    if kind == "macro":
        return log_uniform(0.05, 0.4) if rng.random() < 0.8 else log_uniform(0.02, 0.06)
    return log_uniform(0.01, 0.05) if rng.random() < 0.55 else log_uniform(0.04, 0.3)


def _draw_timing(kind: ExpressionType, rng: np.random.Generator) -> tuple[int, int, int]:
    """Ticks of rise, hold and fall."""
    if kind == "micro":
        total = int(rng.integers(5, MICRO_MAX_TICKS + 1))
        rise = int(np.clip(round(total * rng.uniform(0.3, 0.65)), 2, total - 2))
        return rise, 0, total - rise
    total = int(np.exp(rng.uniform(np.log(16), np.log(120)))) if rng.random() < 0.85 else int(rng.integers(16, 35))
    rise = int(np.clip(rng.uniform(0.15, 0.55) * total, 3, 35))
    fall = int(np.clip(rng.uniform(0.2, 0.6) * total, 3, 50))
    hold = total - rise - fall
    if hold < 0:
        rise = int(rise * total / (rise + fall))
        fall, hold = total - rise, 0
    return rise, hold, fall


class _Stage:
    """Collects tracks and labels while a clip is composed."""

    def __init__(self, n: int, k: int):
        self.n = n
        self.fields: list[np.ndarray] = []
        self.curves: list[np.ndarray] = []
        self.events: list[Event] = []
        self.intensity = np.zeros(n)
        self.speaking = np.zeros(n, bool)
        self.blink = np.zeros(n)

    def add(self, shape: np.ndarray, curve: np.ndarray) -> None:
        self.fields.append(shape.ravel())
        self.curves.append(curve)

    def express(self, shape: np.ndarray, curve: np.ndarray, amplitude: float) -> None:
        self.add(shape, curve)
        # What an annotator could see: the first and last tick above a tenth of the peak, where the face has moved
        # 0.3 % IOD.
        visible = np.flatnonzero(curve > max(0.08, 0.003 / amplitude))
        if visible.size < 3:
            return
        onset, offset = int(visible[0]), int(visible[-1])
        ticks = offset - onset + 1
        cut = onset == 0 or offset == self.n - 1
        apex = int(np.argmax(curve))
        if cut and (ticks < 8 or curve[onset : offset + 1].max() < 0.6):
            return
        label: ExpressionType = "micro" if ticks <= MICRO_MAX_TICKS else "macro"
        self.events.append(Event(onset, apex, offset, label, amplitude))
        self.intensity = np.maximum(self.intensity, curve)

    def performance(self, k: int) -> Performance:
        total = np.zeros((self.n, k * 3)) if not self.fields else np.stack(self.curves, axis=1) @ np.stack(self.fields)
        return Performance(total.reshape(self.n, k, 3), sorted(self.events), self.intensity, self.speaking, self.blink)


def _smooth_steps(times: list[int], values: list[float], n: int, sigma: float) -> np.ndarray:
    """(n,) a value from each time (tick) to the next, smoothed by sigma ticks."""
    curve = np.zeros(n)
    for start, stop, value in zip(times[:-1], times[1:], values, strict=False):
        curve[max(start, 0) : max(stop, 0)] = value
    return gaussian_filter1d(curve, sigma, mode="nearest")


def _speak(stage: _Stage, person: Person, start: int, stop: int, rng: np.random.Generator) -> None:
    """Speech, singing or chewing: a train of mouth shapes too regular and too many to be expressions."""
    style = rng.choice(["speech", "singing", "chewing"], p=[0.76, 0.16, 0.08])
    # Ticks of the open and of the closed half of a syllable: speech runs at 3 to 7 syllables a second.
    (low, high), (shut_low, shut_high) = {
        "speech": ((2, 6), (2, 4)),
        "singing": ((4, 24), (2, 6)),
        "chewing": ((5, 12), (5, 12)),
    }[style]
    effort = rng.uniform(0.15, 1.0)
    bounds, opens, closes, breath = [start], [], [], 0
    while bounds[-1] < stop:
        breath -= 1
        if breath < 0 and rng.random() < 0.15:
            # A pause between phrases.
            bounds.append(bounds[-1] + int(rng.integers(4, 30)))
            opens.append(0.0)
            closes.append(rng.uniform(0, 0.3))
            breath = int(rng.integers(3, 20))
            continue
        stress = rng.uniform(0.3, 1.0) if rng.random() < 0.8 else 1.4
        bounds.append(bounds[-1] + int(rng.integers(low, high)))
        opens.append(stress)
        closes.append(0.0)
        bounds.append(bounds[-1] + int(rng.integers(shut_low, shut_high)))
        opens.append(rng.uniform(0, 0.35) * stress)
        closes.append(rng.random() if rng.random() < 0.3 else 0.0)
    sigma = rng.uniform(0.8, 1.5) if style == "speech" else rng.uniform(1.2, 2.5)
    jaw = _smooth_steps(bounds, opens, stage.n, sigma) * effort
    press = _smooth_steps(bounds, closes, stage.n, sigma) * effort
    for side in ("left", "right"):
        stage.add(person.fields["AU26", side] * rng.uniform(0.3, 0.9), jaw)
        stage.add(person.fields["AU25", side] * rng.uniform(0.2, 0.9), jaw)
        stage.add(person.fields["AU24", side] * rng.uniform(0.2, 0.7), press)
    for name in ("AU18", "AU22", "AU20", "AU12", "AU10", "AU16", "AU17"):
        # Rounding and spreading last for one or a few syllables.
        hold = rng.integers(1, 4)
        kept = bounds[::hold]
        values = rng.uniform(0.1, 1.0, len(kept)) * (rng.random(len(kept)) < 0.3) * effort
        curve = _smooth_steps(kept, list(values), stage.n, sigma * 1.3)
        for side in ("left", "right"):
            stage.add(person.fields[name, side] * rng.uniform(0.1, 0.5), curve)
    syllables = len(bounds) - 1
    if style == "chewing":
        stage.add(
            person.fields["AU30", "both"] * 0.4,
            _smooth_steps(bounds, list(rng.normal(0, 0.5, syllables)), stage.n, 3.0),
        )
    if rng.random() < 0.6:
        # Brows beat time with the voice.
        for _ in range(int(rng.poisson((stop - start) / 60))):
            at, length = int(rng.integers(start, stop)), int(rng.integers(6, 20))
            curve = envelope(at, at + length // 2, 0, at + length, stage.n, rng) * rng.uniform(0.05, 0.28)
            for au in ("AU1", "AU2") if rng.random() < 0.7 else ("AU4",):
                for side in ("left", "right"):
                    stage.add(person.fields[au, side], curve)
    if rng.random() < 0.5:
        # A talking face often wears a trace of a smile or a frown.
        mood = draw_expression(person, rng.uniform(0.01, 0.05), rng)
        swing = gaussian_filter1d(rng.normal(size=stage.n), 25)
        stage.add(
            mood,
            0.5
            * swing
            / max(np.abs(swing).max(), 1e-6)
            * ((np.arange(stage.n) >= start) & (np.arange(stage.n) < stop)),
        )
    stage.speaking[max(start, 0) : stop] = True


def _blink(stage: _Stage, person: Person, at: int, rng: np.random.Generator) -> None:
    slow = rng.random() < 0.15
    close = int(rng.integers(2, 4)) + (3 if slow else 0)
    shut = int(rng.integers(0, 3)) + (int(rng.integers(1, 8)) if slow else 0)
    reopen = int(rng.integers(3, 7)) + (3 if slow else 0)
    curve = envelope(at, at + close, shut, at + close + shut + reopen - 1, stage.n, rng) * rng.uniform(0.75, 1.15)
    squeeze = rng.uniform(0.0, 1.0) ** 2
    for side in ("left", "right"):
        stage.add(person.fields["AU43", side], curve)
        if squeeze > 0.3:
            stage.add(person.fields["AU6", side] * 0.25 * squeeze, curve)
            stage.add(person.fields["AU4", side] * 0.12 * squeeze, curve)
    stage.blink = np.maximum(stage.blink, curve)


def _gaze(stage: _Stage, person: Person, rng: np.random.Generator) -> None:
    bounds, xs, ys = [0], [], []
    rate = rng.uniform(15, 120)
    while bounds[-1] < stage.n:
        bounds.append(bounds[-1] + 2 + int(rng.exponential(rate)))
        xs.append(rng.normal(0, 0.5))
        ys.append(rng.normal(0, 0.5) if rng.random() < 0.8 else rng.uniform(0.8, 1.6))
    reach = rng.uniform(0.1, 1.0)
    stage.add(person.fields["GAZE_X", "both"] * reach, _smooth_steps(bounds, xs, stage.n, 1.2))
    stage.add(person.fields["GAZE_Y", "both"] * reach, _smooth_steps(bounds, ys, stage.n, 1.2))


def _rest_of_the_face(stage: _Stage, person: Person, rng: np.random.Generator) -> None:
    """Resting set of the face, slow drifts and posture changes that last too long to be expressions."""
    stage.add(draw_expression(person, rng.uniform(0.01, 0.25) if rng.random() < 0.5 else 0.01, rng), np.ones(stage.n))
    for _ in range(rng.integers(0, 3)):
        swing = gaussian_filter1d(rng.normal(size=stage.n + 400), rng.uniform(30, 120))[200:-200]
        swing = (swing - swing[0]) / max(np.abs(swing - swing[0]).max(), 1e-6)
        stage.add(draw_expression(person, rng.uniform(0.005, 0.035), rng), swing)
    for _ in range(rng.poisson(0.4 * stage.n / 300)):
        # Lips come apart and close again with the breath, and nobody calls it an expression.
        at, length = int(rng.integers(-100, stage.n)), int(np.exp(rng.uniform(np.log(25), np.log(250))))
        slow = int(min(rng.integers(8, 40), length // 2))
        parted = envelope(at, at + slow, length - 2 * slow, at + length, stage.n, rng) * rng.uniform(0.1, 0.6)
        for side in ("left", "right"):
            stage.add(person.fields["AU25", side], parted)
            stage.add(person.fields["AU26", side] * rng.uniform(0, 0.25), parted)
    if rng.random() < 0.15:
        at = int(rng.integers(0, stage.n))
        step = 1 / (1 + np.exp(-(np.arange(stage.n) - at) / rng.uniform(4, 20)))
        stage.add(draw_expression(person, rng.uniform(0.01, 0.06), rng), step)


def perform(
    person: Person,
    n: int,
    rng: np.random.Generator,
    *,
    busy: float | None = None,
    speech: float | None = None,
    laboratory: bool = False,
) -> Performance:
    """Compose a random clip of n ticks.

    busy: share of the clip filled by expressions, random when None (0 gives a clip without any). speech: probability
    of speech. laboratory: as elicitation studies record them, expressions whole and apart from each other,
    micro-expressions subtle (1 to 4 % of IOD) and a quarter second or longer, macro-expressions visible (5 to 35 %).
    A macro-expression of which no more than half a second shows, as at the ends of a clip, is labelled micro with the
    amplitude it has.
    """
    stage = _Stage(n, len(person.shape))
    _rest_of_the_face(stage, person, rng)
    _gaze(stage, person, rng)
    rate = rng.choice([0.1, 0.3, 0.6, 1.0])
    for at in np.flatnonzero(rng.random(n) < rate / 30):
        _blink(stage, person, int(at), rng)
    if rng.random() < (0.4 if speech is None else speech):
        if rng.random() < 0.4:
            _speak(stage, person, -5, n + 5, rng)
        else:
            at = int(rng.integers(-60, n))
            for _ in range(rng.integers(1, 5)):
                stop = at + int(np.exp(rng.uniform(np.log(12), np.log(240))))
                _speak(stage, person, at, stop, rng)
                at = stop + int(rng.integers(10, 150))
    if busy is None:
        busy = float(rng.choice([0.0, 0.1, 0.25, 0.45, 0.7], p=[0.18, 0.22, 0.24, 0.18, 0.18]))
    if busy > 0:
        _express(stage, person, busy, laboratory, rng)
    return stage.performance(len(person.shape))


def _express(stage: _Stage, person: Person, busy: float, laboratory: bool, rng: np.random.Generator) -> None:
    """Fill about a share `busy` of the stage with expressions."""
    micro_share = rng.choice([0.1, 0.25, 0.5, 0.8])
    chained = rng.uniform(0.1, 0.9) if busy > 0.4 else rng.uniform(0, 0.3)
    tick = -int(rng.integers(0, 40)) if rng.random() < 0.25 else int(rng.integers(0, 60))
    if laboratory:
        micro_share, chained, tick = 0.5, 0.0, int(rng.integers(20, 60))
    while tick < stage.n - 4:
        kind: ExpressionType = "micro" if rng.random() < micro_share else "macro"
        amplitude = _draw_amplitude(kind, laboratory, rng)
        rise, hold, fall = _draw_timing(kind, rng)
        if laboratory and kind == "micro" and rise + fall < LABORATORY_MICRO_TICKS:
            rise, fall = LABORATORY_MICRO_TICKS // 2, LABORATORY_MICRO_TICKS - LABORATORY_MICRO_TICKS // 2
        apex, offset = tick + rise, tick + rise + hold + fall - 1
        if laboratory and offset > stage.n - 20:
            break
        if offset > 0 and stage.speaking[max(tick, 0) : offset].mean() > 0.3:
            # On a talking face only what stands out from speech is an expression that anybody could mark.
            if kind == "micro" or rng.random() < 0.5:
                tick = offset + 6
                continue
            amplitude = max(amplitude, rng.uniform(0.1, 0.3))
        curve = envelope(tick, apex, hold, offset, stage.n, rng)
        length = offset - tick + 1
        if length > 24 and rng.random() < 0.35:
            curve = _waver(curve, tick, offset, rng)
        stage.express(draw_expression(person, amplitude, rng), curve, amplitude)
        if length > 18 and rng.random() < 0.4:
            # Faces come on in parts: a smile opens, brows join it, and leave before it ends.
            late, early = int(rng.uniform(0, 0.55) * length), int(rng.uniform(0, 0.45) * length)
            first, last = tick + late, max(offset - early, tick + late + 8)
            middle = first + int(rng.uniform(0.2, 0.6) * (last - first))
            joined = envelope(first, middle, int(rng.uniform(0, 0.3) * (last - middle)), last, stage.n, rng)
            stage.add(draw_expression(person, amplitude * rng.uniform(0.3, 1.0), rng), joined)
        if kind == "micro" and not laboratory and rng.random() < 0.08:
            # Now and then a second, different movement rides on a macro-expression nearby.
            other = tick + int(rng.integers(-20, 20))
            extra = envelope(
                other, other + 8, int(rng.integers(5, 30)), other + int(rng.integers(40, 60)), stage.n, rng
            )
            stage.express(draw_expression(person, 0.1, rng), extra, 0.1)
        if rng.random() < chained:
            # One face runs into the next, some overlapping the end of the last.
            tick = offset + 1 + int(rng.integers(-max(fall // 3, 1), 7))
        else:
            mean_gap = (rise + hold + fall) * (1 - busy) / max(busy, 0.05)
            tick = offset + 6 + int(rng.exponential(max(mean_gap, 6)))
