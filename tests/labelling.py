"""`spot label` as a process of its own, and raw requests to it: nothing between the test and the bytes."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from facespot.spotting.intervals import Interval


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class LabelServer:
    """A running `spot label`. address: what it printed."""

    def __init__(self, process: subprocess.Popen, address: str) -> None:
        self.process = process
        self.address = address
        parts = urlsplit(address)
        self.host, self.root = parts.netloc, parts.path

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """path: as it goes over the line. body: bytes, or anything that becomes JSON."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given = {"content-type": "application/json"} | given
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="host" in {name.lower() for name in given})
            for name, value in given.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", self.root + path, **headers)

    def act(self, act: dict[str, Any], video: int = 0) -> Answer:
        return self.request("POST", f"{self.root}videos/{video}/acts", act)

    def events(self, video: int = 0) -> list[dict[str, Any]]:
        return self.get(f"videos/{video}").json["events"]

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def label_server(folder: Path, *arguments: str) -> Iterator[LabelServer]:
    """`spot label` in `folder`, stopped at the end by whatever way is left."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "facespot.cli", "label", *arguments, "--no-browser"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("http://"):
                break
        else:
            raise AssertionError(f"no address in {''.join(said)!r}")
        yield LabelServer(process, line.strip())
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()


def until(said: str, process: subprocess.Popen, seconds: float = 20.0) -> str:
    """What a process prints up to its end, which has to come soon and contain `said`."""
    deadline = time.monotonic() + seconds
    process.wait(max(0.0, deadline - time.monotonic()))
    text = process.stdout.read()
    assert said in text, text
    return text


def numbered(n_frames: int, width: int = 160, height: int = 96) -> Iterator[np.ndarray]:
    """Pictures that carry their number in eight vertical stripes, black for 0 and white for 1, the lowest bit left."""
    for i in range(n_frames):
        bits = np.array([(i >> bit) & 1 for bit in range(8)], np.uint8)
        yield np.broadcast_to(np.repeat(16 + 220 * bits, width // 8)[None, :, None], (height, width, 3)).copy()


def number_of(gray: np.ndarray) -> int:
    """Which picture of `numbered` this (H, W) one is, whatever its size."""
    height, width = gray.shape
    middles = [int((bit + 0.5) * width / 8) for bit in range(8)]
    return sum(int(gray[height // 2, x] > 128) << bit for bit, x in enumerate(middles))


def write_spots(path: Path, found: Sequence[Interval], fps: float = 30.0) -> Path:
    """A `.spots.csv` of these intervals, whose ticks are frames."""
    path.parent.mkdir(exist_ok=True)
    columns = "video,type,onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,confidence"
    lines = [columns]
    for i in found:
        seconds = ",".join(f"{t / fps:.3f}" for t in (i.onset, i.apex, i.offset))
        lines.append(f"clip.mp4,{i.type},{seconds},{i.onset},{i.apex},{i.offset},{i.confidence:.3f}")
    path.write_text("\n".join(lines) + "\n")
    return path
