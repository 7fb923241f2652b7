"""Where the reference vectors of the authors' release lie, for the tests that need them."""

import numpy as np
import pytest
from facespot.spotting.intervals import Point
from places import SHARED

GOLDEN = SHARED / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no reference vectors at {GOLDEN}")


def load_golden(name: str) -> dict[str, np.ndarray]:
    """The arrays of one file, by name."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def strip_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose name begins with prefix, without it."""
    return {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}


def points_of(frame_label: np.ndarray) -> list[Point]:
    """Points of a video from its labels per frame: 0 none, 1 macro, 2 micro."""
    kinds = {1: "macro", 2: "micro"}
    return [Point(int(t), kinds[int(frame_label[t])]) for t in np.flatnonzero(frame_label)]
