"""Films of performances on a photograph, as clips to learn from."""

import numpy as np
import pytest
from facespot.errors import NoFaceError
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS
from facespot.spotting.simulation import films
from facespot.spotting.simulation.films import another_look, close_up, film_clip, read_films, write_films
from facespot.spotting.simulation.still import load_still

TICKS = 75
SEED = (1, 33)  # of a clip of a laboratory with one large expression


@pytest.fixture(scope="module")
def astronaut():
    return close_up(load_still(pytest.importorskip("skimage.data").astronaut()))


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(films, "FILM_TICKS", {TICKS: 1.0})


def test_a_face_looks_another_way_every_time(astronaut):
    looks = [another_look(astronaut, np.random.default_rng(seed)) for seed in range(4)]
    assert len({look.image.shape for look in looks}) > 1
    assert all(0.9 < look.iod / astronaut.iod < 1.1 for look in looks)
    # The astronaut turns her nose to the right of the picture; mirrored she does to the left.
    sides = {bool(look.landmarks[1, 0] > np.mean(look.eyes, axis=0)[0]) for look in looks}
    assert sides == {True, False}


def test_a_film_shows_what_its_truth_says_and_is_the_same_again(astronaut, short):
    laboratory, (snippets, geometry, intensity, events, speaking) = film_clip([astronaut], SEED)
    assert snippets.shape == (TICKS, 17, 10, 2)
    assert geometry.shape == (TICKS, len(GEOMETRY_CHANNELS))
    assert intensity.shape == speaking.shape == (TICKS,)
    assert laboratory
    (event,) = events
    energy = np.abs(snippets[:, -1]).mean(axis=(1, 2))
    # From a middle of the face in motion a snippet reaches eight ticks on.
    assert energy[: event.offset + 1].max() > 3 * np.median(energy[event.offset + 9 :])
    again = film_clip([astronaut], SEED)
    assert again[1][3] == events
    # x264 now and then makes another file of the same pictures.
    assert np.corrcoef(np.abs(again[1][0][:, -1]).mean(axis=(1, 2)), energy)[0, 1] > 0.9


def test_a_face_that_is_not_found_makes_no_film(astronaut, short, monkeypatch):
    def nobody(path):
        raise NoFaceError("none")

    monkeypatch.setattr(films, "extract_features", nobody)
    assert film_clip([astronaut], SEED) is None


def test_films_are_kept_and_read_again(astronaut, short, tmp_path):
    made = film_clip([astronaut], SEED)
    elsewhere = (False, made[1])
    write_films(tmp_path / "a.npz", [made, elsewhere])
    write_films(tmp_path / "b.npz", [made])
    paths = sorted(tmp_path.iterdir())
    batch = read_films(paths)[TICKS]
    assert len(batch) == 3
    assert batch.events == [made[1][3]] * 3
    assert batch.snippets[2] == pytest.approx(made[1][0], abs=1e-3)
    assert len(read_films(paths, laboratory=True)[TICKS]) == 2
    assert len(read_films(paths, laboratory=False)[TICKS]) == 1
    assert read_films([]) == {}


@pytest.mark.parametrize("content", [b"nothing", b""])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="holds no films"):
        read_films([path])


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{f"{name}": np.zeros(1) for name in "abcdefg"})
    with pytest.raises(ValueError, match="holds no films"):
        read_films([path])
