"""Sudden changes in a stream of small pictures: hard cuts of the film, or another face in the same place."""

import statistics
from collections import deque

import numpy as np

THUMBNAIL_SIZE = (32, 24)  # width, height; fine enough to tell scenes apart, coarse enough to forgive motion
_READ_PIXELS = 128  # pixels across that are read for a thumbnail, whatever the picture's size
_NOISE_VARIANCE = 4.0  # gray levels squared; keeps nearly flat pictures from being compared by their noise
_SHIFTS = tuple((dy, dx) for dy in range(-2, 3) for dx in range(-2, 3))  # thumbnail pixels a pan may move in one step
_MEMORY = 15  # steps that tell how much change is usual here
_USUAL_FACTOR = 5.0
_REPEATED = 1e-4  # a picture shown twice differs by less; it says nothing about what change is usual
_BREADTH = 0.25  # median difference over the pictures' spread; two unrelated ones have 0.95


def thumbnail(gray: np.ndarray) -> np.ndarray:
    """(24, 32) float32 from a (H, W) uint8 picture."""
    import cv2

    stride = max(1, min(gray.shape) // _READ_PIXELS)
    small = np.ascontiguousarray(gray[::stride, ::stride])
    return cv2.resize(small, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)


def standardised(picture: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance, which exposure and contrast do not change."""
    # In a fraction of the time of `mean` and `var` on pictures this small.
    centred = np.asarray(picture, dtype=np.float32)
    centred = centred - np.add.reduce(centred, axis=None) / centred.size
    variance = np.vdot(centred, centred) / centred.size
    return centred / np.sqrt(variance + _NOISE_VARIANCE)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Half the mean squared difference of two standardised pictures: 0 the same, 1 unrelated, more if opposite."""
    change = a - b
    return float(np.vdot(change, change) / change.size / 2)


def _panned_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Smallest `difference` over small shifts of one picture against the other."""
    height, width = a.shape
    best = np.inf
    for dy, dx in _SHIFTS:
        part_a = a[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
        part_b = b[max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)]
        best = min(best, difference(part_a, part_b))
    return best


def _is_broad(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether most of the picture differs, as at a cut; a large thing that moves leaves the rest as it was."""
    change = a - b
    spread = np.median(np.abs(change - np.median(change)))
    return bool(spread >= _BREADTH * np.sqrt((a.var() + b.var()) / 2 + _NOISE_VARIANCE))


class SuddenChange:
    """Tells for each picture of a stream whether it breaks with the one before.

    It does when most of the picture differs and the whole does, a small shift aside, by at least `floor` (see
    `difference`) and by five times what the last steps usually differ by: a moving head, a steady pan or a shaking
    camera is no cut.
    """

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._last: tuple[np.ndarray, np.ndarray] | None = None  # the picture, and standardised
        self._usual: deque[float] = deque(maxlen=_MEMORY)

    def forget(self) -> None:
        """Start afresh: the next picture has nothing before it."""
        self._last = None
        self._usual.clear()

    def copy(self) -> "SuddenChange":
        """Another that goes on from here."""
        other = SuddenChange(self._floor)
        other._last, other._usual = self._last, self._usual.copy()
        return other

    def __call__(self, picture: np.ndarray) -> bool:
        """picture: (h, w), the same size every time."""
        current = standardised(picture)
        before, self._last = self._last, (picture, current)
        if before is None:
            return False
        last_picture, last = before
        change = difference(current, last)
        usual = statistics.median(self._usual) if self._usual else 0.0
        if change >= self._floor:
            change = min(change, _panned_difference(current, last))
        if change >= max(self._floor, _USUAL_FACTOR * usual) and _is_broad(picture, last_picture):
            self._usual.clear()
            return True
        if change > _REPEATED:
            self._usual.append(change)
        return False
