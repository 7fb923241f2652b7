"""Everything a user can choose that changes the extracted features."""

from dataclasses import asdict, dataclass
from typing import Any

from .motion.alignment import ALIGNMENTS, Alignment
from .motion.flow import FLOW_METHODS, FlowMethod


@dataclass(frozen=True)
class ExtractOptions:
    """face: which subject: "longest" present, "largest" on average, or the number of one as the face report counts.
    flow: how points are tracked (see `flow`). alignment: how head motion is removed (see `alignment`).

    Raises ValueError for an unknown choice.
    """

    face: str | int = "longest"
    flow: FlowMethod = "lk"
    alignment: Alignment = "pose"

    def __post_init__(self) -> None:
        if isinstance(self.face, str) and self.face.isdecimal():
            object.__setattr__(self, "face", int(self.face))
        if self.face not in ("longest", "largest") and (not isinstance(self.face, int) or self.face < 0):
            raise ValueError(f"face must be 'longest', 'largest' or a number from 0, got {self.face!r}")
        if self.flow not in FLOW_METHODS:
            raise ValueError(f"flow must be one of {FLOW_METHODS}, got {self.flow!r}")
        if self.alignment not in ALIGNMENTS:
            raise ValueError(f"alignment must be one of {ALIGNMENTS}, got {self.alignment!r}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
