"""`spot report`: a page to look at, for every video."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..processes import Headway
from .batch import Batch
from .caching import open_cache
from .console import Console, Failure, reporting
from .engine import Engine
from .naming import make_folder, output_names, with_face
from .options import FILE, FOLDER, VIDEOS, SectionedCommand, shared

if TYPE_CHECKING:
    from ..extract.features import FaceFeatures
    from ..spotting.html_report.options import ReportOptions
    from ..spotting.readers.base import Decoding
    from ..spotting.result import SpotResult
    from ..spotting.voice import VoiceChoice

INDEX_NAME = "reports.html"


@click.command(
    cls=SectionedCommand,
    sections={
        "What to report": ("kind", "min_confidence", "ignore_speech", "voice", "face"),
        "What to write": ("output", "embed", "anonymous", "blur_others", "overlay", "quiet"),
        "How to work": ("fps", "jobs", "patience", "cache", "model", "weights", "decoding", "device"),
    },
)
@VIDEOS
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="Write here instead of beside the video.")
@click.option(
    "--embed",
    is_flag=True,
    help="Put a small copy of the video, without sound, into the page; by default it is linked.",
)
@click.option(
    "--anonymous", is_flag=True, help="No picture at all: the face is drawn as lines, and the video is not linked."
)
@click.option(
    "--blur-others",
    is_flag=True,
    help="Make all but the followed head unrecognisable, in the page's pictures and its copy of the video.",
)
@click.option(
    "--overlay", type=FILE, metavar="FILE", help="Also write the video with what was measured drawn into it, as MP4."
)
@shared("type")
@shared("min-confidence")
@shared("ignore-speech")
@shared("voice")
@shared("face")
@shared("fps")
@shared("jobs")
@shared("patience")
@shared("cache")
@shared("model")
@shared("weights")
@shared("decoding")
@shared("device")
@shared("quiet")
@reporting
def report(
    videos: tuple[Path, ...],
    output: Path | None,
    embed: bool,
    anonymous: bool,
    blur_others: bool,
    overlay: Path | None,
    kind: str,
    min_confidence: tuple[float, float] | None,
    ignore_speech: bool,
    voice: "VoiceChoice",
    face: str | int,
    fps: float | None,
    jobs: int | None,
    patience: float,
    cache: str | None,
    model: str | None,
    weights: Path | None,
    decoding: "Decoding",
    device: str,
    quiet: bool,
) -> None:
    """Write VIDEO.report.html for every VIDEO: one page with player, curves, events and what moved.

    It opens in any browser, without a network. Of several videos there is an index, reports.html.
    """
    if anonymous and (embed or blur_others or overlay is not None):
        raise click.UsageError("--anonymous shows no picture; leave out --embed, --blur-others and --overlay")
    console = Console(quiet)
    batch = Batch(console, videos, fps)
    if overlay is not None and len(batch.sources) + len(batch.failures) > 1:
        raise click.UsageError("--overlay names one file; give one VIDEO")
    if output is not None:
        make_folder(output)
    engine = Engine(face, open_cache(cache, console), weights, device, decoding, model, voice)
    order = _Order(
        engine,
        min_confidence,
        None if kind == "all" else kind,
        ignore_speech,
        {"embed": embed, "anonymous": anonymous, "blur_others": blur_others},
        overlay,
    )
    names = output_names([source.path for source in batch.sources], output)
    work = [_Job(source.path, source.fps, names[source.path]) for source in batch.sources]
    made: dict[Path, tuple[SpotResult, Path]] = {}
    for job, (result, written) in batch.run(order, work, width=jobs, patience_s=patience):
        made[job.path] = (result, written[0])
        console.say(f"{click.format_filename(job.path)}: {result.headline()}")
        console.say("".join(f"-> {click.format_filename(path)}\n" for path in written))
        for warning in result.warnings:
            console.warn(warning, job.path)
    if len(work) + len(batch.failures) > 1 and made:
        write_reports_index(console, [job.path for job in work], made, batch.failures, output)
    sys.exit(batch.finish())


def write_reports_index(
    console: Console,
    order: Sequence[Path],
    made: "Mapping[Path, tuple[SpotResult, Path]]",
    failures: Mapping[Path, Failure],
    output: Path | None,
) -> None:
    """The index of several reports, under `output` or in the folder that holds all of them; says where it is."""
    from ..spotting.html_report.page import IndexRow, write_index

    rows = [
        IndexRow(path.name, made[path][1], made[path][0])
        if path in made
        else IndexRow(path.name, None, None, failures[path].message)
        for path in dict.fromkeys([*order, *failures])
        if path in made or path in failures
    ]
    folder = output or Path(os.path.commonpath([page.absolute().parent for _, page in made.values()]))
    path = folder / INDEX_NAME
    try:
        write_index(rows, path)
    except OSError as error:
        console.warn(f"no index is written ({error}); choose a folder with -o")
        return
    console.say(f"-> {click.format_filename(path)}")


@dataclass(frozen=True)
class _Job:
    """A recording and where its report goes, without any suffix."""

    path: Path
    fps: float | None
    name: Path


@dataclass(frozen=True)
class _Order:
    """What is wanted of every recording; called in the process that works on one. pictures: `ReportOptions`."""

    engine: Engine
    min_confidence: tuple[float, float] | None
    types: str | None
    ignore_speech: bool
    pictures: dict[str, bool]
    overlay: Path | None

    def __call__(self, job: _Job, headway: Headway) -> "tuple[SpotResult, list[Path]]":
        from ..spotting.html_report.options import ReportOptions

        spotter, features = self.engine.start(job.path, job.fps, headway)
        voice = self.engine.listen(job.path, features, headway)
        result = spotter.spot(features, min_confidence=self.min_confidence, types=self.types, voice=voice)
        if self.ignore_speech:
            result = result.without_speech()
        options = ReportOptions(**self.pictures)
        written = [write_page(result, features, job.name, options, job.fps, headway)]
        if self.overlay is not None:
            from ..spotting.output.overlay import write_overlay

            blur = options.blur_others
            write_overlay(result, features, self.overlay, fps=job.fps, blur_others=blur, progress=headway)
            written.append(self.overlay)
        return result, written


def write_page(
    result: "SpotResult",
    features: "FaceFeatures",
    name: Path,
    options: "ReportOptions | None",
    fps: float | None,
    headway: Headway,
) -> Path:
    """One report; returns its path. name: the output's, without a suffix."""
    from ..spotting.html_report.page import SUFFIX, write_report

    name = with_face(name, result.face)
    path = name.with_name(name.name + SUFFIX)
    write_report(result, features, path, options, fps=fps, progress=headway)
    return path
