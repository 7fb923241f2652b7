"""The benchmark of how late `--follow` is: its feed keeps the recording's time, and it knows the rows of `spot`."""

import os
import sys
import threading
import time

import av
import facespot.benchmarks.delay as delay
import media
import numpy as np
import pytest
from facespot.commands.live import _line
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes are POSIX")


def test_rows_are_read_as_spot_writes_them():
    spot = Interval(10, 15, 40, "micro", 0.9).on(Timebase(np.arange(90) / 30))
    row = delay._ROW.match(_line(spot))
    assert (row["type"], float(row["offset"])) == ("micro", round(spot.offset_s, 2))
    assert not delay._ROW.match("#   type  onset s  apex s  offset s")
    assert not delay._ROW.match("1  macro     1.47    1.87      2.63")


@pytest.mark.parametrize("slower", [1.0, 2.0])
def test_pictures_are_written_when_their_time_has_come(tmp_path, slower):
    video = media.write_video(tmp_path / "a.mp4", media.noise(30, 64, 64), options={"bf": "0"})
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    feed = delay.Feed(video, pipe, slower)
    thread = threading.Thread(target=feed.run)
    thread.start()
    with pipe.open("rb") as file:
        arrivals = []
        while block := file.read1(1 << 16):
            arrivals.append((time.monotonic(), block))
    thread.join()
    # The last of thirty pictures is due 29 periods after the first.
    assert 0.9 * slower < feed.ended - feed.start < 10 * slower
    assert arrivals[-1][0] - arrivals[0][0] > 0.8 * slower
    copy = tmp_path / "copy.ts"
    copy.write_bytes(b"".join(block for _, block in arrivals))
    with av.open(str(copy)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30


def test_delays_are_measured_and_rows_at_the_end_are_told_apart(tmp_path, monkeypatch):
    video = media.write_video(tmp_path / "a.mp4", media.noise(30, 64, 64), options={"bf": "0"})
    # Reads the pipe to its end and prints a row before and one after.
    program = (
        "import sys\n"
        "row = '     0.00 s  macro  to {} s, apex 0.10 s, confidence 0.90'\n"
        "with open(sys.argv[1], 'rb') as pipe:\n"
        "    pipe.read(188)\n"
        "    print(row.format('0.20'), flush=True)\n"
        "    pipe.read()\n"
        "import time; time.sleep(0.5)\n"
        "print(row.format('0.50'), flush=True)\n"
    )
    monkeypatch.setattr(delay, "_SPOT", program)
    rows, feed, code = delay.measure(video, tmp_path)
    assert code == 0
    assert [(row.type, row.offset_s, row.live) for row in rows] == [("macro", 0.2, True), ("macro", 0.5, False)]
    assert rows[1].delay_s > 0.9
    assert rows[1].delay_s - rows[0].delay_s > 0.3
    assert feed.late_s < 5
