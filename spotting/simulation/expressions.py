"""Expressions one at a time: which action units, how far, how long, and how they come and go."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..intervals import ExpressionType
from .anatomy import PAIRED_AUS, Person, random_field, roi_means
from .stage import MICRO_MAX_TICKS, smooth_steps

# Where a clip is recorded: a laboratory (see `timeline.perform`), a calm face whose expressions are weak and slow, or
# anywhere.
Setting = Literal["laboratory", "calm", "anywhere"]

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
    {"AU19": 1.0}, {"AU19": 0.8, "AU26": 0.6}, {"AU29": 1.0}, {"AU29": 0.7, "AU17": 0.6}, {"AU32": 1.0},
    {"AU32": 0.8, "AU12": 0.5}, {"AU33": 1.0}, {"AU34": 1.0}, {"AU34": 0.8, "AU24": 0.6}, {"AU35": 1.0},
    {"AU35": 0.7, "AU18": 0.8}, {"AU36": 1.0}, {"AU37": 1.0}, {"AU37": 0.7, "AU28": 0.6}, {"AU28": 0.9, "AU14": 0.6},
    {"AU8": 1.0}, {"AU11": 1.0}, {"AU11": 0.6, "AU15": 0.6}, {"AU13": 1.0}, {"AU38": 1.0, "AU10": 0.3}, {"AU39": 1.0},
    {"AU14": 0.8, "AU24": 0.6}, {"AU15": 0.7, "AU14": 0.5}, {"AU17": 0.7, "AU14": 0.6}, {"AU6": 1.0, "AU7": 0.6},
    {"AU1": 0.9, "AU4": 0.8}, {"AU12": 0.6, "AU15": 0.6}, {"AU12": 0.7, "AU24": 0.6},
    {"AU12": 0.6, "AU1": 0.8, "AU2": 0.8},
)  # fmt: skip
# Units that show alone in micro-expressions; twice means twice as often.
_MICRO_UNITS = (
    "AU1", "AU2", "AU4", "AU4", "AU7", "AU9", "AU10", "AU12", "AU12", "AU14", "AU15", "AU17", "AU20", "AU24",
)  # fmt: skip
# What calm faces show most of: corners, chin and lips that hardly move.
CALM_MOUTHS: tuple[dict[str, float], ...] = (
    {"AU12": 1.0}, {"AU12": 1.0}, {"AU12": 0.9, "AU6": 0.7}, {"AU14": 1.0}, {"AU15": 1.0}, {"AU17": 1.0}, {"AU24": 1.0},
    {"AU23": 1.0}, {"AU17": 0.8, "AU24": 0.8}, {"AU15": 0.8, "AU17": 0.7}, {"AU14": 0.8, "AU24": 0.6},
    {"AU12": 0.6, "AU14": 0.6}, {"AU12": 0.7, "AU24": 0.6},
)  # fmt: skip
# What still stands out from speech: brows, cheeks and eyes, and smiles.
UPPER_FACE: tuple[dict[str, float], ...] = (
    {"AU1": 1.0, "AU2": 1.0}, {"AU1": 1.0, "AU2": 0.8, "AU5": 1.0}, {"AU4": 1.0}, {"AU4": 1.0, "AU7": 1.0},
    {"AU1": 1.0, "AU4": 0.8}, {"AU2": 1.0}, {"AU1": 1.0}, {"AU9": 1.0, "AU4": 0.6},
)  # fmt: skip
SMILES: tuple[dict[str, float], ...] = (
    {"AU12": 1.0}, {"AU12": 0.9, "AU6": 1.0}, {"AU12": 1.0, "AU25": 0.6, "AU6": 0.7},
    {"AU12": 0.8, "AU1": 0.6, "AU2": 0.6},
)  # fmt: skip
LAUGHS: tuple[dict[str, float], ...] = (
    *SMILES, {"AU12": 1.0, "AU25": 0.8, "AU6": 0.7}, {"AU12": 0.8, "AU26": 0.8, "AU25": 1.0},
    {"AU27": 0.7, "AU12": 0.8, "AU6": 0.8}, {"AU1": 0.8, "AU2": 0.8, "AU5": 1.0, "AU26": 1.0, "AU25": 0.5},
)  # fmt: skip
_MIDLINE = frozenset(("AU25", "AU26", "AU27", "AU17", "AU16", "AU19", "AU29", "AU32"))  # one-sided they do not come
_MOST = 2.5  # times the patterns, which are at about maximum intensity already


def _ease(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) a rise from just above 0 to 1 with random skew."""
    u = (np.arange(n) + 1.0) / n
    u = u ** rng.uniform(0.7, 1.4)
    return u * u * (3 - 2 * u)


def envelope(
    onset: int, apex: int, hold: int, offset: int, n: int, rng: np.random.Generator, decay: float = 0.0
) -> np.ndarray:
    """(n,) intensity curve: 0 before onset, about 1 from apex for `hold` ticks, back to 0 after offset.

    onset, apex and offset are ticks; they may lie outside the clip, which then shows a part of the curve. decay: the
    release is exponential and fades to exp(-decay) of itself, as of spontaneous expressions; 0: it is eased.
    """
    length = offset - onset + 1
    rise = max(apex - onset, 1)
    fall = max(offset - (apex + hold) + 1, 1)
    curve = np.ones(length)
    curve[:rise] = _ease(rise, rng)
    if decay:
        faded = np.exp(-decay)
        release = (np.exp(-decay * (np.arange(fall) + 1.0) / (fall + 1.0)) - faded) / (1 - faded)
    else:
        release = _ease(fall, rng)[::-1]
    curve[-fall:] = release * curve[-fall:]
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


