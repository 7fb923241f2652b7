"""What extraction makes of the bundled clip, against what it made when `FEATURES_VERSION` was last raised.

Cached and prepared features are used again as long as that number stays, so it must not stay when they change. After a
change that is meant, raise the number and run this file as a program: it stores the new summary.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from facespot.extract.pipeline import extract_features
from facespot.version import FEATURES_VERSION
from places import ROOT

SAMPLE = ROOT / "samples" / "astronaut.mp4"
STORED = Path(__file__).with_name("sample_features.json")
BLOCKS = 15  # stretches of the clip that are summed up apart
# Processors round differently, by far less than these. Another flow or alignment moves the summary ten times as far.
FLOW_TOLERANCE = 5e-4  # inter-ocular distances
LANDMARK_TOLERANCE = 0.05  # pixels


def summary(features):
    """A few numbers that follow every part of the features: motion by time and by step, where the face is, segments."""
    flow = features.snippets.astype(np.float64)
    blocks = [np.sqrt((block**2).mean((0, 1))).ravel() for block in np.array_split(flow, BLOCKS)]
    places = [block.astype(np.float64).mean((0, 1)) for block in np.array_split(features.landmarks, BLOCKS)]
    return {
        "ticks": features.timebase.n_ticks,
        "segments": [list(bounds) for bounds in features.segments()],
        "flow_by_time": np.round(blocks, 5).tolist(),
        "flow_by_step": np.round(np.sqrt((flow**2).mean((0, 2))), 5).tolist(),
        "landmarks": np.round(places, 3).tolist(),
    }


def is_same(a, b):
    def difference(name):
        return np.abs(np.array(a[name]) - np.array(b[name])).max()

    return (
        (a["ticks"], a["segments"]) == (b["ticks"], b["segments"])
        and max(difference("flow_by_time"), difference("flow_by_step")) < FLOW_TOLERANCE
        and difference("landmarks") < LANDMARK_TOLERANCE
    )


@pytest.fixture(scope="module")
def features():
    return extract_features(SAMPLE)


def test_the_features_of_a_version_stay_the_same(features):
    stored = json.loads(STORED.read_text())
    assert stored["features_version"] == FEATURES_VERSION, "FEATURES_VERSION was raised: store the summary anew"
    message = "the features changed: raise FEATURES_VERSION in version.py and store the summary anew"
    assert is_same(summary(features), stored), message


@pytest.mark.parametrize(
    "change",
    [
        lambda f: replace(f, snippets=f.snippets * np.float16(1.03)),
        lambda f: replace(f, snippets=f.snippets[:, :, :, ::-1]),
        lambda f: replace(f, snippets=np.roll(f.snippets, 1, axis=1)),
        lambda f: replace(f, snippets=np.roll(f.snippets, 3, axis=0)),
        lambda f: replace(f, landmarks=f.landmarks + np.float32(0.1)),
        lambda f: replace(f, segment=np.where(np.arange(len(f.segment)) < 200, f.segment, f.segment + 1)),
    ],
    ids=["size", "axes", "steps", "ticks", "landmarks", "segments"],
)
def test_the_summary_tells_other_features(features, change):
    assert not is_same(summary(change(features)), summary(features))


def test_the_summary_forgives_what_processors_differ_by(features):
    noise = np.random.default_rng(3).normal(0, 3e-4, features.snippets.shape)
    rounded = replace(features, snippets=features.snippets + noise, landmarks=features.landmarks + np.float32(0.02))
    assert is_same(summary(rounded), summary(features))


if __name__ == "__main__":
    STORED.write_text(json.dumps({"features_version": FEATURES_VERSION, **summary(extract_features(SAMPLE))}) + "\n")
