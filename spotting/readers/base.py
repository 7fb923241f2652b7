"""What every reader of weights answers: curves over time, and the intervals they mean."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...extract.features import FaceFeatures
from ...models.checkpoint import Checkpoint
from ..intervals import Interval
from ..settings import Setting

if TYPE_CHECKING:
    import torch

# How curves become intervals: as fits the weights best, as GIM's paper describes, or as its authors' release does it.
Decoding = Literal["own", "paper", "authors"]


@dataclass(frozen=True, eq=False)
class Curves:
    """What a network says of each of N ticks; zero outside the segments.

    intensity: (N,) in 0..1. scores: (N, 2) of macro and micro in 0..1. reach: (N, 2) ticks to onset and offset of the
    expression around the tick; ends: (N, 2, 3) of either class, onset, offset and neither; speaking: (N,) in 0..1.
    None from networks that do not tell. setting: which networks they are of, where several could have read the video.
    """

    intensity: np.ndarray
    scores: np.ndarray
    reach: np.ndarray | None = None
    ends: np.ndarray | None = None
    speaking: np.ndarray | None = None
    setting: Setting | None = None


class Reader(ABC):
    """The networks of one checkpoint and how their answers are decoded.

    min_confidence: the weights' own, of macro and micro. min_ticks: shortest interval that is reported.
    types_by_length: whether an expression is micro for being short, and not for what the network says of its type.
    """

    min_confidence: tuple[float, float]
    min_ticks: int
    types_by_length = False

    @classmethod
    @abstractmethod
    def rebuild(cls, checkpoint: Checkpoint, device: "torch.device", decoding: Decoding = "own") -> "Reader":
        """From a checkpoint of its kind. Raises KeyError, TypeError, ValueError or RuntimeError if it does not fit,
        WeightsError for a decoding that these weights do not have."""

    @abstractmethod
    def curves(self, features: FaceFeatures) -> Curves:
        """The networks' answers to one video."""

    @abstractmethod
    def decode(
        self,
        curves: Curves,
        segments: Sequence[tuple[int, int]],
        min_confidence: tuple[float, float] | None = None,
    ) -> list[Interval]:
        """The expressions on the clock, in order of time.

        segments: half-open ranges of ticks with a usable face. min_confidence: of macro and micro, instead of the
        weights' own; lower ones are found with it, higher ones left out.
        """

    def micro_probability(self, n_ticks: int) -> float | None:
        """0..1, how probably an expression that seems to last so many ticks is micro; None where nobody measured it."""
        return None
