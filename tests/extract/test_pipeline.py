"""Extraction end to end, the threads under it, and what it says when it cannot."""

import json
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import cv2
import media
import numpy as np
import pytest
from facespot.errors import CacheError, NoFaceError, NotAVideoError, TooShortError, VideoNotFoundError
from facespot.extract import cache as cache_module
from facespot.extract import pipeline
from facespot.extract.cache import FeatureCache
from facespot.extract.face.mediapipe_graphs import quiet_native
from facespot.extract.live import live_features
from facespot.extract.pipeline import ExtractOptions, extract_features, features_key
from facespot.extract.reading import video
from facespot.extract.threads import in_background, single_threaded_opencv
from places import SHARED

CLIPS = SHARED / "real" / "clips"
N_FRAMES = 45
FAST = 200  # frames a second


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return media.write_video(tmp_path_factory.mktemp("clip") / "face.mp4", media.moving_face(N_FRAMES))


@pytest.fixture(scope="module")
def extracted(clip):
    return extract_features(clip)


def same(a, b):
    return all(
        np.asarray(getattr(a, name)).tobytes() == np.asarray(getattr(b, name)).tobytes()
        for name in ("snippets", "landmarks", "segment")
    )


def stage_threads():
    return [t for t in threading.enumerate() if t.name == "facespot-stage"]


def test_features_of_a_moving_face(clip, extracted):
    assert extracted.snippets.shape == (N_FRAMES, 17, 10, 2)
    assert (extracted.snippets.dtype, extracted.landmarks.dtype, extracted.segment.dtype) == (
        np.float16,
        np.float32,
        np.int32,
    )
    assert extracted.segments() == [(0, N_FRAMES)]
    assert extracted.coverage == 1.0
    assert np.isfinite(extracted.landmarks).all()
    assert extracted.timebase.frame_times == pytest.approx(np.arange(N_FRAMES) / 30, abs=1e-4)
    # The portrait's mouth moves and its brows do not.
    motion = np.abs(extracted.snippets.astype(np.float32)).max((0, 1, 3))
    assert motion[6:].min() > 2 * motion[:6].max()


def test_provenance_is_complete_and_json(clip, extracted):
    provenance = json.loads(json.dumps(extracted.provenance))
    assert provenance["source"]["path"] == str(clip)
    assert provenance["source"]["frames"] == N_FRAMES
    assert provenance["source"]["damage"] is None
    assert provenance["options"] == {"face": "longest", "flow": "lk", "alignment": "pose"}
    assert provenance["face_report"]["followed"] == 1.0
    assert provenance["coverage"] == 1.0
    assert provenance["warnings"] == []


def test_a_second_run_gives_the_same_bytes(clip, extracted):
    assert same(extract_features(clip), extracted)


def test_a_folder_of_images_gives_what_the_video_gives(tmp_path):
    pictures = list(media.moving_face(N_FRAMES))
    video = extract_features(media.write_video(tmp_path / "a.mov", pictures, codec="png", pixel_format="rgb24"))
    images = extract_features(media.write_images(tmp_path / "images", pictures), fps=30)
    assert np.asarray(images.landmarks) == pytest.approx(np.asarray(video.landmarks), abs=1e-3)
    assert np.asarray(images.snippets, np.float32) == pytest.approx(np.asarray(video.snippets, np.float32), abs=1e-3)


def test_progress_reaches_the_end_in_the_calling_thread(clip):
    calls = []
    extract_features(clip, progress=lambda done, hint: calls.append((done, hint, threading.current_thread())))
    assert {thread for *_, thread in calls} == {threading.current_thread()}
    done = [d for d, *_ in calls]
    assert done == sorted(done)
    assert calls[-1][:2] == (N_FRAMES, N_FRAMES)


def test_cache_hit_decodes_nothing(clip, extracted, tmp_path, monkeypatch):
    stored = extract_features(clip, cache=tmp_path / "cache")
    monkeypatch.setattr(pipeline, "open_video", lambda *a, **k: pytest.fail("the video was opened"))
    hit = extract_features(clip, cache=FeatureCache(tmp_path / "cache"))
    assert same(hit, extracted)
    assert same(stored, extracted)
    assert hit.provenance == stored.provenance == extracted.provenance
    assert hit.timebase.frame_times.tobytes() == extracted.timebase.frame_times.tobytes()
    assert isinstance(hit.snippets, np.memmap)


