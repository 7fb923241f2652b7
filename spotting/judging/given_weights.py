"""Judging weights on an annotated data set: spot every video with features and count over all of them."""

from collections.abc import Callable
from dataclasses import dataclass

from ..spotter import Spotter
from .annotated_set import AnnotatedSet
from .folds import Decoding, Found, spot_features


@dataclass(frozen=True)
class GivenWeights:
    """Intervals by video, of the weights' own decoding and, if one was given, of another."""

    found: Found
    decoded_otherwise: Found


def spot_set(
    spotter: Spotter,
    data: AnnotatedSet,
    other_decoding: Decoding | None = None,
    progress: Callable[[str], None] | None = None,
) -> GivenWeights:
    """The expressions that weights find in every annotated video with features. progress: told each video."""
    answers = GivenWeights({}, {})
    for video in sorted(data.videos):
        features = data.load(video)
        answers.found[video] = spot_features(spotter, features)
        if other_decoding is not None:
            answers.decoded_otherwise[video] = spot_features(spotter, features, other_decoding)
        if progress is not None:
            progress(video)
    return answers
