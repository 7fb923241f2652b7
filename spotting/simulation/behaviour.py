"""What a face does that nobody should report: blinks, glances, lowered eyes, breath, drifts, chewing, nods."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .anatomy import Person
from .expressions import draw_expression, envelope
from .stage import Stage, smooth_steps

# What blinks do, and how often: most are plain; others stay half open, keep the eyes shut for a while, come twice, or
# screw up what is around the eyes.
_BLINKS = {"plain": 0.7, "half": 0.08, "long": 0.08, "double": 0.07, "squinting": 0.07}


def blink(stage: Stage, person: Person, at: int, rng: np.random.Generator) -> None:
    """Lids that close in 50 to 130 ms and open in about twice the time (VanderWerf et al. 2003), 100 to 400 ms in all
    for most, up to four times that for the sleepy; brows and cheeks come along, on squinting ones by as much as weak
    expressions."""
    kind = str(rng.choice(list(_BLINKS), p=list(_BLINKS.values())))
    # Most blink in the time measured; a few close their lids as slowly as a slow expression begins.
    tired = float(np.interp(rng.random(), (0.0, 0.88, 0.95, 1.0), (1.0, 1.0, 1.6, 4.0)))
    for _ in range(2 if kind == "double" else 1):
        close = round(tired * rng.uniform(1.5, 4))
        reopen = round(close * rng.uniform(1.3, 2.8))
        shut = int(rng.integers(0, 3))
        if kind == "long":
            shut += int(np.exp(rng.uniform(np.log(3), np.log(60))))
        elif kind == "squinting":
            shut += int(rng.integers(0, 9))
        last = at + close + shut + reopen - 1
        depth = rng.uniform(0.3, 0.75) if kind == "half" else rng.uniform(0.8, 1.15)
        curve = envelope(at, at + close, shut, last, stage.n, rng) * depth
        around = rng.uniform(0.2, 0.8) if kind == "squinting" else 0.15 * rng.random()
        helpers = {au: around * most * rng.random() for au, most in (("AU6", 1.0), ("AU4", 0.5), ("AU7", 1.0))}
        stage.add_both(person, {"AU43": 1.0, **helpers}, curve)
        stage.blink = np.maximum(stage.blink, curve)
        at = last + int(rng.integers(1, 8))


def swallow(stage: Stage, person: Person, at: int, rng: np.random.Generator) -> None:
    """Lips that press and a chin that lifts for half a second or a whole one, once or twice, the head with it."""
    for _ in range(1 if rng.random() < 0.7 else 2):
        length = int(rng.integers(12, 36))
        curve = envelope(at, at + length // 2, 0, at + length, stage.n, rng)
        strengths = {"AU24": rng.uniform(0.05, 0.35), "AU17": rng.uniform(0.0, 0.25), "AU26": rng.uniform(0.0, 0.1)}
        stage.add_both(person, strengths, curve)
        stage.nods += curve[:, None] * rng.normal(0, [0.005, 0.02, 0.005])
        at += length + int(rng.integers(5, 40))


def gaze(stage: Stage, person: Person, rng: np.random.Generator) -> None:
    bounds, xs, ys = [0], [], []
    rate = rng.uniform(15, 120)
    while bounds[-1] < stage.n:
        bounds.append(bounds[-1] + 2 + int(rng.exponential(rate)))
        xs.append(rng.normal(0, 0.5))
        ys.append(rng.normal(0, 0.5) if rng.random() < 0.8 else rng.uniform(0.8, 1.6))
    reach = rng.uniform(0.1, 1.0)
    stage.add(person.fields["GAZE_X", "both"] * reach, smooth_steps(bounds, xs, stage.n, 1.2))
    stage.add(person.fields["GAZE_Y", "both"] * reach, smooth_steps(bounds, ys, stage.n, 1.2))


def look_down(stage: Stage, person: Person, at: int, rng: np.random.Generator) -> None:
    """Eyes that turn down for a third of a second to six, to notes or to think: the upper lids follow, halfway or until
    the eyes look shut, brows sink a little and now and then the head."""
    length = int(np.exp(rng.uniform(np.log(10), np.log(180))))
    moving = int(rng.integers(3, 16))
    lowering, lifting = min(moving, length // 3), min(int(rng.uniform(0.7, 2.0) * moving), length // 3)
    curve = envelope(at, at + lowering, length - lowering - lifting, at + length, stage.n, rng)
    lids = rng.uniform(0.3, 1.0)
    stage.add_both(person, {"AU43": lids, "AU4": rng.uniform(0.0, 0.12)}, curve)
    stage.add(person.fields["GAZE_Y", "both"] * rng.uniform(0.5, 1.5), curve)
    stage.blink = np.maximum(stage.blink, lids * curve)
    if rng.random() < 0.5:
        stage.nods += gaussian_filter1d(curve, 2.0)[:, None] * rng.normal(0, [0.01, 0.06, 0.01])


def rest(stage: Stage, person: Person, rng: np.random.Generator, calm: bool = False) -> None:
    """Resting set of the face, slow drifts and posture changes that last too long to be expressions.

    calm: hardly any drift, so that what is weak and slow can be told from it.
    """
    stage.add(draw_expression(person, rng.uniform(0.01, 0.25) if rng.random() < 0.5 else 0.01, rng), np.ones(stage.n))
    for _ in range(rng.integers(0, 3)):
        swing = gaussian_filter1d(rng.normal(size=stage.n + 400), rng.uniform(30, 120))[200:-200]
        swing = (swing - swing[0]) / max(np.abs(swing - swing[0]).max(), 1e-6)
        stage.add(draw_expression(person, rng.uniform(0.002, 0.008) if calm else rng.uniform(0.005, 0.035), rng), swing)
    for _ in range(rng.poisson(0.4 * stage.n / 300)):
        # Lips come apart and close again with the breath, and nobody calls it an expression.
        at, length = int(rng.integers(-100, stage.n)), int(np.exp(rng.uniform(np.log(25), np.log(250))))
        slow = int(min(rng.integers(8, 40), length // 2))
        parted = envelope(at, at + slow, length - 2 * slow, at + length, stage.n, rng) * rng.uniform(0.1, 0.8)
        stage.add_both(person, {"AU25": 1.0, "AU26": rng.uniform(0, 0.3)}, parted)
    if not calm and rng.random() < 0.15:
        at = int(rng.integers(0, stage.n))
        step = 1 / (1 + np.exp(-(np.arange(stage.n) - at) / rng.uniform(4, 20)))
        stage.add(draw_expression(person, rng.uniform(0.01, 0.06), rng), step)


def nod(stage: Stage, at: int, rng: np.random.Generator) -> None:
    """A listener's nods or shakes of the head: one to five of them at 1.5 to 3.5 Hz, dying away."""
    count, rate = int(rng.integers(1, 6)), rng.uniform(1.5, 3.5)
    t = (np.arange(stage.n) - at) / 30.0
    length = count / rate
    swing = np.sin(2 * np.pi * rate * t) * np.exp(-1.5 * t / length) * ((t >= 0) & (t < length))
    axis = np.array([0.1, 1.0, 0.1]) if rng.random() < 0.8 else np.array([1.0, 0.1, 0.2])
    size = np.exp(rng.uniform(np.log(0.02), np.log(0.12)))
    stage.nods += gaussian_filter1d(swing, 1.5)[:, None] * axis * rng.normal(1, 0.3, 3) * size


def chew(stage: Stage, person: Person, start: int, stop: int, rng: np.random.Generator) -> None:
    """A jaw that goes up and down and grinds sideways, one to three times a second."""
    bounds, opens = [start], []
    while bounds[-1] < stop:
        for low, high in ((0.4, 1.2), (0.0, 0.25)):
            bounds.append(bounds[-1] + int(rng.integers(5, 13)))
            opens.append(rng.uniform(low, high))
    jaw = smooth_steps(bounds, opens, stage.n, rng.uniform(1.5, 3.0)) * rng.uniform(0.15, 0.7)
    stage.add_both(person, {"AU26": rng.uniform(0.3, 0.8), "AU17": rng.uniform(0, 0.3)}, jaw)
    pressed = smooth_steps(bounds, [0.6 - o for o in opens], stage.n, 2.0) * rng.uniform(0, 0.4)
    stage.add_both(person, {"AU24": 1.0}, np.maximum(pressed, 0))
    grind = smooth_steps(bounds, list(rng.normal(0, 0.5, len(opens))), stage.n, 3.0)
    stage.add(person.fields["AU30", "both"] * rng.uniform(0.1, 0.5), grind)
