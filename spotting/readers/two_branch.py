"""The reader of every two-branch GIM: facespot's own and the paper's, whichever way their curves are decoded."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ...extract.features import FaceFeatures
from ...extract.mapped import release
from ...extract.motion.geometry import geometry_channels
from ...models.checkpoint import Checkpoint, rebuild_network
from ...models.context import mirror_inputs, unpack_ensemble
from ...models.gim import GIMSpotter, GIMSpotterConfig, TwoBranchNetwork
from ..decoding import DecodingSettings, decode
from ..intervals import Interval
from ..voting import VotingSettings, vote
from .authors_decoding import SAMM_LV, ReferenceDecoding, decode_reference
from .base import Curves, Decoding, Reader

Settings = VotingSettings | DecodingSettings | ReferenceDecoding
# Ticks that go through the network at once; more changes only the memory needed.
CHUNK_TICKS = 1200


class TwoBranchReader(Reader):
    """Networks of the family `TwoBranchNetwork`, one or an ensemble, the paper's or facespot's own.

    Which decoding is their own follows from their heads: those that tell onset and offset let their ticks vote; the
    others, and those whose boundary heads learnt from points and have never seen an end, are decoded by thresholds on
    their intensity, contrast and suppression. Answers are averaged over the ensemble, and with `mirrored` over the face
    and its mirror image.
    """

    def __init__(
        self,
        networks: Sequence[TwoBranchNetwork],
        settings: VotingSettings | DecodingSettings,
        device: torch.device,
        decoding: Decoding = "own",
        mirrored: bool = True,
    ) -> None:
        """settings: of the weights' own decoding."""
        self._networks = [network.to(device).eval() for network in networks]
        self._mirrored = mirrored
        self._know_ends = isinstance(settings, VotingSettings)
        self._settings = _settings(decoding, settings)
        self.min_confidence = _least_of(self._settings)
        self.min_ticks = _shortest_of(self._settings)
        self.types_by_length = isinstance(self._settings, VotingSettings)
        self._device = device

    @classmethod
    def rebuild(cls, checkpoint: Checkpoint, device: torch.device, decoding: Decoding = "own") -> "TwoBranchReader":
        """From a checkpoint of the kind "context" (an ensemble) or "gim". Raises KeyError, TypeError, ValueError or
        RuntimeError if it does not fit."""
        if checkpoint.kind == "gim":
            config = gim_config(checkpoint)
            network = rebuild_network(lambda: GIMSpotter(config), checkpoint.state).folded()
            return cls([network], _threshold_settings(checkpoint), device, decoding, mirrored=False)
        networks = unpack_ensemble(checkpoint.config, checkpoint.state)
        voting = checkpoint.config.get("voting")
        if voting is None:
            return cls(networks, _threshold_settings(checkpoint), device, decoding)
        return cls(networks, VotingSettings.from_dict(voting), device, decoding)

    def uncalibrated(self) -> "TwoBranchReader":
        settings = self._settings
        if not isinstance(settings, VotingSettings):
            return self
        return TwoBranchReader(self._networks, replace(settings, calibration=None), self._device)

    def curves(self, features: FaceFeatures) -> Curves:
        n = features.timebase.n_ticks
        intensity, scores, reach = np.zeros(n, np.float32), np.zeros((n, 2), np.float32), np.zeros((n, 2), np.float32)
        speaking = np.zeros(n, np.float32)
        segments = features.segments()
        looked_at = any(network.reads_geometry for network in self._networks)
        # Features of the authors' release come without landmarks.
        geometry = geometry_channels(features.landmarks, segments) if looked_at else np.zeros((n, 1), np.float32)
        for start, stop in segments:
            part = slice(start, stop)
            intensity[part], scores[part], reach[part], speaking[part] = self._segment(
                features.snippets[part], geometry[part]
            )
        bounded = all(network.tells_boundaries for network in self._networks)
        tell = all(network.tells_speaking for network in self._networks)
        return Curves(intensity, scores, reach if bounded else None, speaking=speaking if tell else None)

    def decode(
        self,
        curves: Curves,
        segments: Sequence[tuple[int, int]],
        min_confidence: tuple[float, float] | None = None,
    ) -> list[Interval]:
        return _decode(curves, segments, self._settings, min_confidence)

    def _segment(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        margin = max(network.reach_ticks for network in self._networks)
        # Chunks start on even ticks, since our network reads ticks in pairs.
        margin += margin % 2
        parts = []
        for start in range(0, len(snippets), CHUNK_TICKS):
            low, high = max(start - margin, 0), min(start + CHUNK_TICKS + margin, len(snippets))
            keep = slice(start - low, min(start + CHUNK_TICKS, len(snippets)) - low)
            parts.append([part[keep] for part in self._chunk(snippets[low:high], geometry[low:high])])
            release(snippets)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    @torch.inference_mode()
    def _chunk(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        # Snippets come from disk as they are needed, in half precision.
        x, g = (torch.from_numpy(np.array(a, np.float32))[None].to(self._device) for a in (snippets, geometry))
        if self._mirrored:
            # Both faces in one batch.
            x, g = (torch.cat(pair) for pair in zip((x, g), mirror_inputs(x, g), strict=True))
        with torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda"):
            answers = [network.branches(x, g) for network in self._networks]
        scores = torch.stack([a.class_scores for a in answers])
        if self._know_ends:
            scores = scores * torch.stack([a.quality for a in answers])[..., None].sqrt()
        silent = torch.zeros_like(answers[0].intensity)
        reach = torch.stack([silent[..., None].expand(-1, -1, 2) if a.reach is None else a.reach for a in answers])
        speaking = torch.stack([silent if a.speaking is None else a.speaking for a in answers])
        intensity = torch.stack([a.intensity for a in answers])
        return tuple(part.mean(dim=(0, 1)).cpu().numpy() for part in (intensity, scores, reach, speaking))


def gim_config(checkpoint: Checkpoint) -> GIMSpotterConfig:
    """Sizes of the paper's network in a checkpoint. Raises TypeError for an unknown or missing name."""
    beside = ("min_confidence", "decoding")
    return GIMSpotterConfig.from_dict({k: v for k, v in checkpoint.config.items() if k not in beside})


def _threshold_settings(checkpoint: Checkpoint) -> DecodingSettings:
    settings = DecodingSettings.from_dict(checkpoint.config.get("decoding", {}))
    least = checkpoint.config.get("min_confidence")
    return settings if least is None else replace(settings, min_confidence=tuple(least))


def _settings(decoding: Decoding, own: VotingSettings | DecodingSettings) -> Settings:
    """Of the decoding that is asked for. The authors' differ by data set; those of SAMM-LV are the mildest."""
    return {"own": own, "paper": DecodingSettings.paper(), "authors": SAMM_LV}[decoding]


def _least_of(settings: Settings) -> tuple[float, float]:
    return settings.minimum if isinstance(settings, ReferenceDecoding) else settings.min_confidence


def _shortest_of(settings: Settings) -> int:
    if not isinstance(settings, DecodingSettings):
        return settings.min_ticks
    return min(shortest for shortest, _ in settings.durations)


def _decode(
    curves: Curves,
    segments: Sequence[tuple[int, int]],
    settings: Settings,
    min_confidence: tuple[float, float] | None,
) -> list[Interval]:
    least = _least_of(settings) if min_confidence is None else min_confidence
    if isinstance(settings, VotingSettings):
        score = np.clip(curves.scores.sum(axis=1), 0, 1)
        return vote(score, curves.reach, curves.intensity, segments, replace(settings, min_confidence=least))
    if isinstance(settings, DecodingSettings):
        return decode(curves.intensity, curves.scores, replace(settings, min_confidence=least), segments)
    return decode_reference(curves.intensity, curves.scores, replace(settings, minimum=least), segments)
