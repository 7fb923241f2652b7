"""`spot run`, the default command: the expressions in videos."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import FacespotError
from ..spotting.output.formats import get_writer
from .console import Console, reporting
from .options import FILE, FOLDER, SectionedCommand, shared

if TYPE_CHECKING:
    from ..extract.features import FaceFeatures
    from ..processes import Headway
    from ..spotting.readers.base import Decoding
    from ..spotting.result import SpotResult
    from ..spotting.stimuli import Stimulus
    from ..spotting.voice import VoiceChoice

SUMMARY_NAME = "summary.csv"


@click.command(
    cls=SectionedCommand,
    sections={
        "What to report": ("kind", "min_confidence", "ignore_speech", "voice", "face"),
        "What to write": ("output", "formats", "plot", "report", "segments", "quiet"),
        "Live": ("following", "camera"),
        "How to work": ("fps", "jobs", "patience", "cache", "model", "weights", "decoding", "device"),
    },
)
@click.argument("videos", nargs=-1, metavar="VIDEO...", type=FILE)
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="Write here instead of beside the video.")
@shared("format")
@click.option("--plot", is_flag=True, help="Also draw VIDEO.spots.png.")
@click.option("--report", is_flag=True, help="Also write VIDEO.report.html; `spot report` has more choices.")
@click.option(
    "--segments",
    type=FILE,
    metavar="FILE",
    help="Table of what was shown when (stimulus, start, end, perhaps video): a column, and rows of the summary.",
)
@click.option(
    "--follow",
    "following",
    is_flag=True,
    help="Print each expression as soon as it is sure, while the VIDEO is read or still written; also of a pipe (-) or "
    "an address such as rtsp://...",
)
@click.option("--camera", metavar="N", help="Follow a camera, by number or name, until Ctrl-C.")
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
def run(
    videos: tuple[Path, ...],
    output: Path | None,
    formats: tuple[str, ...],
    plot: bool,
    report: bool,
    segments: Path | None,
    following: bool,
    camera: str | None,
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
    device: str,
    decoding: "Decoding",
    quiet: bool,
) -> None:
    """Find the expressions in every VIDEO.

    Writes VIDEO.spots.csv beside each one, or under --output, and prints a table; of several videos also a summary. A
    folder stands for the videos in it.
    """
    # On use, as all that the help of the program does not need: it shows this command's.
    from .batch import Batch
    from .caching import open_cache
    from .naming import make_folder, output_names

    console = Console(quiet)
    live = following or camera is not None
    _check_sources(videos, following, camera, plot or report or ignore_speech or segments is not None, voice)
    batch = Batch(console, () if live else videos, fps)
    if output is not None:
        make_folder(output)
    for name in formats:
        get_writer(name).check()
    types = None if kind == "all" else kind
    if live:
        from .live import LiveOrder, follow_one

        source = videos[0] if videos else Path(camera or "")
        wanted = LiveOrder(
            source, camera is not None, weights, device, decoding, model, min_confidence, types, face, fps
        )
        path, result, written = follow_one(console, wanted, formats, output)
        _report(console, path, _Spotted(result, written))
        return
    stimuli = () if segments is None else _read_segments(segments)
    order = _Order(
        face,
        open_cache(cache, console),
        weights,
        device,
        decoding,
        model,
        min_confidence,
        types,
        ignore_speech,
        voice,
        formats,
        plot,
        report,
        stimuli,
    )
    names = output_names([source.path for source in batch.sources], output)
    work = [_Job(source.path, source.fps, names[source.path]) for source in batch.sources]
    results: dict[Path, SpotResult] = {}
    pages: dict[Path, tuple[SpotResult, Path]] = {}
    for job, spotted in batch.run(order, work, width=jobs, patience_s=patience):
        results[job.path] = spotted.result
        if report:
            pages[job.path] = (spotted.result, spotted.written[-1])
        _report(console, job.path, spotted)
    if len(work) > 1 and pages:
        from .report import write_reports_index

        write_reports_index(console, [job.path for job in work], pages, batch.failures, output)
    done = [results[job.path] for job in work if job.path in results]
    summarised = len(work) < 2 or not done or _summarise(console, done, stimuli, output)
    sys.exit(batch.finish() or (0 if summarised else FacespotError.exit_code))


def _check_sources(
    videos: tuple[Path, ...], following: bool, camera: str | None, more: bool, voice: "VoiceChoice"
) -> None:
    """Raises UsageError for sources that do not go together, and for what needs a finished recording."""
    if camera is not None and videos:
        raise click.UsageError("--camera takes no VIDEO")
    if camera is None and not videos:
        raise click.UsageError("Missing argument 'VIDEO...'.")
    if following and len(videos) > 1:
        raise click.UsageError("--follow takes one VIDEO")
    if voice == "on" and (following or camera is not None):
        raise click.UsageError(
            "--voice on wants a finished recording; its sound is not listened to while it is followed"
        )
    if more and (following or camera is not None):
        told = "--plot, --report, --segments and --ignore-speech"
        raise click.UsageError(f"{told} want a finished recording; run it again for them")


@dataclass(frozen=True)
class _Job:
    """A recording and where its outputs go, without any suffix."""

    path: Path
    fps: float | None
    name: Path


@dataclass(frozen=True)
class _Spotted:
    """What a recording gave, and the files written."""

    result: "SpotResult"
    written: list[Path]


@dataclass(frozen=True)
class _Order:
    """What is wanted of every recording; called in the process that works on one."""

    face: str | int
    cache: Path | None
    weights: Path | None
    device: str
    decoding: "Decoding"
    model: str | None
    min_confidence: tuple[float, float] | None
    types: str | None
    ignore_speech: bool
    voice: "VoiceChoice"
    formats: tuple[str, ...]
    plot: bool
    report: bool
    stimuli: "tuple[Stimulus, ...]"

    def __call__(self, job: _Job, headway: "Headway") -> _Spotted:
        from ..spotting.stimuli import stimuli_of
        from .engine import Engine

        engine = Engine(self.face, self.cache, self.weights, self.device, self.decoding, self.model, self.voice)
        spotter, features = engine.start(job.path, job.fps, headway)
        voice = engine.listen(job.path, features, headway)
        result = spotter.spot(features, min_confidence=self.min_confidence, types=self.types, voice=voice)
        if self.ignore_speech:
            result = result.without_speech()
        if self.stimuli:
            result = replace(result, stimuli=stimuli_of(self.stimuli, result.video))
        return _Spotted(result, self._write(job, result, features, headway))

    def _write(self, job: _Job, result: "SpotResult", features: "FaceFeatures", headway: "Headway") -> list[Path]:
        """Every output of one recording; returns their paths."""
        from .naming import with_face

        name, written = with_face(job.name, result.face), []
        for format_name in self.formats:
            writer = get_writer(format_name)
            written += writer.write(result, name.with_name(name.name + writer.suffix))
        if self.plot:
            from ..spotting.output import plot as plotting
            from ..spotting.output.stills import face_squares, read_stills

            squares = face_squares(features, plotting.frames_of_stills(result))
            path = name.with_name(name.name + ".spots.png")
            plotting.plot(result, path, read_stills(job.path, squares, fps=job.fps))
            written.append(path)
        if self.report:
            from .report import write_page

            written.append(write_page(result, features, job.name, None, job.fps, headway))
        return written


def _report(console: Console, video: Path, spotted: _Spotted) -> None:
    """One recording on the terminal: a line, a row per expression, the files."""
    result = spotted.result
    face = "" if result.face is None else f" (face {result.face})"
    console.say(f"{click.format_filename(video)}{face}: {result.headline()}")
    if hint := result.hint():
        console.say(f"  {hint}")
    if result.spots:
        columns = ["#", "type", "onset s", "apex s", "offset s", "onset frame", "apex frame", "offset frame"]
        columns += ["confidence"]
        cut = any(s.cut_off != "none" for s in result.spots)
        rows = []
        for number, s in enumerate(result.spots, 1):
            seconds = [f"{t:.2f}" for t in (s.onset_s, s.apex_s, s.offset_s)]
            frames = [str(f) for f in (s.onset_frame, s.apex_frame, s.offset_frame)]
            cells = [str(number), s.type, *seconds, *frames, f"{s.confidence:.2f}"]
            rows.append([*cells, "" if s.cut_off == "none" else s.cut_off] if cut else cells)
        console.table([*columns, "cut off"] if cut else columns, rows)
    console.say("".join(f"-> {click.format_filename(path)}\n" for path in spotted.written))
    for warning in result.warnings:
        console.warn(warning, video)


def _read_segments(path: Path) -> "tuple[Stimulus, ...]":
    from ..spotting.datasets.stimuli import read_stimuli

    return read_stimuli(path)


def _summarise(
    console: Console, results: "list[SpotResult]", stimuli: "tuple[Stimulus, ...]", output: Path | None
) -> bool:
    """A table with a row per recording, on the terminal and in a file: under `output`, or in the folder that holds all
    of the recordings. False if the file was asked for and cannot be written."""
    from ..spotting.output.summary import summary_rows, write_summary

    rows = []
    for result in results:
        counts = result.count()
        rows.append(
            [
                click.format_filename(Path(result.video).name),
                f"{result.timebase.duration_s:.1f}",
                str(counts["macro"]),
                str(counts["micro"]),
                f"{100 * result.coverage:.0f} %",
                str(len(result.warnings)),
            ]
        )
    console.table(["video", "seconds", "macro", "micro", "face usable", "warnings"], rows, left=["video"])
    folder = output or Path(os.path.commonpath([Path(result.video).absolute().parent for result in results]))
    path = folder / SUMMARY_NAME
    try:
        write_summary(summary_rows(results, stimuli), path)
    except OSError as error:
        if output is not None:
            console.error(f"no summary could be written ({error})")
            return False
        console.warn(f"no summary is written ({error}); choose a folder with -o")
        return True
    console.say(f"-> {click.format_filename(path)}")
    return True
