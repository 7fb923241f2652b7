"""How the curves of a network with an intensity and a class branch become intervals, by any of the decodings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...models.checkpoint import Checkpoint
from ..decoding import DecodingSettings, decode
from ..intervals import Interval
from ..voting import VotingSettings, vote
from .authors_decoding import SAMM_LV, ReferenceDecoding, decode_reference
from .base import Curves, Decoding

Settings = VotingSettings | DecodingSettings | ReferenceDecoding


def threshold_settings(checkpoint: Checkpoint) -> DecodingSettings:
    """The decoding by thresholds that a checkpoint asks for. Raises TypeError for an unknown setting."""
    settings = DecodingSettings.from_dict(checkpoint.config.get("decoding", {}))
    least = checkpoint.config.get("min_confidence")
    return settings if least is None else replace(settings, min_confidence=tuple(least))


def context_settings(checkpoint: Checkpoint) -> VotingSettings | DecodingSettings:
    """Of a checkpoint of the kind "context": votes, if it says how. Raises TypeError for an unknown setting."""
    voting = checkpoint.config.get("voting")
    return threshold_settings(checkpoint) if voting is None else VotingSettings.from_dict(voting)


def settings_of(decoding: Decoding, own: VotingSettings | DecodingSettings) -> Settings:
    """Of the decoding that is asked for. The authors' differ by data set; those of SAMM-LV are the mildest."""
    return {"own": own, "paper": DecodingSettings.paper(), "authors": SAMM_LV}[decoding]


def least_of(settings: Settings) -> tuple[float, float]:
    """The least confidences of macro and micro."""
    return settings.minimum if isinstance(settings, ReferenceDecoding) else settings.min_confidence


def shortest_of(settings: Settings) -> int:
    """Ticks of the shortest interval that is reported."""
    if not isinstance(settings, DecodingSettings):
        return settings.min_ticks
    return min(shortest for shortest, _ in settings.durations)


def decode_curves(
    curves: Curves,
    segments: Sequence[tuple[int, int]],
    settings: Settings,
    min_confidence: tuple[float, float] | None,
) -> list[Interval]:
    """The expressions on the clock. segments, min_confidence: as in `Reader.decode`."""
    least = least_of(settings) if min_confidence is None else min_confidence
    if isinstance(settings, VotingSettings):
        score = np.clip(curves.scores.sum(axis=1), 0, 1)
        return vote(score, curves.reach, curves.intensity, segments, replace(settings, min_confidence=least))
    if isinstance(settings, DecodingSettings):
        return decode(curves.intensity, curves.scores, replace(settings, min_confidence=least), segments)
    return decode_reference(curves.intensity, curves.scores, replace(settings, minimum=least), segments)
