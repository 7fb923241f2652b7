"""Making films to learn from: the command."""

import pytest
from click import ClickException
from click.testing import CliRunner
from facespot.errors import NoFaceError
from facespot.spotting.simulation.corpus import simulate_clip
from facespot.spotting.simulation.films import read_films
from facespot.weights import film


class Here:
    """A pool of no process."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    map = staticmethod(map)


@pytest.fixture
def faces(tmp_path):
    data, io = pytest.importorskip("skimage.data"), pytest.importorskip("skimage.io")
    folder = tmp_path / "faces"
    folder.mkdir()
    io.imsave(folder / "astronaut.png", data.astronaut())
    io.imsave(folder / "coins.png", data.coins())
    return folder


def test_films_are_made_in_parts_and_a_run_goes_on_where_it_was(faces, tmp_path, monkeypatch):
    asked = []

    def film_clip(actors, seed):
        asked.append((len(actors), seed))
        return None if seed == (3, 1) else (False, simulate_clip(72, seed))

    monkeypatch.setattr(film, "film_clip", film_clip)
    monkeypatch.setattr(film, "process_pool", lambda width: Here())
    monkeypatch.setattr(film, "_PART", 2)
    words = [str(faces), str(tmp_path / "out"), "--films", "5", "--seed", "3"]
    done = CliRunner().invoke(film.main, words)
    assert done.exit_code == 0, done.output
    assert "coins.png" in done.output
    told = f"films of 1 faces are in {tmp_path / 'out'}"
    assert done.output.splitlines()[-1] == f"{told}; 1 more left out, whose face was not seen throughout"
    assert asked == [(1, (3, number)) for number in range(5)]
    made = sorted((tmp_path / "out").iterdir())
    assert len(read_films(made)[72]) == 4
    made[1].unlink()
    asked.clear()
    assert CliRunner().invoke(film.main, words).output.splitlines()[-1] == told
    assert [seed for _, seed in asked] == [(3, 2), (3, 3)]


def test_a_folder_without_a_face_is_refused(tmp_path):
    done = CliRunner().invoke(film.main, [str(tmp_path), str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "no face" in done.output
    assert not (tmp_path / "out").exists()


def test_a_face_that_is_lost_close_up_is_told_and_left_out(faces, monkeypatch, capsys):
    def lost(still):
        raise NoFaceError("no face was found")

    monkeypatch.setattr(film, "close_up", lost)
    with pytest.raises(ClickException, match="no face"):
        film.load_actors(faces)
    assert "astronaut: no face was found" in capsys.readouterr().err
