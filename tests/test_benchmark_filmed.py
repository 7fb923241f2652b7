"""The benchmark of short filmed clips: what a clip is, and what is printed of many."""

import numpy as np
import pytest
from click.testing import CliRunner
from facespot.benchmarks import filmed
from facespot.spotting.simulation.still import load_still


@pytest.fixture(scope="module")
def astronaut():
    return load_still(pytest.importorskip("skimage.data").astronaut())


def test_a_close_up_keeps_the_face_and_loses_the_rest(astronaut):
    close = filmed.close_up(astronaut)
    assert close.image.size < 0.7 * astronaut.image.size
    assert close.iod == pytest.approx(astronaut.iod, rel=0.03)


def test_a_laboratory_clip_shows_what_its_truth_says(astronaut, monkeypatch):
    monkeypatch.setattr(filmed, "TICKS", 75)
    kind, features, truth = filmed.film_one(filmed.close_up(astronaut), 55, 0)
    assert kind == "laboratory"
    assert abs(features.timebase.n_ticks - 75) <= 1
    (event,) = truth
    assert event.type == "macro"
    assert 0 <= event.onset <= event.apex <= event.offset < 75
    # Skin goes much further in the expression than before it.
    energy = np.abs(features.snippets[:, -1]).mean(axis=(1, 2))
    assert energy[event.onset : event.offset + 1].max() > 3 * np.median(energy[: event.onset - 8])
    again = filmed.film_one(filmed.close_up(astronaut), 55, 0)
    assert again[2] == truth
    # x264 now and then makes another file of the same pictures.
    assert np.abs(again[1].snippets - features.snippets).mean() < 0.1 * np.abs(features.snippets).mean()


def test_each_file_of_weights_has_a_row_for_each_kind(astronaut, monkeypatch, tmp_path):
    monkeypatch.setattr(filmed, "TICKS", 45)
    monkeypatch.setattr(filmed, "load_faces", lambda folder: {"astronaut": astronaut})
    monkeypatch.setattr(filmed, "QUIET_TICKS", 60)
    asked = []

    def film_all(faces, numbers):
        asked.extend(numbers)
        return [filmed.film_one(faces[0], 0, kind) for kind in range(3)]

    monkeypatch.setattr(filmed, "film_all", film_all)
    done = CliRunner().invoke(filmed.main, ["--clips", "2", "--first", "7"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert asked == [7, 8]
    assert [line.partition(":")[0] for line in lines] == [f"shipped, {kind}" for kind in filmed.KINDS]
    assert all("macro" in line and "micro" in line for line in lines[:2])
    assert lines[2].endswith("false alarms in 0.0 minutes")


def test_clips_without_expressions_are_all_different_and_have_none():
    drawn = [filmed.draw_clip(number, 2) for number in range(20)]
    assert not any(performance.events for performance, _, _ in drawn)
    talking = [bool(performance.speaking.any()) for performance, _, _ in drawn]
    assert 5 < sum(talking) < 18
    assert len({scene.size for _, scene, _ in drawn}) > 3


def test_a_folder_without_a_face_is_refused(tmp_path):
    done = CliRunner().invoke(filmed.main, ["--faces", str(tmp_path)])
    assert done.exit_code == 1
    assert "no face" in done.output
