"""Expressions given out while a recording is read."""

import os
import threading
from types import SimpleNamespace

import facespot
import media
import numpy as np
import pytest
from facespot.extract.features import FaceFeatures
from facespot.extract.live import WholeRecording, Window, live_features
from facespot.extract.options import ExtractOptions
from facespot.extract.pipeline import extract_features
from facespot.extract.reading.live import open_live
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.extract.timebase import CLOCK_HZ, Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.live import LiveSpotter

DELAY = 180  # ticks


def window(first, n, segment=None):
    segment = np.zeros(n, np.int32) if segment is None else segment
    features = FaceFeatures(
        np.zeros((n, 17, 10, 2), np.float16),
        np.zeros((n, len(KEPT_MESH_POINTS), 3), np.float32),
        segment,
        Timebase(np.arange(n) / CLOCK_HZ),
    )
    return Window(first, features, Timebase(np.arange(first + n) / CLOCK_HZ))


class Finder:
    """Finds of each window what of some intervals of the recording ends in it."""

    def __init__(self, *intervals):
        self.intervals_there = intervals
        self.first = 0

    def intervals(self, features, min_confidence):
        n = features.timebase.n_ticks
        there = [i for i in self.intervals_there if i.onset >= self.first and i.offset < self.first + n]
        return [
            Interval(i.onset - self.first, i.apex - self.first, i.offset - self.first, i.type, i.confidence)
            for i in there
        ], None

    def placed(self, interval, timebase, cut):
        return interval.on(timebase, cut)


def given(live, finder, part):
    finder.first = part.first
    return [(round(s.onset_s * CLOCK_HZ), round(s.offset_s * CLOCK_HZ)) for s in live.take(part)]


def test_an_interval_is_given_once_and_when_nothing_can_touch_it_any_more():
    finder = Finder(Interval(100, 110, 130, "macro"), Interval(1300, 1305, 1310, "micro"))
    live = LiveSpotter(finder)
    assert given(live, finder, window(0, 130 + DELAY)) == []
    assert given(live, finder, window(0, 131 + DELAY)) == [(100, 130)]
    assert given(live, finder, window(0, 400)) == []
    assert given(live, finder, window(600, 1200)) == [(1300, 1310)]
    assert given(live, finder, window(660, 1200)) == []


def test_where_the_face_was_lost_nothing_is_waited_for():
    finder = Finder(Interval(100, 110, 130, "macro"))
    segment = np.where(np.arange(160) < 140, 0, -1).astype(np.int32)
    assert given(LiveSpotter(finder), finder, window(0, 140)) == []
    assert given(LiveSpotter(finder), finder, window(0, 160, segment)) == [(100, 130)]


def test_types_and_what_begins_at_the_edge_of_a_window_are_left_out():
    finder = Finder(Interval(640, 650, 660, "macro"), Interval(900, 905, 910, "micro"))
    assert given(LiveSpotter(finder), finder, window(600, 1200)) == [(900, 910)]
    assert given(LiveSpotter(finder, types="macro"), finder, window(600, 1200)) == []
    assert given(LiveSpotter(finder), finder, window(0, 1200)) == [(640, 660), (900, 910)]


def test_the_same_movement_is_not_given_again_for_another_length():
    finder = Finder(Interval(300, 310, 330, "macro"))
    live = LiveSpotter(finder)
    assert given(live, finder, window(0, 600)) == [(300, 330)]
    finder.intervals_there = (Interval(305, 310, 318, "micro"),)
    assert given(live, finder, window(0, 660)) == []


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return media.write_video(tmp_path_factory.mktemp("clip") / "face.ts", media.moving_face(75), options={"bf": "0"})


def test_a_pipe_ends_in_the_bytes_of_the_file(clip, tmp_path):
    batch = extract_features(clip)
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()))
    writer.start()
    with open_live(pipe) as stream:
        *windows, whole = live_features(stream, ExtractOptions(), window_s=1.0, every_s=0.5)
    writer.join()
    assert isinstance(whole, WholeRecording)
    assert whole.as_chosen
    for name in ("snippets", "landmarks", "segment"):
        assert getattr(whole.features, name).tobytes() == getattr(batch, name).tobytes()
    assert whole.features.provenance == {
        **batch.provenance,
        "source": {**batch.provenance["source"], "path": str(pipe)},
    }
    assert [(part.first, part.features.timebase.n_ticks) for part in windows] == [
        (0, 15), (0, 30), (15, 30), (30, 30), (45, 30)
    ]  # fmt: skip
    for part in windows:
        rows = slice(part.first, part.first + part.features.timebase.n_ticks)
        assert part.features.snippets.tobytes() == batch.snippets[rows].tobytes()
        # Rows come with what is known then, behind the pictures.
        assert part.timebase.n_ticks >= rows.stop


def test_following_a_file_gives_the_result_of_the_batch(clip):
    *_, followed = facespot.follow(clip, device="cpu", growth_s=0)
    batch = facespot.spot(clip, device="cpu", voice="off")
    assert followed.spots == batch.spots
    assert followed.intensity.tobytes() == batch.intensity.tobytes()
    assert followed.provenance == batch.provenance


def test_a_file_whose_face_was_guessed_wrong_is_read_again(clip, monkeypatch):
    from facespot.spotting import live as module

    again = SimpleNamespace(name="read again")
    first = SimpleNamespace(name="first")
    monkeypatch.setattr(module, "live_features", lambda *a, **k: iter([WholeRecording(first, False)]))
    monkeypatch.setattr(module, "extract_features", lambda *a, **k: again)
    spotter = SimpleNamespace(spot=lambda features, **_: features)
    monkeypatch.setattr(module.Spotter, "load", lambda *a: spotter)
    assert list(facespot.follow(clip)) == [again]
    # A pipe cannot be, and its result is that of the face that was followed.
    with clip.open("rb") as file:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=file))
        assert list(facespot.follow("-")) == [first]
