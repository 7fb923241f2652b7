"""Snippets on the clock: timing, edges and breaks, on frames whose flow is known exactly.

Tracking is replaced by a stand-in that reports displacements of a known motion, so that every value can be checked.
"""

import itertools

import numpy as np
import pytest
from facespot.extract.features import SNIPPET_REACH, SNIPPET_STEPS
from facespot.extract.motion import snippets as windows
from facespot.extract.motion.flow import HORIZON_S, N_ROI, N_SAMPLES, TRACKED_ANCHORS, FrameMotion
from facespot.extract.motion.snippets import MAX_GAP_S, build_snippets
from facespot.extract.reading.frames import FaceFrame
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.extract.timebase import Timebase
from synthetic_face import IOD, face_frames, synthetic_mesh

P = N_ROI * N_SAMPLES + len(TRACKED_ANCHORS)
SPEED = 0.5  # IOD per second


def linear(seconds: float) -> float:
    return SPEED * seconds


def wave(seconds: float) -> float:
    return 0.1 * np.sin(3 * seconds)


class ExactTracker:
    """Displacement of every ROI is position(t) - position(reference) along x, minus that along y; anchors rest."""

    position = staticmethod(linear)
    made = 0

    def __init__(self, method):
        type(self).made += 1
        self.times = []

    def add(self, frame):
        while self.times and self.times[0] + HORIZON_S <= self.times[-1] + 1e-6:
            self.times.pop(0)
        self.times.append(frame.time)
        return [self.motion(frame)]

    def catch_up(self):
        return []

    def motion(self, frame):
        moved = np.array([self.position(frame.time) - self.position(t) for t in self.times]) * IOD
        shifts = np.zeros((len(self.times), P, 2))
        shifts[:, : N_ROI * N_SAMPLES] = np.stack([moved, -moved], -1)[:, None]
        points = np.broadcast_to(np.random.default_rng(0).normal(size=(P, 3)), (len(self.times), P, 3))
        trusted = np.ones((len(self.times), P), bool)
        return FrameMotion(frame.time, np.array(self.times), np.full(len(self.times), IOD), points, shifts, trusted)


@pytest.fixture
def exact(monkeypatch):
    tracker = type("Tracker", (ExactTracker,), {"made": 0})
    monkeypatch.setattr(windows, "FlowTracker", tracker)
    return tracker


def frames_at(times, segments=None, hidden=()):
    mesh = synthetic_mesh()
    gray = np.zeros((4, 4), np.uint8)
    segments = [0] * len(times) if segments is None else segments
    return [
        FaceFrame(i, float(t), gray, None if i in hidden else mesh + np.float32(t), -1 if i in hidden else s)
        for i, (t, s) in enumerate(zip(times, segments, strict=True))
    ]


def expected_snippets(first: int, last: int, position) -> np.ndarray:
    """(last - first + 1, 17) of a run that covers these ticks: the definition, with the edge ticks repeated."""
    ticks = np.arange(first, last + 1)[:, None] - SNIPPET_REACH + np.arange(SNIPPET_STEPS)
    at = np.vectorize(position)(np.clip(ticks, first, last) / 30)
    return at - at[:, :1]


@pytest.mark.parametrize("fps", [10, 12.5, 23.976, 25, 29.97, 30, 33])
def test_linear_motion_is_exact_at_any_frame_rate(exact, fps):
    times = np.arange(round(2 * fps) + 1) / fps
    rows = list(build_snippets(frames_at(times)))
    n = Timebase(times).n_ticks
    assert [row.tick for row in rows] == list(range(n))
    assert all(row.segment == 0 for row in rows)
    got = np.stack([row.snippet for row in rows])
    expected = expected_snippets(0, n - 1, linear)
    assert got.shape == (n, SNIPPET_STEPS, N_ROI, 2)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[..., 0], np.repeat(expected[..., None], N_ROI, -1), atol=1e-5)
    np.testing.assert_allclose(got[..., 1], -got[..., 0], atol=1e-6)


