"""`SpotResult`: what spotting one video gives back."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..extract.timebase import Timebase
from .intervals import EXPRESSION_TYPES, Spot

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: tuple[str, ...] = (
    "video",
    "type",
    "onset_s",
    "apex_s",
    "offset_s",
    "onset_frame",
    "apex_frame",
    "offset_frame",
    "confidence",
)


@dataclass(frozen=True, eq=False)
class SpotResult:
    """The expressions of one video, in order of time, and what is needed to judge and to draw them.

    video: the path as it was given. intensity: (N,) expression intensity 0..1 per clock tick. segment: (N,) int,
    number of the unbroken stretch with a usable face, -1 where there is none. coverage: fraction of ticks with a
    usable face. warnings: one sentence each (damaged file, second face ...). provenance: JSON-serialisable account of
    version, weights and options. speaking: (N,) probability that the face is talking, None from networks that do not
    tell.
    Raises ValueError if the two curves do not fit the time base.
    """

    video: str
    spots: tuple[Spot, ...]
    intensity: np.ndarray
    segment: np.ndarray
    timebase: Timebase
    coverage: float
    warnings: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    speaking: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = self.timebase.n_ticks
        if self.intensity.shape != (n,) or self.segment.shape != (n,):
            raise ValueError(
                f"a clock of {n} ticks needs curves of as many, got {self.intensity.shape} and {self.segment.shape}"
            )

    def rows(self) -> list[dict[str, Any]]:
        """One dict per spot, keyed by `COLUMNS`."""
        return [
            {
                "video": self.video,
                "type": s.type,
                "onset_s": s.onset_s,
                "apex_s": s.apex_s,
                "offset_s": s.offset_s,
                "onset_frame": s.onset_frame,
                "apex_frame": s.apex_frame,
                "offset_frame": s.offset_frame,
                "confidence": s.confidence,
            }
            for s in self.spots
        ]

    def to_frame(self) -> "pd.DataFrame":
        """The spots as a table with the columns `COLUMNS`, also when there are none."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=list(COLUMNS))

    def count(self) -> dict[str, int]:
        """Number of spots of each type."""
        return {kind: sum(s.type == kind for s in self.spots) for kind in EXPRESSION_TYPES}
