"""How long after an expression has ended `spot --follow` says so: python benchmarks/delay.py [VIDEO] [--minutes M]

A recording is written into a named pipe as a camera would, each picture when its time has come, and `spot` reads it in
a process of its own. A row's delay is the moment it is printed less the moment its offset was written. Without VIDEO it
is the bundled sample, forwards and backwards in turn so that nothing jumps. With `--slower` all is counted in seconds
of the recording: what is left is what `--follow` waits for, and of the work that it takes the N-th part. POSIX.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import av
import click
from facespot.benchmarks.memory import make_recording

_ROW = re.compile(r"\s*[\d.]+ s  (?P<type>\w+)  to (?P<offset>[\d.]+) s, apex")
_SPOT = "from facespot.cli import main; main()"


@dataclass
class Feed:
    """Writes a recording into a pipe in real time, or `slower` times as slowly. start: when its first picture was, None
    before. late_s: the most that a picture was written after its time, because the reader had not taken those before.
    ended: when all were."""

    video: Path
    pipe: Path
    slower: float = 1.0
    start: float | None = None
    late_s: float = 0.0
    ended: float | None = None

    def run(self) -> None:
        with (
            av.open(str(self.video)) as source,
            self.pipe.open("wb", buffering=0) as pipe,  # waits for the reader
            av.open(pipe, "w", format="mpegts", options={"flush_packets": "1"}) as target,
        ):
            stream = source.streams.video[0]
            copy = target.add_stream_from_template(stream)
            self.start = time.monotonic()
            first = None
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                seconds = float(packet.dts * packet.time_base)
                first = seconds if first is None else first
                due = self.start + self.slower * (seconds - first)
                time.sleep(max(due - time.monotonic(), 0))
                packet.stream = copy
                target.mux(packet)
                self.late_s = max(self.late_s, time.monotonic() - due)
        self.ended = time.monotonic()


@dataclass(frozen=True)
class Row:
    """offset_s: seconds of the recording. delay_s: from there until it was told. live: before the recording ended."""

    type: str
    offset_s: float
    delay_s: float
    live: bool


def measure(video: Path, folder: Path, slower: float = 1.0) -> tuple[list[Row], Feed, int]:
    """The rows in the order in which they were told, how the feed went, and the exit code. folder: an empty one."""
    pipe = folder / "pipe.ts"
    os.mkfifo(pipe)
    feed = Feed(video, pipe, slower)
    words = [sys.executable, "-c", _SPOT, str(pipe), "--follow", "--device", "cpu", "-o", str(folder / "out")]
    rows = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as spot:
        thread = threading.Thread(target=feed.run, daemon=True)
        thread.start()
        assert spot.stdout is not None
        for line in spot.stdout:
            said = time.monotonic()
            row = _ROW.match(line)
            if row is not None and feed.start is not None:
                offset = float(row["offset"])
                rows.append(Row(row["type"], offset, (said - feed.start) / slower - offset, feed.ended is None))
    thread.join()
    return rows, feed, spot.returncode


@click.command(help=__doc__)
@click.argument("video", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--minutes", default=2.0, show_default=True, help="Of the sample.")
@click.option("--slower", default=1.0, show_default=True, help="Slow motion, for a machine that is busy otherwise.")
def main(video: Path | None, minutes: float, slower: float) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if video is None:
            video = folder / "sample.mp4"
            with as_file(files("facespot.samples") / "astronaut.mp4") as sample:
                make_recording(sample, video, minutes)
        rows, feed, code = measure(video, folder, slower)
    if code:
        raise click.ClickException(f"spot ended with {code}")
    for row in rows:
        told = f"{row.delay_s:5.2f} s later" if row.live else "at the recording's end"
        click.echo(f"{row.type} to {row.offset_s:7.2f} s, told {told}")
    delays = [row.delay_s for row in rows if row.live]
    if delays:
        click.echo(
            f"{len(delays)} rows while it was written: {min(delays):.1f} to {max(delays):.1f} s after their offsets, "
            f"median {statistics.median(delays):.1f} s; pictures were written {feed.late_s:.1f} s late at most "
            f"(load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)"
        )


if __name__ == "__main__":
    main()
