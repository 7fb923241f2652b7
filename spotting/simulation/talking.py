"""Puts speech, singing and laughter on the stage: mouth, head and brows together.

A co-speech movement of brows or head belongs to the speech and is no expression, unless it is large and long; both
sides of that rule are played. Smiles held while talking and laughter are expressions.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .anatomy import Person
from .expressions import SMILES, UPPER_FACE, draw_expression, envelope
from .speech import ARTICULATORS, Voice, talk
from .stage import Stage

# Articulator -> what pulls at the mouth then. A jaw at 1 goes half the way it can, some 8 mm at the chin.
_PULLS: dict[str, dict[str, float]] = {
    "jaw": {"AU26": 0.5},
    "parted": {"AU25": 0.5},
    "closed": {"AU24": 0.5},
    "rounded": {"AU18": 0.35, "AU22": 0.3},
    "spread": {"AU20": 0.25, "AU12": 0.1},
    "labiodental": {"AU32": 0.5, "AU10": 0.1},
    "bared": {"AU16": 0.3, "AU10": 0.1},
}
# What a face may be set to while it talks.
_SETS: tuple[dict[str, float], ...] = (
    {"AU25": 1.0, "AU26": 0.3}, {"AU12": 1.0}, {"AU12": 0.8, "AU25": 0.7}, {"AU10": 0.7, "AU25": 0.7},
    {"AU20": 0.8, "AU25": 0.6}, {"AU12": 0.7, "AU6": 0.6, "AU25": 0.5}, {"AU1": 1.0, "AU2": 0.8},
    {"AU1": 0.7, "AU2": 0.5, "AU25": 0.7}, {"AU4": 1.0}, {"AU22": 0.7, "AU25": 0.6}, {"AU14": 0.8},
    {"AU16": 0.7, "AU25": 0.7},
)  # fmt: skip
# What else may move with a phone: speakers wrinkle noses, tighten chins and pull corners out of habit.
_HABITS = ("AU6", "AU7", "AU9", "AU10", "AU12", "AU14", "AU15", "AU16", "AU17", "AU20", "AU23", "AU4")
# From here on a brow that goes with the voice is an expression: IOD and ticks.
LARGE_BEAT, LONG_BEAT = 0.06, 16
# Of speakers, those whose face is set for speech while they have the word, and at rest otherwise; IOD by which.
_POSTURES, _POSTURE = 0.6, (0.01, 0.12)
_JOINING_TICKS = 12  # pauses up to this long do not end the speaking


def speak(stage: Stage, person: Person, start: int, stop: int, expressive: bool, rng: np.random.Generator) -> None:
    """Talk, or sing, from tick `start` up to `stop`. expressive: with expressions that count as such."""
    low, high = max(start, 0), min(stop, stage.n)
    if high <= low:
        return
    singing = rng.random() < 0.12
    said = talk(stop - start, Voice.draw(rng), rng, drawl=float(rng.uniform(2, 5)) if singing else 1.0)
    articulation = said.articulation[low - start : high - start]
    effort = np.exp(rng.uniform(np.log(0.25), np.log(1.8)))
    for i, name in enumerate(ARTICULATORS):
        curve = np.zeros(stage.n)
        curve[low:high] = articulation[:, i]
        strengths = {au: s * effort * rng.lognormal(0, 0.3) for au, s in _PULLS[name].items()}
        stage.add_both(person, strengths, curve)
    # From numbers of its own, so that clips keep what else happens in them.
    (own,) = rng.spawn(1)
    _habits(stage, person, low, articulation * effort, own)
    for stopped in np.flatnonzero(said.voiced[:-1] & ~said.voiced[1:]) + start + 1:
        if own.random() < 0.3:
            _settle(stage, person, int(stopped), own)
    if own.random() < _POSTURES:
        _set_for_speech(stage, person, start, stop, own)
    # A mouth that talks to one side.
    if rng.random() < 0.25:
        curve = np.zeros(stage.n)
        curve[low:high] = articulation[:, 0] * rng.normal(0, 0.4) * effort
        stage.add(person.fields["MOUTH_SKEW", "both"], curve)
    voiced = np.zeros(stage.n, bool)
    voiced[low:high] = said.voiced[low - start : high - start]
    stage.speaking |= _joined(voiced)
    stresses = [start + tick for tick in said.stresses if low <= start + tick < high]
    _beat(stage, person, stresses, expressive, rng)
    if rng.random() < 0.5:
        # A talking face often wears a trace of a smile or a frown.
        swing = gaussian_filter1d(rng.normal(size=stage.n), 25)
        inside = gaussian_filter1d(((np.arange(stage.n) >= start) & (np.arange(stage.n) < stop)).astype(float), 6)
        stage.add(
            draw_expression(person, rng.uniform(0.01, 0.07), rng), 0.5 * swing / max(np.abs(swing).max(), 1e-6) * inside
        )


def _habits(stage: Stage, person: Person, start: int, articulation: np.ndarray, rng: np.random.Generator) -> None:
    """Add what this speaker moves with some of the articulators (T, N), more on what is stressed than elsewhere, and
    more on one side than the other."""
    stop = start + len(articulation)
    emphasis = np.exp(gaussian_filter1d(rng.normal(size=stop - start), 12, mode="nearest") * rng.uniform(0, 3.0))
    for _ in range(rng.integers(0, 4)):
        curve = np.zeros(stage.n)
        curve[start:stop] = np.minimum(articulation[:, rng.integers(len(ARTICULATORS))] * emphasis, 2.0)
        unit, size, lean = str(rng.choice(_HABITS)), rng.uniform(0.03, 0.3), rng.uniform(0.0, 1.0)
        sides = (1.0, lean) if rng.random() < 0.5 else (lean, 1.0)
        shape = sum(share * person.fields[unit, side] for share, side in zip(sides, ("left", "right"), strict=True))
        stage.add(size * shape, curve)


def _set_for_speech(stage: Stage, person: Person, start: int, stop: int, rng: np.random.Generator) -> None:
    """What a face wears for as long as it talks, a while before and after: lips apart, corners up, brows a little
    raised. No expression; but where it talks for most of the time, rest is what is out of the ordinary."""
    size = np.exp(rng.uniform(*np.log(_POSTURE)))
    early, late = rng.uniform(0, 30), rng.uniform(0, 45)
    t = np.arange(stage.n)
    come, go = ((t - at) / rng.uniform(2, 9) for at in (start - early, stop + late))
    curve = 1 / (1 + np.exp(-np.clip(come, -30, 30))) - 1 / (1 + np.exp(-np.clip(go, -30, 30)))
    stage.add(draw_expression(person, size, rng, _SETS), curve)


def _settle(stage: Stage, person: Person, at: int, rng: np.random.Generator) -> None:
    """Lips that close and press, roll in or tighten for a moment where a phrase ends: part of speaking."""
    length = int(rng.integers(6, 30))
    rise = int(rng.integers(2, max(3, length // 2)))
    curve = envelope(at - rise, at, int(rng.uniform(0, 0.6) * length), at + length, stage.n, rng)
    strengths = {
        au: rng.uniform(0.0, most) for au, most in (("AU24", 0.35), ("AU23", 0.2), ("AU17", 0.15), ("AU14", 0.1))
    }
    stage.add_both(person, strengths, curve)


def _joined(voiced: np.ndarray) -> np.ndarray:
    """(n,) voiced ticks with the short pauses between them."""
    joined = voiced.copy()
    edges = np.flatnonzero(np.diff(voiced.astype(int)))
    for stopped, resumed in pairwise(edges):
        if voiced[stopped] and resumed - stopped <= _JOINING_TICKS:
            joined[stopped : resumed + 1] = True
    return joined


def _beat(stage: Stage, person: Person, stresses: list[int], expressive: bool, rng: np.random.Generator) -> None:
    """Head and brows on stressed syllables, each speaker with habits of their own."""
    head, brow = (float(rng.choice([0.0, rng.uniform(0.05, most)], p=[0.35, 0.65])) for most in (0.6, 0.35))
    size = np.exp(rng.uniform(np.log(0.008), np.log(0.08)))
    axis = np.array([0.35, 1.0, 0.3])
    t = np.arange(stage.n)
    free = 0  # first tick at which the brows are at rest again
    for tick in stresses:
        if rng.random() < head:
            width = rng.uniform(2.5, 8)
            bump = np.exp(-0.5 * ((t - tick - rng.normal(0, 2)) / width) ** 2)
            stage.nods += bump[:, None] * axis * rng.normal(0.3, 1.0, 3) * size
        if tick < free or rng.random() >= brow:
            continue
        shape = draw_expression(person, 0.1, rng, UPPER_FACE[:1] if rng.random() < 0.6 else UPPER_FACE)
        if expressive and rng.random() < 0.2:
            amplitude, length = rng.uniform(LARGE_BEAT, 0.2), int(rng.integers(LONG_BEAT + 4, 70))
        else:
            amplitude, length = np.exp(rng.uniform(np.log(0.006), np.log(0.045))), int(rng.integers(6, 30))
        onset = tick - int(rng.uniform(0.2, 0.5) * length)
        rise = max(2, int(rng.uniform(0.2, 0.5) * length))
        hold = int(rng.uniform(0, 0.6) * (length - rise))
        curve = envelope(onset, onset + rise, hold, onset + length, stage.n, rng)
        if amplitude >= LARGE_BEAT:
            stage.express(shape * (amplitude / 0.1), curve, amplitude)
        else:
            stage.add(shape * (amplitude / 0.1), curve)
        free = onset + length + 4


def laugh(stage: Stage, person: Person, at: int, rng: np.random.Generator) -> None:
    """A smile that shakes: calls at 4 to 6 Hz (Bachorowski et al. 2001) with jaw and head, then it fades."""
    calls, rate = int(rng.integers(3, 12)), rng.uniform(4.0, 6.0)
    shaking = int(calls / rate * 30)
    rise, fall = int(rng.integers(5, 16)), int(rng.integers(12, 70))
    end = at + rise + shaking + fall
    amplitude = float(rng.uniform(0.1, 0.3))
    smile = envelope(at, at + rise, shaking, end, stage.n, rng, decay=rng.uniform(1.5, 4.0))
    stage.express(draw_expression(person, amplitude, rng, SMILES), smile, amplitude)
    t = np.arange(stage.n) - at - rise
    dying = np.exp(-1.2 * t / max(shaking, 1)) * ((t >= 0) & (t < shaking))
    shake = gaussian_filter1d((0.5 - 0.5 * np.cos(2 * np.pi * rate * t / 30)) * dying, 0.7)
    stage.add_both(person, {"AU26": rng.uniform(0.1, 0.5), "AU25": rng.uniform(0.2, 0.6)}, shake)
    stage.nods += shake[:, None] * rng.normal(0, [0.01, 0.03, 0.01])
