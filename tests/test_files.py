"""Where a user's own files lie, and that they are written whole or not at all."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from facespot.files import replacing, temporary_folder, user_cache_folder
from places import ROOT


def test_the_cache_lies_in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = user_cache_folder()
    assert folder.is_absolute()
    assert folder.name == "facespot"


@pytest.mark.skipif(sys.platform == "win32", reason="every user of Windows has a profile")
def test_a_user_without_a_home_is_an_error_of_the_system(monkeypatch):
    """As in a container that runs under a number nobody has."""
    import pwd

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert os.path.expanduser("~") == "~"
    with pytest.raises(FileNotFoundError, match="home"):
        user_cache_folder()


@pytest.mark.skipif(sys.platform == "win32", reason="locks that end with their process are POSIX")
def test_what_a_killed_writer_left_is_removed_and_a_living_one_keeps_its_own(tmp_path):
    path = tmp_path / "clip.spots.csv"
    left = [tmp_path / f".clip.spots.csv.{middle}.csv" for middle in ("k3j5x8aa", "________")]
    others = [tmp_path / name for name in (".clip.spots.csv.old.csv", ".other.csv.k3j5x8aa.csv", ".clip.spots.csv")]
    for file in (*left, *others):
        file.write_text("half")
    with replacing(path) as mine:
        mine.write_text("first")
        with replacing(path) as another:
            another.write_text("second")
        assert mine.read_text() == "first"
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


@pytest.mark.parametrize("name", ["\N{GRINNING FACE}" * 60 + ".csv", "n" * 251 + ".csv", "a." + "s" * 253])
def test_any_name_that_a_file_may_have_can_be_written(tmp_path, name):
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "whole"


HELD = """
import sys
from facespot.files import temporary_folder
with temporary_folder() as folder:
    (folder / "copy.mp4").write_bytes(b"a face")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="locks that end with their process are POSIX")
def test_a_temporary_folder_of_a_killed_process_is_removed_and_one_in_use_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT.parent)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    killed, living = (subprocess.Popen([sys.executable, "-c", HELD], **pipes) for _ in range(2))
    left, kept = (Path(process.stdout.readline().strip()) for process in (killed, living))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    for name in (".facespot-results", ".facespot-abcdefghi", "facespot-abcdefgh"):
        (tmp_path / name).mkdir()
    (tmp_path / ".facespot-abcdefgh").symlink_to(tmp_path / "facespot-abcdefgh")
    assert (left / "copy.mp4").exists()
    with temporary_folder() as mine:
        assert not left.exists()
        assert (kept / "copy.mp4").exists()
        assert mine.stat().st_mode & 0o777 == 0o700
        with temporary_folder() as another:
            assert mine.exists()
            assert another != mine
        (mine / "in").write_text("x")
    living.communicate("")
    others = [".facespot-abcdefgh", ".facespot-abcdefghi", ".facespot-results", "facespot-abcdefgh"]
    assert sorted(path.name for path in tmp_path.iterdir()) == others
