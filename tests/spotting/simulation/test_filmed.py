"""Faces between two photographs, and clips of them that went through pixels."""

import cv2
import numpy as np
import pytest
from facespot.errors import NoFaceError
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.spotting.simulation import faces, filmed
from facespot.spotting.simulation.still import MESH_POINTS, Still, load_still

pytest.importorskip("skimage.data")
_KEPT = list(KEPT_MESH_POINTS)


@pytest.fixture(scope="module")
def stills():
    return filmed._stills()


def outline(still: Still) -> np.ndarray:
    """(K, 2) kept points in IOD about their mean, upright."""
    x, y = (still.eyes[1] - still.eyes[0]) / still.iod
    points = still.landmarks[_KEPT, :2]
    return (points - points.mean(axis=0)) @ np.array([[x, -y], [y, x]]) / still.iod


def test_close_ups_keep_the_face_and_lose_the_rest(stills):
    for name, still in faces.photographs().items():
        close = stills[name]
        assert close.image.size < still.image.size
        assert close.iod == pytest.approx(still.iod, rel=0.03)
        assert outline(close) == pytest.approx(outline(still), abs=0.04)


def test_the_same_numbers_draw_the_same_face_and_others_another(stills):
    one, again, other = (faces.draw_picture(stills, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert one.shape != other.shape or (one != other).mean() > 0.5


def test_drawn_faces_are_seen_and_differ_from_each_other_as_people_do(stills):
    shapes = np.array([outline(faces.draw_face(stills, np.random.default_rng(seed))) for seed in range(8)])
    photographs = [outline(still) for still in stills.values()]
    # Neither the photographs themselves nor grotesque.
    for shape in shapes:
        nearest = min(np.sqrt(((shape - of) ** 2).mean()) for of in photographs)
        assert 0.004 < nearest < 0.2
    assert shapes.std(axis=0).mean() > 0.01


def test_a_mixture_lies_between_the_two(stills, monkeypatch):
    monkeypatch.setattr(faces, "_own_shape", lambda still, rng: np.zeros((len(_KEPT), 2)))
    monkeypatch.setattr(faces, "_in_other_light", lambda picture, rng: picture.clip(0, 255).astype(np.uint8))

    class Halfway:
        """Numbers that choose the first face, half of the second, and no mirror."""

        def shuffle(self, names):
            pass

        def choice(self, values, p):
            return 0.5

        def random(self):
            return 0.9

    first, second = (outline(still) for still in stills.values())
    between = outline(load_still(faces.draw_picture(stills, Halfway())))
    apart = np.sqrt(((first - second) ** 2).mean())
    assert max(np.sqrt(((between - of) ** 2).mean()) for of in (first, second)) < 0.8 * apart


def test_points_go_where_they_were_sent_and_the_rim_stays():
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (400, 400, 3)).astype(np.uint8), (0, 0), 3)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    source = 200 + 60 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    moved = faces._moved(picture, source, source + np.array([6.0, -3.0]), iod=50.0)
    for x, y in source[::5].round().astype(int):
        here = picture[y - 6 : y + 7, x - 6 : x + 7].astype(float)
        there = moved[y - 9 : y + 4, x : x + 13]
        assert np.abs(here - there).mean() < 0.5 * np.abs(here - moved[y - 6 : y + 7, x - 6 : x + 7]).mean()
    assert np.array_equal(moved[:5], picture[:5])


def test_a_face_that_is_never_seen_is_an_error(stills):
    blank = {name: Still(np.zeros((80, 80, 3), np.uint8), np.full((MESH_POINTS, 3), 40.0) + _spread()) for name in "ab"}
    with pytest.raises(NoFaceError):
        faces.draw_face(blank, np.random.default_rng(0))


def _spread() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 8, (MESH_POINTS, 3))


def test_a_filmed_clip_shows_what_was_performed_and_comes_out_alike():
    seed = next(s for s in range(20) if _long_enough(s))
    snippets, geometry, intensity, events, speaking = filmed.filmed_clip(72, (seed,))
    assert snippets.shape == (72, 17, 10, 2)
    assert geometry.shape == (72, len(GEOMETRY_CHANNELS))
    assert intensity.shape == speaking.shape == (72,)
    # Skin moves in the snippets when the expression comes, and hardly before.
    onset = events[0].onset
    energy = np.abs(snippets).mean(axis=(1, 2, 3))
    assert energy[onset : onset + 12].max() > 1.5 * np.median(energy[: max(onset - 8, 1)])
    again = filmed.filmed_clip(72, (seed,))
    assert np.array_equal(snippets, again[0])
    assert events == again[3]


def _long_enough(seed: int) -> bool:
    """Whether a clip has an expression after half a second of silence."""
    rng = np.random.default_rng((seed,))
    faces.draw_face(filmed._stills(), rng)
    _, performance, _, _ = filmed.draw_performance(72, rng, filmed._LABORATORY_SHARE, filmed.QUIET_SHARE)
    return bool(performance.events) and performance.events[0].onset > 20 and not performance.speaking.any()


def test_a_corpus_has_its_lengths_and_does_not_depend_on_the_workers(monkeypatch):
    monkeypatch.setattr(filmed, "FILMED_TICKS", {24: 0.5, 18: 0.5})
    corpus = filmed.filmed_corpus(2, seed=3)
    assert {ticks: batch.snippets.shape for ticks, batch in corpus.items()} == {
        24: (1, 24, 17, 10, 2),
        18: (1, 18, 17, 10, 2),
    }
    assert np.isfinite(corpus[24].geometry.astype(float)).all()
    monkeypatch.setattr(filmed, "filmed_clip", lambda ticks, seed: None)
    assert {len(batch) for batch in filmed.filmed_corpus(2, seed=3).values()} == {0}
