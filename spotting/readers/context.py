"""Reading facespot's own networks: which are in NumPy here, and in torch in `two_branch`. No torch is loaded."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...extract.features import FaceFeatures
from ...extract.mapped import release
from ...extract.motion.geometry import geometry_channels
from ...models.checkpoint import Checkpoint
from ...models.context_arrays import ArrayAnswer, ContextArrays, both_faces, flow_tokens, sigmoid, unpack_arrays
from ..decoding import DecodingSettings
from ..intervals import Interval
from ..voting import VotingSettings
from .base import Curves, Decoding, Reader
from .two_branch_decoding import decode_curves, least_of, settings_of, shortest_of, threshold_settings

if TYPE_CHECKING:
    import torch

    from ...models.context import ContextSpotter

# Ticks that go through the network at once; more changes only the memory needed.
CHUNK_TICKS = 1200


class ContextArraysReader(Reader):
    """An ensemble of `ContextSpotter`s in NumPy. Answers are averaged over it and over the face and its mirror image.

    Unless another decoding is asked for, networks that tell onset and offset let their ticks vote; those that learnt
    from points have never seen an end, and are decoded by thresholds on their intensity.
    """

    def __init__(
        self,
        networks: "Sequence[ContextArrays | ContextSpotter]",
        settings: VotingSettings | DecodingSettings,
        decoding: Decoding = "own",
    ) -> None:
        """settings: of the weights' own decoding."""
        self._networks = list(networks)
        self._know_ends = isinstance(settings, VotingSettings)
        self._settings = settings_of(decoding, settings)
        self.min_confidence = least_of(self._settings)
        self.min_ticks = shortest_of(self._settings)
        self.types_by_length = isinstance(self._settings, VotingSettings)

    @classmethod
    def rebuild(
        cls, checkpoint: Checkpoint, device: "torch.device | None" = None, decoding: Decoding = "own"
    ) -> "ContextArraysReader":
        """From a checkpoint of the kind "context", read as arrays. Raises KeyError, TypeError or ValueError if it does
        not fit."""
        return cls(unpack_arrays(checkpoint.config, checkpoint.state), own_settings(checkpoint), decoding)

    def uncalibrated(self) -> "ContextArraysReader":
        settings = self._settings
        if not isinstance(settings, VotingSettings):
            return self
        other = copy(self)
        other._settings = replace(settings, calibration=None)
        return other

    def curves(self, features: FaceFeatures) -> Curves:
        n = features.timebase.n_ticks
        intensity, scores, reach = np.zeros(n, np.float32), np.zeros((n, 2), np.float32), np.zeros((n, 2), np.float32)
        speaking = np.zeros(n, np.float32)
        segments = features.segments()
        geometry = geometry_channels(features.landmarks, segments)
        for start, stop in segments:
            part = slice(start, stop)
            intensity[part], scores[part], reach[part], speaking[part] = self._segment(
                features.snippets[part], geometry[part]
            )
        tell = all(network.config.speaking for network in self._networks)
        return Curves(intensity, scores, reach, speaking=speaking if tell else None)

    def decode(
        self,
        curves: Curves,
        segments: Sequence[tuple[int, int]],
        min_confidence: tuple[float, float] | None = None,
    ) -> list[Interval]:
        return decode_curves(curves, segments, self._settings, min_confidence)

    def _segment(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        margin = max(network.config.reach_ticks for network in self._networks)
        # Chunks start on even ticks, since the network reads ticks in pairs.
        margin += margin % 2
        parts = []
        for start in range(0, len(snippets), CHUNK_TICKS):
            low, high = max(start - margin, 0), min(start + CHUNK_TICKS + margin, len(snippets))
            keep = slice(start - low, min(start + CHUNK_TICKS, len(snippets)) - low)
            parts.append([part[keep] for part in self._chunk(snippets[low:high], geometry[low:high])])
            release(snippets)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def _chunk(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        # Snippets come from disk as they are needed, in half precision.
        answers = self._answers(*both_faces(snippets, geometry))
        intensity = np.stack([sigmoid(a.intensity) for a in answers])
        scores = np.stack([sigmoid(a.class_scores) for a in answers])
        if self._know_ends:
            scores = scores * np.sqrt(np.stack([sigmoid(a.quality) for a in answers]))[..., None]
        reach = np.stack([a.reach for a in answers])
        silent = np.zeros_like(intensity[0])
        speaking = np.stack([silent if a.speaking is None else sigmoid(a.speaking) for a in answers])
        return tuple(part.mean(axis=(0, 1)) for part in (intensity, scores, reach, speaking))

    def _answers(self, snippets: np.ndarray, geometry: np.ndarray) -> list[ArrayAnswer]:
        """Of every network to a batch (B, T, 17, 10, 2) and (B, T, G), float32."""
        flow = flow_tokens(snippets)
        return [network(flow, geometry) for network in self._networks]


def own_settings(checkpoint: Checkpoint) -> VotingSettings | DecodingSettings:
    """The decoding that a checkpoint of the kind "context" asks for. Raises TypeError for an unknown setting."""
    voting = checkpoint.config.get("voting")
    return threshold_settings(checkpoint) if voting is None else VotingSettings.from_dict(voting)
