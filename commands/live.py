"""`spot --follow` and `spot --camera`: one recording, told while it is read."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..spotting.output.formats import get_writer
from .console import Console
from .naming import output_names, with_face

if TYPE_CHECKING:
    from ..spotting.intervals import ExpressionType, Spot
    from ..spotting.readers.base import Decoding
    from ..spotting.result import SpotResult


@dataclass(frozen=True)
class LiveOrder:
    """What is wanted; as the arguments of `spotting.live.follow`."""

    source: Path
    camera: bool
    weights: Path | None
    device: str
    decoding: "Decoding"
    model: str | None
    min_confidence: tuple[float, float] | None
    types: str | None
    face: str | int
    fps: float | None


def follow_one(
    console: Console, order: LiveOrder, formats: Sequence[str], output: Path | None
) -> "tuple[Path, SpotResult, list[Path]]":
    """A line for each expression as soon as it is sure. Returns what the recording is called, its result, and the files
    it was written to: beside a file, else in the folder that is the current one, or under `output`."""
    from ..extract.reading.live import live_name
    from ..spotting.live import follow
    from ..spotting.result import SpotResult

    said: list[Spot] = []
    result: SpotResult | None = None
    with until_interrupted() as stop:
        parts = follow(
            order.source if order.camera else _address(order.source),
            camera=order.camera,
            weights=order.weights,
            device=order.device,
            decoding=order.decoding,
            model=order.model,
            min_confidence=order.min_confidence,
            types=cast("ExpressionType | None", order.types),
            face=order.face,
            fps=order.fps,
            stop=stop,
        )
        for part in parts:
            if isinstance(part, SpotResult):
                result = part
                break
            said.append(part)
            console.say(_line(part))
    assert result is not None  # the last part always is
    path = live_name(_address(order.source) if not order.camera else order.source, camera=order.camera)
    name, written = with_face(output_names([path], output)[path], result.face), []
    for format_name in formats:
        writer = get_writer(format_name)
        written += writer.write(result, name.with_name(name.name + writer.suffix))
    moved = sum(not _is_among(spot, result.spots) for spot in said)
    if moved:
        console.note(f"{moved} of the {len(said)} lines above moved by more than 0.1 s, or are gone, in the whole:")
    return path, result, written


def _address(source: Path) -> str:
    """A path as it was typed: one slash of an address's two is lost in a Path."""
    text = str(source)
    head, colon, rest = text.partition(":/")
    return f"{head}://{rest}" if colon and not rest.startswith("/") and head.isalnum() and len(head) > 1 else text


def _line(spot: "Spot") -> str:
    return (
        f"{spot.onset_s:9.2f} s  {spot.type}  to {spot.offset_s:.2f} s, apex {spot.apex_s:.2f} s, "
        f"confidence {spot.confidence:.2f}"
    )


def _is_among(spot: "Spot", spots: "Sequence[Spot]", slack_s: float = 0.1) -> bool:
    return any(
        s.type == spot.type and abs(s.onset_s - spot.onset_s) <= slack_s and abs(s.offset_s - spot.offset_s) <= slack_s
        for s in spots
    )


@contextmanager
def until_interrupted() -> Iterator[threading.Event]:
    """Ctrl-C sets the event, which ends the recording; once more, and it ends the program."""
    stop = threading.Event()

    def interrupted(*_: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
