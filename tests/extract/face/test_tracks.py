"""When a face is looked at more closely, so that it is known again later."""

import numpy as np
import pytest
from facespot.extract.face.detection import Detection
from facespot.extract.face.tracks import Track

GRAY = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
SEEN = Detection(np.array([32.0, 32.0, 30.0]), np.array([[25.0, 28.0], [39.0, 28.0]]), 0.9)


def view(number: int) -> np.ndarray:
    """Of a side of the head that resembles no other number's."""
    return np.eye(8, dtype=np.float32)[number]


def closer_looks(looks: int, shown) -> list[int]:
    """The looks, counted from 1, at which a view is wanted. shown: look -> what it shows."""
    track, asked = Track(is_face=True), []
    for look in range(1, looks + 1):
        track.add(look / 4, SEEN, GRAY)
        if track.wants_view:
            asked.append(look)
            track.add_view(shown(look))
    return asked


def test_a_face_that_shows_nothing_new_is_looked_at_ever_more_rarely():
    assert closer_looks(300, lambda look: view(0)) == [1, 2, 3, 4, 8, 24, 56, 120, 184, 248]


def test_a_new_side_brings_the_next_look_near_again():
    asked = closer_looks(100, lambda look: view(int(look >= 56)))
    assert asked == [1, 2, 3, 4, 8, 24, 56, 64, 80]


def test_a_face_turned_aside_is_looked_at_as_often_as_before():
    assert closer_looks(40, lambda look: view(0) if look <= 4 else None) == [1, 2, 3, 4, 8, 16, 24, 32, 40]


def test_no_more_than_six_sides_are_kept():
    asked = closer_looks(100, lambda look: view(look % 8 if look <= 4 else (look // 8) % 4 + 4))
    assert asked == [1, 2, 3, 4, 8, 16]


@pytest.mark.parametrize("number", [0, 3])
def test_a_view_that_is_known_is_not_kept_twice(number):
    track = Track(is_face=True)
    track.add(0.0, SEEN, GRAY)
    for shown in (view(0), view(3), view(number)):
        track.add_view(shown)
    assert len(track.views) == track.early_views == 2
