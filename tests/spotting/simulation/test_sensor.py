"""What is seen of a face whose head moves."""

import numpy as np
import pytest
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS, geometry_channels
from facespot.spotting.simulation import mesh, sensor
from facespot.spotting.simulation.anatomy import draw_person
from facespot.spotting.simulation.sensor import observe
from facespot.spotting.simulation.stage import Stage


@pytest.fixture(scope="module")
def person():
    return draw_person(np.random.default_rng(3))


def flow_of(person, curve, seed, **scene):
    """RMS flow of the lower lip over half a second, of a jaw that drops along a curve."""
    stage = Stage(len(curve))
    stage.add_both(person, {"AU26": 0.3}, curve)
    seen = observe(person, stage.performance(len(person.shape)), np.random.default_rng(seed), **scene)
    return np.sqrt((seen.snippets[20:-20, 16, 9] ** 2).mean())


def test_a_head_that_moves_is_not_taken_for_a_mouth_that_does(monkeypatch, person):
    """Patches go with the head: of its motion a mouth at rest shows a small share, more where tracking leaks."""
    monkeypatch.setattr(sensor, "_LEFT_BEHIND", 0.0)
    seen = {}
    for leaks in ((1e-6, 2e-6), (0.19, 0.2)):
        monkeypatch.setattr(sensor, "_LEAKS", leaks)
        seen[leaks] = np.median([flow_of(person, np.zeros(240), seed) for seed in range(14)])
    speaking = np.median([flow_of(person, np.sin(np.arange(240) / 3) > 0, seed) for seed in range(14)])
    assert seen[1e-6, 2e-6] < 0.4 * speaking
    assert seen[0.19, 0.2] > 1.5 * seen[1e-6, 2e-6]


def test_what_a_mouth_does_is_seen_as_well_on_a_head_that_moves(monkeypatch, person):
    """Movements of skin are cut short where they are large, those of the head are not."""
    monkeypatch.setattr(sensor, "_LEFT_BEHIND", 0.0)
    curve = np.sin(np.arange(240) / 3) > 0
    still = np.median([flow_of(person, curve, seed, still=True, laboratory=True) for seed in range(14)])
    moving = np.median([flow_of(person, curve, seed) for seed in range(14)])
    assert 0.8 < moving / still < 1.3


def test_patches_that_are_left_behind_show_the_head_s_motion(monkeypatch, person):
    """In some clips of everyday video a mouth at rest seems to move as the head does."""
    seen = {}
    for left in (0.0, 1.0):
        monkeypatch.setattr(sensor, "_LEFT_BEHIND", left)
        seen[left] = np.median([flow_of(person, np.zeros(240), seed) for seed in range(14)])
    assert seen[1.0] > 1.5 * seen[0.0]


@pytest.mark.parametrize(("share", "together"), [(0.0, True), (1.0, False)])
def test_a_mesh_errs_in_faces_or_point_by_point(monkeypatch, person, share, together):
    """Two parts of a brow, side by side on a face at rest: wrong together, or by themselves in some clips."""
    monkeypatch.setattr(mesh, "_BY_POINTS", share)
    alike = []
    for seed in range(8):
        seen = observe(person, Stage(240).performance(len(person.shape)), np.random.default_rng(seed), still=True)
        channels = geometry_channels(seen.landmarks, [(0, 240)])
        outer, mid = (channels[:, GEOMETRY_CHANNELS.index(f"image_left_brow_{part}_x")] for part in ("outer", "mid"))
        alike.append(np.corrcoef(outer, mid)[0, 1])
    assert (np.median(alike) > 0.8) == together
