"""One person filmed from near and far, with hard cuts between: one face, followed through all of it in one reading."""

import cv2
import media
import numpy as np
import pytest
from facespot.extract import pipeline
from facespot.extract.live import live_features
from facespot.extract.options import ExtractOptions
from facespot.extract.pipeline import extract_features
from facespot.extract.reading.live import open_live
from places import SHARED
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut

FPS = 12
HEIGHT, WIDTH = 360, 480
PORTRAIT = SHARED / "faces" / "painting_s9.jpg"


def shot(head, left, top, size, seconds, seed, gamma=1.0):
    """Pictures of a head at one place before a background of its own, trembling so that no two are alike."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH, 3)), (25, 25, 0))
    canvas = np.clip(110 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
    small = cv2.resize(head, (size, size), interpolation=cv2.INTER_AREA)
    small = (255 * (small / 255) ** gamma).astype(np.uint8)
    for i in range(round(seconds * FPS)):
        picture = canvas.copy()
        x = left + i % 2
        picture[top : top + size, x : x + size] = small
        yield picture


def head():
    return np.ascontiguousarray(astronaut()[0:260, 95:355])


def wide(seconds, seed=0, whose=None):
    return shot(head() if whose is None else whose, 40, 90, 180, seconds, seed)


def close(seconds, seed=1, whose=None):
    return shot(head() if whose is None else whose, 140, 10, 330, seconds, seed, gamma=1.25)


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Wide for three seconds, close for two, wide again for two."""
    pictures = [*wide(3), *close(2), *wide(2)]
    path = tmp_path_factory.mktemp("cuts") / "cut.mp4"
    return media.write_video(path, pictures, FPS, options={"crf": "18"})


def test_from_wide_to_close_and_back_it_is_one_face(cut, monkeypatch):
    opened = []
    open_video = pipeline.open_video
    monkeypatch.setattr(pipeline, "open_video", lambda *a: opened.append(a) or open_video(*a))
    features = extract_features(cut)
    report = features.provenance["face_report"]
    assert [face["presence"] for face in report["faces"]] == [1.0]
    assert report["cuts"] == 2
    assert report["segments"] == 3
    assert report["followed"] == 1.0
    assert features.coverage > 0.98  # a tick between two shots belongs to neither
    assert not any("faces seen" in warning for warning in features.provenance["warnings"])
    bounds = [round(start / features.timebase.rate, 1) for start, _ in features.segments()]
    assert bounds == pytest.approx([0.0, 3.0, 5.0], abs=0.1)
    assert len(opened) == 1


def test_while_it_is_read_the_same_face_is_followed(cut):
    batch = extract_features(cut)
    with open_live(cut, growth_s=0) as stream:
        *_, whole = live_features(stream, ExtractOptions(), window_s=2.0, every_s=1.0)
    assert whole.as_chosen
    for name in ("snippets", "landmarks", "segment"):
        assert getattr(whole.features, name).tobytes() == getattr(batch, name).tobytes()


@pytest.mark.skipif(not PORTRAIT.is_file(), reason="no portraits in ../shared/faces")
def test_a_cut_to_somebody_else_is_a_cut_to_somebody_else(tmp_path):
    bgr = cv2.imread(str(PORTRAIT))
    side = min(bgr.shape[:2])
    other = cv2.resize(
        bgr[:side, (bgr.shape[1] - side) // 2 :][:, :side, ::-1], (260, 260), interpolation=cv2.INTER_AREA
    )
    pictures = [*wide(3), *close(2, whose=other), *wide(2)]
    features = extract_features(media.write_video(tmp_path / "two.mp4", pictures, FPS, options={"crf": "18"}))
    report = features.provenance["face_report"]
    assert [face["presence"] for face in report["faces"]] == pytest.approx([5 / 7, 2 / 7], abs=0.05)
    assert features.coverage == pytest.approx(5 / 7, abs=0.02)
