"""`spot extract`: the slow part alone."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..processes import Headway
from .batch import Batch
from .caching import open_cache
from .console import Console, reporting
from .naming import Source
from .options import VIDEOS, shared

if TYPE_CHECKING:
    from ..extract.features import FaceFeatures


@click.command()
@VIDEOS
@shared("face")
@shared("fps")
@shared("jobs")
@shared("patience")
@shared("cache")
@shared("quiet")
@reporting
def extract(
    videos: tuple[Path, ...],
    face: str | int,
    fps: float | None,
    jobs: int | None,
    patience: float,
    cache: str | None,
    quiet: bool,
) -> None:
    """Compute the features of every VIDEO and store them in the cache, for `spot VIDEO...` to find."""
    console = Console(quiet)
    folder = open_cache(cache, console)
    if folder is None:
        raise click.UsageError("there is no cache to extract to; give --cache DIR")
    batch = Batch(console, videos, fps)
    for job, seen in batch.run(_Order(face, folder), batch.sources, width=jobs, patience_s=patience):
        console.say(f"{click.format_filename(job.path)}: {seen.text}")
        for warning in seen.warnings:
            console.warn(warning, job.path)
    if not batch.failures:
        console.say(f"features are in {click.format_filename(folder)}")
    sys.exit(batch.finish())


@dataclass(frozen=True)
class _Seen:
    """What a recording shows, without its features."""

    text: str
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, features: "FaceFeatures") -> "_Seen":
        duration_s = features.timebase.duration_s
        text = f"face usable in {100 * features.coverage:.0f} % of {duration_s:.1f} s"
        return cls(text, tuple(features.provenance.get("warnings", ())))


@dataclass(frozen=True)
class _Order:
    """What is wanted of every recording; called in the process that works on one."""

    face: str | int
    cache: Path

    def __call__(self, source: Source, headway: Headway) -> _Seen:
        from ..extract.options import ExtractOptions
        from ..extract.pipeline import extract_features

        options = ExtractOptions(face=self.face)
        features = extract_features(
            source.path, options, fps=source.fps, cache=self.cache, must_store=True, progress=headway
        )
        return _Seen.of(features)
