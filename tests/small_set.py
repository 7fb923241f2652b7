"""A small simulated data set with its features, for tests of learning and judging; it trains in seconds."""

from functools import cache

import numpy as np
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import Timebase
from facespot.models.context import ContextConfig
from facespot.models.spotformer import SpotFormerConfig
from facespot.spotting.datasets.records import make_records
from facespot.spotting.learning.pseudo_labels import PseudoLabelSettings
from facespot.spotting.learning.recipes import PointRecipe
from facespot.spotting.simulation.anatomy import draw_person
from facespot.spotting.simulation.sensor import observe
from facespot.spotting.simulation.timeline import perform

TICKS = 240
# All three stages in as many epochs.
STAGES = PseudoLabelSettings(stage_epochs=(1, 1), threshold_epochs=4)
ENCODER = SpotFormerConfig(dim=8, heads=1, dim_head=8, mlp_dim=8)
CONTEXT = ContextConfig(width=8, dilations=(1, 2, 4))


def tiny(network="journal", epochs=3, **options):
    """A recipe that goes through all stages in under a second."""
    sizes = {"window": 96, "batch": 4, "rate": 3e-3, "encoder": ENCODER, "context": CONTEXT, "labels": STAGES}
    return PointRecipe(network=network, epochs=epochs, **sizes | options)


@cache
def clip(seed):
    """Features and events of one clip."""
    rng = np.random.default_rng(seed)
    person = draw_person(rng)
    performance = perform(person, TICKS, rng, busy=0.4, speech=0.0)
    seen = observe(person, performance, rng)
    features = FaceFeatures(seen.snippets, seen.landmarks, np.zeros(TICKS, np.int32), Timebase(np.arange(TICKS) / 30.0))
    return features, performance.events


def small_records(subjects=3, videos=1):
    """A table of records of the clips, 30 frames per second, as a reader of annotations gives it."""
    rows = []
    for subject in range(subjects):
        for video in range(videos):
            for e in clip(10 * subject + video)[1]:
                name = f"p{subject}/v{video}"
                rows.append(("own", f"p{subject}", name, e.onset, e.apex, e.offset, e.type, (), 30.0))
    keys = ("dataset", "subject", "video", "onset", "apex", "offset", "type", "aus", "fps")
    return make_records(dict(zip(keys, row, strict=True)) for row in rows)


def store_features(folder, subjects=3, videos=1):
    """The clips as a folder that `spot prepare` could have made."""
    from facespot.extract.cache import CacheKey, FeatureCache
    from facespot.spotting.datasets.prepared import PreparedSet, PreparedVideo, write_index

    cache, lines = FeatureCache(folder), []
    for subject in range(subjects):
        for video in range(videos):
            key = CacheKey(f"p{subject}v{video}", f"{subject:04d}{video:04d}" * 5, {}, {})
            cache.store(key, clip(10 * subject + video)[0])
            lines.append(PreparedVideo("own", f"p{subject}", f"p{subject}/v{video}", key.entry_name, TICKS, 1.0))
    write_index(folder, lines)
    return PreparedSet(folder)
