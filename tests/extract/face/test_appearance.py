"""Whether a face is known again in another size and light, and no other face is taken for it."""

import itertools

import cv2
import numpy as np
import pytest
from facespot.extract.face.appearance import _BROAD, _DARK, _FINE, _skin, appearance, resemblance
from facespot.extract.face.detection import FaceCheck, FaceFinder
from facespot.extract.face.subjects import _SAME_LOOKS
from places import SHARED
from skimage.data import astronaut

PORTRAITS = sorted((SHARED / "faces").glob("*.jpg"))


@pytest.fixture(scope="module")
def read():
    """Crop and mesh of the one face of a picture."""
    finder, check = FaceFinder(), FaceCheck()

    def of(rgb):
        (found,) = finder.whole(rgb)
        return check(rgb, found.box)

    return of


def filmed(rgb, size=1.0, gamma=1.0, white=(1.0, 1.0, 1.0), slope=0.0):
    """A picture in another size and light, brighter by `slope` towards one side."""
    light = np.exp(slope * np.linspace(-1, 1, rgb.shape[1]))[None, :, None]
    lit = 255 * (rgb / 255) ** gamma * white * light
    small = cv2.resize(np.clip(lit, 0, 255).astype(np.uint8), None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"size": 0.5},
        {"size": 1.7},
        {"gamma": 1.4},
        {"white": (1.1, 0.95, 0.8)},
        {"slope": 0.25},
        {"size": 0.6, "gamma": 0.8, "white": (0.85, 0.95, 1.0)},
    ],
    ids=str,
)
def test_one_face_in_another_size_and_light(otherwise, read):
    a, b = (appearance(*read(picture)) for picture in (astronaut(), filmed(astronaut(), **otherwise)))
    assert a.dtype == np.float32
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-5)
    assert resemblance(a, b) > _SAME_LOOKS + 0.05


def test_without_colours_brightness_is_left(read):
    gray = [np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8) for picture in (
        astronaut(), filmed(astronaut(), size=0.6, gamma=1.3)
    )]  # fmt: skip
    assert resemblance(*(appearance(*read(picture)) for picture in gray)) > _SAME_LOOKS


def test_a_profile_has_no_view(read):
    rgb, landmarks = read(astronaut())
    assert appearance(rgb, landmarks) is not None
    angle = np.deg2rad(60)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    middle = landmarks.mean(axis=0)
    assert appearance(rgb, (landmarks - middle) @ turn + middle) is None


@pytest.mark.skipif(not PORTRAITS, reason="no portraits in ../shared/faces")
def test_different_people_are_told_apart(read):
    pictures = [astronaut(), *(cv2.imread(str(path))[..., ::-1] for path in PORTRAITS)]
    views = [appearance(*read(np.ascontiguousarray(picture))) for picture in pictures]
    assert max(resemblance(a, b) for a, b in itertools.combinations(views, 2)) < _SAME_LOOKS


@pytest.mark.parametrize("blur", [_FINE, _BROAD])
@pytest.mark.parametrize("centre", [(128, 128), (20, 240), (-40, 128), (300, 300)], ids=str)
def test_blurred_where_it_is_read_is_as_if_all_were_blurred(blur, centre):
    """Also at the edge of the picture and for points beyond it."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (256, 256, 3), np.uint8)
    points = rng.normal((*centre, 0), (20, 20, 5), (50, 3)).astype(np.float32)
    at = points[:, None, :2]
    all_blurred = cv2.GaussianBlur(rgb, (0, 0), blur)
    seen = cv2.remap(all_blurred, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    brightness = np.log(seen.astype(np.float64) + _DARK).mean(1)
    np.testing.assert_allclose(_skin(rgb, points, blur)[:, 0], brightness, rtol=0, atol=1e-12)
