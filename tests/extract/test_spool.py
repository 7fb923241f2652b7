"""Rows that wait in temporary files, and what is said where those have no room."""

import errno
import os
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import media
import numpy as np
import pytest
from facespot.errors import TemporaryFilesError
from facespot.extract.features import SNIPPET_STEPS
from facespot.extract.pipeline import extract_features
from facespot.extract.regions import KEPT_MESH_POINTS, ROI_NAMES
from facespot.extract.spool import RowSpool
from facespot.files import temporary_files
from places import ROOT

ROW = SimpleNamespace(
    snippet=np.full((SNIPPET_STEPS, len(ROI_NAMES), 2), 0.5), landmarks=np.ones((len(KEPT_MESH_POINTS), 3)), segment=3
)


def test_rows_come_back_and_outlive_the_spool():
    with RowSpool() as spool:
        for _ in range(5):
            spool.append(ROW)
        arrays, latest = spool.arrays(), spool.arrays(3)
    assert [len(array) for array in (*arrays, *latest)] == [5, 5, 5, 2, 2, 2]
    assert (arrays[0] == 0.5).all()
    assert (latest[1] == 1).all()
    assert arrays[2].tolist() == [3] * 5


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_folder_is_named(code, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(TemporaryFilesError) as raised, temporary_files():
        raise OSError(code, os.strerror(code))
    assert str(raised.value).startswith(f"{tmp_path}: no room for temporary files ({os.strerror(code)})")
    assert "TMPDIR" in str(raised.value)


def test_other_errors_stay_what_they_are():
    with pytest.raises(PermissionError), temporary_files():
        raise PermissionError(errno.EACCES, "no")


def test_no_folder_for_temporary_files_is_an_error_that_says_what_to_do(monkeypatch):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(tempfile, "TemporaryFile", none)
    with pytest.raises(TemporaryFilesError, match=r"no folder takes temporary files .*'/tmp'.*TMPDIR"):
        RowSpool()


def full(monkeypatch, after):
    """Temporary files that take so many writes."""
    writes = []

    class Full:
        def __init__(self):
            self.closed = False

        def write(self, data):
            writes.append(data)
            if len(writes) > after:
                raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            self.closed = True
            self.flush()

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)


@pytest.mark.parametrize("after", [0, 4, 100])
def test_a_spool_without_room_closes_all_of_its_files(after, monkeypatch):
    full(monkeypatch, after)
    spool = RowSpool()

    def use():
        with spool:
            spool.append(ROW)
            spool.append(ROW)
            spool.arrays()

    with pytest.raises(TemporaryFilesError, match="No space left"):
        use()
    assert [file.closed for file in spool._files] == [True] * 3


def test_an_extraction_without_room_says_so(monkeypatch, tmp_path):
    clip = media.write_video(tmp_path / "face.mp4", media.moving_face(20))
    full(monkeypatch, 6)
    with pytest.raises(TemporaryFilesError, match="no room for temporary files"):
        extract_features(clip)


@pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of files are POSIX")
def test_spot_without_room_ends_in_a_line_and_leaves_nothing(tmp_path):
    (temporary := tmp_path / "tmp").mkdir()
    clip = media.write_video(tmp_path / "face.mp4", media.moving_face(60))
    code = "import resource, sys; from facespot.cli import main; import facespot.extract.pipeline\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent), "TMPDIR": str(temporary)}
    words = [sys.executable, "-c", code, str(clip), "--cache", "none", "-o", str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"spot: error: {temporary}: no room for temporary files")
    assert list(temporary.iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []
