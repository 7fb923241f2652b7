"""Turned squares on pictures whose content is known."""

import numpy as np
import pytest
from facespot.extract.face.mesh_network import NETWORK_PIXELS
from facespot.extract.face.square import TurnedSquare, part_of

SPOTS = np.array([[60.0, 70.0], [130.0, 60.0], [100.0, 140.0]])  # x, y in the cut


@pytest.mark.parametrize(
    "square",
    [
        TurnedSquare(240.0, 200.0, 192.0, 0.0),
        TurnedSquare(230.5, 210.2, 300.0, 0.5),  # turned
        TurnedSquare(300.0, 250.0, 420.0, -1.2),
        TurnedSquare(250.0, 180.0, 120.0, 2.6),  # enlarged, upside down
        TurnedSquare(80.0, 60.0, 260.0, 0.3),  # reaches over the corner of the picture
    ],
)
def test_what_is_seen_in_the_cut_is_where_it_is_in_the_picture(square):
    height, width = 480, 600
    there = square.into_picture(np.column_stack([SPOTS, np.zeros(3)]).astype(np.float32))[:, :2]
    size = 4 * square.side / NETWORK_PIXELS  # standard deviation of a soft spot, px
    inside = np.all((there > 4 * size) & (there < [width - 4 * size, height - 4 * size]), axis=1)
    assert inside.any()
    rows, columns = np.mgrid[:height, :width]
    for spot, (x, y) in zip(SPOTS[inside], there[inside], strict=True):
        gray = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * size**2))
        cut = square.cut(np.repeat(gray[..., None], 3, 2).astype(np.uint8))[..., 0].astype(float)
        assert cut.shape == (NETWORK_PIXELS, NETWORK_PIXELS)
        down, right = np.mgrid[:NETWORK_PIXELS, :NETWORK_PIXELS]
        found = np.array([(right * cut).sum(), (down * cut).sum()]) / cut.sum()
        np.testing.assert_allclose(found, spot, atol=0.15)


def test_depth_is_in_the_same_unit():
    ends = TurnedSquare(100.0, 100.0, 384.0, 0.7).into_picture(np.float32([[96, 96, 0], [96, 96, 10]]))
    np.testing.assert_allclose(ends, [[100, 100, 0], [100, 100, 20]], atol=1e-4)


def test_the_square_around_a_face_turns_with_it_and_keeps_its_eyes_level():
    rng = np.random.default_rng(2)
    face = np.column_stack([rng.uniform(-80, 80, (478, 2)), np.zeros(478)]).astype(np.float32)
    face[33], face[263] = (-40, -20, 0), (40, -20, 0)
    for angle in (0.0, 0.4, -1.0, 3.0):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = face.copy()
        turned[:, :2] = face[:, :2] @ turn + (200, 150)
        square = TurnedSquare.around_mesh(turned)
        assert square.turn == pytest.approx(angle, abs=1e-5)
        extent = np.ptp(turned[:, :2], axis=0).max()
        assert square.side == pytest.approx(1.5 * extent, rel=1e-5)


@pytest.mark.parametrize(("left", "top"), [(-9, 3), (25, -4), (26, 17), (-50, 40), (60, -70), (3, 2)])
def test_a_part_beyond_the_picture_repeats_its_edge(left, top):
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    rows, columns = np.clip(np.arange(top, top + 7), 0, 19), np.clip(np.arange(left, left + 11), 0, 29)
    np.testing.assert_array_equal(part_of(rgb, left, top, 11, 7), rgb[rows][:, columns])


@pytest.mark.parametrize("turn", [0.0, 0.7, -1.4])
def test_nothing_is_looked_at_out_of_a_squares_reach(turn):
    rgb = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    square = TurnedSquare(140.3, 90.8, 70.0, turn)
    left, top, right, bottom = np.array(square.reach()).astype(int) + np.array([-1, -1, 2, 2])
    other = np.zeros_like(rgb)
    other[top:bottom, left:right] = rgb[top:bottom, left:right]
    np.testing.assert_array_equal(square.cut(other), square.cut(rgb))
    other[top + 4 : bottom - 4, left + 4 : right - 4] = 0
    assert not np.array_equal(square.cut(other), square.cut(rgb))
