"""Simulated people whose face is at rest for the lesser part, and those whose face is set for speech."""

from itertools import pairwise

import numpy as np
import pytest
from facespot.spotting.simulation import talking, timeline
from facespot.spotting.simulation.anatomy import draw_person
from facespot.spotting.simulation.speech import ARTICULATORS, Talk
from facespot.spotting.simulation.stage import Stage
from facespot.spotting.simulation.talking import speak
from facespot.spotting.simulation.timeline import perform


def performed(seed, n=720, **staging):
    rng = np.random.default_rng(seed)
    return perform(draw_person(rng), n, rng, **staging)


def test_restless_people_show_something_most_of_the_time_and_rest_between():
    performances = [performed(seed, busy=0.5, speech=0.0, restless=1.0) for seed in range(12)]
    shown = np.array([np.mean(p.intensity > 0.2) for p in performances])
    assert 0.5 < shown.mean() < 0.9
    lengths = [e.offset - e.onset + 1 for p in performances for e in p.events]
    assert np.median(lengths) > 60
    assert all(later.onset > one.offset for p in performances for one, later in pairwise(p.events))


def test_nobody_is_restless_who_shows_nothing_or_is_in_a_laboratory(monkeypatch):
    monkeypatch.setattr(timeline, "_express_throughout", lambda *_: pytest.fail("restless"))
    performed(1, busy=0.0, restless=1.0)
    performed(1, busy=0.5, laboratory=True, restless=1.0)
    performed(1, busy=0.5, calm=True, restless=1.0)


def test_a_face_is_set_for_as_long_as_it_talks_and_that_is_no_expression(monkeypatch):
    monkeypatch.setattr(talking, "_POSTURES", 1.0)
    monkeypatch.setattr(talking, "talk", lambda ticks, *_, **__: silent(ticks))
    stage, rng = Stage(600), np.random.default_rng(3)
    person = draw_person(rng)
    speak(stage, person, 200, 400, False, rng)
    moved = np.linalg.norm(stage.performance(len(person.shape)).displacement, axis=2).max(axis=1)
    assert not stage.events
    assert moved[250:380].min() > 0.005
    assert max(moved[:120].max(), moved[520:].max()) < 0.1 * moved[300]


def silent(ticks):
    return Talk(np.zeros((ticks, len(ARTICULATORS))), np.zeros(ticks, bool), [])
