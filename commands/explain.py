"""`spot explain`: what was going on at one moment, and why it is in the result or not."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import FacespotError
from ..processes import Headway
from .batch import Batch
from .caching import open_cache
from .console import Console, reporting
from .engine import Engine
from .naming import Source
from .options import FILE, shared

if TYPE_CHECKING:
    from ..spotting.intervals import Spot
    from ..spotting.readers.base import Decoding
    from ..spotting.why_not import Account


class Moment(click.ParamType):
    """Seconds, or minutes and hours before them with colons between: 12.4, 1:12.4."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        seconds = 0.0
        try:
            for part in str(value).split(":"):
                seconds = 60 * seconds + float(part)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            self.fail(f"{value!r} is no time such as 12.4 or 1:12.4", param, ctx)
        return seconds


@click.command()
@click.argument("video", type=FILE)
@click.option(
    "--at",
    "moments",
    type=Moment(),
    multiple=True,
    required=True,
    metavar="TIME",
    help="The moment, in seconds since the first frame or as minutes:seconds; may be given more than once.",
)
@shared("type")
@shared("min-confidence")
@shared("face")
@shared("fps")
@shared("cache")
@shared("model")
@shared("weights")
@shared("decoding")
@shared("device")
@reporting
def explain(
    video: Path,
    moments: tuple[float, ...],
    kind: str,
    min_confidence: tuple[float, float] | None,
    face: str | int,
    fps: float | None,
    cache: str | None,
    model: str | None,
    weights: Path | None,
    decoding: "Decoding",
    device: str,
) -> None:
    """Say what the curves of VIDEO were at a moment, and what made it an expression or kept it from being reported."""
    console = Console()
    batch = Batch(console, [video], fps)
    if len(batch.sources) > 1:
        raise click.UsageError("a moment belongs to one recording, and that folder holds several")
    engine = Engine(face, open_cache(cache, console), weights, device, decoding, model)
    order = _Order(engine, moments, min_confidence, None if kind == "all" else (kind,))
    for _, accounts in batch.run(order, batch.sources, width=1, patience_s=math.inf):
        for account in accounts:
            console.say("\n".join(_told(account)) + "\n")
    sys.exit(batch.finish())


@dataclass(frozen=True)
class _Order:
    engine: Engine
    moments: tuple[float, ...]
    min_confidence: tuple[float, float] | None
    types: tuple[str, ...] | None

    def __call__(self, source: Source, headway: Headway) -> "list[Account]":
        from ..spotting.why_not import why_not

        spotter, features = self.engine.start(source.path, source.fps, headway)
        try:
            return [
                why_not(spotter, features, at, min_confidence=self.min_confidence, types=self.types)
                for at in self.moments
            ]
        except ValueError as error:
            raise FacespotError(f"{click.format_filename(source.path)}: {error}") from error


def _told(account: "Account") -> list[str]:
    """An account as lines of text."""
    speech = "" if account.speech is None else f", speech {account.speech:.2f}"
    lines = [
        f"{account.seconds:.2f} s, frame {account.frame}: {account.text}",
        f"  there: intensity {account.intensity:.2f}, macro {account.macro:.2f}, micro {account.micro:.2f}{speech}",
        f"  within a second: intensity up to {account.peak:.2f}, at {account.peak_s:.2f} s",
    ]
    return lines + (_measured(account.spot) if account.spot is not None else [])


def _measured(spot: "Spot") -> list[str]:
    """What was measured in an expression or in a candidate."""
    e = spot.explanation
    if e is None:
        return []
    speeds = [f"{name} {value:.0f}" for name, value in (("rise", e.rise_speed), ("fall", e.fall_speed)) if value]
    lines = [
        f"  from {spot.onset_s:.2f} to {spot.offset_s:.2f} s:",
        f"    moved:  {e.regions or 'nothing that stands out'}",
        f"    motion: {e.peak_motion:.1f} % of the eyes' distance (noise up to {e.noise:.1f})"
        + (f", {', '.join(speeds)} % a second" if speeds else ""),
        f"    head:   turned {e.head_rotation:.1f} degrees, moved {e.head_shift:.0f} % of the eyes' distance",
    ]
    if e.speech is not None:
        lines.append(f"    speech: {100 * e.speech:.0f} % of the time")
    if e.action_units:
        units = ", ".join(f"{u.name} {u.meaning} ({u.score:.2f})" for u in e.action_units)
        lines.append(f"    looks like (a hint, no coding): {units}")
    return lines
