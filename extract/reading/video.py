"""Reading pictures with their true times from any file FFmpeg reads, or from a folder of numbered images.

`open_video` gives a `VideoStream`, a context manager that yields each `VideoFrame` once, upright, and never holds more
than a few. Times come from the container's presentation timestamps, never from a frame counter, because phones
and browsers record at a variable rate and headers miscount.
"""

import io
import os
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter

from ...errors import NotAVideoError, VideoNotFoundError
from .frames import VideoFrame

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FALLBACK_FPS = 30.0  # where a container states no rate; used only to bridge missing timestamps
MAX_GAP_S = 60.0  # a longer pause between two frames, or a step back as long as MIN_RESET_S, is a broken clock
MIN_RESET_S = 1.0
TRUNCATED_S = 0.5  # less decoded than the header promises, by this much and by TRUNCATED_FRACTION: cut off
TRUNCATED_FRACTION = 0.05
# FFmpeg shows any text or binary file with these suffixes as character art.
_TEXT_ART_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})


@dataclass(frozen=True, eq=False)
class PendingFrame:
    """A frame whose number and time (as in `VideoFrame`) are known and whose picture is made on demand."""

    index: int
    time: float
    picture: Callable[[], np.ndarray | None]

    def develop(self) -> VideoFrame | None:
        """The frame with its picture, None if that cannot be decoded. Raises NotAVideoError if a folder mixes sizes."""
        rgb = self.picture()
        return None if rgb is None else VideoFrame(self.index, self.time, rgb)


class VideoStream(ABC):
    """One recording, read once from beginning to end.

    path: as it was named. width, height: of the upright pictures, pixels. fps: nominal frames per second, from the
    header. n_frames_hint: what the header says about the number of frames, None where it says nothing; never to be
    relied on. The rest fills while the frames are read. n_frames: given out so far. decode_failures: packets or images
    that could not be decoded. time_repairs: timestamps that were missing or did not increase. damage: why the recording
    is thought to be incomplete, None while it is not. warnings: sentences for the user.
    """

    def __init__(self, path: Path, fps: float, n_frames_hint: int | None) -> None:
        self.path = path
        self.fps = fps
        self.n_frames_hint = n_frames_hint
        self.n_frames = 0
        self.decode_failures = 0
        self.time_repairs = 0
        self.damage: str | None = None
        self.warnings: list[str] = []
        self._iterator = self._timed_pictures()
        self._ahead: deque[tuple[float, Callable[[], np.ndarray | None]]] = deque()
        try:
            # The first picture says what no header does reliably: that there is one, and its upright size.
            first = None
            while first is None:
                seconds, picture = next(self._iterator)
                first = picture()
                self._ahead.append((seconds, lambda rgb=first: rgb))
        except BaseException as error:
            self.close()
            if isinstance(error, StopIteration):
                raise NotAVideoError(f"{path}: no picture in it could be decoded; check that it plays") from None
            raise
        self.height, self.width = first.shape[:2]

    @abstractmethod
    def _timed_pictures(self) -> Iterator[tuple[float, Callable[[], np.ndarray | None]]]:
        """(seconds on any origin, strictly increasing; maker of the upright (H, W, 3) uint8 RGB picture), in order."""

    @abstractmethod
    def close(self) -> None:
        """Give back the file and the decoder. Closing twice does no harm."""

    @property
    def damaged(self) -> bool:
        return self.damage is not None

    def pending(self) -> Iterator[PendingFrame]:
        """Every remaining frame, for a reader that does not need all the pictures: turning one into RGB costs time."""
        while True:
            timed = self._ahead.popleft() if self._ahead else next(self._iterator, None)
            if timed is None:
                return
            seconds, picture = timed
            if self.n_frames == 0:
                self._origin = seconds
            self.n_frames += 1
            yield PendingFrame(self.n_frames - 1, seconds - self._origin, picture)

    def __iter__(self) -> Iterator[VideoFrame]:
        """Every remaining frame that can be decoded. Raises NotAVideoError where a folder mixes sizes."""
        for frame in self.pending():
            developed = frame.develop()
            if developed is not None:
                yield developed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_video(path: str | os.PathLike[str], fps: float | None = None) -> VideoStream:
    """Open a video file, or a folder of numbered images taken `fps` times a second (`fps` says nothing about a file).

    Raises VideoNotFoundError, NotAVideoError (nothing decodable, a folder without images or without `fps`).
    """
    path = Path(path)
    if path.is_dir():
        return _ImageFolder(path, fps)
    if not path.exists():
        raise VideoNotFoundError(f"{path}: no such file or folder; check the name")
    if not path.is_file():
        raise NotAVideoError(f"{path}: is neither a file nor a folder; give a video file or a folder of images")
    return _VideoFile(path)


