"""Reference vectors of the authors' release: all of them where they lie beside the repository, else its own subset."""

import io
import lzma
from functools import cache

import numpy as np
from facespot.spotting.intervals import Point
from places import SHARED, TESTS

GOLDEN = SHARED / "golden"
SUBSET = TESTS / "golden" / "vectors.npz.xz"


def golden_cases(prefix: str) -> list[str]:
    """Names of the cases that begin so and are there, in order."""
    names = [path.stem for path in GOLDEN.glob("*.npz")] if GOLDEN.is_dir() else _subset()
    return sorted(name for name in names if name.startswith(prefix))


def load_golden(name: str) -> dict[str, np.ndarray]:
    """The arrays of one case, by name; what was rounded to half precision comes in single."""
    if not GOLDEN.is_dir():
        return _subset()[name]
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def golden_is_rounded() -> bool:
    """Whether large weights were rounded to half precision."""
    return not GOLDEN.is_dir()


@cache
def _subset() -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(io.BytesIO(lzma.decompress(SUBSET.read_bytes())), allow_pickle=False) as file:
        for key in file.files:
            case, _, name = key.partition("/")
            array = file[key]
            found.setdefault(case, {})[name] = array.astype(np.float32) if array.dtype == np.float16 else array
    return found


def strip_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose name begins with prefix, without it."""
    return {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}


def points_of(frame_label: np.ndarray) -> list[Point]:
    """Points of a video from its labels per frame: 0 none, 1 macro, 2 micro."""
    kinds = {1: "macro", 2: "micro"}
    return [Point(int(t), kinds[int(frame_label[t])]) for t in np.flatnonzero(frame_label)]