def test_variable_frame_rate_follows_the_timestamps(exact):
    rng = np.random.default_rng(1)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.02, 0.12, 60))])
    got = np.stack([row.snippet for row in build_snippets(frames_at(times))])[..., 0, 0]
    n = Timebase(times).n_ticks
    np.testing.assert_allclose(got, expected_snippets(0, n - 1, linear), atol=1e-5)


def test_at_the_clocks_own_rate_nothing_is_interpolated(exact):
    exact.position = staticmethod(wave)
    got = np.stack([row.snippet for row in build_snippets(frames_at(np.arange(60) / 30))])[..., 0, 0]
    np.testing.assert_allclose(got, expected_snippets(0, 59, wave), atol=1e-6)
    np.testing.assert_array_equal(got[:, 0], 0)


def test_edges_repeat_the_edge_tick(exact):
    got = np.stack([row.snippet for row in build_snippets(frames_at(np.arange(40) / 30))])[..., 0, 0]
    np.testing.assert_array_equal(got[0, : SNIPPET_REACH + 1], 0)
    assert got[0, SNIPPET_REACH + 1] == pytest.approx(SPEED / 30, abs=1e-6)
    np.testing.assert_allclose(got[-1, SNIPPET_REACH:], SNIPPET_REACH * SPEED / 30, atol=1e-6)


def test_landmarks_are_interpolated_to_the_tick(exact):
    times = np.arange(26) / 25
    rows = list(build_snippets(frames_at(times)))
    kept = synthetic_mesh()[list(KEPT_MESH_POINTS)]
    for row in rows:
        np.testing.assert_allclose(row.landmarks - kept, row.tick / 30, atol=1e-3)


def test_segments_are_never_mixed(exact):
    times = np.arange(60) / 30
    frames = frames_at(times, [0] * 25 + [1] * 35)
    exact.position = staticmethod(lambda t: t + (5.0 if t > 24.5 / 30 else 0.0))  # a jump no snippet may see
    rows = list(build_snippets(frames))
    assert [row.segment for row in rows] == [0] * 25 + [1] * 35
    got = np.stack([row.snippet for row in rows])[..., 0, 0]
    expected = np.concatenate([expected_snippets(0, 24, lambda t: t), expected_snippets(25, 59, lambda t: t)])
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert exact.made == 2


def test_a_return_to_an_earlier_number_after_another_is_a_run_of_its_own(exact):
    rows = list(build_snippets(frames_at(np.arange(45) / 30, [4] * 15 + [7] * 15 + [4] * 15)))
    assert [row.segment for row in rows] == [0] * 15 + [1] * 15 + [2] * 15


def test_between_two_segments_of_slow_video_the_nearer_one_gets_the_tick(exact):
    times = np.arange(20) / 10
    rows = list(build_snippets(frames_at(times, [0] * 10 + [1] * 10)))
    # Frames at 0.9 s (tick 27) and 1.0 s (tick 30): ticks 28 and 29 are farther than half a tick from either.
    assert [row.segment for row in rows[26:31]] == [0, 0, -1, -1, 1]


def test_short_loss_is_bridged_and_a_long_one_breaks_the_run(exact):
    times = np.arange(90) / 30
    short = list(build_snippets(frames_at(times, hidden=range(30, 34))))
    assert [row.segment for row in short] == [0] * 90
    np.testing.assert_allclose(
        np.stack([row.snippet for row in short])[..., 0, 0], expected_snippets(0, 89, linear), atol=1e-5
    )
    gap = range(30, 30 + int(MAX_GAP_S * 30) + 2)
    long = list(build_snippets(frames_at(times, hidden=gap)))
    assert [row.segment for row in long] == [0] * 30 + [-1] * len(gap) + [1] * (60 - len(gap))
    lost = long[33]
    assert not lost.snippet.any()
    assert np.isnan(lost.landmarks).all()


