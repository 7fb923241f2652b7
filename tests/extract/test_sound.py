"""The sound track on the clock of the pictures: offsets, gaps, formats, damage, and recordings without one."""

import numpy as np
import pytest
from facespot.errors import NotAVideoError, VideoNotFoundError
from facespot.extract import sound as module
from facespot.extract.sound import SOUND_HZ, SoundTrack, has_sound
from media import noise, truncate, write_images, write_video
from speech_like import add_sound, click, tone

SECONDS = 2.0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("pictures") / "silent.mp4", noise(60), options={"preset": "ultrafast"})


def whole(path, seconds=SECONDS):
    """All of the sound as one signal, and how much of it lies in blocks."""
    signal, told, end = np.zeros(round(seconds * SOUND_HZ), np.float32), 0, 0
    for block in SoundTrack(path).blocks(seconds):
        assert block.start >= end
        assert block.samples.dtype == np.float32
        end = block.start + len(block.samples)
        signal[block.start : end] = block.samples
        told += len(block.samples)
    return signal, told


def clicked_at(path, seconds=SECONDS):
    signal, _ = whole(path, seconds)
    return float(np.argmax(np.abs(signal)) / SOUND_HZ)


def test_pictures_alone_have_no_sound(pictures, tmp_path):
    assert not has_sound(pictures)
    assert list(SoundTrack(pictures).blocks(SECONDS)) == []
    assert not has_sound(write_images(tmp_path / "images", noise(3)))


@pytest.mark.parametrize(
    ("codec", "rate", "layout", "ending"),
    [
        ("pcm_s16le", 16000, "mono", "mkv"),
        ("pcm_s16le", 48000, "stereo", "mov"),
        ("aac", 48000, "stereo", "mp4"),
        ("libopus", 48000, "mono", "webm.mkv"),
    ],
)
@pytest.mark.parametrize("starts_s", [0.0, 0.4])
def test_a_click_is_heard_when_it_was_made(pictures, tmp_path, codec, rate, layout, ending, starts_s):
    sound = click(1.5, at_s=0.9)
    path = add_sound(
        pictures, tmp_path / f"clip.{ending}", sound, starts_s=starts_s, codec=codec, rate=rate, layout=layout
    )
    assert has_sound(path)
    assert clicked_at(path) == pytest.approx(0.9 + starts_s, abs=0.012)


def test_the_first_picture_is_moment_zero_also_where_the_sound_began_before_it(tmp_path):
    late = write_video(tmp_path / "late.mp4", noise(30), times=0.7 + np.arange(30) / 30)
    path = add_sound(late, tmp_path / "clip.mkv", click(1.5, at_s=1.0))
    assert clicked_at(path, 1.0) == pytest.approx(0.3, abs=0.005)
    first = next(iter(SoundTrack(path).blocks(1.0)))
    assert first.start == 0


def test_a_gap_in_the_sound_is_not_closed(pictures, tmp_path):
    sound = click(1.8, at_s=1.5)
    path = add_sound(pictures, tmp_path / "clip.mkv", sound, gaps=[(0.4, 1.0)])
    assert clicked_at(path) == pytest.approx(1.5, abs=0.005)
    _, told = whole(path)
    assert told / SOUND_HZ == pytest.approx(1.8 - 0.6, abs=0.13)  # whole packets are missing


def test_nothing_is_told_past_the_end_that_is_asked_for(pictures, tmp_path):
    path = add_sound(pictures, tmp_path / "clip.mkv", tone(2.0))
    signal, told = whole(path, 0.5)
    assert told == len(signal) == 8000
    assert np.abs(signal).max() == pytest.approx(0.3, abs=0.01)


def test_blocks_are_short_and_are_made_one_by_one(pictures, tmp_path):
    path = add_sound(pictures, tmp_path / "clip.mkv", tone(2.0))
    sizes = [len(block.samples) for block in SoundTrack(path).blocks(SECONDS)]
    assert sum(sizes) == 2 * SOUND_HZ
    assert max(sizes) <= 1024


def test_stereo_is_mixed_and_other_rates_are_resampled(pictures, tmp_path):
    path = add_sound(pictures, tmp_path / "clip.mov", tone(2.0), rate=48000, layout="stereo")
    signal, _ = whole(path)
    spectrum = np.abs(np.fft.rfft(signal[4000:28000]))
    assert np.argmax(spectrum) * SOUND_HZ / 24000 == pytest.approx(440, abs=1)


def test_what_cannot_be_decoded_is_noted_and_the_rest_heard(pictures, tmp_path, monkeypatch):
    path = add_sound(pictures, tmp_path / "clip.mp4", tone(2.0), codec="aac", rate=48000)
    import av

    real = av.open

    class Failing:
        """A packet of the middle of the track whose decoding fails."""

        def __init__(self, packet):
            self.packet = packet

        def decode(self):
            raise av.InvalidDataError(1094995529, "Invalid data found")

    class Container:
        def __init__(self, container):
            self.container, self.streams, self.format = container, container.streams, container.format

        def demux(self, stream):
            for i, packet in enumerate(self.container.demux(stream)):
                yield Failing(packet) if 30 <= i < 50 else packet

        def __enter__(self):
            return self

        def __exit__(self, *exc_info):
            self.container.close()

    monkeypatch.setattr(module, "open_container", lambda path: Container(real(str(path))))
    track = SoundTrack(path)
    told = sum(len(block.samples) for block in track.blocks(SECONDS))
    assert "could not be decoded in part" in track.damage
    assert told / SOUND_HZ == pytest.approx(2.0 - 20 * 1024 / 48000, abs=0.06)


def test_a_file_that_is_cut_off_gives_what_there_is(pictures, tmp_path):
    path = truncate(add_sound(pictures, tmp_path / "clip.mkv", tone(2.0)), 0.6)
    _, told = whole(path)
    assert 0 < told < 2 * SOUND_HZ


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(VideoNotFoundError):
        has_sound(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_bytes(b"no video at all")
    with pytest.raises(NotAVideoError):
        has_sound(tmp_path / "text.mp4")
