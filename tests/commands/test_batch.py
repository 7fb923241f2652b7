"""Several recordings at once, in real processes."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
from facespot.commands.batch import Batch
from facespot.commands.console import Console, Failure, FatalError
from facespot.errors import LostProcessError, NoFaceError, WeightsError
from media import moving_face, write_video


def work(source, headway):
    """What a recording's text says."""
    text = source.path.read_text()
    if text == "kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if text == "hang":
        headway(1, None)
        time.sleep(600)
    if text == "no face":
        raise NoFaceError(f"{source.path.name}: no face")
    if text == "fault":
        raise ZeroDivisionError
    if text == "no weights":
        raise FatalError(Failure.of(WeightsError("damaged")))
    return text, os.getpid()


@pytest.fixture
def recordings(tmp_path):
    def make(**texts):
        paths = []
        for name, text in texts.items():
            paths.append(tmp_path / f"{name}.mp4")
            paths[-1].write_text(text)
        return paths

    return make


def test_what_one_recording_takes_down_is_itself(recordings, capsys):
    given = recordings(a="fine", b="kill", c="hang", d="no face", e="fault", f="fine")
    batch = Batch(Console(), given)
    found = {job.path.stem: value for job, value in batch.run(work, batch.sources, width=2, patience_s=20)}
    assert set(found) == {"a", "f"}
    assert os.getpid() not in {process for _, process in found.values()}
    assert batch.finish() == LostProcessError.exit_code
    lines = capsys.readouterr().err.splitlines()
    for name, words in (
        ("b.mp4", "died twice"), ("b.mp4", "SIGSEGV"), ("c.mp4", "no headway for 20 s"), ("d.mp4", "no face"),
        ("e.mp4", "unexpected ZeroDivisionError at test_batch.py:"),
    ):  # fmt: skip
        assert any(name in line and words in line for line in lines), (name, words)
    assert lines[-1] == f"spot: error: 4 of 6 videos failed: {', '.join(map(str, given[1:5]))}"
    assert len(lines) == 5


def test_one_recording_is_worked_on_here(recordings):
    batch = Batch(Console(), recordings(a="fine"))
    ((job, (text, process)),) = batch.run(work, batch.sources, width=None, patience_s=20)
    assert (job.path.name, text, process) == ("a.mp4", "fine", os.getpid())


def test_what_all_would_fail_of_ends_the_batch(recordings):
    batch = Batch(Console(), recordings(a="no weights", b="hang"))
    with pytest.raises(FatalError, match="damaged"):
        list(batch.run(work, batch.sources, width=2, patience_s=600))


def test_the_whole_way_with_two_at_work(tmp_path):
    """Extraction, network and writers in processes of their own give what one process gives."""
    folder = tmp_path / "set"
    folder.mkdir()
    write_video(folder / "a.mp4", moving_face(24, 192))
    write_video(folder / "b.mp4", moving_face(30, 192))
    (folder / "bad.avi").write_bytes(b"no video at all")

    def spot(*arguments):
        command = [sys.executable, "-m", "facespot.cli", *map(str, arguments), "--cache", "none", "--device", "cpu"]
        return subprocess.run(command, capture_output=True, text=True, timeout=540)

    run = spot(folder, "-o", tmp_path / "many", "--jobs", "2", "--min-confidence", "0.01")
    assert run.returncode == 4, run.stderr
    assert "1 of 3 videos failed" in run.stderr
    alone = spot(folder / "a.mp4", "-o", tmp_path / "one", "--min-confidence", "0.01")
    assert alone.returncode == 0, alone.stderr
    assert (tmp_path / "many" / "a.spots.csv").read_bytes() == (tmp_path / "one" / "a.spots.csv").read_bytes()
    with (tmp_path / "many" / "summary.csv").open(newline="") as file:
        assert [row["video"] for row in csv.DictReader(file)] == [str(folder / "a.mp4"), str(folder / "b.mp4")]
