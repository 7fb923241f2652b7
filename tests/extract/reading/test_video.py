"""Decoding: what comes out of every kind of recording, with media made on the spot."""

import gc
import io
import os
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import media
import numpy as np
import pytest
from facespot.errors import NotAVideoError, VideoNotFoundError
from facespot.extract.reading.clock import Clock
from facespot.extract.reading.pictures import MOST_PIXELS, brightness, fitting_size
from facespot.extract.reading.video import _limit_threads, open_video
from facespot.extract.reading.wholeness import missing_end
from facespot.extract.timebase import Timebase
from places import SHARED, TESTS

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


@pytest.mark.parametrize(
    ("name", "codec", "fraction", "words"),
    [
        ("t.avi", "mpeg4", 0.8, "bytes are missing"),
        ("t.avi", "mjpeg", 0.5, "bytes are missing"),
        ("t.ts", "libx264", 0.5, "last packet is incomplete"),
        ("t.m2ts", "libx264", 0.497, "last packet is incomplete"),
        ("t.wmv", "wmv2", 0.5, "bytes are missing"),
        ("t.ogv", "libvpx", 0.5, "last page is incomplete"),
        ("t.mkv", "libx264", 0.97, "bytes are missing"),
        ("t.webm", "libvpx", 0.97, "bytes are missing"),
        ("t.mp4", "libx264", 0.97, "bytes are missing"),
    ],
)
def test_a_cut_is_seen_in_the_files_structure(tmp_path, name, codec, fraction, words):
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {"movflags": "faststart"} if name.endswith(".mp4") else {}
    path = media.write_video(
        tmp_path / name,
        media.moving_face(90, 128),
        codec=codec,
        pixel_format=pixel_format,
        container_options=options,
    )
    assert missing_end(path, container_name(path)) is None
    stream, frames = read(path)
    assert len(frames) == 90
    assert not stream.damaged
    media.truncate(path, fraction)
    stream, frames = read(path)
    assert 0 < len(frames) < 90
    assert words in missing_end(path, container_name(path))
    assert stream.warnings[0].startswith("damaged: ")


def test_structures_that_end_where_they_should(tmp_path):
    avi = media.write_video(tmp_path / "a.avi", media.noise(20), codec="mpeg4")
    whole = avi.read_bytes()
    avi.write_bytes(whole + whole)  # as files above a gigabyte are: several chunks in a row
    assert missing_end(avi, "avi") is None
    avi.write_bytes(whole + whole[:-100])
    assert missing_end(avi, "avi") == "100 bytes are missing at its end"
    avi.write_bytes(b"RIFF\0\0\0\0" + whole[8:500])  # a writer that could not go back says nothing
    assert missing_end(avi, "avi") is None
    stream = media.write_video(tmp_path / "a.ts", media.noise(20))
    packets = stream.read_bytes()
    assert len(packets) % 188 == 0
    stream.write_bytes(packets[50:])  # taken up in mid-packet, as a receiver does
    assert missing_end(stream, "mpegts") is None
    stream.write_bytes(packets[50:-50])
    assert missing_end(stream, "mpegts") is not None
    assert missing_end(stream, "matroska,webm") is None
    matroska = media.write_video(tmp_path / "a.mkv", media.noise(20))
    content = bytearray(matroska.read_bytes())
    at = content.index(bytes.fromhex("18538067")) + 4
    content[at : at + 8] = b"\1" + b"\xff" * 7  # a length that its writer did not know, as of what browsers record
    matroska.write_bytes(content[:-100])
    assert missing_end(matroska, "matroska,webm") is None
    mp4 = media.write_video(tmp_path / "a.mp4", media.noise(20))
    content = mp4.read_bytes()
    mp4.write_bytes(content + b"\0\0\0\0free")  # a last box that reaches to the end
    assert missing_end(mp4, "mov,mp4,m4a,3gp,3g2,mj2") is None
    mp4.write_bytes(content + b"\0\0\0\1mdat" + (216).to_bytes(8) + bytes(150))
    assert missing_end(mp4, "mov,mp4,m4a,3gp,3g2,mj2") == "50 bytes are missing at its end"


