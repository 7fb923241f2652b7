"""The benchmark of decoding, and what the page about it says of FFmpeg's ways to save."""

import av
import facespot.benchmarks.decoding as decoding
import numpy as np
import pytest


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    # As a rate of the real sizes: a few kilobytes of a few small pictures.
    assert 0.01 < decoding.write_sized(path, (160, 96), 12) < 2
    return path


def test_every_picture_is_decoded_and_costs_something(clip):
    assert decoding.read(clip) == 12
    assert decoding.cost(lambda: decoding.read(clip), 1) > 0
    assert decoding.conversion(clip, 1) > 0


def test_h264_is_not_decoded_smaller(clip):
    whole = list(decoding.decoded(clip))
    assert [picture.shape for picture in whole] == [(96, 160)] * 12
    try:
        smaller = list(decoding.decoded(clip, lowres="1"))
    except av.FFmpegError:
        return  # refused, which says the same
    assert [picture.shape for picture in smaller] == [(96, 160)] * 12


def test_without_deblocking_the_pixels_are_others(clip):
    pairs = zip(decoding.decoded(clip), decoding.decoded(clip, skip_loop_filter="all"), strict=True)
    assert np.mean([np.abs(a.astype(int) - b).mean() for a, b in pairs]) > 0.1
