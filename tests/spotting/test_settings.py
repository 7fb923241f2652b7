"""Recordings of a laboratory, and the networks that read them."""

from dataclasses import replace

import numpy as np
import pytest
from facespot.models.shipped import MODELS, shipped_weights
from facespot.spotting.settings import setting_of
from facespot.spotting.spotter import Spotter
from simulated import laboratory_clip, swaying


@pytest.fixture(scope="module")
def features():
    return laboratory_clip(7)[0]


def test_a_recording_is_of_a_laboratory_where_the_head_keeps_still(features):
    assert setting_of(features) == "laboratory"
    assert setting_of(swaying(features)) == "anywhere"
    nobody = replace(features, segment=np.full(features.timebase.n_ticks, -1, np.int32))
    assert setting_of(nobody) == "anywhere"
    # It is told by the middle of the speeds, so that a turn now and then makes no difference.
    turned = np.array(features.landmarks)
    turned[100:160, :, 0] += np.linspace(0, 60, 60)[:, None]
    assert setting_of(replace(features, landmarks=turned)) == "laboratory"


def test_recordings_of_a_laboratory_are_read_by_networks_of_their_own(features):
    shipped, laboratory = Spotter.load(device="cpu"), Spotter.load(device="cpu", model="laboratory")
    with shipped_weights("default") as path:
        general = Spotter.load(path, "cpu")
    for video, reader, setting in ((features, laboratory, "laboratory"), (swaying(features), general, "anywhere")):
        assert np.array_equal(shipped.curves(video).scores, reader.curves(video).scores)
        assert shipped.intervals(video)[0] == reader.intervals(video)[0]
        result = shipped.spot(video)
        assert result.provenance["setting"] == setting
        assert result.provenance["model"] == "default"
        assert result.provenance["weights_sha256"] == reader.origin["weights_sha256"]
        assert result.spots == reader.spot(video).spots
    # Who asks for one gets it, whatever the recording.
    assert "setting" not in laboratory.spot(features).provenance
    assert laboratory.spot(swaying(features)).provenance["model"] == "laboratory"


def test_networks_for_a_laboratory_are_loaded_when_they_are_needed(features, monkeypatch):
    loaded = []
    load = Spotter._load.__func__

    def counted(cls, path, *arguments):
        loaded.append(path.name)
        return load(cls, path, *arguments)

    monkeypatch.setattr(Spotter, "_load", classmethod(counted))
    spotter = Spotter.load(device="cpu")
    spotter.curves(swaying(features))
    assert loaded == [MODELS["default"]]
    for _ in range(2):
        spotter.curves(features)
    assert loaded == [MODELS["default"], MODELS["laboratory"]]