def container_name(path):
    with av.open(str(path)) as container:
        return container.format.name


def test_an_ogg_file_that_repeats_pictures_is_intact():
    """libtheora's own way to say "as before" is an empty packet. The file is fifteen of the pictures of `media.noise`,
    encoded by FFmpeg's libtheora, which leaves such packets out; they were put back where pages end."""
    path = TESTS / "extract" / "reading" / "repeated.ogv"
    with av.open(str(path)) as container:
        assert sum(packet.size == 0 and packet.pts is not None for packet in container.demux(video=0)) == 14
    stream, frames = read(path)
    assert len(frames) == 15
    assert (stream.damage, stream.decode_failures, stream.warnings) == (None, 0, [])


def test_an_ogg_file_promises_no_length(tmp_path):
    path = media.write_video(tmp_path / "a.ogv", media.noise(20), codec="libvpx")
    # The last page may say that the last picture stays for long.
    path = media.set_last_ogg_time(path, 40 * 30)
    with av.open(str(path)) as container:
        assert container.duration > 30e6
    assert read(path)[0].damage is None


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


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png", ".webp"])
def test_images_with_exif_are_turned_as_it_says(tmp_path, suffix):
    from PIL import Image, ImageOps

    folder = tmp_path / "f"
    folder.mkdir()
    expected = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = folder / f"{orientation}{suffix}"
        Image.fromarray(media.corners(64, 64)).save(path, exif=exif)
        with Image.open(path) as image:
            expected.append(media.corner_colours(np.array(ImageOps.exif_transpose(image).convert("RGB"))))
    stream, frames = read(folder, fps=30)
    assert [media.corner_colours(f.rgb) for f in frames] == expected
    assert len(set(expected)) == 8
    assert not stream.damaged


def test_a_video_of_pictures_with_exif_is_turned_as_it_says(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    picture = io.BytesIO()
    Image.fromarray(media.corners()).save(picture, "JPEG", exif=exif)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for i in range(5):
            packet = av.Packet(picture.getvalue())
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 30), i, i
            container.mux(packet)
    stream, frames = read(path)
    assert len(frames) == 5
    assert media.corner_colours(frames[-1].rgb) == "brwg"


def test_what_only_bears_an_images_name_is_passed_over(tmp_path):
    folder = media.write_images(tmp_path / "f", media.noise(3))
    (folder / "img_4.png").mkdir()
    os.mkfifo(folder / "img_5.png")
    assert len(read(folder, fps=10)[1]) == 3


@pytest.mark.parametrize("size", [(4800, 2800), (2800, 4800)])
def test_pictures_too_large_for_memory_are_read_smaller(tmp_path, size):
    picture = media.corners(*size)
    path = media.write_video(tmp_path / "large.mp4", [picture] * 2, options={"preset": "ultrafast"})
    folder = media.write_images(tmp_path / "f", [picture] * 2, "{}.jpg")
    for source in (path, folder):
        stream, frames = read(source, fps=10)
        assert 0.999 * MOST_PIXELS < stream.width * stream.height <= MOST_PIXELS
        assert stream.width / stream.height == pytest.approx(size[0] / size[1], rel=1e-3)
        assert media.corner_colours(frames[-1].rgb) == "rgbw"
        assert [w for w in stream.warnings if "fit into memory" in w] == [
            f"pictures of {size[0]}x{size[1]} are read at {stream.width}x{stream.height}, to fit into memory"
        ]


def test_a_transport_stream_states_no_length_that_would_vouch_for_its_clock(tmp_path):
    """Joined recordings have clocks that differ by hours; what FFmpeg calls the length is the last timestamp."""
    times = [*np.arange(20) / 30, *(5 * 3600 + np.arange(20) / 30)]
    path = media.write_video(tmp_path / "a.ts", media.noise(40), times=times, options={"bf": "0"})
    with av.open(str(path)) as container:
        assert container.duration > 5 * 3600e6
    stream, frames = read(path)
    assert len(frames) == 40
    assert frames[-1].time == pytest.approx(39 / 30, abs=1e-3)
    assert stream.time_repairs == 1


