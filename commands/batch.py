"""Several recordings of one call: at work side by side, each answering for itself."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import click

from ..processes import Finished, Headway, pool_width, run_jobs
from .console import Bars, Console, Failure, FatalError
from .naming import Source, expand


class Job(Protocol):
    """Anything with the path of a recording."""

    path: Path


@dataclass
class Batch:
    """The recordings of one call, without repeats. A failure is reported when it comes, and the others go on.

    given: files and folders as they were named. fps: of images. sources: the recordings they mean, where they exist.
    """

    console: Console
    given: Sequence[Path]
    fps: float | None = None
    sources: list[Source] = field(init=False, default_factory=list)
    failures: dict[Path, Failure] = field(init=False, default_factory=dict)
    _places: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        # Before anything heavy is loaded: a mistyped name should not cost seconds.
        for path in self.given:
            failure = None
            try:
                found = expand(path, self.fps)
            except Exception as error:
                found, failure = [Source(path)], Failure.of(error, path)
            for source in found:
                place = os.path.abspath(source.path)
                if place in self._places:
                    continue
                self._places[place] = len(self._places)
                if failure is None:
                    self.sources.append(source)
                else:
                    self._fail(path, failure)

    def run(
        self, task: Callable[[Any, Headway], Any], jobs: Sequence[Job], *, width: int | None, patience_s: float
    ) -> Iterator[tuple[Job, Any]]:
        """Each job that ends well, as it comes, and what the task returned. width: jobs at once, by default the cores.

        One recording is worked on in this process, several in processes of their own: what one takes down with it is
        that recording. Raises FatalError as soon as the task does.
        """
        if not jobs:
            return
        guarded = _Guarded(task)
        with self.console.bars(len(jobs), "recordings" if len(jobs) > 1 else "") as bars:

            def headway(number: int, done: int, total: int | None) -> None:
                bars.show(number, click.format_filename(jobs[number].path.name), done, total, "frames")

            with closing(_ends(guarded, jobs, pool_width(width, len(jobs)), patience_s, headway)) as ends:
                for finished in ends:
                    job = jobs[finished.number]
                    _count(bars, finished)
                    value = finished.value
                    if finished.error is not None:
                        name = click.format_filename(job.path)
                        value = Failure(f"{name}: {finished.error}", Failure.of(finished.error).exit_code)
                    if not isinstance(value, Failure):
                        yield job, value
                    elif value.fatal:
                        raise FatalError(value)
                    else:
                        self._fail(job.path, value)

    def finish(self) -> int:
        """Says which recordings failed when there were several; the exit code of the first one in the order of the
        call that failed, 0 without any."""
        if not self.failures:
            return 0
        failed = sorted(self.failures, key=lambda path: self._places[os.path.abspath(path)])
        if len(self._places) > 1:
            names = ", ".join(click.format_filename(path) for path in failed)
            self.console.error(f"{len(failed)} of {len(self._places)} videos failed: {names}")
        return self.failures[failed[0]].exit_code

    def _fail(self, path: Path, failure: Failure) -> None:
        self.failures[path] = failure
        self.console.error(failure.message)


def _ends(
    task: "_Guarded",
    jobs: Sequence[Job],
    width: int,
    patience_s: float,
    headway: Callable[[int, int, int | None], None],
) -> Generator[Finished, None, None]:
    if len(jobs) != 1:
        yield from run_jobs(task, jobs, width, patience_s=patience_s, headway=headway)
        return
    headway(0, 0, None)
    yield Finished(0, task(jobs[0], lambda done, total: headway(0, done, total)))


def _count(bars: Bars, finished: Finished) -> None:
    bars.hide(finished.number)
    bars.advance()


@dataclass(frozen=True)
class _Guarded:
    """The task, with whatever it raises told by the one policy where the error still knows its origin."""

    task: Callable[[Any, Headway], Any]

    def __call__(self, job: Job, headway: Headway) -> Any:
        try:
            return self.task(job, headway)
        except FatalError as error:
            return Failure(error.message, error.exit_code, fatal=True)
        except Exception as error:
            return Failure.of(error, job.path)
