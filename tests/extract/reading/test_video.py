"""Decoding: what comes out of every kind of recording, with media made on the spot."""

import gc
import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import media
import numpy as np
import pytest
from facespot.errors import NotAVideoError, VideoNotFoundError
from facespot.extract.reading.clock import Clock
from facespot.extract.reading.video import open_video
from facespot.extract.timebase import Timebase
from places import SHARED

CLIPS = SHARED / "real" / "clips"


def read(path, fps=None):
    with open_video(path, fps) as stream:
        frames = list(stream)
    Timebase(np.array([f.time for f in frames]))  # strictly increasing from 0
    lost = stream.decode_failures if Path(path).is_dir() else 0
    assert len(frames) == stream.n_frames - lost
    assert all(f.rgb.shape == (stream.height, stream.width, 3) and f.rgb.dtype == np.uint8 for f in frames)
    return stream, frames


def test_constant_rate(tmp_path):
    stream, frames = read(media.write_video(tmp_path / "a.mp4", media.noise(40), 25))
    assert [f.time for f in frames] == pytest.approx(np.arange(40) / 25, abs=1e-4)
    assert [f.index for f in frames] == list(range(40))
    assert [media.frame_number(f.rgb) for f in frames] == list(range(40))
    assert (stream.width, stream.height, stream.fps, stream.n_frames_hint) == (128, 96, 25.0, 40)
    assert not stream.damaged
    assert stream.warnings == []
    assert (stream.decode_failures, stream.time_repairs) == (0, 0)


def test_pictures_leave_memory_without_the_cyclic_garbage_collector(tmp_path):
    path = media.write_video(tmp_path / "a.mp4", media.noise(40), 25)
    gc.collect()
    gc.disable()
    try:
        with open_video(path) as stream:
            for _ in stream:
                alive = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
                assert alive < 10
    finally:
        gc.enable()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_variable_rate_keeps_the_real_times(tmp_path, suffix):
    steps = np.array([0.02, 0.05, 0.033, 0.4, 0.01] * 6)
    times = np.concatenate([[0.5], 0.5 + np.cumsum(steps)])
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    path = media.write_video(tmp_path / f"v{suffix}", media.noise(31), times=times, codec=codec)
    _, frames = read(path)
    assert [f.time for f in frames] == pytest.approx(times - 0.5, abs=1.1e-3)  # Matroska counts milliseconds


@pytest.mark.parametrize(
    ("clockwise", "mirrored", "colours"),
    [(0, False, "rgbw"), (90, False, "brwg"), (180, False, "wbgr"), (270, False, "gwrb"), (0, True, "grwb")],
)
def test_rotation_metadata_is_obeyed(tmp_path, clockwise, mirrored, colours):
    path = media.write_video(tmp_path / "r.mp4", [media.corners()] * 3)
    stream, frames = read(media.set_rotation(path, clockwise, mirrored=mirrored))
    assert media.corner_colours(frames[-1].rgb) == colours
    assert (stream.width, stream.height) == ((64, 96) if clockwise % 180 else (96, 64))


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("gray.mp4", "libx264", "gray", (64, 48)),
        ("ten.mp4", "libx264", "yuv420p10le", (64, 48)),
        ("ten.mkv", "ffv1", "gray10le", (64, 48)),
        ("alpha.mov", "png", "rgba", (64, 48)),
        ("odd.mkv", "ffv1", "yuv444p", (61, 47)),
        ("odd.avi", "mjpeg", "yuvj420p", (61, 47)),
    ],
)
def test_pixel_formats_and_odd_sizes(tmp_path, name, codec, pixel_format, size):
    options = {"qp": "1"} if codec == "libx264" else {}
    path = media.write_video(
        tmp_path / name, media.noise(12, *size), codec=codec, pixel_format=pixel_format, options=options
    )
    _, frames = read(path)
    assert [media.frame_number(f.rgb) for f in frames] == list(range(12))
    assert frames[0].rgb.shape == (size[1], size[0], 3)


def test_oblong_pixels_are_made_square(tmp_path):
    path = media.write_video(tmp_path / "dv.mp4", [media.corners()] * 3, pixel_aspect=Fraction(16, 11))
    stream, frames = read(path)
    assert (stream.width, stream.height) == (140, 64)
    assert media.corner_colours(frames[0].rgb) == "rgbw"
    stream, frames = read(media.set_rotation(path, 90))
    assert (stream.width, stream.height) == (64, 140)


