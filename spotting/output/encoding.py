"""Writing H.264 that any browser plays, every frame at its own time."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_TIME_BASE = Fraction(1, 90_000)
KEY_EVERY = 15  # frames between those that decoding can start at: a jump is quick


class VideoWriter:
    """Takes pictures of one size in order. Made by `video_writer`."""

    def __init__(self, container: av.container.OutputContainer, fps: float, options: dict[str, str]) -> None:
        self._container = container
        self._stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
        self._stream.pix_fmt = "yuv420p"
        self._stream.gop_size = KEY_EVERY
        self._stream.codec_context.time_base = _TIME_BASE
        self._size: tuple[int, int] | None = None

    def write(self, rgb: np.ndarray, seconds: float) -> None:
        """rgb: (H, W, 3) uint8; an odd last row or column is left out, for H.264 has none."""
        height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
        if self._size is None:
            self._size = (height, width)
            self._stream.height, self._stream.width = height, width
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[:height, :width]), format="rgb24")
        frame.time_base, frame.pts = _TIME_BASE, round(seconds / _TIME_BASE)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        if self._size is not None:
            self._container.mux(self._stream.encode(None))


@contextmanager
def video_writer(
    target: Path | io.BytesIO, fps: float, *, crf: float = 23.0, bit_rate: int | None = None
) -> Iterator[VideoWriter]:
    """A writer of an MP4 file, complete when the block ends. fps: nominal rate; times are those given with each frame.

    target: where to; in a file, though not in memory, the index comes first. crf: constant quality, lower is better.
    bit_rate: the most it may need, bits a second. Raises OSError where it cannot be written.
    """
    options = {"crf": str(crf), "preset": "veryfast"}
    if bit_rate is not None:
        options |= {"maxrate": str(bit_rate), "bufsize": str(2 * bit_rate)}
    in_memory = isinstance(target, io.BytesIO)
    place, layout = (target, {}) if in_memory else (str(target), {"movflags": "faststart"})
    with av.open(place, "w", format="mp4", options=layout) as container:
        writer = VideoWriter(container, fps, options)
        yield writer
        writer.finish()
