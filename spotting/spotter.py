"""`Spotter`: weights in, intervals out; and `spot`, the whole way from a file."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import __version__
from ..errors import WeightsError
from ..extract.features import FaceFeatures
from ..extract.geometry import geometry_channels
from ..extract.mapped import release
from ..models.checkpoint import Checkpoint, load_checkpoint
from ..models.context import ContextSpotter, mirror_inputs, unpack_ensemble
from ..models.gim import GIMSpotter, GIMSpotterConfig
from .decoding import DecodingSettings, decode
from .device import resolve_device
from .intervals import ExpressionType, Interval
from .result import SpotResult
from .voting import VotingSettings, vote

if TYPE_CHECKING:
    from ..extract.cache import FeatureCache

DEFAULT_WEIGHTS = "facespot.safetensors"
# Ticks that go through the network at once; more changes only the memory needed.
CHUNK_TICKS = 1200


@dataclass(frozen=True, eq=False)
class Curves:
    """What a network says of each tick: intensity (N,) and scores (N, 2: macro, micro) in 0..1; reach (N, 2) ticks to
    onset and offset and speaking (N,) in 0..1, None from networks that do not tell."""

    intensity: np.ndarray
    scores: np.ndarray
    reach: np.ndarray | None
    speaking: np.ndarray | None = None


class Spotter:
    """Finds the expressions in the features of one video. Make one with `Spotter.load` and use it for many videos."""

    def __init__(
        self,
        networks: Sequence[torch.nn.Module],
        settings: VotingSettings | DecodingSettings,
        device: torch.device,
        origin: dict[str, Any],
    ):
        self._networks = [network.to(device).eval() for network in networks]
        self._settings = settings
        self._device = device
        self._origin = origin

    @classmethod
    def load(cls, weights: str | os.PathLike[str] | None = None, device: str = "auto") -> "Spotter":
        """The shipped weights, or those of a checkpoint file.

        device: auto, cpu, cuda, cuda:N or mps; FacespotError if it is not there. Raises WeightsError if the file is
        missing, damaged, of another format version or of an architecture that does not spot or cannot be rebuilt.
        """
        place = resolve_device(device)
        if weights is not None:
            return cls._from(load_checkpoint(weights, device=place), place, Path(weights).name)
        with as_file(files("facespot.weights") / DEFAULT_WEIGHTS) as path:
            return cls._from(load_checkpoint(path, device=place), place, DEFAULT_WEIGHTS)

    @classmethod
    def _from(cls, checkpoint: Checkpoint, device: torch.device, name: str) -> "Spotter":
        origin = {"weights": name, "weights_sha256": checkpoint.digest, "architecture": checkpoint.kind}
        if checkpoint.kind == "auw-gcn":
            from .auw_spotter import AuwSpotter  # a kind of Spotter itself

            return AuwSpotter.rebuild(checkpoint, device, origin)
        if checkpoint.kind not in ("context", "gim"):
            raise WeightsError(f"{name}: holds a {checkpoint.kind!r} model, which does not spot by itself")
        try:
            networks, settings = _rebuild(checkpoint)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"{name}: this version of facespot cannot rebuild its network; train it again"
            ) from error
        return cls(networks, settings, device, origin)

    def curves(self, features: FaceFeatures) -> Curves:
        """The networks' answers, averaged over the ensemble and over the face and its mirror image; zero outside the
        segments."""
        n = features.timebase.n_ticks
        intensity, scores, reach = np.zeros(n, np.float32), np.zeros((n, 2), np.float32), np.zeros((n, 2), np.float32)
        speaking = np.zeros(n, np.float32)
        geometry = geometry_channels(features.landmarks, features.segments())
        context = isinstance(self._networks[0], ContextSpotter)
        for start, stop in features.segments():
            snippets = features.snippets[start:stop]
            answer = self._context if context else self._plain
            part = slice(start, stop)
            intensity[part], scores[part], reach[part], speaking[part] = answer(snippets, geometry[part])
        tells = context and all(network.config.speaking for network in self._networks)
        return Curves(intensity, scores, reach if context else None, speaking if tells else None)

    def _context(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        margin = max(network.reach_ticks for network in self._networks)
        # Chunks start on even ticks, since the network reads ticks in pairs.
        margin += margin % 2
        parts = []
        for start in range(0, len(snippets), CHUNK_TICKS):
            low, high = max(start - margin, 0), min(start + CHUNK_TICKS + margin, len(snippets))
            keep = slice(start - low, min(start + CHUNK_TICKS, len(snippets)) - low)
            parts.append([part[keep] for part in self._context_chunk(snippets[low:high], geometry[low:high])])
            release(snippets)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    @torch.inference_mode()
    def _context_chunk(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        # Snippets come from disk as they are needed, in half precision.
        x, g = (torch.from_numpy(np.array(a, np.float32))[None].to(self._device) for a in (snippets, geometry))
        # Both faces in one batch.
        x, g = (torch.cat(pair) for pair in zip((x, g), mirror_inputs(x, g), strict=True))
        with torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda"):
            answers = [network(x, g) for network in self._networks]
        intensity = torch.stack([torch.sigmoid(a.intensity.float()) for a in answers])
        scores = torch.stack([torch.sigmoid(a.class_scores.float()) for a in answers])
        if isinstance(self._settings, VotingSettings):
            scores = scores * torch.stack([torch.sigmoid(a.quality.float()) for a in answers])[..., None].sqrt()
        reach = torch.stack([a.reach.float() for a in answers])
        silent = torch.zeros_like(intensity[0])
        speaking = torch.stack([silent if a.speaking is None else torch.sigmoid(a.speaking.float()) for a in answers])
        return tuple(part.mean(dim=(0, 1)).cpu().numpy() for part in (intensity, scores, reach, speaking))

    @torch.inference_mode()
    def _plain(self, snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, ...]:
        output = self._networks[0](torch.from_numpy(np.array(snippets, np.float32))[None].to(self._device))
        return (
            output.intensity[0].cpu().numpy(),
            output.class_scores[0].cpu().numpy(),
            np.zeros((len(snippets), 2), np.float32),
            np.zeros(len(snippets), np.float32),
        )

    def intervals(self, features: FaceFeatures, min_confidence: float | None = None) -> tuple[list[Interval], Curves]:
        """The expressions on the clock, and the curves they come from. min_confidence: of both types, instead of the
        weights' own."""
        curves = self.curves(features)
        if isinstance(self._settings, VotingSettings):
            settings = self._settings
            if min_confidence is not None:
                settings = replace(settings, min_confidence=(min_confidence, min_confidence))
            score = np.clip(curves.scores.sum(axis=1), 0, 1)
            return vote(score, curves.reach, curves.intensity, features.segments(), settings), curves
        found = decode(curves.intensity, curves.scores, self._settings, features.segments())
        return [i for i in found if i.confidence >= (min_confidence or 0.0)], curves

    def uncalibrated(self) -> "Spotter":
        """The same whose confidences are the votes as they are, to calibrate them by; itself if it does not vote."""
        if not isinstance(self._settings, VotingSettings):
            return self
        return Spotter(self._networks, replace(self._settings, calibration=None), self._device, self._origin)

    def spot(
        self,
        features: FaceFeatures,
        *,
        min_confidence: float | None = None,
        types: Sequence[ExpressionType] | None = None,
    ) -> SpotResult:
        """The expressions of one video in seconds and in its own frames. types: only these."""
        found, curves = self.intervals(features, min_confidence)
        source = features.provenance
        return SpotResult(
            video=str(source.get("source", {}).get("path", "")),
            spots=tuple(i.on(features.timebase) for i in found if types is None or i.type in types),
            intensity=curves.intensity,
            segment=np.asarray(features.segment),
            timebase=features.timebase,
            coverage=features.coverage,
            warnings=tuple(source.get("warnings", ())),
            provenance={
                "facespot": __version__,
                **self._origin,
                "min_confidence": min_confidence,
                "extraction": source,
            },
            speaking=curves.speaking,
        )


