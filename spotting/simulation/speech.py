"""What a mouth does while its owner talks: phones with published durations, visemes, coarticulation, prosody.

Words are made of syllables, syllables of phones by the phonotactics of English; nobody's lexicon is needed, since only
the mouth is seen. Durations are the inherent and least ones of Klatt's rules (Klatt 1979, "Synthesis by rule of
segmental durations in English sentences"), shortened in unstressed and lengthened in phrase-final syllables, at 3 to 7
syllables a second. Each phone asks for a jaw, lips and teeth of its own, and neighbours blend by dominance functions
(Cohen & Massaro 1993, "Modeling coarticulation in synthetic visual speech"): a phone's say fades exponentially with the
distance from its middle, and what it cares for, as /p/ for closed lips, it asks for more strongly.
"""

from dataclasses import dataclass, field

import numpy as np

from ...extract.timebase import CLOCK_HZ

# What the mouth is described by, all 0..1: jaw drop, lips apart, lips pressed together, rounded, spread, lower lip
# against the upper teeth, lower lip drawn down to show the teeth.
ARTICULATORS = ("jaw", "parted", "closed", "rounded", "spread", "labiodental", "bared")
_REST = (0.0,) * len(ARTICULATORS)
# Viseme -> target and how strongly it insists on each of it.
_VISEMES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "open": ((1.0, 0.8, 0, 0, 0.15, 0, 0.4), (1.0, 0.8, 0.3, 0.3, 0.2, 0.3, 0.3)),
    "mid": ((0.55, 0.6, 0, 0, 0.4, 0, 0.4), (0.8, 0.7, 0.3, 0.3, 0.4, 0.3, 0.3)),
    "high": ((0.2, 0.45, 0, 0, 0.9, 0, 0.5), (0.7, 0.6, 0.3, 0.5, 0.8, 0.3, 0.4)),
    "neutral": ((0.35, 0.45, 0, 0.1, 0.2, 0, 0.2), (0.35, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2)),
    "round_open": ((0.75, 0.6, 0, 0.6, 0, 0, 0.1), (0.9, 0.7, 0.3, 0.8, 0.5, 0.3, 0.2)),
    "round_close": ((0.25, 0.3, 0, 1.0, 0, 0, 0), (0.7, 0.6, 0.3, 1.0, 0.7, 0.3, 0.3)),
    "bilabial": ((0.1, 0.0, 1.0, 0.1, 0.1, 0, 0), (0.8, 2.5, 3.0, 0.1, 0.1, 0.6, 0.6)),
    "labiodental": ((0.15, 0.2, 0.1, 0, 0.2, 1.0, 0), (0.8, 1.2, 0.6, 0.2, 0.2, 3.0, 0.8)),
    "dental": ((0.25, 0.45, 0, 0, 0.3, 0, 0.4), (0.6, 0.6, 0.4, 0.1, 0.1, 0.4, 0.4)),
    "alveolar": ((0.2, 0.4, 0, 0, 0.3, 0, 0.4), (0.5, 0.5, 0.4, 0.1, 0.15, 0.4, 0.3)),
    "sibilant": ((0.05, 0.4, 0, 0, 0.5, 0, 0.7), (1.5, 0.7, 0.5, 0.2, 0.4, 0.5, 0.7)),
    "protruded": ((0.1, 0.45, 0, 0.8, 0, 0, 0.5), (1.2, 0.7, 0.4, 0.9, 0.5, 0.4, 0.5)),
    "glide_round": ((0.15, 0.2, 0.1, 1.0, 0, 0, 0), (0.7, 0.8, 0.4, 1.5, 0.8, 0.4, 0.4)),
    "back": ((0.35, 0.45, 0, 0, 0.2, 0, 0.2), (0.25, 0.3, 0.3, 0.05, 0.05, 0.3, 0.1)),
}
# Vowels: viseme, inherent and least duration in ms (Klatt 1979), frequency per thousand vowels of running English.
_VOWELS = {
    "AA": ("open", 240, 100, 60), "AE": ("open", 230, 80, 90), "AH": ("mid", 140, 60, 80),
    "AO": ("round_open", 240, 100, 40), "AX": ("neutral", 120, 60, 260), "EH": ("mid", 150, 70, 80),
    "ER": ("protruded", 180, 80, 40), "EY": ("mid", 190, 70, 50), "IH": ("high", 135, 40, 150),
    "IY": ("high", 155, 55, 90), "OW": ("round_open", 220, 80, 45), "UH": ("round_close", 160, 60, 15),
    "UW": ("round_close", 210, 70, 50),
}  # fmt: skip
# Consonants: the same, with frequencies at the beginning and at the end of a syllable.
_CONSONANTS = {
    "P": ("bilabial", 90, 50, 45, 20), "B": ("bilabial", 85, 60, 55, 8), "M": ("bilabial", 70, 60, 65, 60),
    "F": ("labiodental", 100, 80, 45, 20), "V": ("labiodental", 60, 40, 25, 40), "TH": ("dental", 90, 60, 12, 15),
    "DH": ("dental", 50, 30, 90, 3), "T": ("alveolar", 75, 50, 95, 170), "D": ("alveolar", 75, 50, 60, 110),
    "N": ("alveolar", 60, 50, 60, 190), "L": ("alveolar", 80, 40, 65, 80), "S": ("sibilant", 105, 60, 85, 90),
    "Z": ("sibilant", 75, 40, 10, 90), "SH": ("protruded", 105, 80, 20, 8), "CH": ("protruded", 140, 90, 15, 12),
    "JH": ("protruded", 120, 80, 15, 8), "R": ("protruded", 80, 30, 70, 50), "W": ("glide_round", 80, 60, 65, 0),
    "Y": ("high", 80, 40, 30, 0), "K": ("back", 80, 60, 60, 50), "G": ("back", 80, 60, 30, 15),
    "NG": ("back", 95, 60, 0, 45), "HH": ("back", 80, 20, 50, 0),
}  # fmt: skip
_SYLLABLES_OF_WORD = (0.62, 0.24, 0.1, 0.04)  # running English is mostly monosyllables
_FADE = 0.045  # per ms, of a phone's say on either side; jaw and rounding fade more slowly
_FADE_FACTORS = np.array([0.7, 1.0, 1.5, 0.6, 0.8, 1.4, 0.9])


