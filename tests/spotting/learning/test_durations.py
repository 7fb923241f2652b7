"""Durations measured on the landmarks: from one point to about the ends of the movement it lies in."""

import numpy as np
import pytest
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS, geometry_channels
from facespot.spotting.intervals import Interval, Point
from facespot.spotting.learning.durations import motion_extents
from simulated import laboratory_clip

CORNER = [GEOMETRY_CHANNELS.index(f"image_{side}_mouth_corner_y") for side in ("left", "right")]
LID = GEOMETRY_CHANNELS.index("eye_aperture_image_left")
N = 600


def face(*movements, noise=0.001):
    """(N, G) landmarks of a face at rest but for mouth corners that rise, stay and fall: (on, up, down, off)."""
    geometry = np.random.default_rng(0).normal(0, noise, (N, len(GEOMETRY_CHANNELS)))
    for movement in movements:
        geometry[:, CORNER] -= 0.05 * np.interp(np.arange(N), movement, [0, 1, 1, 0])[:, None]
    return geometry.astype(np.float32)


@pytest.mark.parametrize(
    ("movement", "point"),
    [
        ((200, 215, 300, 310), Point(215, "macro")),  # held for three seconds, clicked on at its very beginning
        ((200, 206, 210, 230), Point(212, "macro")),
        ((200, 205, 206, 212), Point(206, "micro")),
    ],
)
def test_the_extent_is_the_movements(movement, point):
    first, last = motion_extents(face(movement), [point])[point]
    assert Interval(first, point.tick, last, point.type).iou(Interval(200, 206, movement[-1], point.type)) > 0.8


def test_neighbours_are_kept_apart_where_they_meet():
    points = [Point(150, "macro"), Point(186, "macro"), Point(400, "micro")]
    found = motion_extents(face((140, 150, 160, 170), (165, 180, 190, 200)), points)
    assert found[points[0]][1] == 168
    assert found[points[1]][0] == 169
    assert list(found) == points


def test_blinks_and_turns_of_the_head_say_nothing():
    point = Point(220, "macro")
    still = face((200, 215, 230, 245))
    for channel in (LID, GEOMETRY_CHANNELS.index("yaw"), GEOMETRY_CHANNELS.index("scale_speed")):
        busy = still.copy()
        busy[210:400, channel] += 0.3
        assert motion_extents(busy, [point]) == motion_extents(still, [point])
    # What else moves of the face does.
    busy = still.copy()
    busy[:, GEOMETRY_CHANNELS.index("chin_y")] += 0.05 * (np.arange(N) > 215) * (np.arange(N) < 270)
    assert motion_extents(busy, [point])[point][1] > motion_extents(still, [point])[point][1] + 10


def test_where_nothing_moves_the_extent_is_the_shortest_and_stays_inside():
    points = [Point(0, "macro"), Point(300, "macro"), Point(330, "micro"), Point(N - 1, "micro")]
    found = motion_extents(np.zeros((N, len(GEOMETRY_CHANNELS)), np.float32), points)
    assert all(first <= p.tick <= last for p, (first, last) in found.items())
    assert found[points[0]] == (0, 8)
    assert found[points[1]] == (284, 300)
    assert found[points[3]][1] == N - 1
    assert motion_extents(face(), []) == {}


def test_simulated_expressions_get_about_their_own_durations():
    own, fixed = [], []
    for seed in range(12):
        features, truth = laboratory_clip(seed)
        geometry = geometry_channels(features.landmarks, features.segments())
        found = motion_extents(geometry, [Point(i.apex, i.type) for i in truth])
        for i in truth:
            first, last = found[Point(i.apex, i.type)]
            own.append(i.iou(Interval(first, i.apex, last, i.type)))
            reach = 16 if i.type == "macro" else 8
            fixed.append(i.iou(Interval(max(0, i.apex - reach), i.apex, i.apex + reach, i.type)))
    assert len(own) > 15
    assert np.mean(own) > 0.7
    assert np.mean(own) > np.mean(fixed) + 0.1
