"""Sound for tests, all of it computed: what a voice detector takes for speech, and what it must not."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from scipy.signal import lfilter

RATE = 16_000
# First three formants of vowels, Hz (Peterson & Barney 1952, men): /a/ /i/ /u/ /e/ /o/.
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
_BANDWIDTHS = (80, 90, 120)
_SYLLABLE_S = 0.2


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """(S,) float32 at `RATE`: syllables of gliding vowels, a pulse train with a falling and rising pitch through three
    resonances (source and filter, Fant 1960)."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    pitch = 120 * (1 + 0.12 * np.sin(2 * np.pi * 0.6 * t) + 0.05 * np.sin(2 * np.pi * 2.3 * t))
    signal = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0) + 0.02 * rng.normal(size=n)
    size = round(_SYLLABLE_S * RATE)
    vowels = rng.integers(len(_VOWELS), size=n // size + 2)
    loudness = np.sin(np.pi * (np.arange(n) % size) / size) ** 0.6
    # Formants glide from one syllable to the next, in steps of 5 ms.
    step = RATE // 200
    for formant, bandwidth in enumerate(_BANDWIDTHS):
        state = np.zeros(2)
        out = np.empty(n)
        for at in range(0, n, step):
            syllable, part = divmod(at / size, 1)
            here, there = (_VOWELS[vowels[int(syllable) + k]][formant] for k in (0, 1))
            frequency = here + (there - here) * max(0.0, 2 * part - 1)
            radius = np.exp(-np.pi * bandwidth / RATE)
            feedback = [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2]
            out[at : at + step], state = lfilter([sum(feedback)], feedback, signal[at : at + step], zi=state)
        signal = out
    signal *= loudness
    return (0.5 * signal / np.abs(signal).max()).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def hiss(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).normal(size=round(seconds * RATE))).astype(np.float32)


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def music(seconds: float) -> np.ndarray:
    """Chords of plucked strings, two a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    root = np.where((2 * t).astype(int) % 2, 220.0, 196.0)
    decay = np.exp(-3 * (2 * t % 1))
    chord = sum(np.sin(2 * np.pi * root * ratio * t) for ratio in (1, 5 / 4, 3 / 2, 2))
    return (0.1 * decay * chord).astype(np.float32)


def click(seconds: float, at_s: float) -> np.ndarray:
    """Silence with one short click, to find it again."""
    samples = silence(seconds)
    at = round(at_s * RATE)
    samples[at : at + 32] = 0.8
    return samples


def add_sound(
    video: Path,
    target: Path,
    samples: np.ndarray,
    *,
    starts_s: float = 0.0,
    codec: str = "pcm_s16le",
    rate: int = RATE,
    layout: str = "mono",
    gaps: Sequence[tuple[float, float]] = (),
) -> Path:
    """The video, its packets copied, with a sound track that begins at `starts_s`. rate: what is written, to which the
    samples (at `RATE`) are stretched by repeating. gaps: (from, to) of seconds of the samples that are not written.
    """
    data = np.repeat(samples, rate // RATE)
    with av.open(str(video)) as source, av.open(str(target), "w") as out:
        pictures = source.streams.video[0]
        copied = out.add_stream_from_template(pictures)
        sound = out.add_stream(codec, rate=rate, layout=layout)
        for packet in source.demux(pictures):
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)
        size = 1024
        for at in range(0, len(data), size):
            if any(low <= at / rate < high for low, high in gaps):
                continue
            block = np.round(data[at : at + size] * 32767).astype(np.int16)
            channels = {"mono": 1, "stereo": 2}[layout]
            frame = av.AudioFrame.from_ndarray(np.repeat(block, channels)[None], format="s16", layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(starts_s * rate) + at
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return target