def _rebuild(checkpoint: Checkpoint) -> tuple[list[torch.nn.Module], VotingSettings | DecodingSettings]:
    """The networks of a checkpoint and how their answers are decoded."""
    least = checkpoint.config.get("min_confidence")
    cut = DecodingSettings() if least is None else DecodingSettings(min_confidence=tuple(least))
    if checkpoint.kind == "gim":
        plain = GIMSpotter(gim_config(checkpoint))
        plain.load_state_dict(checkpoint.state)
        return [plain], cut
    networks = unpack_ensemble(checkpoint.config, checkpoint.state)
    # Networks that learnt from points have never seen an onset or offset, so their ticks cannot vote for one.
    voting = checkpoint.config.get("voting")
    if voting is None:
        return networks, cut
    return networks, VotingSettings.from_dict(voting)


def gim_config(checkpoint: Checkpoint) -> GIMSpotterConfig:
    """Sizes of the paper's network in a checkpoint. Raises TypeError for an unknown or missing name."""
    return GIMSpotterConfig.from_dict({k: v for k, v in checkpoint.config.items() if k != "min_confidence"})


def spot(
    path: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    min_confidence: float | None = None,
    types: Sequence[ExpressionType] | None = None,
    face: str | int = "longest",
    fps: float | None = None,
    cache: "FeatureCache | str | os.PathLike[str] | None" = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> SpotResult:
    """The expressions in one recording, from the file to the intervals.

    Arguments, and what is raised, as in `Spotter.load`, `Spotter.spot` and `extract_features`.
    """
    from ..extract.options import ExtractOptions
    from ..extract.pipeline import extract_features

    spotter = Spotter.load(weights, device)
    features = extract_features(path, ExtractOptions(face=face), fps=fps, cache=cache, progress=progress)
    return spotter.spot(features, min_confidence=min_confidence, types=types)
