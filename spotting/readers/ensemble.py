"""`EnsembleReader`: what every reader of two-branch networks does, whatever its networks are written in."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ...extract.features import FaceFeatures
from ...extract.mapped import release
from ...extract.motion.geometry import geometry_channels
from ...models.context_arrays import both_faces
from ..decoding import DecodingSettings
from ..intervals import Interval
from ..voting import VotingSettings
from .base import Curves, Decoding, Reader
from .two_branch_decoding import decode_curves, least_of, settings_of, shortest_of

# Ticks that go through the network at once; more changes only the memory needed.
CHUNK_TICKS = 1200


class Network(Protocol):
    """What is asked of a network before it is run: see `models.gim.TwoBranchNetwork`."""

    @property
    def reach_ticks(self) -> int: ...
    @property
    def reads_geometry(self) -> bool: ...
    @property
    def tells_boundaries(self) -> bool: ...
    @property
    def tells_speaking(self) -> bool: ...


class Answer(NamedTuple):
    """Of one network to a batch: intensity (B, T), class scores (B, T, 2), reach (B, T, 2) in ticks, quality (B, T) and
    speaking (B, T); all but reach in 0..1, None for what it does not tell."""

    intensity: np.ndarray
    class_scores: np.ndarray
    reach: np.ndarray | None
    quality: np.ndarray | None
    speaking: np.ndarray | None


class EnsembleReader(Reader):
    """Two-branch networks, one or several, whose answers are averaged; with `mirrored` also over the face and its
    mirror image.

    Which decoding is their own follows from their heads: those that tell onset and offset let their ticks vote; the
    others, and those whose boundary heads learnt from points and have never seen an end, are decoded by thresholds on
    their intensity, contrast and suppression.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        settings: VotingSettings | DecodingSettings,
        decoding: Decoding = "own",
        mirrored: bool = True,
    ) -> None:
        """settings: of the weights' own decoding."""
        # Chunks start on even ticks, since our network reads ticks in pairs.
        self._margin = 2 * ((max(network.reach_ticks for network in networks) + 1) // 2)
        self._looks = any(network.reads_geometry for network in networks)
        self._bounded = all(network.tells_boundaries for network in networks)
        self._tells_speaking = all(network.tells_speaking for network in networks)
        self._mirrored = mirrored
        self._know_ends = isinstance(settings, VotingSettings)
        self._settings = settings_of(decoding, settings)
        self.min_confidence = least_of(self._settings)
        self.min_ticks = shortest_of(self._settings)
        self.types_by_length = isinstance(self._settings, VotingSettings)

    @abstractmethod
    def _answers(self, snippets: np.ndarray, geometry: np.ndarray) -> list[Answer]:
        """Of every network to a batch (B, T, 17, 10, 2) and (B, T, G), float32."""

    def micro_probability(self, n_ticks: int) -> float | None:
        return self._settings.micro_probability(n_ticks) if isinstance(self._settings, VotingSettings) else None

    def curves(self, features: FaceFeatures) -> Curves:
        n = features.timebase.n_ticks
        intensity, scores, reach = np.zeros(n, np.float32), np.zeros((n, 2), np.float32), np.zeros((n, 2), np.float32)
        speaking = np.zeros(n, np.float32)
        segments = features.segments()
        # Features of the authors' release come without landmarks.
        geometry = geometry_channels(features.landmarks, segments) if self._looks else np.zeros((n, 1), np.float32)
        for start, stop in segments:
            part = slice(start, stop)
            intensity[part], scores[part], reach[part], speaking[part] = self._segment(
                features.snippets[part], geometry[part]
            )
        return Curves(
            intensity,
            scores,
            reach if self._bounded else None,
            speaking=speaking if self._tells_speaking else None,
        )

    def decode(
        self,
        curves: Curves,
        segments: Sequence[tuple[int, int]],
        min_confidence: tuple[float, float] | None = None,
    ) -> list[Interval]:
        return decode_curves(curves, segments, self._settings, min_confidence)

    def _segment(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        parts = []
        for start in range(0, len(snippets), CHUNK_TICKS):
            low, high = max(start - self._margin, 0), min(start + CHUNK_TICKS + self._margin, len(snippets))
            keep = slice(start - low, min(start + CHUNK_TICKS, len(snippets)) - low)
            parts.append([part[keep] for part in self._chunk(snippets[low:high], geometry[low:high])])
            release(snippets)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def _chunk(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        # Snippets come from disk as they are needed, in half precision.
        if self._mirrored:
            x, g = both_faces(snippets, geometry)
        else:
            x, g = (np.array(part, np.float32)[None] for part in (snippets, geometry))
        answers = self._answers(x, g)
        scores = np.stack([a.class_scores for a in answers])
        silent = np.zeros_like(answers[0].intensity)
        if self._know_ends:
            quality = np.stack([silent if a.quality is None else a.quality for a in answers])
            scores = scores * np.sqrt(quality)[..., None]
        nowhere = np.zeros_like(answers[0].class_scores)
        reach = np.stack([nowhere if a.reach is None else a.reach for a in answers])
        speaking = np.stack([silent if a.speaking is None else a.speaking for a in answers])
        intensity = np.stack([a.intensity for a in answers])
        return tuple(part.mean(axis=(0, 1)) for part in (intensity, scores, reach, speaking))