def waver(curve: np.ndarray, onset: int, offset: int, rng: np.random.Generator) -> np.ndarray:
    """The same expression growing in steps, or sagging to half and coming back, without ever leaving the face."""
    bounds = [onset - 40]
    while bounds[-1] < offset + 40:
        bounds.append(bounds[-1] + int(rng.integers(8, 30)))
    levels = smooth_steps(
        [b - bounds[0] for b in bounds], list(rng.uniform(0.4, 1.0, len(bounds) - 1)), bounds[-1] - bounds[0], 3.0
    )
    ticks = np.clip(np.arange(len(curve)) - bounds[0], 0, len(levels) - 1)
    wavered = curve * levels[ticks]
    return wavered / max(wavered.max(), 1e-6) * min(curve.max(), 1.0)


def draw_expression(
    person: Person,
    amplitude: float,
    rng: np.random.Generator,
    recipes: Sequence[Mapping[str, float]] = PROTOTYPES,
) -> np.ndarray:
    """(K, 3) displacement at the apex of a random expression whose largest ROI motion is `amplitude` IOD, or less where
    that would take action units beyond their reach."""
    if recipes is PROTOTYPES and rng.random() < 0.2:
        shape = random_field(rng)
    else:
        recipe = recipes[rng.integers(len(recipes))]
        if recipes is PROTOTYPES and amplitude < 0.05 and rng.random() < 0.6:
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
                jaw = au in _MIDLINE
                for side, share in zip(("left", "right"), (1.0, 1.0) if jaw else sides, strict=True):
                    shape = shape + strength * share * person.fields[au, side]
            else:
                shape = shape + strength * rng.choice([-1, 1]) * person.fields[au, "both"]
    reach = np.linalg.norm(roi_means(shape)[:, :2], axis=1).max()
    return shape * min(amplitude / max(reach, 0.02), _MOST)


def draw_wink(person: Person, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(K, 3) displacement of one eye shut with what helps it, and its largest ROI motion in IOD."""
    side = str(rng.choice(["left", "right"]))
    helpers = {"AU6": rng.uniform(0.3, 1.2), "AU12": rng.uniform(0, 0.5), "AU4": rng.uniform(0, 0.4)}
    shape = person.fields["AU43", side] + sum(strength * person.fields[au, side] for au, strength in helpers.items())
    return shape, float(np.linalg.norm(roi_means(shape)[:, :2], axis=1).max())


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_amplitude(kind: ExpressionType, setting: Setting, rng: np.random.Generator) -> float:
    """Largest ROI motion of an expression in IOD."""
    if setting == "laboratory":
        return _log_uniform(0.05, 0.35, rng) if kind == "macro" else _log_uniform(0.01, 0.04, rng)
    if setting == "calm":
        return _log_uniform(0.012, 0.07, rng)
    if kind == "macro":
        if rng.random() < 0.5:
            # What people mark in videos of others is mostly large.
            return _log_uniform(0.18, 0.8, rng) if rng.random() < 0.65 else _log_uniform(0.03, 0.18, rng)
        return _log_uniform(0.05, 0.4, rng) if rng.random() < 0.8 else _log_uniform(0.02, 0.06, rng)
    return _log_uniform(0.01, 0.05, rng) if rng.random() < 0.55 else _log_uniform(0.04, 0.3, rng)


def draw_timing(kind: ExpressionType, setting: Setting, rng: np.random.Generator) -> tuple[int, int, int]:
    """Ticks of rise, hold and fall, of which the beginning and the end are too weak to be marked (`stage`).

    Macro-expressions: the medians of rise and fall in the annotation sheets of CAS(ME)^2 and SAMM-LV (0.4 and 0.65 s)
    lie between those drawn and what is marked of them, on calm faces slower; some are held for up to ten seconds.
    """
    if kind == "micro":
        longest = MICRO_MAX_TICKS if setting == "laboratory" else MICRO_MAX_TICKS + 5
        total = int(rng.integers(5 if rng.random() < 0.6 else 9, longest + 1))
        rise = int(np.clip(round(total * rng.uniform(0.3, 0.65)), 2, total - 2))
        return rise, 0, total - rise
    slow = {"calm": 2.6, "anywhere": 1.5, "laboratory": 1.0}[setting]
    kinds = rng.random()
    low, high = (16, 120) if kinds < 0.76 else (16, 35) if kinds < 0.89 else (100, 300)
    total = int(_log_uniform(low, high, rng))
    rise = int(np.clip(12.5 * slow * rng.lognormal(0, 0.6), 3, 0.7 * total))
    fall = int(np.clip(20.0 * slow * rng.lognormal(0, 0.65), 3, 0.8 * total))
    hold = total - rise - fall
    if hold < 0:
        rise = int(np.clip(rise * total / (rise + fall), 2, total - 2))
        fall, hold = total - rise, 0
    return rise, hold, fall
