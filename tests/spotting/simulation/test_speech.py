"""Simulated speech: rates, rhythm, visemes, and what of it counts as an expression."""

import numpy as np
import pytest
from facespot.extract.regions import KEPT_INDEX
from facespot.extract.timebase import CLOCK_HZ
from facespot.spotting.simulation import speech as speech_module
from facespot.spotting.simulation.anatomy import draw_person
from facespot.spotting.simulation.speech import ARTICULATORS, Voice, talk
from facespot.spotting.simulation.timeline import perform
from scipy.signal import periodogram

JAW, PARTED, CLOSED, ROUNDED = (ARTICULATORS.index(name) for name in ("jaw", "parted", "closed", "rounded"))


@pytest.fixture(scope="module")
def talks():
    return [talk(900, Voice.draw(rng), rng) for rng in map(np.random.default_rng, range(12))]


def test_people_speak_three_to_seven_syllables_a_second(talks):
    rates = [said.syllables / (said.voiced.sum() / CLOCK_HZ) for said in talks]
    assert 2.8 < min(rates) < max(rates) < 7
    assert 4 < np.median(rates) < 5.5


def test_jaws_move_at_the_rates_of_words_and_syllables(talks):
    def share(low, high):
        energy = 0.0
        for said in talks:
            frequency, power = periodogram(said.articulation[:, JAW], CLOCK_HZ)
            energy += power[(frequency >= low) & (frequency < high)].sum() / power[frequency > 0.1].sum()
        return energy / len(talks)

    assert share(2, 7) > 0.15
    assert share(2, 7) > 5 * share(7, 15)


def test_pauses_are_silent_and_the_mouth_comes_to_rest_in_long_ones(talks):
    for said in talks:
        assert 0.4 < said.voiced.mean() < 1
        assert 0 <= said.articulation.min() <= said.articulation.max() <= 1
        assert all(said.voiced[max(tick - 1, 0) : tick + 2].any() for tick in said.stresses)
        quiet = np.convolve(said.voiced, np.ones(31), mode="same") == 0
        assert (said.articulation[quiet] < 0.1).all()
    assert sum(len(said.stresses) for said in talks) > 200


def utter(monkeypatch, *visemes, seconds=0.12):
    """Articulation of a phrase of these visemes, each of the same length."""
    phones = [(viseme, 1000 * seconds, False) for viseme in visemes]
    monkeypatch.setattr(speech_module, "_phrase", lambda *_: (phones, 1))
    return talk(round((len(visemes) * seconds) * CLOCK_HZ), Voice(pause_s=9), np.random.default_rng(0)).articulation


def test_lips_close_for_bilabials_whatever_stands_beside_them(monkeypatch):
    said = utter(monkeypatch, "open", "bilabial", "open")
    middle = len(said) // 2
    assert said[middle, CLOSED] > 0.8
    assert said[middle, PARTED] < 0.3
    assert said[[1, -2], PARTED].min() > 0.4


def test_rounding_spreads_to_the_neighbours(monkeypatch):
    """Coarticulation: the same consonant is said with rounder lips beside a round vowel."""
    beside = {v: utter(monkeypatch, v, "alveolar", v) for v in ("round_close", "high")}
    middle = len(beside["high"]) // 2
    assert beside["round_close"][middle, ROUNDED] > beside["high"][middle, ROUNDED] + 0.3


def test_a_drawl_lengthens_the_syllables():
    slow, plain = (talk(900, Voice(), np.random.default_rng(3), drawl) for drawl in (4.0, 1.0))
    assert slow.syllables / slow.voiced.sum() < 0.6 * plain.syllables / plain.voiced.sum()


@pytest.fixture(scope="module")
def speakers():
    clips = []
    for seed in range(14):
        rng = np.random.default_rng(seed)
        clips.append(perform(draw_person(rng), 480, rng, busy=0.0 if seed < 7 else 0.4, speech=1.0))
    return clips


def test_speech_alone_is_no_expression(speakers):
    assert all(clip.events == [] for clip in speakers[:7])
    talking = [clip for clip in speakers[:7] if clip.speaking.mean() > 0.2]
    assert len(talking) >= 4
    steps = [np.diff(clip.displacement[:, KEPT_INDEX[17], 1]) for clip in talking]
    assert min(step[clip.speaking[1:]].std() for step, clip in zip(steps, talking, strict=True)) > 0.002


def test_heads_go_with_the_voice(speakers):
    assert sum(np.abs(clip.nods).max() > 0.01 for clip in speakers) >= 6
    assert all(clip.nods.shape == (480, 3) for clip in speakers)


def test_expressions_over_speech_are_larger_than_speech(speakers):
    over = [
        event
        for clip in speakers[7:]
        for event in clip.events
        if clip.speaking[event.onset : event.onset + 40].mean() > 0.6
    ]
    assert len(over) >= 4
    assert np.median([event.amplitude for event in over]) > 0.06
