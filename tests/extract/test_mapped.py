"""Mapped arrays that are read without staying in memory."""

from pathlib import Path

import numpy as np
import pytest
from facespot.extract.mapped import release
from facespot.extract.motion.geometry import geometry_channels
from facespot.spotting.simulation.anatomy import neutral_face

STATUS = Path("/proc/self/status")
needs_status = pytest.mark.skipif(not STATUS.exists(), reason="resident memory is read from Linux' /proc")


def resident_mib() -> float:
    """How much of the files this process maps is in its memory."""
    return int(next(line for line in STATUS.read_text().splitlines() if line.startswith("RssFile")).split()[1]) / 1024


@pytest.fixture
def stored(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(8 * 2**20, dtype=np.int32).reshape(-1, 4))
    return tmp_path / "a.npy"


@needs_status
def test_what_has_been_read_leaves_memory_and_can_be_read_again(stored):
    mapped = np.load(stored, mmap_mode="r")
    before = resident_mib()
    total = mapped.sum(dtype=np.int64)
    assert resident_mib() > before + 24
    release(mapped[5:10])  # of a part the whole goes
    assert resident_mib() < before + 4
    assert mapped.sum(dtype=np.int64) == total


def test_what_was_written_is_kept(stored):
    changed = np.load(stored, mmap_mode="c")
    changed[3] = 7
    release(changed)
    assert (changed[3] == 7).all()
    release(np.zeros(3))


@needs_status
def test_geometry_leaves_no_landmarks_in_memory(tmp_path):
    faces = 80 * np.repeat(neutral_face()[None], 15_000, axis=0).astype(np.float32)
    np.save(tmp_path / "landmarks.npy", faces)
    mapped = np.load(tmp_path / "landmarks.npy", mmap_mode="r")
    before = resident_mib()
    channels = geometry_channels(mapped, [(0, len(mapped))])
    assert resident_mib() < before + 0.3 * faces.nbytes / 2**20
    assert np.isfinite(channels).all()
