"""The sound track of a recording, mixed down to one channel and laid on the clock of its pictures.

Sound has time stamps of its own, and often another start: cameras and editors cut them apart by up to a second. What is
read here counts seconds from the first picture, as everything else does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from .reading.video import VideoFile, check_source, decoded, open_container, reason

SOUND_HZ = 16_000
# Stamps that lie further from where the samples so far end are a gap or a jump; nearer ones are rounded stamps.
_JITTER_S = 0.05


@dataclass(frozen=True, eq=False)
class SoundBlock:
    """start: its first sample, counted at `SOUND_HZ` from the first picture, never negative. samples: (S,) float32 in
    -1..1."""

    start: int
    samples: np.ndarray


def has_sound(path: Path) -> bool:
    """Whether a recording has a sound track that FFmpeg can decode; a folder of images has none.

    Raises VideoNotFoundError and NotAVideoError.
    """
    check_source(path)
    if path.is_dir():
        return False
    with open_container(path) as container:
        return _sound_stream(container) is not None


class SoundTrack:
    """The sound of a recording, without a block where it has none.

    damage: what could not be decoded, None while there is nothing of the kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: str | None = None

    def blocks(self, duration_s: float) -> Iterator[SoundBlock]:
        """The sound of the first `duration_s` seconds in order, without overlap. Silence fills what lies between two
        blocks. No block holds more than a packet of the file does.

        Raises NotAVideoError where no picture tells what the sound lies beside.
        """
        end = round(duration_s * SOUND_HZ)
        done = 0
        for block in self._placed():
            # What began before the first picture, or was told before, is left away.
            samples = block.samples[max(done - block.start, 0) : max(end - block.start, 0)]
            start = max(block.start, done)
            if len(samples):
                done = start + len(samples)
                yield SoundBlock(start, samples)
            if block.start >= end:
                return

    def _placed(self) -> Iterator[SoundBlock]:
        with open_container(self.path) as container:
            stream = _sound_stream(container)
            if stream is None:
                return
            with VideoFile(self.path) as pictures:
                origin_s, clock = pictures.origin_s, pictures.clock(_frame_rate(stream))
            run: _Run | None = None
            for frame in self._frames(container, stream):
                raw = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
                seconds = clock.seconds(raw) - origin_s
                try:
                    if run is None or not run.takes(frame, seconds):
                        if run is not None:
                            yield from run.end()
                        run = _Run(frame, seconds)
                    yield from run.add(frame)
                except (av.FFmpegError, ValueError) as error:  # of a format that cannot be resampled
                    self._note(f"could not be decoded in part ({reason(error)})")
                    run = None
            if run is not None:
                yield from run.end()

    def _frames(self, container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
        """Decoded frames with something in them, past every packet that fails."""
        for frames in decoded(
            container.demux(stream),
            lambda why: self._note(f"could not be decoded in part ({why})"),
            lambda why: self._note(f"could not be read to its end ({why})"),
        ):
            yield from (frame for frame in frames if frame.samples and frame.sample_rate)

    def _note(self, damage: str) -> None:
        """The first thing that is found wrong is the one reported."""
        self.damage = self.damage or damage


class _Run:
    """Frames of one kind that follow each other without a gap, resampled as one signal."""

    def __init__(self, first: av.AudioFrame, seconds: float) -> None:
        self._kind = _kind(first)
        self._start_s = seconds
        self._taken = 0
        self._next = round(seconds * SOUND_HZ)
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_HZ)

    def takes(self, frame: av.AudioFrame, seconds: float) -> bool:
        """Whether a frame that begins there goes on where the last one ended, in the same format."""
        expected = self._start_s + self._taken / self._kind[0]
        return _kind(frame) == self._kind and abs(seconds - expected) <= _JITTER_S

    def add(self, frame: av.AudioFrame) -> Iterator[SoundBlock]:
        self._taken += frame.samples
        frame.pts = None  # the places are counted here
        yield from self._blocks(frame)

    def end(self) -> Iterator[SoundBlock]:
        """What the resampler still holds."""
        yield from self._blocks(None)

    def _blocks(self, frame: av.AudioFrame | None) -> Iterator[SoundBlock]:
        for made in self._resampler.resample(frame):
            samples = made.to_ndarray().reshape(-1)
            block = SoundBlock(self._next, samples)
            self._next += len(samples)
            yield block


def _kind(frame: av.AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.layout.name, frame.format.name


def _frame_rate(stream: av.AudioStream) -> float:
    """About how many frames a second it has; codecs without a fixed number of samples get a common one."""
    return stream.codec_context.sample_rate / (stream.codec_context.frame_size or 1024)


def _sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The sound that a player would play, None where FFmpeg has no decoder for any."""
    decodable = [s for s in container.streams.audio if s.codec_context is not None]
    best = container.streams.best("audio")
    return best if best in decodable else next(iter(decodable), None)