@dataclass(frozen=True)
class Voice:
    """How somebody talks. rate: factor on all durations. pause_s, phrase_words: typical. hesitant: share of phrases
    with a filled pause. slur: factor on how far a phone's say reaches."""

    rate: float = 1.0
    pause_s: float = 0.45
    phrase_words: int = 6
    hesitant: float = 0.15
    slur: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Voice":
        return cls(
            rate=float(np.clip(rng.lognormal(0.0, 0.18), 0.65, 1.6)),
            pause_s=float(np.exp(rng.uniform(np.log(0.2), np.log(0.9)))),
            phrase_words=int(rng.integers(2, 12)),
            hesitant=float(rng.uniform(0, 0.3)),
            slur=float(rng.uniform(0.7, 1.5)),
        )


@dataclass(eq=False)
class Talk:
    """articulation: (T, len(ARTICULATORS)) 0..1; voiced: (T,) bool, False in pauses; stresses: ticks of stressed
    vowels; syllables: how many were uttered."""

    articulation: np.ndarray
    voiced: np.ndarray
    stresses: list[int] = field(default_factory=list)
    syllables: int = 0


def talk(ticks: int, voice: Voice, rng: np.random.Generator, drawl: float = 1.0) -> Talk:
    """Phrases with pauses between them for T ticks. drawl: factor on the vowels, for singing."""
    said = Talk(np.zeros((ticks, len(ARTICULATORS))), np.zeros(ticks, bool))
    at = 0.0  # ms
    end = ticks * 1000 / CLOCK_HZ
    while at < end:
        length = _utter(said, at, voice, rng, drawl)
        at += length + 1000 * voice.pause_s * rng.lognormal(0, 0.6)
    return said


def _pick(table: dict[str, tuple], column: int, rng: np.random.Generator) -> str:
    names, shares = _shares(table, column)
    return names[int(np.searchsorted(shares, rng.random()))]


_SHARES: dict[tuple[int, int], tuple[list[str], np.ndarray]] = {}


def _shares(table: dict[str, tuple], column: int) -> tuple[list[str], np.ndarray]:
    key = id(table), column
    if key not in _SHARES:
        weights = np.array([row[column] for row in table.values()], float)
        _SHARES[key] = list(table), np.cumsum(weights / weights.sum())
    return _SHARES[key]