def test_pictures_of_4k_are_read_as_they_are():
    assert [fitting_size(*size) for size in ((3840, 2160), (4096, 2160), (4096, 2304))] == [
        (3840, 2160),
        (4096, 2160),
        (4096, 2304),
    ]


@pytest.mark.parametrize(
    ("size", "cores", "threads"),
    [
        ((1920, 1080), 16, 0),  # 0: as many as FFmpeg likes
        ((3840, 2160), 8, 0),
        ((3840, 2160), 64, 10),
        ((7680, 4320), 64, 2),
        ((16000, 16000), 4, 1),
        ((0, 0), 4, 0),
    ],
)
def test_a_decoder_of_large_pictures_has_few_threads(monkeypatch, size, cores, threads):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    decoder = SimpleNamespace(width=size[0], height=size[1], thread_count=0)
    _limit_threads(decoder)
    assert decoder.thread_count == threads


def test_a_codec_nobody_knows(tmp_path):
    path = media.write_video(tmp_path / "a.avi", media.noise(5), codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"XQZ1"))
    with pytest.raises(NotAVideoError, match="could be decoded"):
        open_video(path)


def test_what_is_neither_file_nor_folder_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", Path("/dev/zero")):
        with pytest.raises(NotAVideoError, match="neither a file nor a folder"):
            open_video(path)
    with pytest.raises(NotAVideoError, match="cannot be looked at"):
        open_video(tmp_path / ("x" * 300))
    with pytest.raises(VideoNotFoundError):
        open_video("a\0b")


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
        ([0.0, 0.1, 1900.0, 1900.1, 3700.0], [0.0, 0.1, 1900.0, 1900.1, 1900.2], 1),
    ],
)
def test_clock_repairs(raw, expected, repairs):
    clock = Clock(10)
    assert [clock.seconds(t) for t in raw] == pytest.approx(expected)
    assert clock.repairs == repairs


@pytest.mark.parametrize(
    ("stated", "raw", "expected"),
    [
        (7200.0, [0.0, 0.1, 7000.0, 7000.1], [0.0, 0.1, 7000.0, 7000.1]),
        (1e12, [0.0, 0.1, 20000.0, 20000.1], [0.0, 0.1, 20000.0, 20000.1]),
        (72.0, [0.0, 0.1, 7000.0, 7000.1], [0.0, 0.1, 0.2, 0.3]),
        (1e12, [0.0, 0.1, 2e5, 2e5 + 0.1], [0.0, 0.1, 0.2, 0.3]),
    ],
)
def test_a_pause_is_believed_as_far_as_the_container_states_its_length(stated, raw, expected):
    clock = Clock(10, stated)
    assert [clock.seconds(t) for t in raw] == pytest.approx(expected)


@pytest.mark.parametrize("fps", [1e-9, 1 / 600, 0.0, 1e15])
def test_missing_times_are_not_bridged_at_an_unbelievable_rate(fps):
    clock = Clock(fps)
    assert [clock.seconds(None) for _ in range(3)] == pytest.approx([0, 1 / 30, 2 / 30])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_pause_of_more_than_a_minute_stays_one(tmp_path, suffix):
    times = np.array([*np.arange(20) / 30, *(70 + np.arange(20) / 30)])
    path = media.write_video(tmp_path / f"v{suffix}", media.noise(40), times=times, options={"bf": "0"})
    stream, frames = read(path)
    assert [f.time for f in frames] == pytest.approx(times, abs=1.1e-3)
    assert (stream.time_repairs, stream.warnings) == (0, [])


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


@pytest.mark.parametrize("width", [256, 250], ids=["whole", "with room behind each row"])
def test_every_stored_brightness_becomes_the_nearest_level(width):
    levels = np.tile(np.arange(width, dtype=np.uint8), (16, 1))
    frame = av.VideoFrame.from_ndarray(np.concatenate([levels, np.full((8, width), 128, np.uint8)]), format="yuv420p")
    black, white = 16, 235
    exact = [round(Fraction(255 * (level - black), white - black)) for level in range(width)]
    np.testing.assert_array_equal(brightness(frame), np.tile(np.clip(exact, 0, 255), (16, 1)))
