"""Rows that contradict nothing at sight: apart, with apexes inside, and marked where they are cut off."""

from itertools import pairwise

import numpy as np
import pytest
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.tidying import cut_off, cut_off_warnings, tidy, types_of_cut_off
from facespot.spotting.voting import MICRO_TICKS
from hypothesis import given, settings
from hypothesis import strategies as st

N = 80


@st.composite
def intervals(draw):
    onset = draw(st.integers(0, N - 1))
    offset = draw(st.integers(onset, N - 1))
    kind = draw(st.sampled_from(["macro", "micro"]))
    return Interval(onset, draw(st.integers(onset, offset)), offset, kind, draw(st.floats(0, 1)))


def ticks(found, kind):
    return {t for i in found if i.type == kind for t in range(i.onset, i.offset + 1)}


@settings(max_examples=200, deadline=None)
@given(st.lists(intervals(), max_size=12), st.integers(0, 99))
def test_whatever_comes_in_nothing_of_one_type_overlaps(found, seed):
    tidied = tidy(found, np.random.default_rng(seed).random(N))
    assert tidied == sorted(tidied)
    for kind in ("macro", "micro"):
        mine = [i for i in tidied if i.type == kind]
        assert all(a.offset < b.onset for a, b in pairwise(mine))
        assert ticks(mine, kind) <= ticks(found, kind)
        # The most confident of a type is never dropped.
        if best := max((i.confidence for i in found if i.type == kind), default=None):
            assert max(i.confidence for i in mine) == best
    assert all(i.onset < i.apex < i.offset for i in tidied if i.n_ticks >= 3)


@settings(max_examples=100, deadline=None)
@given(st.lists(intervals(), max_size=12), st.integers(0, 99))
def test_tidying_twice_changes_nothing(found, seed):
    intensity = np.random.default_rng(seed).random(N)
    once = tidy(found, intensity)
    assert tidy(once, intensity) == once


def test_two_meet_where_the_face_comes_nearest_to_rest():
    intensity = np.full(N, 0.8)
    intensity[32] = 0.3
    one, two = Interval(5, 20, 34, "macro", 0.9), Interval(30, 50, 70, "macro", 0.8)
    assert tidy([one, two], intensity) == [Interval(5, 20, 32, "macro", 0.9), Interval(33, 50, 70, "macro", 0.8)]
    # Of other types each keeps its own ends.
    both = [one, Interval(30, 32, 38, "micro", 0.8)]
    assert tidy(both, intensity) == both


def test_meeting_leaves_no_macro_expression_of_micro_length():
    intensity = np.linspace(1, 0, N)  # the lowest tick in common is the last one
    short = MICRO_TICKS + 3
    found = tidy([Interval(0, 10, 40, "macro"), Interval(36, 45, 35 + short, "macro")], intensity)
    assert [i.n_ticks for i in found] == [38, MICRO_TICKS + 1]


def test_of_two_that_mostly_agree_the_more_confident_stays():
    one, two = Interval(10, 20, 40, "macro", 0.7), Interval(20, 30, 45, "macro", 0.9)
    assert tidy([one, two], np.ones(N)) == [two]


def test_an_apex_on_the_border_moves_inside():
    intensity = np.zeros(N)
    intensity[[10, 15, 20]] = 1.0, 0.7, 0.9
    (found,) = tidy([Interval(10, 10, 20, "micro")], intensity)
    assert found.apex == 15
    inside = Interval(10, 12, 20, "micro")
    assert tidy([inside, Interval(40, 40, 41, "macro")], intensity) == [inside, Interval(40, 40, 41, "macro")]


def test_the_ends_of_a_segment_cut_off():
    segments = [(3, 20), (20, 60)]
    cases = {(3, 10): "start", (10, 19): "end", (20, 30): "start", (4, 18): "none", (20, 59): "both", (3, 19): "both"}
    for (onset, offset), expected in cases.items():
        assert cut_off(Interval(onset, onset, offset, "macro"), segments) == expected


def test_warnings_say_what_cut_an_expression_off():
    timebase = Timebase(np.arange(60) / 30)
    segments = [(0, 20), (30, 60)]
    told = {(0, 5): "the recording begins", (12, 19): "the face is lost", (30, 34): "face comes into view",
            (50, 59): "the recording ends"}  # fmt: skip
    for (onset, offset), words in told.items():
        interval = Interval(onset, onset, offset, "micro")
        (warning,) = cut_off_warnings([interval.on(timebase, cut_off(interval, segments))], timebase)
        assert f"micro-expression at {onset / 30:.2f} s" in warning
        assert words in warning
    assert cut_off_warnings([Interval(4, 6, 9, "micro").on(timebase)], timebase) == []


@pytest.mark.parametrize(("macro", "expected"), [(0.6, "macro"), (0.1, "micro")])
def test_being_cut_off_makes_no_micro_expression(macro, expected):
    scores = np.tile([macro, 0.3], (N, 1))
    found = [Interval(20, 25, 30, "micro", 0.8), Interval(70, 75, N - 1, "micro", 0.8)]
    whole, part = types_of_cut_off(found, scores, [(0, N)])
    assert whole == found[0]
    assert part.type == expected
