"""Why a moment is not reported: every verdict, from networks that are stood in for and from the shipped ones."""

import numpy as np
import pytest
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import Timebase
from facespot.spotting.readers.base import Curves, Reader
from facespot.spotting.spotter import Spotter
from facespot.spotting.voting import VotingSettings, vote
from facespot.spotting.why_not import why_not
from simulated import features_of, film, laboratory_clip

N = 300
# Onset, offset and height of what the curves show.
STRONG, WEAK, BRIEF = (60, 90, 0.95), (150, 175, 0.35), (220, 222, 0.9)


class Told(Reader):
    """Curves made to measure, decoded by votes."""

    min_confidence = (0.5, 0.6)
    min_ticks = 4

    def __init__(self, tells_reach=True):
        self.tells_reach = tells_reach

    @classmethod
    def rebuild(cls, checkpoint, device, decoding="own"):
        return cls()

    def curves(self, features):
        scores, reach = np.zeros((N, 2), np.float32), np.full((N, 2), 1.0, np.float32)
        for onset, offset, height in (STRONG, WEAK, BRIEF):
            ticks = np.arange(onset, offset + 1)
            scores[ticks, 0] = height
            reach[ticks] = np.stack([ticks - onset, offset - ticks], axis=1)
        # On its way out the strong one leaves a trace that points back into it.
        scores[91:95, 0] = 0.4
        reach[91:95] = np.stack([np.arange(91, 95) - 60, np.zeros(4)], axis=1)
        return Curves(scores[:, 0].copy(), scores, reach if self.tells_reach else None)

    def decode(self, curves, segments, min_confidence=None):
        least = self.min_confidence if min_confidence is None else np.broadcast_to(min_confidence, 2)
        settings = VotingSettings(min_confidence=tuple(least), min_ticks=self.min_ticks)
        reach = Told().curves(None).reach if curves.reach is None else curves.reach
        return vote(curves.scores[:, 0], reach, curves.intensity, segments, settings)


@pytest.fixture(scope="module")
def features():
    _, seen = film(N, 0)
    segment = np.zeros(N, np.int32)
    segment[250:260], segment[260:] = -1, 1
    made = features_of(seen, segment)
    report = {"face_report": {"lost": {"not seen": 10}}}
    return FaceFeatures(made.snippets, made.landmarks, segment, Timebase(np.arange(N) / 30.0), report)


@pytest.fixture
def spotter():
    return Spotter(Told(), {})


def test_what_is_reported_is_said_to_be(spotter, features):
    account = why_not(spotter, features, 75 / 30)
    assert account.verdict == "reported"
    assert (account.spot.onset_frame, account.spot.offset_frame) == (60, 90)
    assert account.intensity == pytest.approx(0.95)
    assert account.spot.explanation is not None


def test_a_type_that_was_not_asked_for(spotter, features):
    account = why_not(spotter, features, 75 / 30, types=["micro"])
    assert account.verdict == "other type"
    assert "only micro is asked for" in account.text


def test_a_candidate_below_the_confidence_says_what_is_needed(spotter, features):
    account = why_not(spotter, features, 160 / 30)
    assert account.verdict == "low confidence"
    assert account.spot.confidence == pytest.approx(0.35)
    assert account.needed == 0.5
    assert why_not(spotter, features, 160 / 30, min_confidence=0.3).verdict == "reported"


def test_what_was_counted_to_a_neighbour(spotter, features):
    account = why_not(spotter, features, 92 / 30)
    assert account.verdict == "part of another"
    assert account.spot.onset_frame == 60


@pytest.mark.parametrize("tells_reach", [True, False])
def test_what_is_too_short(features, tells_reach):
    account = why_not(Spotter(Told(tells_reach), {}), features, 221 / 30)
    assert account.verdict == "too short"
    assert "0.10 s" in account.text
    assert "0.13 s" in account.text


def test_without_a_face_the_gap_is_named(spotter, features):
    account = why_not(spotter, features, 255 / 30)
    assert account.verdict == "no face"
    assert "from 8.33 to 8.67 s" in account.text
    assert "10 frames not seen" in account.text


def test_a_face_at_rest(spotter, features):
    account = why_not(spotter, features, 120 / 30)
    assert account.verdict == "nothing"
    assert account.spot is None
    assert account.peak > account.intensity
    assert account.peak_s == pytest.approx(3.0)


def test_moments_outside_the_video_are_refused(spotter, features):
    for seconds in (-0.1, 10.1):
        with pytest.raises(ValueError, match=r"lasts 10\.00 s"):
            why_not(spotter, features, seconds)


def test_the_shipped_weights_account_for_every_moment():
    spotter = Spotter.load(device="cpu")
    features, truth = laboratory_clip(6)
    result = spotter.spot(features)
    assert len(result.spots) >= 1
    assert len(truth) >= 1
    covered = np.zeros(features.timebase.n_ticks, bool)
    for spot in result.spots:
        covered[spot.onset_frame : spot.offset_frame + 1] = True
    for tick in range(0, len(covered), 60):
        account = why_not(spotter, features, tick / 30)
        assert (account.verdict == "reported") == covered[tick]
    strict = why_not(spotter, features, result.spots[0].apex_s, min_confidence=1.0)
    assert strict.verdict == "low confidence"
    assert strict.spot.type == result.spots[0].type
    assert strict.needed == 1.0
