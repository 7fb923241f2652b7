import numpy as np
import pytest
from facespot.extract.face.cuts import SuddenChange, difference, standardised, thumbnail
from scipy.ndimage import gaussian_filter


def scene(seed, height=240, width=960):
    rng = np.random.default_rng(seed)
    picture = gaussian_filter(rng.normal(size=(height, width)), 25)
    return 128 + 40 * picture / picture.std()


def gray(picture):
    return np.clip(picture, 0, 255).astype(np.uint8)


def cuts(pictures, floor=0.2):
    change = SuddenChange(floor)
    return [i for i, picture in enumerate(pictures) if change(thumbnail(gray(picture)))]


def test_hard_cut_is_found_where_it_is():
    a, b = scene(0)[:, :320], scene(1)[:, :320]
    rng = np.random.default_rng(2)
    film = [p + rng.normal(0, 3, p.shape) for p in [a] * 20 + [b] * 20 + [a] * 20]
    assert cuts(film) == [20, 40]


def test_cut_to_black_and_back():
    a = scene(0)[:, :320]
    assert cuts([a] * 10 + [np.zeros_like(a)] * 10 + [a] * 10) == [10, 20]


@pytest.mark.parametrize("step", [4, 12])
def test_pan_is_no_cut(step):
    wide = scene(3)
    assert cuts([wide[:, i * step : i * step + 320] for i in range(50)]) == []


def test_exposure_and_contrast_are_no_cut():
    a = scene(4)[:, :320]
    assert cuts([a] * 5 + [0.6 * a + 20] * 5 + [0.9 * a + 40] * 5) == []


def test_large_thing_that_leaps_is_no_cut():
    film = []
    for i in range(30):
        picture = scene(5)[:, :320].copy()
        left = 60 if i < 15 else 140
        picture[40:240, left : left + 110] = scene(6)[40:240, :110] + 60
        film.append(picture)
    assert cuts(film) == []


def test_repeated_pictures_do_not_make_every_motion_a_cut():
    wide = scene(7)
    assert cuts([wide[:, (i // 4) * 16 : (i // 4) * 16 + 320] for i in range(80)]) == []


def test_forgotten_past_is_not_compared():
    change = SuddenChange(0.2)
    change(thumbnail(gray(scene(0)[:, :320])))
    change.forget()
    assert not change(thumbnail(gray(scene(1)[:, :320])))


def test_difference_scale():
    a = standardised(scene(8))
    assert difference(a, a) == 0
    assert difference(a, -a) == pytest.approx(2, abs=0.05)
    flat = standardised(np.full((24, 32), 90.0))
    assert difference(flat, standardised(np.full((24, 32), 130.0))) == 0
