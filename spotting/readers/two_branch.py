"""The two families of networks with an intensity and a class branch, in torch: facespot's own, and the paper's GIM."""

from collections.abc import Sequence

import numpy as np
import torch

from ...extract.features import FaceFeatures
from ...models.checkpoint import Checkpoint, rebuild_network
from ...models.context import ContextSpotter, unpack_ensemble
from ...models.context_arrays import ArrayAnswer
from ...models.folded import FoldedSpotFormer
from ...models.gim import GIMSpotter, GIMSpotterConfig
from ..decoding import DecodingSettings
from ..intervals import Interval
from ..voting import VotingSettings
from .base import Curves, Decoding, Reader
from .context import ContextArraysReader, own_settings
from .two_branch_decoding import decode_curves, least_of, settings_of, shortest_of, threshold_settings


class ContextReader(ContextArraysReader):
    """The same in torch, on any device; and for what learns, which has its networks there."""

    def __init__(
        self,
        networks: Sequence[ContextSpotter],
        settings: VotingSettings | DecodingSettings,
        device: torch.device,
        decoding: Decoding = "own",
    ) -> None:
        super().__init__([network.to(device).eval() for network in networks], settings, decoding)
        self._device = device

    @classmethod
    def rebuild(
        cls, checkpoint: Checkpoint, device: torch.device | None = None, decoding: Decoding = "own"
    ) -> "ContextReader":
        """From a checkpoint of the kind "context". Raises KeyError, TypeError, ValueError or RuntimeError if it does
        not fit."""
        networks = unpack_ensemble(checkpoint.config, checkpoint.state)
        return cls(networks, own_settings(checkpoint), device or torch.device("cpu"), decoding)

    @torch.inference_mode()
    def _answers(self, snippets: np.ndarray, geometry: np.ndarray) -> list[ArrayAnswer]:
        x, g = (torch.from_numpy(part).to(self._device) for part in (snippets, geometry))
        with torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda"):
            answers = [network(x, g) for network in self._networks]
        return [
            ArrayAnswer(
                *(
                    None if part is None else part.float().cpu().numpy()
                    for part in (a.intensity, a.class_scores, a.reach, a.quality, a.speaking)
                )
            )
            for a in answers
        ]


class GIMReader(Reader):
    """The paper's network, decoded by thresholds on its intensity."""

    def __init__(
        self, network: GIMSpotter, settings: DecodingSettings, device: torch.device, decoding: Decoding = "own"
    ) -> None:
        network = network.to(device).eval()
        self._encoder, self._heads = FoldedSpotFormer(network.encoder), network.heads
        self._settings = settings_of(decoding, settings)
        self.min_confidence = least_of(self._settings)
        self.min_ticks = shortest_of(self._settings)
        self._device = device

    @classmethod
    def rebuild(cls, checkpoint: Checkpoint, device: torch.device, decoding: Decoding = "own") -> "GIMReader":
        """From a checkpoint of the kind "gim". Raises TypeError, ValueError or RuntimeError if it does not fit."""
        config = gim_config(checkpoint)
        network = rebuild_network(lambda: GIMSpotter(config), checkpoint.state)
        return cls(network, threshold_settings(checkpoint), device, decoding)

    @torch.inference_mode()
    def curves(self, features: FaceFeatures) -> Curves:
        n = features.timebase.n_ticks
        intensity, scores = np.zeros(n, np.float32), np.zeros((n, 2), np.float32)
        for start, stop in features.segments():
            snippets = torch.from_numpy(np.array(features.snippets[start:stop], np.float32))
            output = self._heads(self._encoder(snippets[None].to(self._device)))
            intensity[start:stop] = output.intensity[0].cpu().numpy()
            scores[start:stop] = output.class_scores[0].cpu().numpy()
        return Curves(intensity, scores)

    def decode(
        self,
        curves: Curves,
        segments: Sequence[tuple[int, int]],
        min_confidence: tuple[float, float] | None = None,
    ) -> list[Interval]:
        return decode_curves(curves, segments, self._settings, min_confidence)


def gim_config(checkpoint: Checkpoint) -> GIMSpotterConfig:
    """Sizes of the paper's network in a checkpoint. Raises TypeError for an unknown or missing name."""
    return GIMSpotterConfig.from_dict({k: v for k, v in checkpoint.config.items() if k != "min_confidence"})