def test_a_picture_size_that_changes_part_way(tmp_path):
    path = media.write_video(tmp_path / "a.ts", media.noise(10), 25, options={"bf": "0"})
    second = media.write_video(tmp_path / "b.ts", media.noise(10, 64, 48), 25, options={"bf": "0"})
    path.write_bytes(path.read_bytes() + second.read_bytes())
    stream, frames = read(path)
    assert len(frames) == 20
    assert (stream.width, stream.height) == (128, 96)
    assert any("size changes" in w for w in stream.warnings)
    assert stream.time_repairs >= 1  # the second part's clock starts anew


@pytest.mark.parametrize("lie", [5, 61])
def test_wrong_frame_count_in_the_header(tmp_path, lie):
    path = media.write_video(tmp_path / "c.avi", media.noise(60), codec="mpeg4")
    stream, frames = read(media.set_avi_frame_count(path, lie))
    assert stream.n_frames_hint == lie
    assert len(frames) == 60
    assert not stream.damaged


def test_truncated_file_gives_what_is_there(tmp_path):
    path = media.write_video(tmp_path / "t.mkv", media.moving_face(60), options={"g": "10"})
    stream, frames = read(media.truncate(path, 0.5))
    assert 10 < len(frames) < 50
    assert stream.damaged
    assert "damaged" in stream.warnings[0]


def test_truncated_mp4_with_its_index_in_front(tmp_path):
    path = media.write_video(
        tmp_path / "t.mp4", media.moving_face(60), container_options={"movflags": "faststart"}, options={"g": "10"}
    )
    stream, frames = read(media.truncate(path, 0.5))
    assert 10 < len(frames) < 50
    assert stream.damaged


def test_corrupt_middle_is_counted_and_passed_over(tmp_path):
    path = media.write_video(tmp_path / "c.mov", media.noise(60), codec="png", pixel_format="rgb24")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b"\x5a" * 3000
    path.write_bytes(data)
    stream, frames = read(path)
    assert stream.decode_failures >= 1
    assert stream.damaged
    assert media.frame_number(frames[-1].rgb) == 59
    assert len(frames) < 60


def test_nothing_reaches_stderr_from_a_damaged_file(tmp_path, capfd):
    path = media.write_video(tmp_path / "t.mkv", media.moving_face(60), options={"g": "10"})
    data = bytearray(media.truncate(path, 0.8).read_bytes())
    data[len(data) // 2 :: 500] = b"\x5a" * len(data[len(data) // 2 :: 500])
    path.write_bytes(data)
    assert read(path)[0].damaged
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name",
    ["ünï ço.mp4", "-dash.mp4", "100%03d.mp4", "a:b?.mp4", "http:x.mp4", "two\nlines.mp4", os.fsdecode(b"\xff.mp4")],
)
def test_any_file_name(tmp_path, monkeypatch, name):
    media.write_video(tmp_path / "plain.mp4", media.noise(5)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(read(name)[1]) == 5


def test_folder_of_images_in_natural_order(tmp_path):
    folder = media.write_images(tmp_path / "50%d frames", media.noise(12))
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "._img_1.png").write_bytes(b"x")
    stream, frames = read(folder, fps=200)
    assert [media.frame_number(f.rgb) for f in frames] == list(range(12))
    assert [f.time for f in frames] == pytest.approx(np.arange(12) / 200)
    assert (stream.fps, stream.n_frames_hint, stream.warnings) == (200.0, 12, [])


def test_folder_with_a_gap_and_a_broken_image(tmp_path):
    folder = media.write_images(tmp_path / "f", media.noise(12), "{:03d}.jpg")
    (folder / "004.jpg").unlink()
    (folder / "008.jpg").write_bytes(b"\xff\xd8 no picture")
    stream, frames = read(folder, fps=10)
    assert len(frames) == 10
    assert stream.decode_failures == 1
    assert [f.index for f in frames] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]  # the broken image keeps its place
    assert frames[-1].time == pytest.approx(1.0)
    assert any("gaps" in w for w in stream.warnings)
    assert any("008.jpg" in w for w in stream.warnings)


