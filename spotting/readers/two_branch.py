"""The reader of every two-branch GIM in torch: facespot's own and the paper's, however their curves are decoded."""

from collections.abc import Sequence

import numpy as np
import torch

from ...models.checkpoint import Checkpoint, rebuild_network
from ...models.context import unpack_ensemble
from ...models.gim import GIMSpotter, GIMSpotterConfig, TwoBranchNetwork
from ..decoding import DecodingSettings
from ..voting import VotingSettings
from .base import Decoding
from .ensemble import Answer, EnsembleReader
from .two_branch_decoding import context_settings, threshold_settings


class TwoBranchReader(EnsembleReader):
    """Networks of the family `TwoBranchNetwork`, one or an ensemble, on any device."""

    def __init__(
        self,
        networks: Sequence[TwoBranchNetwork],
        settings: VotingSettings | DecodingSettings,
        device: torch.device,
        decoding: Decoding = "own",
        mirrored: bool = True,
    ) -> None:
        super().__init__(networks, settings, decoding, mirrored)
        self._networks = [network.to(device).eval() for network in networks]
        self._device = device

    @classmethod
    def rebuild(
        cls, checkpoint: Checkpoint, device: torch.device | None = None, decoding: Decoding = "own"
    ) -> "TwoBranchReader":
        """From a checkpoint of the kind "context" (an ensemble) or "gim". Raises KeyError, TypeError, ValueError or
        RuntimeError if it does not fit."""
        device = device or torch.device("cpu")
        if checkpoint.kind == "gim":
            config = gim_config(checkpoint)
            network = rebuild_network(lambda: GIMSpotter(config), checkpoint.state).folded()
            return cls([network], threshold_settings(checkpoint), device, decoding, mirrored=False)
        networks = unpack_ensemble(checkpoint.config, checkpoint.state)
        return cls(networks, context_settings(checkpoint), device, decoding)

    @torch.inference_mode()
    def _answers(self, snippets: np.ndarray, geometry: np.ndarray) -> list[Answer]:
        x, g = (torch.from_numpy(part).to(self._device) for part in (snippets, geometry))
        with torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda"):
            answers = [network.branches(x, g) for network in self._networks]
        return [
            Answer(
                *(
                    None if part is None else part.float().cpu().numpy()
                    for part in (a.intensity, a.class_scores, a.reach, a.quality, a.speaking)
                )
            )
            for a in answers
        ]


def gim_config(checkpoint: Checkpoint) -> GIMSpotterConfig:
    """Sizes of the paper's network in a checkpoint. Raises TypeError for an unknown or missing name."""
    beside = ("min_confidence", "decoding")
    return GIMSpotterConfig.from_dict({k: v for k, v in checkpoint.config.items() if k not in beside})