def test_a_changed_option_is_extracted_anew(clip, extracted, tmp_path):
    extract_features(clip, cache=tmp_path)
    other = extract_features(clip, ExtractOptions(alignment="nose"), cache=tmp_path)
    assert not same(other, extracted)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_entry_is_rebuilt_with_a_warning(clip, extracted, tmp_path):
    extract_features(clip, cache=tmp_path)
    (array,) = tmp_path.glob("face-*/snippets.npy")
    array.write_bytes(array.read_bytes()[:-100])
    rebuilt = extract_features(clip, cache=tmp_path)
    assert same(rebuilt, extracted)
    assert any("damaged" in w for w in rebuilt.provenance["warnings"])
    assert extract_features(clip, cache=tmp_path).provenance["warnings"] == []


def test_a_cache_that_cannot_be_written_costs_a_warning_only(clip, extracted, tmp_path):
    (tmp_path / "file").touch()
    features = extract_features(clip, cache=tmp_path / "file" / "cache")
    assert same(features, extracted)
    assert any("could not be cached" in w for w in features.provenance["warnings"])


def test_a_cache_that_has_to_take_the_features_and_cannot(clip, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"face\.mp4: the features could not be stored in .*cache"):
        extract_features(clip, cache=tmp_path / "file" / "cache", must_store=True)


def test_a_hit_needs_not_be_stored(clip, extracted, tmp_path, monkeypatch):
    extract_features(clip, cache=tmp_path, must_store=True)
    monkeypatch.setattr(FeatureCache, "store", lambda *a: pytest.fail("it is there already"))
    assert same(extract_features(clip, cache=tmp_path, must_store=True), extracted)


def test_features_of_an_earlier_version_are_made_anew(clip, extracted, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "FEATURES_VERSION", cache_module.FEATURES_VERSION - 1)
    extract_features(clip, cache=tmp_path)
    monkeypatch.undo()
    again = extract_features(clip, cache=tmp_path)
    assert same(again, extracted)
    assert again.provenance["warnings"] == []
    assert len(list(tmp_path.iterdir())) == 2


def test_the_rate_matters_to_folders_only(clip, tmp_path):
    folder = media.write_images(tmp_path / "f", media.noise(2))
    options = ExtractOptions()
    assert features_key(clip, options, fps=25) == features_key(clip, options)
    assert features_key(folder, options, fps=25).digest != features_key(folder, options, fps=30).digest


def test_two_faces_are_reported_and_can_be_chosen(tmp_path):
    path = media.write_video(tmp_path / "two.mp4", media.two_faces(N_FRAMES))
    middles = {}
    for face in (0, 1):
        features = extract_features(path, ExtractOptions(face=face))
        assert features.coverage == 1.0
        assert any(w.startswith("2 faces seen") and f"face {face} was" in w for w in features.provenance["warnings"])
        middles[face] = features.landmarks[..., 0].mean()
    assert sorted(x < 256 for x in middles.values()) == [False, True]
    with pytest.raises(NoFaceError, match="no face 2"):
        extract_features(path, ExtractOptions(face=2))


def test_truncated_video_is_used_as_far_as_it_goes(tmp_path):
    path = media.write_video(tmp_path / "t.mkv", media.moving_face(90), options={"g": "10"})
    features = extract_features(media.truncate(path, 0.6))
    assert 20 < features.timebase.n_frames < 80
    assert features.coverage == 1.0
    assert features.provenance["source"]["damage"] is not None
    assert any("damaged" in w for w in features.provenance["warnings"])


def test_no_face(tmp_path):
    with pytest.raises(NoFaceError, match=r"noise\.mp4: no face was seen"):
        extract_features(media.write_video(tmp_path / "noise.mp4", media.noise(40)))
    assert stage_threads() == []


def test_too_short(tmp_path):
    with pytest.raises(TooShortError, match=r"4 frames.*at least 0\.3 s"):
        extract_features(media.write_video(tmp_path / "s.mp4", media.moving_face(4)))


