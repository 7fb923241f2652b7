"""What a simulated face does over time: expressions with known onset, apex and offset, and all that is not one.

A performance is a sum of tracks, each a displacement field (K, 3) in IOD times a curve (T,). Expressions carry labels;
blinks, gaze, speech, chewing, nods, slow lip parting and posture changes do not. Everything is drawn on a 30 Hz clock.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..intervals import ExpressionType
from .anatomy import Person
from .behaviour import blink, chew, gaze, look_down, nod, rest, swallow
from .expressions import (
    CALM_MOUTHS,
    LAUGHS,
    PROTOTYPES,
    SMILES,
    UPPER_FACE,
    Setting,
    draw_amplitude,
    draw_expression,
    draw_timing,
    draw_wink,
    envelope,
    waver,
)
from .stage import Performance, Stage, smooth_steps
from .talking import laugh, speak

LABORATORY_MICRO_TICKS = 8  # a quarter second: one annotated in ten is shorter
_SWALLOWS, _LOOKS_DOWN = 3.0, 4.0  # a minute
# Of expressions that follow another one without a rest, those that keep a part of it: brows that were raised stay up
# in the smile, a mouth that was open laughs.
_KEEPS = 0.4
# Of clips with expressions that are neither calm nor of a laboratory, those of people whose face is at rest for the
# lesser part. Ticks of what they show, and of the lulls between; and lulls of more ticks in which something small may
# happen.
_RESTLESS = 0.3
_SHOWN_TICKS, _LULL_TICKS = (75, 330), (12, 150)
_ROOM, _SMALL_IN_LULL = 40, 0.35
# Of expressions of more than these ticks, those that sag and come back, and of shorter ones.
_LONG_TICKS, _LONG_WAVERS, _WAVERS = 75, 0.65, 0.3
# Of macro-expressions of silent faces, those that may be laughs, jaws that drop or smiles alone.
_LAUGHS = 0.2
# Probability that somebody speaks in a clip.
_SPEECH: dict[Setting, float] = {"laboratory": 0.3, "calm": 0.0, "anywhere": 0.45}


def perform(
    person: Person,
    n: int,
    rng: np.random.Generator,
    *,
    busy: float | None = None,
    speech: float | None = None,
    laboratory: bool = False,
    calm: bool = False,
    restless: float | None = None,
) -> Performance:
    """Compose a random clip of n ticks.

    busy: share of the clip filled by expressions, random when None (0 gives a clip without any). speech: probability
    of speech. laboratory: as elicitation studies record them, expressions whole and apart from each other,
    micro-expressions subtle (1 to 4 % of IOD) and a quarter second or longer, macro-expressions visible (5 to 35 %).
    calm: a silent face that shows little, 1.2 to 7 % of IOD, and takes its time over it. restless: probability that an
    expressive face, neither calm nor of a laboratory, is at rest for the lesser part, however busy it is to be.
    A macro-expression of which no more than half a second shows, as at the ends of a clip, is labelled micro with the
    amplitude it has.
    """
    setting: Setting = "laboratory" if laboratory else "calm" if calm else "anywhere"
    stage = Stage(n, laboratory)
    rest(stage, person, rng, calm)
    gaze(stage, person, rng)
    rate = rng.choice([0.1, 0.3, 0.6, 1.2])
    for at in np.flatnonzero(rng.random(n) < rate / 30):
        blink(stage, person, int(at), rng)
    for at in np.flatnonzero(rng.random(n) < _SWALLOWS / 1800):
        swallow(stage, person, int(at), rng)
    # From numbers of its own, so that clips keep what else happens in them.
    (glancing,) = rng.spawn(1)
    for at in np.flatnonzero(glancing.random(n) < _LOOKS_DOWN / 1800):
        look_down(stage, person, int(at), glancing)
    if busy is None:
        busy = float(rng.choice([0.0, 0.1, 0.25, 0.45, 0.7], p=[0.16, 0.18, 0.22, 0.20, 0.24]))
    if rng.random() < (_SPEECH[setting] if speech is None else speech):
        _converse(stage, person, busy > 0, rng)
    elif not laboratory and rng.random() < 0.15:
        for _ in range(rng.poisson(n / 200) + 1):
            nod(stage, int(rng.integers(-20, n)), rng)
    (own,) = rng.spawn(1)
    if setting == "anywhere" and busy > 0 and own.random() < (_RESTLESS if restless is None else restless):
        _express_throughout(stage, person, own)
    elif busy > 0:
        _express(stage, person, busy, setting, rng)
    return stage.performance(len(person.shape))


def _converse(stage: Stage, person: Person, expressive: bool, rng: np.random.Generator) -> None:
    """Talk throughout or in turns, listening in between; or eat."""
    n = stage.n
    if rng.random() < 0.06:
        start = int(rng.integers(-60, n))
        return chew(stage, person, start, start + int(rng.integers(60, 400)), rng)
    if rng.random() < 0.4:
        return speak(stage, person, -40, n + 40, expressive, rng)
    at = int(rng.integers(-90, max(n - 30, 1)))
    for _ in range(rng.integers(1, 5)):
        stop = at + int(np.exp(rng.uniform(np.log(15), np.log(240))))
        speak(stage, person, at, stop, expressive, rng)
        if expressive and rng.random() < 0.25:
            # What was said gets its face: a smile after the sentence, lips pressed at its end.
            onset = stop + int(rng.integers(-10, 10))
            _perform_one(stage, person, "macro", draw_amplitude("macro", "anywhere", rng), onset, "anywhere", rng)
        if expressive and rng.random() < 0.12:
            laugh(stage, person, stop + int(rng.integers(-20, 20)), rng)
        pause = int(rng.integers(10, 150))
        if rng.random() < 0.4:
            nod(stage, stop + int(rng.integers(0, pause)), rng)
        at = stop + pause


def _perform_one(
    stage: Stage,
    person: Person,
    kind: ExpressionType,
    amplitude: float,
    onset: int,
    setting: Setting,
    rng: np.random.Generator,
    recipes: Sequence[Mapping[str, float]] = PROTOTYPES,
    kept: np.ndarray | None = None,
    timing: tuple[int, int, int] | None = None,
) -> tuple[int, int]:
    """One expression from tick `onset` on; returns its last tick and the ticks of its release. kept: (K, 3) what it has
    of the one before it. timing: ticks of rise, hold and fall, drawn when None."""
    rise, hold, fall = timing or draw_timing(kind, setting, rng)
    if setting == "laboratory" and kind == "micro" and rise + fall < LABORATORY_MICRO_TICKS:
        rise, fall = LABORATORY_MICRO_TICKS // 2, LABORATORY_MICRO_TICKS - LABORATORY_MICRO_TICKS // 2
    # Released expressions fade: of an exponential the last part is no longer seen, so it is drawn longer.
    decay = float(rng.uniform(1.0, 3.5)) if kind == "macro" and rng.random() < 0.25 else 0.0
    fall = round(fall * 1.3) if decay else fall
    offset = onset + rise + hold + fall - 1
    if setting == "laboratory" and offset > stage.n - 20:
        return stage.n, fall
    curve = envelope(onset, onset + rise, hold, offset, stage.n, rng, decay)
    length = offset - onset + 1
    if length > 24 and rng.random() < (_LONG_WAVERS if length > _LONG_TICKS else _WAVERS):
        curve = waver(curve, onset, offset, rng)
    shape = draw_expression(person, amplitude, rng, recipes)
    if length < 30 and recipes is PROTOTYPES and setting == "anywhere" and rng.random() < 0.02:
        shape, amplitude = draw_wink(person, rng)
    if kept is not None:
        shape = shape + kept
    stage.express(shape, curve, amplitude)
    if length > 40 and rng.random() < 0.12:
        # One expression that changes on the way: parts of it give way to others while the rest stays.
        change = smooth_steps(
            [onset - 40, *sorted(rng.integers(onset, offset, 3)), offset + 40], [0, 1, -0.5, 0.7], stage.n, 6.0
        )
        other = draw_expression(person, amplitude * rng.uniform(0.2, 0.6), rng, recipes)
        stage.add(other, curve * change)
    elif length > 18 and rng.random() < 0.4:
        # Faces come on in parts: a smile opens, brows join it, and leave before it ends.
        late, early = int(rng.uniform(0, 0.55) * length), int(rng.uniform(0, 0.45) * length)
        first, last = onset + late, max(offset - early, onset + late + 8)
        middle = first + int(rng.uniform(0.2, 0.6) * (last - first))
        joined = envelope(first, middle, int(rng.uniform(0, 0.3) * (last - middle)), last, stage.n, rng)
        stage.add(draw_expression(person, amplitude * rng.uniform(0.3, 1.0), rng, recipes), joined)
    if length > 24 and setting == "anywhere" and rng.random() < 0.04:
        # Brows that alternate: one rises as the other falls.
        swing = np.sin(2 * np.pi * rng.uniform(0.6, 2.0) * (np.arange(stage.n) - onset) / 30) * curve
        for side, half in (("left", np.maximum(swing, 0)), ("right", np.maximum(-swing, 0))):
            stage.add(person.fields["AU2", side] * rng.uniform(0.4, 1.0), half)
    return offset, fall


def _express(stage: Stage, person: Person, busy: float, setting: Setting, rng: np.random.Generator) -> None:
    """Fill about a share `busy` of the stage with expressions."""
    micro_share = rng.choice([0.1, 0.25, 0.5, 0.8])
    chained = rng.uniform(0.3, 1.0) if busy > 0.4 else rng.uniform(0, 0.6)
    tick = -int(rng.integers(0, 120)) if rng.random() < 0.25 else int(rng.integers(0, 60))
    if setting == "laboratory":
        micro_share, chained, tick = 0.5, 0.0, int(rng.integers(20, 60))
    elif setting == "calm":
        micro_share, chained = 0.15, 0.2 * chained
    last: int | None = None  # number of the expression that the next one follows without a rest
    while tick < stage.n - 4:
        kind: ExpressionType = "micro" if rng.random() < micro_share else "macro"
        amplitude = draw_amplitude(kind, setting, rng)
        recipes: Sequence[Mapping[str, float]] = PROTOTYPES
        if setting == "calm" and rng.random() < 0.6:
            recipes = CALM_MOUTHS
        if setting == "anywhere" and kind == "macro" and rng.random() < _LAUGHS:
            recipes = LAUGHS
        if stage.speaking[max(tick, 0) : max(tick, 0) + 40].mean() > 0.3:
            # On a talking face only what stands out from speech is an expression that anybody could mark.
            if rng.random() < (0.7 if kind == "micro" else 0.3):
                tick += 30
                continue
            part = 0.0 if kind == "micro" else rng.random()
            recipes = UPPER_FACE if part < 0.4 else SMILES if part < 0.7 else PROTOTYPES
            amplitude = max(amplitude, rng.uniform(0.04, 0.15) if part < 0.4 else rng.uniform(0.1, 0.3))
        shown = len(stage.events)
        kept = None
        if last is not None and rng.random() < _KEEPS:
            kept = stage.shapes[last] * rng.uniform(0.2, 1.0)
        offset, fall = _perform_one(stage, person, kind, amplitude, tick, setting, rng, recipes, kept)
        if last is not None and len(stage.events) > shown:
            stage.give_way(last)
        last = shown if len(stage.events) > shown else None
        if kind == "micro" and setting == "anywhere" and rng.random() < 0.08:
            # Now and then a second, different movement rides on a macro-expression nearby.
            other = tick + int(rng.integers(-20, 20))
            _perform_one(stage, person, "macro", 0.1, other, setting, rng, recipes)
        if rng.random() < chained:
            # One face turns into the next: half of them while the last one leaves, others at about its end.
            back = rng.uniform(0.5, 1.1) * fall if rng.random() < 0.5 else rng.uniform(0.0, 0.33) * fall
            tick = offset + 1 + int(rng.integers(0, 7)) - round(back)
        else:
            last = None
            mean_gap = (offset - tick + 1) * (1 - busy) / max(busy, 0.05)
            tick = offset + 6 + int(rng.exponential(max(mean_gap, 6)))


def _express_throughout(stage: Stage, person: Person, rng: np.random.Generator) -> None:
    """Show long expressions, most of them smiles, with lulls between them: a running median takes those for the face
    at rest, and rest for an expression. What is small comes in the lulls."""
    smiles = rng.uniform(0.3, 1.0)
    tick = int(rng.integers(-200, 60))
    while tick < stage.n - 4:
        length = int(np.exp(rng.uniform(*np.log(_SHOWN_TICKS))))
        rise, _, fall = draw_timing("macro", "anywhere", rng)
        rise, fall = min(rise, length // 3), min(fall, length // 2)
        recipes = SMILES if rng.random() < smiles else PROTOTYPES
        amplitude = draw_amplitude("macro", "anywhere", rng)
        timing = rise, length - rise - fall, fall
        offset, _ = _perform_one(stage, person, "macro", amplitude, tick, "anywhere", rng, recipes, timing=timing)
        lull = int(np.exp(rng.uniform(*np.log(_LULL_TICKS))))
        if lull > _ROOM and rng.random() < _SMALL_IN_LULL:
            # Lips that press in passing, for half a second to two.
            at, small = offset + int(rng.integers(6, lull // 2)), draw_amplitude("macro", "calm", rng)
            timing = int(rng.integers(4, 14)), int(rng.integers(0, 25)), int(rng.integers(5, 20))
            offset, _ = _perform_one(stage, person, "macro", small, at, "anywhere", rng, CALM_MOUTHS, timing=timing)
        tick = offset + lull
