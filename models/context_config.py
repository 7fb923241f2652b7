"""`ContextConfig`: what rebuilds the project's own network. Apart from torch, which its NumPy form does without."""

from dataclasses import asdict, dataclass
from typing import Any

from ..extract.motion.geometry import FIRST_CHANNELS, GEOMETRY_CHANNELS

MAX_REACH_TICKS = 320.0  # no boundary is farther from a tick of its expression
TICKS_PER_TOKEN = 2  # inside, time runs at 15 Hz: half the work, and each token still answers for both its ticks
COMMON_OUTPUTS = 6  # intensity, two classes, two reaches, quality
_ANGLES = ("yaw", "pitch", "roll")
_SPEEDS = ("rotation_speed", "translation_speed", "scale_speed")
# What checkpoints leave out that were written before there was a choice.
_FIRST = {"channels": FIRST_CHANNELS, "max_reach": 160.0, "speaking": False}


@dataclass(frozen=True)
class ContextConfig:
    """Sizes of a ContextSpotter.

    width: channels inside. dilations: one residual block each, in tokens of two ticks. dropout: of each block while
    training. flow, geometry: which kinds of channel it reads; at least one. channels: those of the geometry, by their
    names in `GEOMETRY_CHANNELS`. max_reach: ticks. speaking: also tell where the face is talking.
    """

    width: int = 80
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1, 2, 4)
    dropout: float = 0.05
    flow: bool = True
    geometry: bool = True
    channels: tuple[str, ...] = GEOMETRY_CHANNELS
    max_reach: float = MAX_REACH_TICKS
    speaking: bool = True

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ContextConfig":
        values = {**_FIRST, **values}
        return cls(**{**values, "dilations": tuple(values["dilations"]), "channels": tuple(values["channels"])})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def columns(self) -> list[int]:
        """Of its channels in `GEOMETRY_CHANNELS`. Raises ValueError for one that does not exist."""
        return [GEOMETRY_CHANNELS.index(name) for name in self.channels]

    @property
    def changing(self) -> list[int]:
        """The channels whose change is read too. A held place changes as the place that is not called held does."""
        return [i for i, name in enumerate(self.channels) if not name.endswith("_held")]

    @property
    def scale(self) -> list[float]:
        """What each channel is divided by."""
        return [0.1 if name in _ANGLES else 0.3 if name in _SPEEDS else 0.02 for name in self.channels]

    @property
    def outputs(self) -> int:
        """Numbers a tick."""
        return COMMON_OUTPUTS + self.speaking

    @property
    def reach_ticks(self) -> int:
        """Ticks on either side that an output depends on."""
        return TICKS_PER_TOKEN * (sum(self.dilations) + 1) + 3
