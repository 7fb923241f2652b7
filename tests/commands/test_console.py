"""The terminal: one policy for errors, tables and bars where they can be seen, and streams that are not there."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from facespot import cli, errors
from facespot.commands.console import Console, Failure, reporting


class Terminal:
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def watched(monkeypatch):
    """Both streams lead to a terminal from here on."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    return terminal


def test_bars_show_what_is_at_work_on_a_terminal_only(monkeypatch):
    terminal = watched(monkeypatch)
    with Console().bars(3, "recordings") as bars:
        bars.show(0, "[clip].mp4", 50, 100, "frames")
        bars.advance()
    for text in ("[clip].mp4", "50 frames", "1 of 3 recordings"):
        assert text in terminal.text
    terminal.text = ""
    with Console(quiet=True).bars(3, "recordings") as bars:
        bars.show(0, "clip.mp4", 50, 100, "frames")
        bars.hide(0)
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    with Console().bars(3, "recordings") as bars:
        bars.show(0, "clip.mp4", 50, 100, "frames")
        bars.reach(2, "note")
    assert terminal.text == ""


def test_tables_are_plain_text_unless_somebody_looks(monkeypatch):
    terminal = watched(monkeypatch)
    rows = [["a [b].mp4", "1"], ["c.mp4", "234"]]
    Console().table(["video", "count"], rows, left=["video"])
    assert "─" in terminal.text
    assert "a [b].mp4" in terminal.text
    terminal.text = ""
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    Console().table(["video", "count"], rows, left=["video"])
    assert terminal.text == "video      count\na [b].mp4      1\nc.mp4        234\n"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.NoFaceError("x.mp4: no face"), 5, "spot: error: x.mp4: no face"),
        (errors.AnnotationError("row 2"), 8, "spot: error: row 2"),
        (PermissionError(13, "Permission denied", "out"), 1, "spot: error: [Errno 13] Permission denied: 'out'"),
        (ZeroDivisionError("two\nlines"), 1, "spot: error: unexpected ZeroDivisionError at test_console.py:"),
        (ImportError("libGL.so.1: cannot open"), 1, "spot: error: libGL.so.1: cannot open; `spot doctor` says what"),
        (click.UsageError("no"), 2, "Error: no"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_command_raises_is_a_line_and_a_code(error, code, message):
    @click.command()
    @reporting
    def command():
        raise error

    run = CliRunner().invoke(command)
    assert run.exit_code == code
    assert message in run.stderr
    assert "Traceback" not in run.output


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_follows_the_policy(name):
    assert cli.main.commands[name].callback.__wrapped__ is not None


def test_a_failure_names_the_recording_unless_the_message_does():
    assert Failure.of(OSError("full"), Path("a.mp4")).message == "a.mp4: full"
    assert Failure.of(errors.NoFaceError("a.mp4: none"), Path("a.mp4")).message == "a.mp4: none"


SCRIPT = """
import os, sys
from contextlib import suppress
from facespot import cli
from facespot.commands.console import Console
import click

@click.command()
def stand_in():
    console = Console()
    file = open({path!r}, "w")  # the first free number is that of a closed stream
    with suppress(OSError):
        os.write(2, b"native chatter")
    console.warn("w")
    console.say("x" * 100_000)
    file.write("whole")
    file.close()

cli.COMMANDS = {{"run": "stands in"}}
cli.LazyCommands.__getitem__ = lambda self, name: stand_in
cli.main(["run"])
"""


@pytest.mark.parametrize("how", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full", "| true"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device and a POSIX shell")
def test_results_do_not_depend_on_anybody_listening(how, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(path=str(tmp_path / "result")))
    line = f"set -o pipefail; {sys.executable} {script} {how}"
    run = subprocess.run(["bash", "-c", line], env=os.environ, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "result").read_text() == "whole"
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr
