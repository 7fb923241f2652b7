"""The benchmark of ways to read a mesh: its squares, its mirror and what it makes of a clip."""

import numpy as np
import pytest
from facespot.benchmarks import filmed, mesh_readings
from facespot.benchmarks.mesh_readings import MIRROR, RIGID, WAYS, Way, around_rigid, compare, follow
from facespot.extract.face.mesh import eye_centres
from facespot.extract.face.mesh_network import N_MESH_POINTS
from facespot.extract.face.square import TurnedSquare
from facespot.spotting.simulation.still import load_still


@pytest.fixture(scope="module")
def astronaut():
    return load_still(pytest.importorskip("skimage.data").astronaut())


def test_the_square_by_the_rigid_points_goes_with_the_face_and_not_with_its_mouth():
    rng = np.random.default_rng(2)
    face = rng.uniform(-80, 80, (N_MESH_POINTS, 3)).astype(np.float32)
    face[33], face[263] = (-40, -20, 0), (40, -20, 0)
    level = around_rigid(face)
    assert level.side == pytest.approx(4.47 * np.sqrt(face[RIGID].var(axis=0).sum()), rel=1e-5)
    for angle in (0.0, 0.4, -1.0):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = 1.5 * face
        turned[:, :2] = turned[:, :2] @ turn + (200, 150)
        square = around_rigid(turned)
        expected = 1.5 * np.array([level.centre_x, level.centre_y]) @ turn + (200, 150)
        np.testing.assert_allclose([square.centre_x, square.centre_y], expected, atol=1e-3)
        assert (square.side, square.turn) == pytest.approx((1.5 * level.side, angle), rel=1e-5)
    opened = face.copy()
    opened[[17, 152, 199, 61, 291, 14]] += 40
    assert around_rigid(opened) == level
    assert TurnedSquare.around_mesh(opened) != TurnedSquare.around_mesh(face)


def test_points_of_a_mirrored_face_are_those_of_the_other_side(astronaut):
    assert MIRROR[MIRROR].tolist() == list(range(N_MESH_POINTS))
    picture = filmed.close_up(astronaut).image
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    left, right = eye_centres(follow(Way(around_rigid), [picture])[0])
    distance = np.linalg.norm(right - left)
    away = {}
    for twice in (False, True):
        one, other = (follow(Way(around_rigid, mirrored=twice), [face])[0] for face in (picture, mirrored))
        back = np.column_stack([picture.shape[1] - 1 - other[:, 0], other[:, 1]])[MIRROR]
        away[twice] = np.abs(back - one[:, :2] - np.mean(back - one[:, :2], axis=0)).mean() / distance
    assert 0.004 < away[False] < 0.03  # the network knows left from right
    assert away[True] < 0.4 * away[False]  # and both readings together hardly do


def test_a_clip_tells_how_much_of_its_movement_each_way_says(astronaut, monkeypatch):
    monkeypatch.setattr(filmed, "TICKS", 75)
    said = compare(filmed.close_up(astronaut), 10, 0)
    assert said.shape == (len(WAYS), mesh_readings.OTHERS.stop, 3)
    correlation, share, left = np.moveaxis(said[:, mesh_readings.REGIONS], 2, 0)
    shown = ~np.isnan(correlation)
    assert shown.any()
    assert (shown == shown[0]).all()  # a channel moves or does not, however it is read
    assert correlation[shown].mean() > 0.3
    assert 0.1 < np.median(share[shown]) < 1.2
    assert 0 < left[shown].min() < left[shown].max() < 0.1


def test_a_clip_without_a_face_counts_for_nothing(astronaut, monkeypatch):
    monkeypatch.setattr(filmed, "TICKS", 45)
    monkeypatch.setattr(mesh_readings.MeshReader, "find", lambda reader, rgb: None)
    assert np.isnan(compare(filmed.close_up(astronaut), 10, 0)).all()
