"""Reading pictures with their true times from any file FFmpeg reads, or from a folder of numbered images.

`open_video` gives a `VideoStream`, a context manager that yields each `VideoFrame` once, upright, and never holds more
than a few. Times come from the container's presentation timestamps, never from a frame counter, because phones
and browsers record at a variable rate and headers miscount.
"""

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from ...errors import NotAVideoError, VideoNotFoundError
from .clock import FALLBACK_FPS, Clock
from .frames import Picture
from .images import ImageFolder
from .pictures import brightness, display_matrix, orient, stores_brightness, to_rgb
from .stream import VideoStream
from .wholeness import missing_end

TRUNCATED_S = 0.5  # less decoded than the header promises, by this much and by TRUNCATED_FRACTION: cut off
TRUNCATED_FRACTION = 0.05
# Demuxers that make up a length from what they find at the end of the file: no promise that anything could fall short.
_NO_HEADER_FORMATS = frozenset({"mpeg", "mpegts", "ogg"})
_DECODER_BYTES = 256 << 20  # what the decoder's threads may hold, each a picture of its own
# FFmpeg shows any text or binary file with these suffixes as character art.
_TEXT_ART_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})


def open_video(path: str | os.PathLike[str], fps: float | None = None) -> VideoStream:
    """Open a video file, or a folder of numbered images taken `fps` times a second (`fps` says nothing about a file).

    Raises VideoNotFoundError, NotAVideoError (nothing decodable, a folder without images or without `fps`).
    """
    path = Path(path)
    check_source(path)
    return ImageFolder(path, fps) if path.is_dir() else VideoFile(path)


def check_source(path: Path) -> None:
    """Raises VideoNotFoundError where nothing is, and NotAVideoError for what is neither file nor folder.

    A pipe or a device may be waited for, or read, without an end.
    """
    try:
        found = path.exists()
    except OSError as error:
        why = f"cannot be looked at ({reason(error)}); check its name and permissions"
        raise NotAVideoError(f"{path}: {why}") from error
    if not found:
        raise VideoNotFoundError(f"{path}: no such file or folder; check the name")
    if not (path.is_dir() or path.is_file()):
        raise NotAVideoError(f"{path}: is neither a file nor a folder; give a video file or a folder of images")


def open_container(path: Path) -> av.container.InputContainer:
    """The file as FFmpeg reads it, without its reaching any other. Raises NotAVideoError."""
    try:
        # An absolute name behind "file:" keeps FFmpeg from reading "a:b.mp4" as a protocol; the whitelist keeps
        # playlists from reaching into the network.
        return av.open(f"file:{path.absolute()}", metadata_errors="replace", options={"protocol_whitelist": "file"})
    except PermissionError as error:
        raise NotAVideoError(f"{path}: may not be read; change its permissions") from error
    except (av.FFmpegError, ValueError) as error:
        raise NotAVideoError(f"{path}: {_why_unreadable(path, error)}") from error


def decoded(
    packets: Iterable[av.Packet], broken: Callable[[str], None], cut_short: Callable[[str], None]
) -> Iterator[list[av.VideoFrame] | list[av.AudioFrame]]:
    """The frames of each packet of a stream, past every packet that fails. Told why: `broken` of such a packet,
    `cut_short` where the file cannot be read any further."""
    following = iter(packets)
    while True:
        try:
            packet = next(following)
        except (StopIteration, EOFError):
            return
        except av.FFmpegError as error:
            cut_short(reason(error))
            return
        try:
            frames = packet.decode()
        except EOFError:
            return
        except av.FFmpegError as error:
            broken(reason(error))
            continue
        yield frames


class VideoFile(VideoStream):
    """A recording in a file; see `live` for those that are not one."""

    def __init__(self, path: Path) -> None:
        self._container = self._open(path)
        streams = [s for s in self._container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams or self._container.format.name in _TEXT_ART_FORMATS:
            self._container.close()
            raise NotAVideoError(f"{path}: holds no video; give a video file or a folder of images")
        best = self._container.streams.best("video")
        self._stream = best if best in streams else streams[0]
        self._stream.thread_type = "AUTO"
        if self._stream.codec_context is not None:  # as of a codec FFmpeg has no decoder for
            _limit_threads(self._stream.codec_context)
        self._coded_shape: tuple[int, int] | None = None  # (height, width) before any turning and stretching
        # One for the whole file: a frame's own would set up the colour tables anew for every picture.
        self._reformatter = VideoReformatter()
        self._reformatting = threading.Lock()  # pictures are made by whoever asks for them
        # Camcorder formats store oblong pixels, which would make faces, and sideways motion, too narrow.
        self._pixel_aspect = float(self._stream.sample_aspect_ratio or 1)
        rate = self._stream.average_rate or self._stream.guessed_rate
        fps = float(rate) if rate else FALLBACK_FPS
        stated_s = _stated_seconds(self._container, self._stream)
        self._stated_s = stated_s if stated_s and stated_s > 0 else None
        hint = self._stream.frames or (round(self._stated_s * fps) if self._stated_s else None)
        super().__init__(path, fps, hint)

    def _open(self, path: Path) -> av.container.InputContainer:
        return open_container(path)

    def _missing_end(self) -> str | None:
        return missing_end(self.path, self._container.format.name)

    def close(self) -> None:
        self._container.close()

    def _timed_pictures(self) -> Iterator[tuple[float, Callable[[], Picture | None]]]:
        clock = self.clock(self.fps)
        start = end = None
        for frame in self._frames():
            end = clock.seconds(frame.time)
            start = end if start is None else start
            self.time_repairs = clock.repairs
            yield end, partial(self._upright, frame)
        if start is not None:
            self._judge(end - start + clock.period_s)

    def clock(self, rate: float) -> Clock:
        """A clock for one of the file's streams, of so many frames a second, that believes the pauses the pictures'
        own does."""
        return Clock(rate, self._pauses_bound())

    def _pauses_bound(self) -> float | None:
        """The length the header states, of the whole file too; None where it is only read off the last timestamp."""
        if self._container.format.name in _NO_HEADER_FORMATS:
            return None
        whole_s = (self._container.duration or 0) / av.time_base
        return max(self._stated_s or 0, whole_s) or None

    def _packets(self) -> Iterator[av.Packet]:
        return self._container.demux(self._stream)

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Decoded frames, past every packet that fails."""

        def broken(why: str) -> None:
            self.decode_failures += 1
            self._note(f"part of it could not be decoded ({why})")

        def cut_short(why: str) -> None:
            self._note(f"the file could not be read to its end ({why})")

        # "As before": Theora and AVI repeat a picture so. FFmpeg's decoders take it for an error.
        packets = (packet for packet in self._packets() if packet.size or packet.pts is None)
        for frames in decoded(packets, broken, cut_short):
            self.decode_failures += sum(frame.is_corrupt for frame in frames)
            yield from frames

    def _note(self, damage: str | None) -> None:
        """The first thing that is found wrong is the one reported."""
        self.damage = self.damage or damage

    def _upright(self, frame: av.VideoFrame) -> Picture:
        """The picture as it is meant to be seen: square pixels, the size of the first one, upright."""
        matrix = display_matrix(frame)
        self._coded_shape = self._coded_shape or (frame.height, frame.width)
        height, width = self._coded_shape
        if (frame.height, frame.width) != (height, width):
            self._warn_once("the picture size changes part way; later pictures were scaled to the first one's")
        size = self._fit(round(width * self._pixel_aspect), height)

        def rgb() -> np.ndarray:
            with self._reformatting:
                return orient(to_rgb(frame, size, self._reformatter), matrix)

        def gray() -> np.ndarray:
            return orient(brightness(frame), matrix)

        return Picture(rgb, gray if stores_brightness(frame, size) else None)

    def _judge(self, decoded_s: float) -> None:
        """Called at the end: say what was wrong with the recording as a whole."""
        if self._stated_s is not None and self._container.format.name not in _NO_HEADER_FORMATS:
            missing_s = self._stated_s - decoded_s
            if missing_s > max(TRUNCATED_S, TRUNCATED_FRACTION * self._stated_s):
                self._note(f"its header promises {self._stated_s:.1f} s but only {decoded_s:.1f} s are in the file")
        try:
            self._note(self._missing_end())
        except OSError as error:
            self._note(f"the file could not be read to its end ({reason(error)})")
        if self.damage is not None:
            self.warnings.append(f"damaged: {self.damage}; what could be decoded was used")
        if self.time_repairs:
            self.warnings.append(f"{self.time_repairs} timestamps were missing or out of order and were repaired")


def _limit_threads(decoder: av.VideoCodecContext) -> None:
    """As many threads as cores is FFmpeg's choice, unless their pictures would take too much memory."""
    # Three bytes a pixel: 4:2:0 in ten bits.
    affordable = _DECODER_BYTES // max(3 * decoder.width * decoder.height, 1)
    if affordable <= (os.cpu_count() or 1):
        decoder.thread_count = max(affordable, 1)


def _stated_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """How long the container says that the video stream is; None where it only speaks of other streams too."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tagged = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tagged:
        hours, minutes, seconds = tagged.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _why_unreadable(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "the file is empty; copy or record it again"
    with path.open("rb") as file:
        is_mp4 = file.read(12)[4:8] == b"ftyp"
    if is_mp4:
        return "the recording was cut off before its index was written; repair it (untrunc can) or record it again"
    return f"is not a video FFmpeg can read ({reason(error)}); give a video file or a folder of images"