def test_a_recording_without_a_face_gives_empty_rows_up_to_its_end(exact):
    times = np.arange(20) / 30
    rows = list(build_snippets(frames_at(times, hidden=range(20))))
    assert [row.tick for row in rows] == list(range(20))
    assert all(row.segment == -1 for row in rows)
    assert exact.made == 0


def test_a_face_that_comes_late_and_leaves_early(exact):
    rows = list(build_snippets(frames_at(np.arange(60) / 30, hidden=[*range(12), *range(48, 60)])))
    assert [row.segment for row in rows] == [-1] * 12 + [0] * 36 + [-1] * 12
    got = np.stack([row.snippet for row in rows[12:48]])[..., 0, 0]
    np.testing.assert_allclose(got, expected_snippets(12, 47, linear), atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_very_short_recordings(exact, n):
    rows = list(build_snippets(frames_at(np.arange(n) / 30)))
    got = np.stack([row.snippet for row in rows])[..., 0, 0]
    np.testing.assert_allclose(got, expected_snippets(0, n - 1, linear), atol=1e-6)
    assert [row.segment for row in rows] == [0] * n


def test_no_frames_give_no_rows(exact):
    assert list(build_snippets([])) == []


def test_the_caller_may_know_of_more_ticks_than_the_frames_reach(exact):
    times = [*(np.arange(30) / 30), 0.990]
    frames = frames_at(np.array(times))
    assert len(list(build_snippets(frames))) == 30
    rows = list(build_snippets(frames, n_ticks=lambda: 31))
    assert [row.segment for row in rows] == [0] * 31


def test_rows_come_half_a_second_behind_and_memory_stays_bounded(exact):
    taken = itertools.count()
    latest = 0

    def source():
        nonlocal latest
        for frame in frames_at(np.arange(300) / 30):
            latest = next(taken)
            yield frame

    for row in build_snippets(source()):
        if 8 <= row.tick < 290:
            assert SNIPPET_REACH <= latest - row.tick < SNIPPET_REACH + windows.TOGETHER


def test_streaming_equals_all_at_once_and_is_repeatable():
    frames = face_frames(lambda points, s: 6 * np.sin(5 * s + points / 40), n=24)
    once = [row.snippet for row in build_snippets(frames)]
    again = [row.snippet for row in build_snippets(iter(frames))]
    np.testing.assert_array_equal(once, again)
    assert np.abs(once).max() > 0.005


@pytest.mark.parametrize("together", [1, 3])
def test_how_many_frames_are_taken_together_changes_nothing(together):
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, 40))
    frames = face_frames(lambda points, s: 6 * np.sin(5 * s + points / 40), times=times - times[0])
    rows = list(build_snippets(frames))
    for row, again in zip(rows, build_snippets(frames, together=together), strict=True):
        assert (row.tick, row.segment) == (again.tick, again.segment)
        np.testing.assert_array_equal(row.snippet, again.snippet)
        np.testing.assert_array_equal(row.landmarks, again.landmarks)


def test_real_flow_of_slow_video_agrees_with_the_clocks_rate():
    """The same motion seen at 25 and at 30 fps gives the same snippets."""

    def motion(points, seconds):
        near = np.exp(-((points - synthetic_mesh()[105, :2]) ** 2).sum(-1, keepdims=True) / (2 * 12.0**2))
        return near * [0.0, -6.0 * seconds] + [10.0 * seconds, 0.0]

    at_30, at_25 = (
        np.stack([row.snippet for row in build_snippets(face_frames(motion, times=np.arange(int(fps)) / fps))])
        for fps in (30.0, 25.0)
    )
    n = min(len(at_30), len(at_25)) - SNIPPET_REACH
    assert np.abs(at_30[:n]).max() > 0.02
    np.testing.assert_allclose(at_25[:n], at_30[:n], atol=0.004)


def test_bad_arguments_are_refused(exact):
    with pytest.raises(ValueError, match="alignment must be one of"):
        list(build_snippets([], alignment="none"))
    with pytest.raises(ValueError, match="does not come after"):
        list(build_snippets(frames_at(np.array([0.0, 0.1, 0.1]))))
