"""Held-out videos and what their points say of weights."""

from dataclasses import replace

import pytest
from facespot.spotting.intervals import Interval, Point
from facespot.spotting.learning.held_out import PointScore, comparison, score_points, score_weights, split_videos
from facespot.spotting.learning.point_videos import Pairing, PointVideo
from small_set import clip


def videos(count):
    return [PointVideo("own", "p", f"v{i}", clip(0)[0], (Point(10 + i, "macro"),)) for i in range(count)]


def test_a_share_of_the_videos_with_points_is_held_out_and_follows_from_the_seed():
    some = [*videos(10), PointVideo("own", "p", "none", clip(0)[0], ())]
    learn, held = split_videos(some, 0.2, seed=3)
    assert len(held) == 2
    assert sorted(v.video for v in [*learn, *held]) == sorted(v.video for v in some)
    assert all(v.points for v in held)
    assert [v.video for v in split_videos(some, 0.2, seed=3)[1]] == [v.video for v in held]
    assert len({tuple(v.video for v in split_videos(some, 0.2, seed)[1]) for seed in range(9)}) > 3
    assert split_videos(some, 0.0, seed=3)[1] == []
    assert split_videos(some[:3], 0.5, seed=3) == (some[:3], [])
    assert len(split_videos(some[:4], 0.9, seed=3)[0]) == 1


def test_an_interval_is_right_if_it_holds_a_point_of_its_type_that_no_better_one_has_taken():
    found = [
        Interval(10, 20, 40, "macro", 0.9),
        Interval(12, 20, 38, "macro", 0.8),
        Interval(50, 52, 60, "micro", 0.7),
        Interval(80, 85, 90, "macro", 0.6),
    ]
    points = (Point(20, "macro"), Point(55, "macro"), Point(58, "micro"))
    score = score_points([(found, points), ((), (Point(3, "micro"),))])
    assert score == PointScore(videos=2, found=4, points=4, hits=2)
    assert score.f1 == pytest.approx(0.5)
    assert score_points([]).f1 == 0.0


def test_the_shipped_weights_find_points_of_a_simulated_clip():
    features, events = clip(0)
    video = PointVideo("own", "p", "v", features, tuple(Point(e.apex, e.type) for e in events))
    right = score_weights(None, [video])
    assert right.points == len(events)
    assert right.hits >= 1
    # The same intervals, and points of the other type.
    other = {"macro": "micro", "micro": "macro"}
    wrong = score_weights(None, [replace(video, points=tuple(Point(p.tick, other[p.type]) for p in video.points))])
    assert wrong.found == right.found
    assert wrong.hits < right.hits


def test_one_line_says_whether_it_helped():
    poor, good = PointScore(2, 10, 10, 2), PointScore(2, 8, 10, 6)
    assert comparison(good, poor) == (
        "held out: 2 videos, 10 points: tuning helped: F1 0.20 before and 0.67 after "
        "(2 and 6 found, 8 and 2 false alarms)"
    )
    assert "did not help" in comparison(poor, good)
    assert "did not help" in comparison(good, good)
    assert comparison(PointScore(1, 1, 1, 1)) == "held out: 1 video, 1 point: F1 1.00 (1 found, 0 false alarms)"


def test_what_was_left_over_takes_a_line_for_each_kind():
    assert Pairing().lines() == []
    assert Pairing(("a", "b"), 1, 2).lines("intervals") == [
        "without features: 2 videos (a, b)",
        "left out: 1 interval beyond the end of the video",
        "left out: 2 intervals without a face",
    ]
