import numpy as np
import pytest
from facespot.extract.reading.frames import Picture, VideoFrame
from facespot.extract.reading.thinning import thin_to_clock
from facespot.extract.timebase import Timebase

PIXEL = Picture(lambda: np.zeros((1, 1, 3), np.uint8))


def frames_at(times):
    return [VideoFrame(i, float(t), PIXEL) for i, t in enumerate(times)]


def kept(times, **options):
    return [frame.index for frame in thin_to_clock(frames_at(times), **options)]


def used_by_clock(times):
    clock = Timebase(np.asarray(times, dtype=np.float64))
    return sorted({clock.frame_of_tick(i) for i in range(clock.n_ticks)})


@pytest.mark.parametrize("fps", [10, 25, 29.97, 30])
def test_source_no_faster_than_the_clock_passes_whole(fps):
    times = np.arange(int(4 * fps)) / fps
    assert kept(times) == list(range(len(times)))


def test_millisecond_rounding_and_jitter_lose_nothing_at_30_fps():
    times = np.arange(300) / 30.0
    assert len(kept(np.round(times, 3))) == 300
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, 300)
    jitter[0] = 0.0
    assert len(kept(times + jitter)) == 300


@pytest.mark.parametrize("fps", [60, 100, 119.88, 200])
def test_fast_source_keeps_exactly_the_frames_the_clock_uses(fps):
    times = np.arange(int(5 * fps)) / fps
    result = kept(times)
    assert result == used_by_clock(times)
    assert len(result) == Timebase(times).n_ticks


def test_200_fps_leaves_at_most_7_frames_between_kept_ones():
    times = np.arange(2000) / 200
    assert set(np.diff(kept(times))) == {6, 7}


def test_variable_rate_thins_only_the_fast_stretch():
    slow = np.arange(30) / 15.0
    fast = slow[-1] + np.arange(1, 241) / 120.0
    late = fast[-1] + np.arange(1, 31) / 20.0
    times = np.concatenate([slow, fast, late])
    result = kept(times)
    assert set(range(30)) <= set(result)
    assert set(range(270, 300)) <= set(result)
    assert set(used_by_clock(times)) <= set(result)
    assert sum(30 <= i < 270 for i in result) == pytest.approx(60, abs=2)


def test_random_spacing_never_loses_a_frame_the_clock_uses():
    rng = np.random.default_rng(1)
    for scale in (0.002, 0.01, 0.03, 0.2):
        times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.1, 1.9, 400) * scale)])
        assert set(used_by_clock(times)) <= set(kept(times))


def test_other_clock_rate():
    times = np.arange(300) / 60.0
    assert kept(times, rate=60.0) == list(range(300))
    assert kept(times, rate=15.0) == list(range(0, 300, 4))


def test_reads_no_more_than_one_frame_ahead():
    taken = []

    def source():
        for frame in frames_at(np.arange(100) / 25.0):
            taken.append(frame.index)
            yield frame

    for frame in thin_to_clock(source()):
        assert taken[-1] <= frame.index + 1


def test_empty_and_single():
    assert kept([]) == []
    assert kept([0.0]) == [0]


def test_refuses_nonsense():
    with pytest.raises(ValueError, match="rate"):
        kept([0.0], rate=0.0)
    with pytest.raises(ValueError, match="later"):
        kept([0.0, 0.1, 0.1])
