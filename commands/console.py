"""The terminal of every command: results on stdout, everything else on stderr, and one policy for errors.

Tables and progress bars are drawn on a terminal; into files and pipes goes plain text. That nobody listens, because a
stream is closed or its disk is full, is no reason to lose results: they are in files.
"""

import functools
import os
import sys
import warnings as python_warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacespotError, one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@dataclass(frozen=True)
class Failure:
    """An error as the command line tells it: one line, and the exit code that goes with it. fatal: ends the command."""

    message: str
    exit_code: int
    fatal: bool = False

    @classmethod
    def of(cls, error: Exception, subject: Path | None = None) -> "Failure":
        """The one policy. subject: the recording at work, where the error's own message does not name it."""
        where = "" if subject is None else f"{click.format_filename(subject)}: "
        # One line, also of a name with a line end in it.
        if isinstance(error, FacespotError):
            return cls(" ".join(str(error).splitlines()), error.exit_code)
        if isinstance(error, OSError):
            return cls(" ".join(f"{where}{error}".splitlines()), FacespotError.exit_code)
        if isinstance(error, ImportError):
            return cls(f"{one_line(error)}; `spot doctor` says what to do", FacespotError.exit_code)
        from ..processes import origin

        # A fault of ours: where it arose goes into the report.
        text = one_line(error)
        fault = f"unexpected {type(error).__name__} at {origin(error)}: {text}; please report it"
        return cls(f"{where}{fault}", FacespotError.exit_code)


class FatalError(click.ClickException):
    """A failure that ends the command."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.exit_code = failure.exit_code

    def show(self, file: object = None) -> None:
        put(f"spot: error: {self.message}", err=True)


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Whatever a command raises becomes one line on stderr and an exit code; goes below the options."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        import logging

        # Only this program's own messages are for the user.
        logging.getLogger().addHandler(logging.NullHandler())
        if not sys.warnoptions:
            python_warnings.simplefilter("ignore")
        try:
            command(*args, **options)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            raise FatalError(Failure.of(error)) from error

    return run


def put(text: str, *, err: bool = False) -> None:
    """A line to stdout or stderr, if it is there to take it."""
    try:
        click.echo(text, err=err)
    except (OSError, ValueError):
        _silence(sys.stderr if err else sys.stdout)


def _silence(stream: Any) -> None:
    """What is still to be written to a broken stream goes nowhere, so that the program's end does not fail of it."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def open_closed_streams() -> None:
    """Standard streams that were closed when the program began lead nowhere. Otherwise the first file it opens would
    take their place, and get every message of native libraries into its middle."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115 - as long as the program


@dataclass(frozen=True)
class Console:
    """What a command says. quiet: nothing but errors."""

    quiet: bool = False

    def say(self, text: str) -> None:
        """A result."""
        if not self.quiet:
            put(text)

    def note(self, text: str) -> None:
        """Something beside the results."""
        if not self.quiet:
            put(text, err=True)

    def warn(self, message: str, subject: Path | None = None) -> None:
        where = "" if subject is None else f"{click.format_filename(subject)}: "
        self.note(f"spot: {where}warning: {message}")

    def error(self, message: str) -> None:
        put(f"spot: error: {message}", err=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = ()) -> None:
        """Cells under their columns. left: columns of words; numbers stand on the right."""
        if self.quiet:
            return
        if sys.stdout.isatty():
            self._draw_table(columns, rows, left)
            return
        widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
        for cells in (columns, *rows):
            aligned = (
                cell.ljust(width) if name in left else cell.rjust(width)
                for name, cell, width in zip(columns, cells, widths, strict=True)
            )
            put("  ".join(aligned).rstrip())

    @staticmethod
    def _draw_table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str]) -> None:
        from rich import box
        from rich.console import Console as Terminal
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in columns:
            words = name in left
            table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
        for cells in rows:
            table.add_row(*(Text(cell) for cell in cells))
        Terminal(file=sys.stdout).print(table)

    @contextmanager
    def bars(self, total: int | None = None, unit: str = "") -> Iterator["Bars"]:
        """Progress, on a terminal only. total: pieces of work in all; without a unit there is no bar over all."""
        if self.quiet or not sys.stderr.isatty():
            yield Bars()
            return
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(),
        )
        # Results written to a file must not be drawn into the terminal that shows the bars.
        redirect = sys.stdout.isatty()
        with Progress(
            *columns, console=Terminal(file=sys.stderr), transient=True, redirect_stdout=redirect
        ) as progress:
            yield Bars(progress, total, unit)


class Bars:
    """A bar over all pieces of work and one for each that is under way; without `progress` nothing is drawn."""

    def __init__(self, progress: "Progress | None" = None, total: int | None = None, unit: str = "") -> None:
        self._progress = progress
        self._unit = unit
        self._done = 0
        self._all = progress.add_task(unit, total=total, state="") if progress is not None and unit else None
        self._pieces: dict[int, TaskID] = {}

    def advance(self, by: int = 1, note: str = "") -> None:
        """Pieces done, and a remark about the last one."""
        self.reach(self._done + by, note)

    def reach(self, done: int, note: str = "") -> None:
        """The same, counted from the start."""
        self._done = done
        if self._progress is None or self._all is None:
            return
        total = self._progress.tasks[self._all].total
        state = f"{done} of {total:.0f} {self._unit}" if total else f"{done} {self._unit}"
        self._progress.update(self._all, completed=done, state=f"{state}  {note}".rstrip())

    def show(self, key: int, name: str, done: int, total: int | None, unit: str) -> None:
        """How far the piece `key` has come."""
        if self._progress is None:
            return
        if key not in self._pieces:
            self._pieces[key] = self._progress.add_task(name, total=None, state="")
        piece = self._pieces[key]
        self._progress.update(piece, completed=done, total=total if total is None else max(total, done))
        speed = self._progress.tasks[self._progress.task_ids.index(piece)].speed
        self._progress.update(piece, state=f"{done} {unit}" + (f", {speed:.0f} a second" if speed else ""))

    def hide(self, key: int) -> None:
        """The piece `key` is done with."""
        if self._progress is not None and key in self._pieces:
            self._progress.remove_task(self._pieces.pop(key))
