"""Recordings that are not finished: a file that still grows, a pipe, a camera, an address in the network."""

import re
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import av

from ...errors import NotAVideoError
from .stream import VideoStream
from .video import VideoFile, check_source, open_video, reason

# What a named address may lead to; files, which a playlist could name, are not among it.
_PROTOCOLS = "rtsp,rtp,rtmp,srt,udp,tcp,tls,http,https,httpproxy,crypto,hls"
_POLL_S = 0.1
GROWTH_S = 3.0  # a file that has not grown for so long has come to its end


class GrowingFile:
    """A file as FFmpeg reads it, whose end is waited for once `wait` is set. name: tells FFmpeg the format."""

    def __init__(self, path: Path, growth_s: float, stop: threading.Event) -> None:
        self.name = str(path)
        self.wait = False
        self._file: BinaryIO = path.open("rb")
        self._growth_s, self._stop = growth_s, stop

    def read(self, size: int) -> bytes:
        deadline = time.monotonic() + self._growth_s
        while not (block := self._file.read(size)):
            if self._stop.is_set() or time.monotonic() >= deadline:
                self.wait = False  # FFmpeg asks more than once whether this is the end
            if not self.wait:
                break
            time.sleep(_POLL_S)
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class LiveVideo(VideoFile):
    """A `VideoStream` of what is read as it comes. After `stop` it ends with the next packet.

    path: a name for it, without what a network address may hold of passwords.
    """

    def __init__(self, name: Path, source: Any, stop: threading.Event, format: str | None = None) -> None:
        self._source, self._format, self._stop = source, format, stop
        super().__init__(name)

    def _open(self, path: Path) -> av.container.InputContainer:
        options = {} if not isinstance(self._source, str) or self._format else {"protocol_whitelist": _PROTOCOLS}
        try:
            container = av.open(self._source, format=self._format, metadata_errors="replace", options=options)
        except (OSError, ValueError) as error:  # FFmpegError is either
            raise NotAVideoError(f"{path}: cannot be opened ({reason(error)})") from error
        if isinstance(self._source, GrowingFile):
            self._source.wait = True
        return container

    def _packets(self) -> Any:
        for packet in super()._packets():
            yield packet
            if self._stop.is_set():
                return

    def _missing_end(self) -> str | None:
        return super()._missing_end() if isinstance(self._source, GrowingFile) else None

    def close(self) -> None:
        super().close()
        if isinstance(self._source, GrowingFile):
            self._source.close()


def open_live(
    source: str | Path,
    *,
    camera: bool = False,
    fps: float | None = None,
    growth_s: float = GROWTH_S,
    stop: threading.Event | None = None,
) -> VideoStream:
    """Open what may not be finished.

    source: a file, which has ended when it has not grown for `growth_s` seconds; "-" for standard input; a named pipe;
    an address such as rtsp://...; with `camera`, the number or the name of one. A folder of images is as `open_video`
    takes it. stop: set it to end the recording.
    Raises VideoNotFoundError, NotAVideoError.
    """
    stop = stop or threading.Event()
    text = str(source)
    if camera:
        device, format_name = camera_device(text)
        return LiveVideo(live_name(source, camera=True), device, stop, format_name)
    if text == "-":
        return LiveVideo(live_name(source), sys.stdin.buffer, stop)
    if is_address(text):
        return LiveVideo(live_name(source), text, stop)
    path = Path(source)
    if path.is_fifo():
        return LiveVideo(path, path.open("rb"), stop)
    check_source(path)
    if path.is_dir():
        return open_video(path, fps)
    try:
        growing = GrowingFile(path, growth_s, stop)
    except OSError as error:
        raise NotAVideoError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    return LiveVideo(path, growing, stop)


def is_address(source: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]+://", source) is not None


def live_name(source: str | Path, *, camera: bool = False) -> Path:
    """What the outputs of a source are called; of an address neither user nor password."""
    text = str(source)
    if camera:
        text = f"camera {text}"
    elif text == "-":
        text = "standard input"
    elif is_address(text):
        parts = urlsplit(text)
        text = f"{parts.hostname or parts.scheme} {parts.path}"
    else:
        return Path(source)
    return Path("-".join(re.findall(r"[\w.]+", text)))


def camera_device(camera: str, system: str = sys.platform) -> tuple[str, str]:
    """(FFmpeg's name of a camera, its input format) on a system; a number counts from 0."""
    if system == "darwin":
        return camera, "avfoundation"
    if system == "win32":
        return f"video={camera}", "dshow"
    return f"/dev/video{camera}" if camera.isdecimal() else camera, "v4l2"