class _Clock:
    """Turns raw timestamps, with holes and jumps in them, into strictly increasing seconds."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.repairs = 0
        self._last: float | None = None
        self._shift = 0.0

    def seconds(self, raw: float | None) -> float:
        """raw: the container's own seconds, None where it has none."""
        if self._last is None:
            self._last = raw if raw is not None else 0.0
            self.repairs += raw is None
            return self._last
        now = None if raw is None else raw + self._shift
        step = None if now is None else now - self._last
        if step is None or step <= -MIN_RESET_S or step > MAX_GAP_S:
            # No time, or a clock that started anew: go on at the nominal rate, and stay on the new clock's offset.
            now = self._last + self.period_s
            self._shift = self._shift if raw is None else now - raw
            self.repairs += 1
        elif step <= 0:
            # Half a period leaves room for the next frame's own, correct time.
            now = self._last + self.period_s / 2
            self.repairs += 1
        self._last = now
        return now


class _VideoFile(VideoStream):
    def __init__(self, path: Path) -> None:
        try:
            # An absolute name behind "file:" keeps FFmpeg from reading "a:b.mp4" as a protocol; the whitelist keeps
            # playlists from reaching into the network.
            self._container = av.open(
                f"file:{path.absolute()}", metadata_errors="replace", options={"protocol_whitelist": "file"}
            )
        except PermissionError as error:
            raise NotAVideoError(f"{path}: may not be read; change its permissions") from error
        except (av.FFmpegError, ValueError) as error:
            raise NotAVideoError(f"{path}: {_why_unreadable(path, error)}") from error
        streams = [s for s in self._container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams or self._container.format.name in _TEXT_ART_FORMATS:
            self._container.close()
            raise NotAVideoError(f"{path}: holds no video; give a video file or a folder of images")
        best = self._container.streams.best("video")
        self._stream = best if best in streams else streams[0]
        self._stream.thread_type = "AUTO"
        self._coded_shape: tuple[int, int] | None = None  # (height, width) before any turning and stretching
        # One for the whole file: a frame's own would set up the colour tables anew for every picture.
        self._reformatter = VideoReformatter()
        # Camcorder formats store oblong pixels, which would make faces, and sideways motion, too narrow.
        self._pixel_aspect = float(self._stream.sample_aspect_ratio or 1)
        rate = self._stream.average_rate or self._stream.guessed_rate
        fps = float(rate) if rate else FALLBACK_FPS
        self._promised_s = _promised_seconds(self._container, self._stream)
        hint = self._stream.frames or (round(self._promised_s * fps) if self._promised_s else None)
        super().__init__(path, fps, hint)

    def close(self) -> None:
        self._container.close()

    def _timed_pictures(self) -> Iterator[tuple[float, Callable[[], np.ndarray | None]]]:
        clock = _Clock(1.0 / self.fps)
        start = end = None
        for frame in self._frames():
            end = clock.seconds(frame.time)
            start = end if start is None else start
            self.time_repairs = clock.repairs
            yield end, partial(self._upright, frame)
        if start is not None:
            self._judge(end - start + clock.period_s)

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Decoded frames, past every packet that fails."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                return
            except av.FFmpegError as error:
                self.damage = self.damage or f"the file could not be read to its end ({_reason(error)})"
                return
            try:
                frames = packet.decode()
            except EOFError:
                return
            except av.FFmpegError as error:
                self.decode_failures += 1
                self.damage = self.damage or f"part of it could not be decoded ({_reason(error)})"
                continue
            self.decode_failures += sum(frame.is_corrupt for frame in frames)
            yield from frames

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        """The picture as it is meant to be seen: square pixels, the size of the first one, upright."""
        matrix = _display_matrix(frame)
        self._coded_shape = self._coded_shape or (frame.height, frame.width)
        height, width = self._coded_shape
        if (frame.height, frame.width) != (height, width):
            message = "the picture size changes part way; later pictures were scaled to the first one's"
            if message not in self.warnings:
                self.warnings.append(message)
        width = round(width * self._pixel_aspect)
        frame = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        return np.ascontiguousarray(_orient(frame.to_ndarray(), matrix))

    def _judge(self, decoded_s: float) -> None:
        """Called at the end: say what was wrong with the recording as a whole."""
        if self._promised_s is not None and self.damage is None:
            missing_s = self._promised_s - decoded_s
            if missing_s > max(TRUNCATED_S, TRUNCATED_FRACTION * self._promised_s):
                self.damage = f"its header promises {self._promised_s:.1f} s but only {decoded_s:.1f} s are in the file"
        if self.damage is not None:
            self.warnings.append(f"damaged: {self.damage}; what could be decoded was used")
        if self.time_repairs:
            self.warnings.append(f"{self.time_repairs} timestamps were missing or out of order and were repaired")


class _ImageFolder(VideoStream):
    def __init__(self, path: Path, fps: float | None) -> None:
        self._images = list_images(path)
        if not self._images:
            raise NotAVideoError(
                f"{path}: the folder holds no images; give a video file or a folder of numbered images"
            )
        if fps is None:
            raise NotAVideoError(f"{path}: is a folder of images; say how many were taken a second with --fps")
        if not 0 < fps < float("inf"):
            raise NotAVideoError(f"{path}: images cannot be {fps} a second; give --fps a positive number")
        self._shape: tuple[int, int] | None = None
        super().__init__(path, float(fps), len(self._images))
        numbers = [int(n[-1]) for n in (re.findall(r"\d+", p.stem) for p in self._images) if n]
        if len(numbers) == len(self._images) and len(set(np.diff(numbers))) > 1:
            self.warnings.append("the image numbers have gaps; the images were taken as evenly spaced all the same")

    def close(self) -> None:
        self._iterator.close()

    def _timed_pictures(self) -> Iterator[tuple[float, Callable[[], np.ndarray | None]]]:
        for position, image in enumerate(self._images):
            yield position / self.fps, partial(self._read, image)
        if self.damage is not None:
            self.warnings.append(f"damaged: {self.damage}; the others were used")

    def _read(self, image: Path) -> np.ndarray | None:
        rgb = _read_image(image)
        if rgb is None:
            self.decode_failures += 1
            self.damage = f"{self.decode_failures} of its images could not be decoded, {image.name} the latest"
            return None
        self._shape = self._shape or rgb.shape[:2]
        if rgb.shape[:2] != self._shape:
            raise NotAVideoError(
                f"{self.path}: {image.name} is {rgb.shape[1]}x{rgb.shape[0]}, the images before it "
                f"{self._shape[1]}x{self._shape[0]}; put one recording with one size into a folder"
            )
        return rgb


def list_images(folder: Path) -> list[Path]:
    """The images of a folder in the order of their numbers: img2 before img10. Hidden files are left out."""
    images = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted(images, key=_natural_key)


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(p), "") if i % 2 else (0, p.casefold()) for i, p in enumerate(parts)], path.name


