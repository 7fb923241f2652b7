"""How a map from movement to answer is fitted and judged, on answers whose map is known."""

import facespot.benchmarks.mesh_response as mesh_response
import numpy as np
import pytest
from facespot.benchmarks.mesh_response import AT_REST, Answers, agreement, draw_moves, explained, fit, gain
from facespot.spotting.simulation.anatomy import au_field, neutral_face
from facespot.spotting.simulation.response import Response


@pytest.fixture(scope="module")
def moves():
    every = draw_moves(np.random.default_rng(1))
    return np.array([next(every) for _ in range(AT_REST + 400)])


@pytest.fixture
def shown(moves):
    """A mesh that sees 0.6 of what brows do and nothing else, in whatever way they move."""
    brows = (neutral_face()[:, 1] < -0.1)[:, None]
    return 0.6 * brows * moves * [1, 1, 0]


def test_the_map_of_a_mesh_that_only_sees_brows_is_found(moves, shown):
    answers = Answers(moves[AT_REST:], shown[AT_REST:])
    response = fit(answers)
    assert isinstance(response, Response)
    assert response.read.shape == (mesh_response.SHAPES, moves.shape[1], 2)
    assert gain(response, "AU2") == pytest.approx(0.6, abs=0.12)
    assert abs(gain(response, "AU12")) < 0.05
    assert explained(answers) > 0.8
    assert abs(au_field("AU12", "left")[neutral_face()[:, 1] < -0.1]).max() < 1e-6


def test_answers_that_have_nothing_to_do_with_the_movement_are_not_explained(moves):
    noise = np.random.default_rng(2).normal(0, 0.01, moves.shape)
    assert explained(Answers(moves[AT_REST:], noise[AT_REST:])) < 0.05


def test_agreement_is_the_factor_and_the_cosine(moves, shown):
    answers = Answers(moves[AT_REST:], shown[AT_REST:])
    factor, cosine = agreement(2 * answers.answer, answers)
    assert factor == pytest.approx(0.5)
    assert cosine == pytest.approx(1.0)
    assert agreement(answers.move, answers)[1] < 0.95


def test_pose_and_resting_shape_are_no_answer(moves, shown):
    """The same answers on a face that is turned, moved and enlarged from picture to picture come out the same."""
    rng = np.random.default_rng(3)
    meshes = []
    for answer in shown:
        angle, size = rng.normal(0, 0.2), rng.uniform(80, 120)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        meshes.append(size * (neutral_face() + answer) @ turn.T + rng.normal(0, 50, 3))
    found = mesh_response._upright(moves, np.array(meshes))
    assert len(found.move) == len(moves) - AT_REST
    # Brows hold none of the rigid points.
    np.testing.assert_allclose(found.answer, shown[AT_REST:], atol=0.02)
