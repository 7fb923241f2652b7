"""Reading facespot's own networks in NumPy: nothing loads torch, which takes longer than a clip of some seconds."""

from typing import TYPE_CHECKING

import numpy as np

from ...models.checkpoint import Checkpoint
from ...models.context_arrays import ContextArrays, flow_tokens, sigmoid, unpack_arrays
from ..decoding import DecodingSettings
from ..voting import VotingSettings
from .base import Decoding
from .ensemble import Answer, EnsembleReader
from .two_branch_decoding import context_settings

if TYPE_CHECKING:
    import torch


class ContextArraysReader(EnsembleReader):
    """An ensemble of `ContextSpotter`s as arrays."""

    def __init__(
        self,
        networks: list[ContextArrays],
        settings: VotingSettings | DecodingSettings,
        decoding: Decoding = "own",
    ) -> None:
        super().__init__(networks, settings, decoding)
        self._networks = networks

    @classmethod
    def rebuild(
        cls, checkpoint: Checkpoint, device: "torch.device | None" = None, decoding: Decoding = "own"
    ) -> "ContextArraysReader":
        """From a checkpoint of the kind "context", read as arrays. Raises KeyError, TypeError or ValueError if it does
        not fit."""
        return cls(unpack_arrays(checkpoint.config, checkpoint.state), context_settings(checkpoint), decoding)

    def _answers(self, snippets: np.ndarray, geometry: np.ndarray) -> list[Answer]:
        flow = flow_tokens(snippets)
        raw = [network(flow, geometry) for network in self._networks]
        return [
            Answer(
                sigmoid(a.intensity),
                sigmoid(a.class_scores),
                a.reach,
                sigmoid(a.quality),
                None if a.speaking is None else sigmoid(a.speaking),
            )
            for a in raw
        ]
