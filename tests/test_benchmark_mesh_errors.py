"""How the shapes in which a mesh is wrong are found, on errors whose shapes are known."""

import facespot.benchmarks.mesh_errors as mesh_errors
import numpy as np
import pytest
from facespot.spotting.simulation.anatomy import mirror_index, neutral_face


@pytest.fixture
def shapes():
    """Three smooth shapes on some points that hold none of the rigid ones."""
    face = neutral_face()
    free = np.ones(len(face), bool)
    free[mesh_errors._RIGID] = False
    waves = [
        np.sin(3 * face[:, :1] + phase) * [1, 0, 0] + np.cos(4 * face[:, 1:2] + phase) * [0, 1, 0] for phase in range(3)
    ]
    return np.array(waves) * free[:, None]


def test_few_shapes_hold_all_errors_where_there_are_few(shapes):
    rng = np.random.default_rng(1)
    errors = np.tensordot(0.003 * rng.normal(size=(200, 3)), shapes, axes=1)
    found, share = mesh_errors.principal_shapes([(errors, 0.1 * shapes)])
    assert found.shape == (mesh_errors.SHAPES, *shapes.shape[1:])
    assert share == pytest.approx(1.0, abs=1e-6)
    assert np.sqrt((found[:, :, :2] ** 2).sum(axis=0).mean()) == pytest.approx(1.0)
    # Three shapes and their mirror images; the largest come first.
    sizes = np.linalg.norm(found.reshape(len(found), -1), axis=1)
    assert np.all(np.diff(sizes) < 1e-9)
    assert sizes[6] < 1e-3 * sizes[0]
    mirrored = shapes[:, mirror_index()] * [-1, 1, 1]
    space = np.linalg.qr(found[:6].reshape(6, -1).T)[0]
    for shape in (*shapes, *mirrored):
        flat = shape.ravel()
        assert np.linalg.norm(space.T @ flat) == pytest.approx(np.linalg.norm(flat), rel=1e-3)


def test_what_goes_with_the_pose_is_told_from_what_does_not(shapes):
    """A face that leans: one shape follows the lean, another comes and goes by itself."""
    rng = np.random.default_rng(2)
    lean = 0.1 * np.sin(np.arange(240) / 30)
    alone = 0.002 * rng.normal(size=240)
    face = neutral_face() + lean[:, None, None] * 0.2 * shapes[0] + alone[:, None, None] * shapes[1]
    turn = np.array(
        [
            [np.cos(lean), -np.sin(lean), 0 * lean],
            [np.sin(lean), np.cos(lean), 0 * lean],
            [0 * lean, 0 * lean, 1 + 0 * lean],
        ]
    )
    landmarks = 90 * face @ np.moveaxis(turn, 2, 0).transpose(0, 2, 1) + 300
    errors, leak = mesh_errors.split_errors(landmarks)
    said = [abs(part.ravel() @ shapes[0].ravel()) / np.linalg.norm(shapes[0]) for part in leak]
    assert int(np.argmax(said)) == 2  # roll, after yaw and pitch
    left = np.array([np.corrcoef(errors.reshape(240, -1) @ shape.ravel(), alone)[0, 1] for shape in shapes])
    assert left[1] > 0.95
    assert np.sqrt((errors**2).mean()) == pytest.approx(np.sqrt((alone**2).mean() * (shapes[1] ** 2).mean()), rel=0.15)