def test_folder_with_mixed_sizes_is_refused(tmp_path):
    folder = media.write_images(tmp_path / "f", [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint8)])
    with pytest.raises(NotAVideoError, match=r"img_2\.png is 10x8"):
        read(folder, fps=10)


def test_errors_say_what_to_do(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.txt").write_text("no pictures in here\n" * 50)
    (tmp_path / "junk.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty folder").mkdir()
    media.truncate(media.write_video(tmp_path / "cut.mp4", media.noise(20)), 0.6)
    with pytest.raises(VideoNotFoundError, match="check the name"):
        open_video(tmp_path / "absent.mp4")
    for name, words in {
        "empty.mp4": "empty",
        "text.txt": "give a video",
        "junk.mp4": "give a video",
        "empty folder": "no images",
        "cut.mp4": "cut off",
    }.items():
        with pytest.raises(NotAVideoError, match=words) as caught:
            open_video(tmp_path / name)
        assert "\n" not in str(caught.value)
    folder = media.write_images(tmp_path / "images", media.noise(2))
    with pytest.raises(NotAVideoError, match="--fps"):
        open_video(folder)
    with pytest.raises(NotAVideoError, match="positive"):
        open_video(folder, fps=0)


def test_a_playlist_cannot_reach_the_network(tmp_path):
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(NotAVideoError):
        open_video(tmp_path / "list.m3u8")


def test_sound_with_a_cover_picture_is_no_video(tmp_path):
    import av

    path = tmp_path / "song.mka"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(audio.encode(frame))
    with pytest.raises(NotAVideoError, match="no video"):
        open_video(path)


@pytest.mark.parametrize(
    ("raw", "expected", "repairs"),
    [
        ([3.0, 3.1, 3.2], [3.0, 3.1, 3.2], 0),
        ([None, None, None], [0.0, 0.1, 0.2], 3),
        ([0.0, 0.1, None, 0.3], [0.0, 0.1, 0.2, 0.3], 1),
        ([0.0, 0.1, 0.1, 0.2], [0.0, 0.1, 0.15, 0.2], 1),
        ([0.0, 0.1, 0.05, 0.2], [0.0, 0.1, 0.15, 0.2], 1),
        ([50.0, 50.1, 0.0, 0.1], [50.0, 50.1, 50.2, 50.3], 1),
        ([0.0, 0.1, 95443.7, 95443.8], [0.0, 0.1, 0.2, 0.3], 1),
        ([0.0, 0.1, 20.0], [0.0, 0.1, 20.0], 0),
    ],
)
def test_clock_repairs(raw, expected, repairs):
    clock = Clock(10)
    assert [clock.seconds(t) for t in raw] == pytest.approx(expected)
    assert clock.repairs == repairs


def test_raw_stream_without_timestamps(tmp_path):
    path = media.write_video(tmp_path / "raw.h264", media.noise(20), 25, options={"bf": "0"})
    stream, frames = read(path)
    assert len(frames) == 20
    assert frames[-1].time == pytest.approx(19 / stream.fps)


def test_pending_frames_make_pictures_only_when_asked(tmp_path):
    folder = media.write_images(tmp_path / "f", media.noise(9))
    (folder / "img_2.png").write_bytes(b"broken, but never looked at")
    with open_video(folder, fps=30) as stream:
        developed = [frame.develop() for frame in stream.pending() if frame.index % 4 == 0]
    assert [(f.index, media.frame_number(f.rgb)) for f in developed] == [(0, 0), (4, 4), (8, 8)]
    assert (stream.n_frames, stream.decode_failures) == (9, 0)


def test_leaving_early_closes_the_file(tmp_path):
    path = media.write_video(tmp_path / "a.mp4", media.noise(40))
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for _ in range(5):
        with open_video(path) as stream:
            next(iter(stream))
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips (../shared/real/clips) are not here")
@pytest.mark.parametrize(("clip", "n_frames", "last_s"), [("vr_1.mp4", 135, 6.07), ("pf_no_face.mp4", 95, 3.92)])
def test_real_clips(clip, n_frames, last_s):
    stream, frames = read(CLIPS / clip)
    assert len(frames) == n_frames
    assert frames[-1].time == pytest.approx(last_s, abs=0.01)
    assert not stream.damaged
