"""How the simulated face mesh answers to movements of the skin."""

import numpy as np
import pytest
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS, geometry_channels
from facespot.spotting.simulation import mesh
from facespot.spotting.simulation.anatomy import au_field, draw_person, mirror_index, random_field, roi_means
from facespot.spotting.simulation.response import draw_errors, draw_response, error_shapes, measured
from facespot.spotting.simulation.sensor import observe
from facespot.spotting.simulation.stage import Stage


def both_sides(name):
    return au_field(name, "left") + au_field(name, "right")


def gain(field, answer):
    """How much of a movement (K, 3) is in the answer, in the picture plane."""
    moved, seen = field[:, :2].ravel(), answer[:, :2].ravel()
    return float(moved @ seen / (moved @ moved))


@pytest.fixture(scope="module")
def responses():
    return [draw_response(np.random.default_rng(seed)) for seed in range(40)]


def test_corners_of_the_mouth_are_answered_more_than_brows_and_cheeks_hardly(responses):
    seen = {
        au: np.median([gain(f, r(f[None])[0]) for r in responses])
        for au in ("AU12", "AU1", "AU6")
        for f in [both_sides(au)]
    }
    assert seen["AU12"] > seen["AU1"] > seen["AU6"]
    assert 0.45 < seen["AU12"] < 0.95
    assert 0.2 < seen["AU1"] < 0.65
    assert seen["AU6"] < 0.25


def test_an_answer_is_linear_in_the_movement(responses):
    rng = np.random.default_rng(1)
    one, other = random_field(rng)[None], random_field(rng)[None]
    for answer in responses[:5]:
        np.testing.assert_allclose(answer(2 * one - other), 2 * answer(one) - answer(other), atol=1e-9)


def test_whatever_moves_the_answer_is_made_of_few_shapes(responses):
    rng = np.random.default_rng(2)
    moves = np.stack([random_field(rng) for _ in range(150)])
    sizes = np.linalg.svd(responses[0](moves).reshape(150, -1), compute_uv=False)
    of_skin = np.linalg.svd(moves.reshape(150, -1), compute_uv=False)
    most = sum(len(read) for read, _ in measured())
    assert sizes[most] < 1e-9 * sizes[0]
    # Most of what skin does can be told from few shapes too, but not nearly all of it.
    assert of_skin[most] > 1e-3 * of_skin[0]


def test_no_two_faces_are_answered_alike_and_a_seed_always_alike(responses):
    field = both_sides("AU4")[None]
    gains = [gain(field[0], answer(field)[0]) for answer in responses]
    assert np.std(gains) > 0.05
    np.testing.assert_array_equal(draw_response(np.random.default_rng(0))(field), responses[0](field))


@pytest.mark.parametrize(("share", "spreads"), [(0.0, False), (1.0, True)])
def test_in_such_clips_a_movement_of_the_mouth_shows_elsewhere_too(monkeypatch, share, spreads):
    """One corner of the mouth is drawn down: how much of that is read at the other?"""
    monkeypatch.setattr(mesh, "_ANSWERED", share)
    monkeypatch.setattr(mesh, "_LEAST_ANSWERED", 1.0)
    person = draw_person(np.random.default_rng(4))
    corner, far = (GEOMETRY_CHANNELS.index(f"image_{side}_mouth_corner_y") for side in ("left", "right"))
    curve = np.clip(np.sin(np.arange(240) / 12), 0, None)
    ratios = []
    for seed in range(12):
        stage = Stage(240)
        stage.add(person.fields["AU15", "left"] * 0.5, curve)
        seen = observe(person, stage.performance(len(person.shape)), np.random.default_rng(seed), still=True)
        channels = geometry_channels(seen.landmarks, [(0, 240)])
        own, other = (abs(np.polyfit(curve, channels[:, i], 1)[0]) for i in (corner, far))
        ratios.append(other / own)
    assert (np.median(ratios) > 0.15) == spreads


def test_errors_of_a_mesh_are_faces_too():
    """Parts that lie side by side are wrong together, as on film; by themselves they would be so by chance."""
    errors = draw_errors(np.random.default_rng(1), error_shapes(), 4000)
    assert errors.shape == (4000, *error_shapes().shape[1:])
    assert np.sqrt((errors[:, :, :2] ** 2).mean()) == pytest.approx(1.0, abs=0.05)
    outer, mid = (roi_means(errors)[:, roi] for roi in (0, 1))
    for axis in (0, 1):
        assert np.corrcoef(outer[:, axis], mid[:, axis])[0, 1] > 0.9
    # Faces are wrong on either side alike.
    sizes = np.sqrt((errors**2).mean(axis=(0, 2)))
    np.testing.assert_allclose(sizes, sizes[mirror_index()], rtol=0.08)