def test_bad_inputs(tmp_path):
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 100)
    with pytest.raises(VideoNotFoundError):
        extract_features(tmp_path / "absent.mp4", cache=tmp_path)
    with pytest.raises(NotAVideoError):
        extract_features(tmp_path / "junk.mp4", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    for wrong in ({"face": "smallest"}, {"face": -1}, {"flow": "raft"}, {"alignment": "ears"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ExtractOptions(**wrong)
    assert ExtractOptions(face="3") == ExtractOptions(face=3)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(NotAVideoError, match="neither a file nor a folder"):
            extract_features(tmp_path / "pipe.mp4", cache=cache)


def test_an_image_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    folder = media.write_images(tmp_path / "f", media.noise(3))

    def closed(path, digest):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(cache_module, "_hash_file", closed)
    with pytest.raises(NotAVideoError, match=r"img_1\.png: cannot be read \(Permission denied\)"):
        extract_features(folder, fps=30, cache=tmp_path / "cache")


def test_a_damaged_frame_rate_is_no_endless_work(tmp_path):
    path = media.write_video(tmp_path / "slow.avi", media.moving_face(12), codec="mpeg4")
    with pytest.raises(NotAVideoError, match=r"pictures are 600 s apart.*the frame rate is damaged"):
        extract_features(media.set_avi_frame_period(path, 600))
    # No clock at all: the usual rate is as good as any, and the warning tells.
    features = extract_features(media.set_avi_frame_period(path, 2_000_000))
    assert features.timebase.n_ticks == 12
    assert "11 timestamps were missing or out of order and were repaired" in features.provenance["warnings"]


def test_pictures_a_minute_apart_are_no_video(tmp_path):
    with pytest.raises(NotAVideoError, match="pictures are 60 s apart"):
        extract_features(media.write_images(tmp_path / "f", media.moving_face(12)), fps=1 / 60)


def test_a_pause_of_minutes_ends_a_segment_and_keeps_the_clock(tmp_path):
    times = np.array([*np.arange(30) / 30, *(70 + np.arange(30) / 30)])
    path = media.write_video(tmp_path / "v.mp4", media.moving_face(60), times=times, options={"bf": "0"})
    features = extract_features(path)
    assert features.timebase.duration_s == pytest.approx(71, abs=0.01)
    assert features.segments() == [(0, 30), (2100, 2130)]
    assert features.provenance["source"]["time_repairs"] == 0


@pytest.mark.parametrize(
    ("size", "alone", "by_fours"),
    [((64, 64), 8, 32), ((1920, 1080), 8, 16), ((4096, 2304), 3, 3), ((9000, 9000), 1, 1)],
)
def test_few_large_pictures_wait_between_two_stages(size, alone, by_fours):
    stream = SimpleNamespace(width=size[0], height=size[1])
    assert pipeline._queue_depth(stream) == alone
    assert pipeline._queue_depth(stream, 4) == by_fours


def test_an_error_in_the_face_thread_comes_through(clip, monkeypatch):
    def failing(frames, subject, stats):
        for i, frame in enumerate(pipeline_follow(frames, subject, stats)):
            if i == 20:
                raise RuntimeError("mesh broke")
            yield frame

    pipeline_follow = pipeline.follow_face
    monkeypatch.setattr(pipeline, "follow_face", failing)
    with pytest.raises(RuntimeError, match="mesh broke"):
        extract_features(clip)
    assert stage_threads() == []


def test_a_keyboard_interrupt_stops_every_thread(clip):
    def interrupt(done, hint):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(clip, progress=interrupt)
    assert stage_threads() == []


def test_nothing_reaches_stdout_or_stderr(clip):
    code = "import sys; from facespot.extract.pipeline import extract_features; extract_features(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, clip], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(("depth", "together"), [(3, 1), (8, 4), (3, 2), (1, 4)])
def test_in_background_keeps_order_and_bounds_its_lead(depth, together):
    made = []

    def numbers():
        for i in range(200):
            made.append(i)
            yield i

    items = in_background(numbers(), depth=depth, together=together)
    assert next(items) == 0
    time.sleep(0.2)
    assert len(made) <= depth + together
    assert list(items) == list(range(1, 200))
    assert stage_threads() == []


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("together", [1, 3])
def test_in_background_passes_errors_on_behind_what_was_made(error, together):
    def failing():
        yield from range(7)
        raise error

    received = []
    with pytest.raises(type(error)):
        received.extend(in_background(failing(), together=together))
    assert received == list(range(7))
    assert stage_threads() == []


def test_in_background_hands_over_one_by_one_where_that_is_asked():
    """A reader is not kept waiting for an item that has been made."""
    more = threading.Event()

    def slow():
        yield 1
        more.wait(10)
        yield 2

    items = in_background(slow())
    assert next(items) == 1
    assert not more.is_set()
    more.set()
    assert list(items) == [2]


@pytest.mark.parametrize("together", [1, 2])
def test_in_background_closes_the_producer_of_an_impatient_reader(together):
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    items = in_background(endless(), depth=2, together=together)
    next(items)
    items.close()
    assert closed.is_set()
    assert stage_threads() == []


_NATIVE = """
import os, sys
from facespot.extract.face.mediapipe_graphs import quiet_native
os.write(2, b"before ")
try:
    with quiet_native():
        os.write(2, b"chatter ")
        with quiet_native():
            os.write(2, b"chatter ")
        os.write(2, b"chatter ")
        raise RuntimeError("a real error")
except RuntimeError as error:
    print(error, file=sys.stderr)
"""


def test_quiet_native_silences_only_what_is_inside():
    done = subprocess.run([sys.executable, "-c", _NATIVE], capture_output=True, text=True, check=True)
    assert done.stderr == "before a real error\n"


def test_quiet_native_without_stderr():
    imported = "from facespot.extract.face.mediapipe_graphs import quiet_native"
    code = f"import os; os.close(2)\n{imported}\nwith quiet_native(): print('ok')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n"


def test_quiet_native_in_overlapping_threads(capfd):
    import os

    def work():
        for _ in range(50):
            with quiet_native():
                os.write(2, b"chatter")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips (../shared/real/clips) are not here")
def test_real_clip_with_a_variable_rate_and_a_face_that_leaves():
    features = extract_features(CLIPS / "pf_face_noface.mov")
    assert features.timebase.n_frames == 169
    assert features.timebase.n_ticks == 191
    assert 0.2 < features.coverage < 0.8
    assert features.segment[0] == 0
    assert features.segment[-1] == -1
    assert any("no usable face" in w for w in features.provenance["warnings"])


def test_opencv_gets_its_threads_back():
    cv2.setNumThreads(2)
    with single_threaded_opencv():
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == 2


def readings(monkeypatch):
    """The times a recording has been opened, as a list that grows."""
    opened = []
    open_video = pipeline.open_video
    monkeypatch.setattr(pipeline, "open_video", lambda *a: opened.append(a) or open_video(*a))
    return opened


def test_a_recording_of_one_face_is_decoded_once_and_gives_what_two_readings_give(clip, extracted, monkeypatch):
    opened = readings(monkeypatch)
    assert same(extract_features(clip), extracted)
    assert len(opened) == 1
    # A guess that does not hold is given up for a second reading.
    monkeypatch.setattr(pipeline.Watch, "_is_settled", lambda watch, time: setattr(watch, "gave_up", True))
    again = extract_features(clip)
    assert len(opened) == 3
    assert same(again, extracted)
    assert again.provenance == extracted.provenance


def conversions(monkeypatch):
    """Numbers of the frames that have been turned into gray, as all that are looked at are; a list that grows."""
    converted = []
    brightness = video.brightness

    def counted(frame, *arguments):
        converted.append(round(frame.time * FAST))
        return brightness(frame, *arguments)

    monkeypatch.setattr(video, "brightness", counted)
    return converted


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    return media.write_video(tmp_path_factory.mktemp("fast") / "fast.mp4", media.moving_face(120), FAST)


def nearest_to_ticks(features):
    clock = features.timebase
    return sorted({clock.frame_of_tick(tick) for tick in range(clock.n_ticks)})


def test_pictures_between_the_ticks_of_fast_video_are_not_converted(fast, monkeypatch):
    opened, converted = readings(monkeypatch), conversions(monkeypatch)
    features = extract_features(fast)
    assert features.timebase.n_frames == 120
    assert len(opened) == 1
    assert len(converted) == len(set(converted))
    # 18 ticks, and looks at who is there, four a second, at whose times there may be none.
    needed = nearest_to_ticks(features)
    assert len(needed) == 18
    assert set(needed) <= set(converted)
    assert len(set(converted) - set(needed)) <= 3


def test_a_second_reading_of_fast_video_converts_what_ticks_need(fast, monkeypatch):
    opened = readings(monkeypatch)
    monkeypatch.setattr(pipeline.Watch, "_is_settled", lambda watch, time: setattr(watch, "gave_up", True))
    needed = pipeline._needed_frames
    converted = conversions(monkeypatch)

    def from_here(*arguments):
        converted.clear()  # of the first reading
        return needed(*arguments)

    monkeypatch.setattr(pipeline, "_needed_frames", from_here)
    features = extract_features(fast)
    assert len(opened) == 2
    assert sorted(converted) == nearest_to_ticks(features)


def test_fast_video_that_is_followed_live_is_thinned_too(fast, monkeypatch):
    converted = conversions(monkeypatch)
    with video.open_video(fast) as stream:
        (*_, whole) = live_features(stream, ExtractOptions(), window_s=5.0, every_s=1.0)
    assert len(converted) == len(set(converted)) <= 18 + 3
    assert set(nearest_to_ticks(whole.features)) <= set(converted)
