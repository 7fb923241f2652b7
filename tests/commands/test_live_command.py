"""`spot --follow` and `spot --camera` on the terminal."""

import signal

import numpy as np
import pytest
from click.testing import CliRunner
from facespot import cli
from facespot.commands.live import until_interrupted
from facespot.extract.timebase import Timebase
from facespot.spotting import live
from facespot.spotting.intervals import Interval
from facespot.spotting.result import SpotResult

CLOCK = Timebase(np.arange(300) / 30)
FIRST, LATER = Interval(15, 20, 40, "macro", 0.9), Interval(100, 105, 110, "micro", 0.8)


@pytest.fixture
def asked(monkeypatch):
    """What `follow` is asked for; it gives two spots, of which the whole has one."""
    calls = []

    def follow(source, **options):
        calls.append((str(source), options))
        yield FIRST.on(CLOCK)
        yield LATER.on(CLOCK)
        yield SpotResult("", (FIRST.on(CLOCK),), np.zeros(300), np.zeros(300, int), CLOCK, 1.0)

    monkeypatch.setattr(live, "follow", follow)
    return calls


def spot(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


def test_a_line_a_spot_then_the_whole(asked, tmp_path):
    run = spot(tmp_path / "clip.mp4", "--follow", "--type", "macro", "--face", "largest")
    assert run.exit_code == 0
    first, second = run.stdout.splitlines()[:2]
    assert first.split() == ["0.50", "s", "macro", "to", "1.33", "s,", "apex", "0.67", "s,", "confidence", "0.90"]
    assert second.split()[:3] == ["3.33", "s", "micro"]
    assert "1 of the 2 lines above" in run.stderr
    assert "1 expression (1 macro, 0 micro)" in run.stdout
    assert len((tmp_path / "clip.spots.csv").read_text().splitlines()) == 2
    ((source, options),) = asked
    assert source == str(tmp_path / "clip.mp4")
    assert (options["camera"], options["types"], options["face"]) == (False, "macro", "largest")


@pytest.mark.parametrize(
    ("words", "source", "camera", "name"),
    [
        (["--camera", "0"], "0", True, "camera-0"),
        (["-", "--follow"], "-", False, "standard-input"),
        (["rtsp://me:secret@door/1", "--follow"], "rtsp://me:secret@door/1", False, "door-1"),
    ],
)
def test_what_is_no_file_is_written_to_the_current_folder(asked, tmp_path, monkeypatch, words, source, camera, name):
    monkeypatch.chdir(tmp_path)
    run = spot(*words)
    assert run.exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.spots.csv"]
    assert (asked[0][0], asked[0][1]["camera"]) == (source, camera)
    assert "secret" not in run.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument 'VIDEO...'"),
        (["a.mp4", "--camera", "0"], "--camera takes no VIDEO"),
        (["a.mp4", "b.mp4", "--follow"], "--follow takes one VIDEO"),
        (["a.mp4", "--follow", "--report"], "want a finished recording"),
    ],
)
def test_sources_that_do_not_go_together(asked, words, message):
    run = spot("run", *words)
    assert run.exit_code == 2
    assert message in run.stderr
    assert asked == []


def test_the_first_interrupt_ends_the_recording_and_the_next_the_program(request):
    # As in a terminal, wherever the tests run.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with until_interrupted() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