def _read_image(path: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 upright, None if it cannot be decoded."""
    # Through memory, because FFmpeg takes a % in an image's name as a pattern of numbered files.
    try:
        with av.open(io.BytesIO(path.read_bytes()), metadata_errors="replace") as container:
            frame = next(container.decode(video=0), None)
    except (av.FFmpegError, ValueError, IndexError):
        return None
    if frame is None:
        return None
    return np.ascontiguousarray(_orient(frame.to_ndarray(format="rgb24"), _display_matrix(frame)))


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """The (2, 2) part that turns coded into shown coordinates (x right, y down; point = x, y), in any scale."""
    # Not `frame.side_data`: the frame keeps that, and it the frame, so that both stay in memory until Python looks for
    # such circles, which it does ever more rarely the more a process holds.
    side_data = SideDataContainer(frame).get("DISPLAYMATRIX")
    if side_data is None:
        return None
    matrix = np.frombuffer(bytes(side_data), dtype=np.int32)[:9].reshape(3, 3)
    return matrix[:2, :2].T.astype(np.float64)


def _orient(rgb: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Apply the nearest of the eight turns and flips; phones and EXIF know no others."""
    if matrix is None:
        return rgb
    if abs(matrix[0, 1]) + abs(matrix[1, 0]) > abs(matrix[0, 0]) + abs(matrix[1, 1]):
        rgb = rgb.swapaxes(0, 1)
        to_x, to_y = matrix[0, 1], matrix[1, 0]
    else:
        to_x, to_y = matrix[0, 0], matrix[1, 1]
    return rgb[:: -1 if to_y < 0 else 1, :: -1 if to_x < 0 else 1]


def _promised_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """How long the video stream should be by the header; None where the header only speaks of other streams too."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tagged = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tagged:
        hours, minutes, seconds = tagged.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _why_unreadable(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "the file is empty; copy or record it again"
    with path.open("rb") as file:
        is_mp4 = file.read(12)[4:8] == b"ftyp"
    if is_mp4:
        return "the recording was cut off before its index was written; repair it (untrunc can) or record it again"
    return f"is not a video FFmpeg can read ({_reason(error)}); give a video file or a folder of images"
