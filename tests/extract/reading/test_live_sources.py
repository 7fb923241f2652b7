"""Recordings that are read while they are made."""

import os
import threading
import time
from pathlib import Path

import media
import numpy as np
import pytest
from facespot.errors import NotAVideoError, VideoNotFoundError
from facespot.extract.reading.live import camera_device, live_name, open_live
from facespot.extract.reading.video import open_video


@pytest.fixture(scope="module")
def stream_file(tmp_path_factory):
    return media.write_video(tmp_path_factory.mktemp("live") / "a.ts", media.noise(40), options={"bf": "0", "g": "10"})


def numbers(stream):
    with stream:
        return [(media.frame_number(frame.rgb), round(frame.time, 3)) for frame in stream]


@pytest.fixture(scope="module")
def expected(stream_file):
    found = numbers(open_video(stream_file))
    assert [number for number, _ in found] == list(range(40))
    return found


def write_slowly(source, target, parts, pause_s):
    content = source.read_bytes()
    size = -(-len(content) // parts)
    with target.open("ab", buffering=0) as file:
        for start in range(0, len(content), size):
            file.write(content[start : start + size])
            time.sleep(pause_s)


def test_a_finished_file_is_read_as_ever(stream_file, expected):
    assert numbers(open_live(stream_file, growth_s=0)) == expected


def test_a_file_that_grows_is_read_to_where_it_stops_growing(stream_file, expected, tmp_path):
    growing = tmp_path / "growing.ts"
    content = stream_file.read_bytes()
    growing.write_bytes(content[: len(content) // 2])
    rest = tmp_path / "rest"
    rest.write_bytes(content[len(content) // 2 :])
    stream = open_live(growing, growth_s=2)
    writer = threading.Thread(target=write_slowly, args=(rest, growing, 4, 0.2))
    writer.start()
    found = numbers(stream)
    writer.join()
    assert found == expected
    assert stream.damage is None


def test_a_growing_file_ends_when_it_is_told(stream_file, tmp_path):
    growing = tmp_path / "growing.ts"
    growing.write_bytes(stream_file.read_bytes())
    stop = threading.Event()
    stream = open_live(growing, growth_s=600, stop=stop)
    with stream:
        frames = iter(stream)
        for _ in range(5):
            next(frames)
        stop.set()
        assert len(list(frames)) < 30


def test_a_pipe_gives_what_the_file_gives(stream_file, expected, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_slowly, args=(stream_file, pipe, 3, 0.05))
    writer.start()
    found = numbers(open_live(pipe))
    writer.join()
    assert found == expected


def test_standard_input(stream_file, expected, monkeypatch):
    with stream_file.open("rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file}))
        assert numbers(open_live("-")) == expected


def test_an_address_in_the_network(stream_file, expected):
    import http.server
    from functools import partial

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=stream_file.parent))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert numbers(open_live(f"http://127.0.0.1:{server.server_port}/a.ts")) == expected
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_cannot_be_opened_is_named_without_its_password(tmp_path):
    with pytest.raises(VideoNotFoundError, match="no such file"):
        open_live(tmp_path / "absent.ts")
    with pytest.raises(NotAVideoError, match=r"^127\.0\.0\.1-live: cannot be opened \(Connection refused\)"):
        open_live("rtsp://user:secret@127.0.0.1:9/live")
    with pytest.raises(NotAVideoError, match=r"^camera-77: cannot be opened"):
        open_live("77", camera=True)
    (tmp_path / "text.ts").write_text("no video")
    with pytest.raises(NotAVideoError, match="cannot be opened"):
        open_live(tmp_path / "text.ts")


def test_an_address_does_not_lead_to_files(stream_file):
    with pytest.raises(NotAVideoError, match="cannot be opened"):
        open_live(f"file://{stream_file}")


def test_names_of_outputs_and_devices():
    assert live_name("rtsp://user:secret@door.example/stream/1?token=x") == Path("door.example-stream-1")
    assert live_name("-") == Path("standard-input")
    assert live_name("0", camera=True) == Path("camera-0")
    assert live_name("clips/a.mp4") == Path("clips/a.mp4")
    assert camera_device("0", "linux") == ("/dev/video0", "v4l2")
    assert camera_device("/dev/v4l/by-id/front", "linux") == ("/dev/v4l/by-id/front", "v4l2")
    assert camera_device("0", "darwin") == ("0", "avfoundation")
    assert camera_device("USB camera", "win32") == ("video=USB camera", "dshow")


def test_a_folder_of_images_is_followed_too(tmp_path):
    folder = media.write_images(tmp_path / "f", media.noise(6))
    with open_live(folder, fps=30) as stream:
        assert np.isclose([frame.time for frame in stream], np.arange(6) / 30).all()
