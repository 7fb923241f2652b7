"""The least confidence that points ask for."""

from facespot.spotting.intervals import Interval, Point
from facespot.spotting.learning.calibration import calibrate


def spot(tick, confidence, kind="macro"):
    return Interval(tick - 10, tick, tick + 10, kind, confidence)


def test_the_threshold_parts_what_holds_points_from_what_does_not():
    points = [Point(100, "macro"), Point(200, "macro"), Point(400, "micro")]
    found = [spot(100, 0.8), spot(205, 0.6), spot(300, 0.5), spot(350, 0.3), spot(405, 0.2, "micro")]
    assert calibrate([(found, points)]) == (0.6, 0.2)


def test_one_point_is_held_once_and_only_by_its_class():
    points = [Point(100, "macro")]
    assert calibrate([([spot(100, 0.9), spot(102, 0.5)], points)]) == (0.9, 0.0)
    assert calibrate([([spot(100, 0.9, "micro"), spot(102, 0.5)], points)]) == (0.5, 0.0)


def test_videos_are_pooled_and_equals_stand_together():
    videos = [([spot(100, 0.5)], [Point(100, "macro")]), ([spot(50, 0.5), spot(100, 0.4)], [Point(100, "macro")])]
    # At 0.5 one of two is right, at 0.4 two of three.
    assert calibrate(videos) == (0.4, 0.0)


def test_nothing_found_or_nothing_labelled_leaves_all_in():
    assert calibrate([]) == (0.0, 0.0)
    assert calibrate([([spot(100, 0.5)], [])]) == (0.0, 0.0)
