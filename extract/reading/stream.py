"""What every recording is to its readers: a stream of frames that is read once."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ...errors import NotAVideoError
from .frames import Picture, VideoFrame
from .pictures import fitting_size


@dataclass(frozen=True, eq=False)
class PendingFrame:
    """A frame whose number and time (as in `VideoFrame`) are known and whose picture is looked for on demand."""

    index: int
    time: float
    picture: Callable[[], Picture | None]

    def develop(self) -> VideoFrame | None:
        """The frame with its picture, None if that cannot be decoded. Raises NotAVideoError if a folder mixes sizes."""
        picture = self.picture()
        return None if picture is None else VideoFrame(self.index, self.time, picture)


class VideoStream(ABC):
    """One recording, read once from beginning to end.

    path: as it was named. width, height: of the upright pictures, pixels. fps: nominal frames per second, from the
    header. origin_s: seconds of the first frame on the container's own clock. n_frames_hint: what the header says about
    the number of frames, None where it says nothing; never to be relied on. The rest fills while the frames are read.
    n_frames: given out so far. decode_failures: packets or images that could not be decoded. time_repairs: timestamps
    that were missing or did not increase. damage: why the recording is thought to be incomplete, None while it is not.
    warnings: sentences for the user.
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
        self._ahead: deque[tuple[float, Callable[[], Picture | None]]] = deque()
        try:
            # The first picture says what no header does reliably: that there is one, and its upright size.
            first = None
            while first is None:
                seconds, picture = next(self._iterator)
                first = picture()
                self._ahead.append((seconds, lambda picture=first: picture))
        except BaseException as error:
            self.close()
            if isinstance(error, StopIteration):
                raise NotAVideoError(f"{path}: no picture in it could be decoded; check that it plays") from None
            raise
        self.height, self.width = first.rgb.shape[:2]
        self.origin_s = self._ahead[0][0]

    @abstractmethod
    def _timed_pictures(self) -> Iterator[tuple[float, Callable[[], Picture | None]]]:
        """(seconds on any origin, strictly increasing; finder of the picture), in order."""

    @abstractmethod
    def close(self) -> None:
        """Give back the file and the decoder. Closing twice does no harm."""

    def _warn_once(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def _fit(self, width: int, height: int) -> tuple[int, int]:
        """`fitting_size` of a picture; the user is told where that is not its own."""
        size = fitting_size(width, height)
        if size != (width, height):
            self._warn_once(f"pictures of {width}x{height} are read at {size[0]}x{size[1]}, to fit into memory")
        return size

    @property
    def damaged(self) -> bool:
        return self.damage is not None

    def pending(self) -> Iterator[PendingFrame]:
        """Every remaining frame, for a reader that does not need all the pictures: finding one may cost time."""
        while True:
            timed = self._ahead.popleft() if self._ahead else next(self._iterator, None)
            if timed is None:
                return
            seconds, picture = timed
            self.n_frames += 1
            yield PendingFrame(self.n_frames - 1, seconds - self.origin_s, picture)

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
