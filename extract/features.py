"""The features of one video, as everything after extraction sees them."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from .timebase import Timebase

SNIPPET_STEPS = 17
SNIPPET_REACH = 8  # ticks before and after the snippet's own


@dataclass(frozen=True, eq=False)
class FaceFeatures:
    """Per-tick features of the one followed subject (N ticks of `timebase`).

    snippets: (N, 17, 10, 2) flow of the ten ROIs, x right and y down, in fractions of the inter-ocular distance; zero
        where invalid.
    landmarks: (N, K, 3) the mesh points `regions.KEPT_MESH_POINTS` in pixels; NaN where invalid.
    segment: (N,) int32, number of the segment, an unbroken stretch of usable face, that a tick lies in; -1 where the
        face is not usable. No interval may span two segments.
    provenance: what made them: source, options, face report, warnings, library version (JSON-serialisable).
    """

    snippets: np.ndarray
    landmarks: np.ndarray
    segment: np.ndarray
    timebase: Timebase
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.timebase.n_ticks
        if not len(self.snippets) == len(self.landmarks) == len(self.segment) == n:
            raise ValueError(f"features of {len(self.snippets)} ticks do not fit a clock of {n}")

    @property
    def coverage(self) -> float:
        """Fraction of ticks with a usable face."""
        return float(np.mean(self.segment >= 0))

    def segments(self) -> list[tuple[int, int]]:
        """Half-open tick ranges of the segments, in order."""
        change = np.flatnonzero(np.diff(self.segment)) + 1
        bounds = np.concatenate([[0], change, [len(self.segment)]])
        return [(int(a), int(b)) for a, b in pairwise(bounds) if self.segment[a] >= 0]