def _phrase(voice: Voice, rng: np.random.Generator, drawl: float) -> tuple[list[tuple[str, float, bool]], int]:
    """(viseme, duration in ms, stressed) of each phone of a phrase, and its number of syllables."""
    phones: list[tuple[str, float, bool]] = []
    syllables = 0
    words = max(1, rng.poisson(voice.phrase_words))
    if rng.random() < voice.hesitant:
        phones += [("neutral", rng.uniform(200, 600), False), ("bilabial", rng.uniform(80, 250), False)]
        syllables += 1
    for word in range(words):
        count = 1 + int(np.searchsorted(np.cumsum(_SYLLABLES_OF_WORD), rng.random()))
        content = count > 1 or rng.random() < 0.4
        stressed_at = int(rng.integers(count)) if content else -1
        for number in range(count):
            stressed = number == stressed_at
            final = word == words - 1 and number == count - 1
            part = (1.0 if stressed else 0.45) * (0.85 if count > 1 else 1.0) * (1.4 if final else 1.0)
            onset = [] if rng.random() < 0.12 else [_pick(_CONSONANTS, 3, rng)]
            coda = [_pick(_CONSONANTS, 4, rng)] if rng.random() < 0.5 else []
            if coda and rng.random() < 0.15:
                coda.append(_pick(_CONSONANTS, 4, rng))
            vowel = "AX" if not stressed and rng.random() < 0.45 else _pick(_VOWELS, 3, rng)
            for name in (*onset, vowel, *coda):
                viseme, inherent, least, *_ = _VOWELS[name] if name in _VOWELS else _CONSONANTS[name]
                length = ((inherent - least) * part + least) * voice.rate * rng.lognormal(0, 0.15)
                phones.append((viseme, length * (drawl if name in _VOWELS else 1.0), stressed and name in _VOWELS))
            syllables += 1
    return phones, syllables


def _utter(said: Talk, start: float, voice: Voice, rng: np.random.Generator, drawl: float) -> float:
    """Add a phrase that begins at `start` (ms) and return its length in ms."""
    phones, syllables = _phrase(voice, rng, drawl)
    lengths = np.array([length for _, length, _ in phones])
    middles = np.concatenate([[-120.0], np.cumsum(lengths) - lengths / 2, [lengths.sum() + 150.0]])
    lengths = np.concatenate([[160.0], lengths, [200.0]])
    targets = np.array([_REST, *(_VISEMES[v][0] for v, *_ in phones), _REST])
    # Unstressed vowels undershoot: the jaw does not get there.
    targets[1:-1, 0] *= [1.0 if s else rng.uniform(0.65, 1.0) for *_, s in phones]
    say = np.array([(0.9,) * len(ARTICULATORS), *(_VISEMES[v][1] for v, *_ in phones), (0.9,) * len(ARTICULATORS)])
    first = max(int((start - 150) * CLOCK_HZ / 1000), 0)
    total = float(lengths[1:-1].sum())
    last = min(int((start + total + 200) * CLOCK_HZ / 1000) + 1, len(said.articulation))
    times = np.arange(first, last) * 1000 / CLOCK_HZ - start
    # Distance from the phone, not from its middle alone: a long vowel keeps its say for as long as it lasts.
    far = np.maximum(np.abs(times[:, None] - middles) - 0.25 * lengths, 0)
    articulation = np.empty((len(times), len(ARTICULATORS)))
    for i, factor in enumerate(_FADE_FACTORS / voice.slur):
        dominance = say[:, i] * np.exp(-_FADE * factor * far)
        articulation[:, i] = dominance @ targets[:, i] / dominance.sum(axis=1)
    said.articulation[first:last] = np.maximum(said.articulation[first:last], articulation)
    said.voiced[max(round(start * CLOCK_HZ / 1000), 0) : round((start + total) * CLOCK_HZ / 1000)] = True
    said.stresses += [
        tick
        for middle, (*_, stressed) in zip(middles[1:-1], phones, strict=True)
        if stressed and 0 <= (tick := round((start + middle) * CLOCK_HZ / 1000)) < len(said.voiced)
    ]
    said.syllables += syllables
    return total
