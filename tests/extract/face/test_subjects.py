"""Whose the tracks of a recording are: what is told from place and likeness, and what from looks."""

import itertools

import numpy as np
import pytest
from facespot.extract.face.subjects import _CLEARLY, _SAME_LOOKS, join
from facespot.extract.face.tracks import Track

BOXES = itertools.count(1)
RNG = np.random.default_rng(0)
BASE = np.linalg.qr(RNG.normal(size=(40, 40)))[0]  # looks that have nothing in common


def looks(person, resemblance=1.0, other=39):
    """A view that resembles that of a person so much, and otherwise another."""
    return resemblance * BASE[person] + np.sqrt(1 - resemblance**2) * BASE[other]


def track(first, last, *views, early=None):
    """A sighting in a place of its own, whose picture is like no other."""
    times = list(np.arange(first, last + 0.01, 0.25))
    box = np.array([1000.0 * next(BOXES), 100.0, 60.0])
    portrait = RNG.normal(size=(24, 24))
    return Track(
        times=times,
        boxes=[box] * len(times),
        eye_distances=[30.0] * len(times),
        portraits=[(portrait - portrait.mean()) / portrait.std()],
        views=list(views),
        early_views=len(views) if early is None else early,
        is_face=True,
    )


def persons(*tracks):
    """The number of the person each track is given to, where all may be in view beside each other."""
    people = []
    given = [join(t, people, [], tracks) for t in tracks]
    return [next(i for i, person in enumerate(people) if person is one) for one in given]


def test_a_face_in_another_place_is_known_by_its_looks():
    assert persons(track(0, 3, looks(0)), track(4, 6, looks(0, _SAME_LOOKS + 0.01))) == [0, 0]
    assert persons(track(0, 3, looks(0)), track(4, 6, looks(0, _SAME_LOOKS - 0.01))) == [0, 1]


def test_any_of_the_views_before_the_cut_will_do():
    assert persons(track(0, 3, looks(0), looks(1)), track(4, 6, looks(2), looks(1, 0.9))) == [0, 0]


def test_only_the_first_looks_tell_who_it_is():
    assert persons(track(0, 3, looks(0)), track(4, 9, looks(1), looks(0), early=1)) == [0, 1]
    # Later ones are there for those who come after.
    assert persons(track(0, 3, looks(1), looks(0), early=1), track(4, 9, looks(0))) == [0, 0]


def test_a_face_without_a_view_is_known_by_nobody():
    assert persons(track(0, 3, looks(0)), track(4, 6)) == [0, 1]
    assert persons(track(0, 3), track(4, 6, looks(0))) == [0, 1]


def test_nobody_is_in_view_twice():
    assert persons(track(0, 5, looks(0)), track(4, 6, looks(0))) == [0, 1]


@pytest.mark.parametrize("last", [3, 9])
def test_where_another_resembles_it_nearly_as_much_it_is_somebody_new(last):
    """last: of the other one's seconds, gone by then or in view."""
    first, other = track(0, 3, looks(0)), track(0, last, looks(1))
    share = 0.9 - _CLEARLY / 2
    both = 0.9 * BASE[0] + share * BASE[1]
    assert persons(first, other, track(4, 6, both / np.linalg.norm(both))) == [0, 1, 2]


def test_pieces_of_one_person_do_not_keep_each_other_from_a_third():
    view = looks(0, 0.9, 1)
    near = looks(0, 0.8, 2)
    assert near @ view < _SAME_LOOKS
    assert persons(track(0, 3, view), track(4, 6, near), track(7, 9, looks(0, 0.999, 3))) == [0, 1, 0]


def test_of_two_in_one_picture_the_more_alike_is_the_person():
    less, more = track(4, 6, looks(0, 0.85)), track(4, 6, looks(0, 0.95, 38))
    assert persons(track(0, 3, looks(0)), less, more) == [0, 1, 0]


def test_a_like_picture_in_another_place_is_not_enough_where_looks_speak_against_it():
    first = track(0, 3, looks(0))
    for resemblance, whose in ((0.76, 0), (0.74, 1)):
        second = track(4, 6, looks(0, resemblance))
        second.portraits = first.portraits
        assert persons(first, second) == [0, whose]
    without = track(4, 6)
    without.portraits = first.portraits
    assert persons(first, without) == [0, 0]
