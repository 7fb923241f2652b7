"""What comes between a face and what is seen of it, and what one expression leaves to the next."""

from itertools import pairwise

import numpy as np
import pytest
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS, geometry_channels
from facespot.spotting.simulation import mesh, sensor, talking, timeline
from facespot.spotting.simulation.anatomy import draw_person, neutral_face
from facespot.spotting.simulation.behaviour import blink
from facespot.spotting.simulation.sensor import observe, occlusion
from facespot.spotting.simulation.speech import ARTICULATORS
from facespot.spotting.simulation.stage import Stage
from facespot.spotting.simulation.timeline import perform


@pytest.fixture(scope="module")
def person():
    return draw_person(np.random.default_rng(3))


def only(monkeypatch, **shares):
    """Let nothing of all this happen but as often as said."""
    for module, name in ((mesh, "_LIDS_MISSED"), (sensor, "_HIDDEN"), (sensor, "_REPEATED")):
        monkeypatch.setattr(module, name, shares.get(name, 0.0))


def similarity(one, other):
    return float(one.ravel() @ other.ravel() / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize(("share", "alike"), [(0.0, False), (1.0, True)])
def test_an_expression_may_keep_a_part_of_the_one_before(monkeypatch, person, share, alike):
    monkeypatch.setattr(timeline, "_KEEPS", share)
    monkeypatch.setattr(timeline, "draw_amplitude", lambda *_: 0.1)
    stages = []
    monkeypatch.setattr(timeline, "Stage", lambda *args: stages.append(Stage(*args)) or stages[-1])
    found = []
    for seed in range(40):
        perform(person, 300, np.random.default_rng(seed), busy=0.7, speech=0.0)
        shown = sorted(zip(stages[-1].events, stages[-1].shapes, strict=True), key=lambda pair: pair[0].onset)
        found += [
            similarity(earlier, later)
            for (one, earlier), (other, later) in pairwise(shown)
            if other.onset == one.offset + 1
        ]
    assert len(found) > 30
    assert (np.median(found) > 0.3) == alike


def test_lids_that_the_mesh_misses_hardly_shut_in_the_geometry(monkeypatch, person):
    aperture = GEOMETRY_CHANNELS.index("eye_aperture_level")
    deepest = {}
    for share in (0.0, 1.0):
        only(monkeypatch, _LIDS_MISSED=share)
        falls = []
        for seed in range(12):
            stage = Stage(90)
            blink(stage, person, 40, np.random.default_rng(5))
            performance = stage.performance(len(person.shape))
            seen = observe(person, performance, np.random.default_rng(seed), still=True, laboratory=True)
            channel = geometry_channels(seen.landmarks, [(0, 90)])[:, aperture]
            falls.append(np.median(channel[:30]) - channel[38:60].min())
        deepest[share] = np.median(falls)
    assert 0 < deepest[1.0] < 0.8 * deepest[0.0]


def test_what_passes_hides_a_part_of_the_face_for_a_while(monkeypatch):
    only(monkeypatch, _HIDDEN=1.0)
    face = neutral_face()[:, :2]
    for seed in range(10):
        moved, hides = occlusion(900, np.random.default_rng(seed))
        assert 0 < np.mean(hides > 0) < 1
        centre = face[np.argmax(hides)]
        far = np.linalg.norm(face - centre, axis=1)
        assert far[hides == 0].max() > far[hides > 0.9].max()
        assert np.mean(np.abs(moved).max(axis=1) < 1e-4) > 0.5
    only(monkeypatch)
    moved, hides = occlusion(900, np.random.default_rng(0))
    assert not moved.any()
    assert not hides.any()


def test_something_that_passes_is_seen_and_is_no_expression(monkeypatch, person):
    performance = Stage(300).performance(len(person.shape))
    assert not performance.events
    spread = {}
    for share in (0.0, 1.0):
        only(monkeypatch, _HIDDEN=share)
        clips = [observe(person, performance, np.random.default_rng(seed)).landmarks for seed in range(6)]
        spread[share] = np.mean([np.ptp(geometry_channels(clip, [(0, 300)])[:, :30], axis=0).max() for clip in clips])
    assert spread[1.0] > 1.2 * spread[0.0]


def test_repeated_pictures_show_the_same_until_the_next_one():
    track = np.arange(30.0)[:, None]
    (shown,) = sensor._repeated([track], 15.0)
    assert shown[:, 0].tolist() == [2 * (tick // 2) for tick in range(30)]
    (shown,) = sensor._repeated([track], 25.0)
    assert len(np.unique(shown)) == 25
    assert np.all(track - shown >= 0)
    assert np.all(track - shown < 1.2)


def test_lips_settle_where_a_phrase_ends_and_come_back(person):
    for seed in range(10):
        stage = Stage(120)
        talking._settle(stage, person, 40, np.random.default_rng(seed))
        performance = stage.performance(len(person.shape))
        size = np.linalg.norm(performance.displacement, axis=2).max(axis=1)
        assert not performance.events
        assert size[:20].max() == 0
        assert size[80:].max() == 0
        assert 0 < size.max() < 0.06


def test_habits_go_with_what_is_said(person):
    silence, voice = np.zeros((60, len(ARTICULATORS))), np.ones((60, len(ARTICULATORS)))
    moved = []
    for seed in range(20):
        shown = []
        for articulation in (silence, voice):
            stage = Stage(120)
            talking._habits(stage, person, 30, articulation, np.random.default_rng(seed))
            shown.append(np.abs(stage.performance(len(person.shape)).displacement).max(axis=(1, 2)))
        assert not shown[0].any()
        assert not shown[1][:30].any()
        assert not shown[1][90:].any()
        moved.append(shown[1].max())
    # Some speakers have none.
    assert min(moved) == 0
    assert 0.005 < max(moved) < 0.3
