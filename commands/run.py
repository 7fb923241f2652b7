"""What `spot run` and `spot extract` do with their options: loop over videos, report, count failures."""

import hashlib
import logging
import os
import sys
import warnings as python_warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from ..errors import FacespotError, VideoNotFoundError
from ..files import user_cache_folder

if TYPE_CHECKING:
    from ..extract.cache import FeatureCache
    from ..extract.features import FaceFeatures
    from ..spotting.result import SpotResult

# Names of an output, from short to certain: the video's stem, its full name, with its folder, with a hash of its path.
_NAME_LEVELS = 4
# Column -> width.
_TABLE = {
    "#": 4,
    "type": 5,
    "onset s": 8,
    "apex s": 8,
    "offset s": 8,
    "onset frame": 11,
    "apex frame": 10,
    "offset frame": 12,
    "confidence": 10,
}


def spot_videos(
    *,
    videos: tuple[Path, ...],
    output: Path | None,
    formats: tuple[str, ...],
    plot: bool,
    kind: str,
    min_confidence: float | None,
    face: str | int,
    fps: float | None,
    cache: str | None,
    weights: Path | None,
    device: str,
    quiet: bool,
) -> int:
    """Spot every video, write the files, print the tables; returns the exit code. Options as in `spot --help`."""
    console = Console(quiet)
    batch = Batch(console, videos)
    if output is not None:
        _make_folder(output)
    store = _open_cache(cache, console)
    types = None if kind == "all" else (kind,)
    names = output_names(batch.videos, output)
    spotter = None
    for video in batch:
        with batch.guard(video):
            if spotter is None:
                spotter = _load_spotter(weights, device)
            features = _features(video, face, fps, store, console)
            result = spotter.spot(features, min_confidence=min_confidence, types=types)
            written = _write(video, result, features, names[video], formats, plot, fps)
            console.report(video, result, written)
    return batch.finish()


def extract_videos(
    *,
    videos: tuple[Path, ...],
    face: str | int,
    fps: float | None,
    cache: str | None,
    quiet: bool,
) -> int:
    """Fill the cache with the features of every video; returns the exit code. Options as in `spot extract --help`."""
    console = Console(quiet)
    store = _open_cache(cache, console)
    if store is None:
        raise click.UsageError("there is no cache to extract to; give --cache DIR")
    batch = Batch(console, videos)
    for video in batch:
        with batch.guard(video):
            features = _features(video, face, fps, store, console)
            console.say(f"{click.format_filename(video)}: {_seen(features.coverage, features.timebase.duration_s)}")
            console.warn(video, features.provenance.get("warnings", ()))
    if not batch.failures:
        console.say(f"features are in {click.format_filename(store.folder)}")
    return batch.finish()


@dataclass
class Console:
    """The terminal: results on stdout, everything else on stderr, nothing but errors when quiet."""

    quiet: bool

    def __post_init__(self) -> None:
        # Only this program's own messages are for the user.
        logging.getLogger().addHandler(logging.NullHandler())
        if not sys.warnoptions:
            python_warnings.simplefilter("ignore")

    def say(self, text: str) -> None:
        if not self.quiet:
            click.echo(text)

    def warn(self, video: Path, messages: tuple[str, ...] | list[str]) -> None:
        if not self.quiet:
            for message in messages:
                click.echo(f"spot: {click.format_filename(video)}: warning: {message}", err=True)

    def error(self, message: str) -> None:
        click.echo(f"spot: error: {message}", err=True)

    def report(self, video: Path, result: "SpotResult", written: list[Path]) -> None:
        self.say(table(result))
        self.say("".join(f"-> {click.format_filename(path)}\n" for path in written))
        self.warn(video, result.warnings)

    @contextmanager
    def progress(self, video: Path) -> Iterator[Callable[[int, int | None], None] | None]:
        """A bar with frames per second, on a terminal only: (frames done, frames in all or None) -> None."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        with tqdm(desc=click.format_filename(video.name), unit=" frames", file=sys.stderr, leave=False) as bar:

            def show(done: int, total: int | None) -> None:
                bar.total = total if total is None else max(total, done)
                bar.update(done - bar.n)

            yield show


@dataclass
class Batch:
    """The videos of one call. Iterating gives those that exist; a failure is reported and the next one goes on."""

    console: Console
    given: tuple[Path, ...]
    failures: list[tuple[Path, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.videos = list({path.absolute(): path for path in self.given}.values())

    def __iter__(self) -> Iterator[Path]:
        for video in self.videos:
            # Before anything heavy is loaded: a mistyped name should not cost seconds.
            if video.exists():
                yield video
                continue
            error = VideoNotFoundError(f"{click.format_filename(video)}: no such file or folder; check the name")
            self._fail(video, str(error), error.exit_code)

    @contextmanager
    def guard(self, video: Path) -> Iterator[None]:
        try:
            yield
        except _FatalError:
            raise
        except FacespotError as error:
            self._fail(video, str(error), error.exit_code)
        except OSError as error:
            self._fail(video, f"{click.format_filename(video)}: {error}", FacespotError.exit_code)
        except Exception as error:
            # A fault of ours in one video must not cost the others their results; where it arose goes into the report.
            trace = error.__traceback__
            while trace.tb_next is not None:
                trace = trace.tb_next
            place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
            text = " ".join(str(error).split())
            fault = f"unexpected {type(error).__name__} at {place}: {text}; please report it"
            self._fail(video, f"{click.format_filename(video)}: {fault}", FacespotError.exit_code)

    def finish(self) -> int:
        """Says which videos failed when there were several; the exit code of the first failure, 0 without any."""
        if self.failures and len(self.videos) > 1:
            names = ", ".join(click.format_filename(video) for video, _ in self.failures)
            self.console.error(f"{len(self.failures)} of {len(self.videos)} videos failed: {names}")
        return self.failures[0][1] if self.failures else 0

    def _fail(self, video: Path, message: str, code: int) -> None:
        self.failures.append((video, code))
        self.console.error(message)


class _FatalError(click.ClickException):
    """Something that every video would fail of."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: object = None) -> None:
        click.echo(f"spot: error: {self.message}", err=True)


def output_names(videos: list[Path], folder: Path | None) -> dict[Path, Path]:
    """Video -> where its outputs go, without any suffix; `clip.mp4` gives `clip`, in `folder` or beside the video.

    Videos that would share a name get longer ones until all differ: `clip.mp4`, then `parent_clip.mp4`.
    """
    levels = dict.fromkeys(videos, 0)
    while True:
        names = {video: _name(video, folder, level) for video, level in levels.items()}
        owners: dict[str, list[Path]] = {}
        for video, name in names.items():
            # Some file systems take A and a for the same.
            owners.setdefault(os.fspath(name.absolute()).casefold(), []).append(video)
        clashing = [v for group in owners.values() if len(group) > 1 for v in group if levels[v] < _NAME_LEVELS - 1]
        if not clashing:
            return names
        for video in clashing:
            levels[video] += 1


def _name(video: Path, folder: Path | None, level: int) -> Path:
    full = video.absolute()
    stem = full.name if video.is_dir() else full.stem
    name = (stem, full.name, f"{full.parent.name}_{full.name}")[min(level, 2)]
    if level == 3:
        name += "_" + hashlib.sha256(os.fsencode(full)).hexdigest()[:8]
    return (video.parent if folder is None else folder) / name


def table(result: "SpotResult") -> str:
    """The result as text, one line per expression."""
    counts = result.count()
    n = len(result.spots)
    found = (
        f"{n} expression{'s' * (n != 1)} ({counts['macro']} macro, {counts['micro']} micro)" if n else "no expressions"
    )
    lines = [f"{click.format_filename(result.video)}: {found}; {_seen(result.coverage, result.timebase.duration_s)}"]
    if n:
        lines.append("  ".join(name.rjust(width) for name, width in _TABLE.items()))
    for number, s in enumerate(result.spots, 1):
        seconds = [f"{t:.2f}" for t in (s.onset_s, s.apex_s, s.offset_s)]
        frames = [str(f) for f in (s.onset_frame, s.apex_frame, s.offset_frame)]
        cells = [str(number), s.type, *seconds, *frames, f"{s.confidence:.2f}"]
        lines.append("  ".join(cell.rjust(width) for cell, width in zip(cells, _TABLE.values(), strict=True)))
    return "\n".join(lines)


def _seen(coverage: float, duration_s: float) -> str:
    return f"face usable in {100 * coverage:.0f} % of {duration_s:.1f} s"


def _open_cache(choice: str | None, console: Console) -> "FeatureCache | None":
    if choice == "none":
        return None
    folder = Path(choice) if choice else user_cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if choice:
            raise _FatalError(f"{error}; give --cache another folder, or none", 1) from error
        # Nobody asked for this folder: a read-only home is no reason to fail.
        if not console.quiet:
            click.echo(f"spot: warning: features are not cached ({error}); choose a folder with --cache", err=True)
        return None
    from ..extract.cache import FeatureCache

    return FeatureCache(folder)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _FatalError(f"{error}; give -o another folder", 1) from error


def _load_spotter(weights: Path | None, device: str):
    from ..spotting.spotter import Spotter

    try:
        return Spotter.load(weights, device)
    except FacespotError as error:
        raise _FatalError(str(error), error.exit_code) from error


def _features(
    video: Path, face: str | int, fps: float | None, store: "FeatureCache | None", console: Console
) -> "FaceFeatures":
    from ..extract.pipeline import ExtractOptions, extract_features

    with console.progress(video) as progress:
        return extract_features(video, ExtractOptions(face=face), fps=fps, cache=store, progress=progress)


def _write(
    video: Path,
    result: "SpotResult",
    features: "FaceFeatures",
    name: Path,
    formats: tuple[str, ...],
    plot: bool,
    fps: float | None,
) -> list[Path]:
    """Every output of one video; returns their paths."""
    from ..spotting.output.formats import get_writer

    written = []
    for format_name in formats:
        writer = get_writer(format_name)
        path = name.with_name(name.name + writer.suffix)
        written += writer.write(result, path)
    if plot:
        from ..spotting.output import plot as plotting
        from ..spotting.output.stills import face_squares, read_stills

        squares = face_squares(features, plotting.frames_of_stills(result))
        path = name.with_name(name.name + ".spots.png")
        plotting.plot(result, path, read_stills(video, squares, fps=fps))
        written.append(path)
    return written
