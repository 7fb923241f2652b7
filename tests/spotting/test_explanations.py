"""Explanations: what a simulated face was told to do is what is said of it."""

import csv
import json

import numpy as np
import pytest
from facespot.extract.features import FaceFeatures
from facespot.extract.motion.alignment import ANCHOR_MESH_POINTS, remove_head_motion
from facespot.extract.pipeline import extract_features
from facespot.extract.regions import KEPT_INDEX
from facespot.extract.timebase import Timebase
from facespot.spotting.action_units import action_units
from facespot.spotting.explanations import Explanation, explain_interval
from facespot.spotting.facial_motion import REGIONS, facial_motion
from facespot.spotting.intervals import Interval
from facespot.spotting.result import SpotResult
from facespot.spotting.simulation.anatomy import Person, au_field, neutral_face, roi_means
from facespot.spotting.simulation.expressions import envelope
from facespot.spotting.simulation.sensor import Observation, observe
from facespot.spotting.simulation.stage import Performance
from facespot.spotting.spotter import Spotter
from places import ROOT
from simulated import features_of, laboratory_clip

N, ONSET, APEX, OFFSET = 160, 60, 68, 90
SAMPLE = ROOT / "samples" / "astronaut.mp4"
EVENT = Interval(ONSET, APEX, OFFSET, "macro")


def show(field: np.ndarray, amplitude: float, seed: int = 0) -> FaceFeatures:
    """The mean face makes one movement (K, 3), its largest ROI motion `amplitude` IOD, head still."""
    field = field * amplitude / max(np.linalg.norm(roi_means(field)[:, :2], axis=1).max(), 1e-9)
    rng = np.random.default_rng(seed)
    curve = envelope(ONSET, APEX, 10, OFFSET, N, rng)
    person = Person(neutral_face(), {})
    performance = Performance(curve[:, None, None] * field, [], curve, np.zeros(N, bool), np.zeros(N))
    return features_of(observe(person, performance, rng, still=True))


def turn(degrees: float, seed: int = 0) -> FaceFeatures:
    """A face at rest on a head that turns about the vertical between onset and apex, tracked with a little noise."""
    face = neutral_face()
    yaw = np.radians(degrees) * np.clip((np.arange(N) - ONSET) / (APEX - ONSET), 0, 1)
    rotation = np.zeros((N, 3, 3))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(yaw)
    rotation[:, 0, 2], rotation[:, 2, 0], rotation[:, 1, 1] = np.sin(yaw), -np.sin(yaw), 1.0
    rng = np.random.default_rng(seed)
    seen = np.einsum("nij,kj->nki", rotation, face)
    seen = seen + rng.normal(0, 0.002, seen.shape)
    rois, anchors = roi_means(seen), seen[:, [KEPT_INDEX[p] for p in ANCHOR_MESH_POINTS["pose"]]]
    first = np.clip(np.arange(N) - 8, 0, N - 1)[:, None]
    steps = np.clip(np.arange(N)[:, None] - 8 + np.arange(17), 0, N - 1)
    ways = [(part[steps] - part[first])[..., :2] for part in (rois, anchors)]
    snippets = remove_head_motion(rois[first], ways[0], anchors[first], ways[1], "pose")
    return features_of(Observation(snippets.astype(np.float32), (seen * 100 + 256).astype(np.float32)))


def sized(explanation, region, side):
    return next((m for m in explanation.moved if (m.region, m.side) == (region, side)), None)


@pytest.mark.parametrize(("viewers", "own"), [("left", "right"), ("right", "left")])
@pytest.mark.parametrize("amplitude", [0.04, 0.1])
def test_a_smile_on_one_side_is_told_for_the_persons_own_side(viewers, own, amplitude):
    field = au_field("AU12", viewers)
    corner = 61 if viewers == "left" else 291
    assert np.linalg.norm(field[KEPT_INDEX[corner]]) > 0.1
    said = [explain_interval(show(field, amplitude, seed), EVENT) for seed in range(40)]
    # One in five is filmed so badly that a small smile does not stand out.
    said = [e for e in said if sized(e, "mouth corner", own)]
    assert len(said) >= 32
    corners = [sized(e, "mouth corner", own) for e in said]
    # The simulated flow sees 0.35 to 1.05 of a movement, at the mouth's corners a little less than elsewhere.
    assert np.median([c.size for c in corners]) == pytest.approx(100 * amplitude, rel=0.45)
    told = [
        c.directions == ("up", "out") and f"{own} mouth corner up and out" in e.regions
        for e, c in zip(said, corners, strict=True)
    ]
    assert sum(told) >= len(said) - 2
    # The mesh may answer a small one with a part of a smile of both sides.
    others = [sized(e, "mouth corner", viewers) for e in said]
    assert sum(o is not None and o.size >= 0.5 * c.size for o, c in zip(others, corners, strict=True)) <= 1
    named = [any(u.name == f"{own[0].upper()}12" for u in e.action_units) for e in said]
    assert sum(named) >= len(said) - 1


def test_a_smile_of_both_sides_says_which_is_stronger():
    for strong, side in (("left", "right"), ("right", "left")):
        weak = "right" if strong == "left" else "left"
        field = au_field("AU12", strong) + 0.5 * au_field("AU12", weak)
        texts = [explain_interval(show(field, 0.12, seed), EVENT).regions for seed in range(5)]
        assert sum(f"mouth corners up and out, {side} stronger" in text for text in texts) >= 4, texts


@pytest.mark.parametrize(
    ("units", "words", "candidate"),
    [
        (("AU1", "AU2"), "brows up", {"AU1", "AU2"}),
        (("AU26",), "chin down", {"AU26"}),
        (("AU4",), "down", {"AU4"}),
        (("AU15",), "mouth corners down", {"AU15"}),
    ],
)
def test_movements_are_told_as_they_were_made(units, words, candidate):
    field = sum(au_field(unit, side) for unit in units for side in ("left", "right"))
    said = [explain_interval(show(field, 0.1, seed), EVENT) for seed in range(5)]
    assert sum(words in e.regions for e in said) >= 4, [e.regions for e in said]
    assert sum(bool(candidate & {u.name for u in e.action_units}) for e in said) >= 4, [e.action_units for e in said]


def test_a_turn_of_the_head_alone_moves_nothing():
    for degrees in (4, 8, 15):
        for seed in range(3):
            said = explain_interval(turn(degrees, seed), EVENT)
            assert said.regions == ""
            assert said.action_units == ()
            assert said.head_rotation == pytest.approx(degrees, abs=1.0)


def test_a_face_at_rest_moves_nothing():
    said = [explain_interval(show(au_field("AU12", "left"), 0.0, seed), EVENT) for seed in range(8)]
    assert sum(e.regions == "" for e in said) >= 7
    assert np.median([e.peak_motion for e in said]) < 1.0


def test_rise_and_fall_are_the_speed_of_the_strongest_region():
    features = show(au_field("AU1", "left") + au_field("AU2", "left"), 0.1)
    said = explain_interval(features, EVENT)
    assert said.rise_speed == pytest.approx(said.peak_motion / ((APEX - ONSET) / 30), rel=1e-3)
    assert 0 < said.fall_speed < said.rise_speed
    assert explain_interval(features, Interval(ONSET, ONSET, OFFSET, "macro")).rise_speed is None


def test_speech_is_the_mean_share_of_the_interval():
    features = show(au_field("AU4", "left"), 0.05)
    speaking = np.zeros(N)
    speaking[ONSET : ONSET + 10] = 1.0
    assert explain_interval(features, EVENT, speaking).speech == pytest.approx(10 / (OFFSET - ONSET + 1), abs=1e-3)
    assert explain_interval(features, EVENT).speech is None


def test_an_interval_over_a_gap_is_not_explained():
    features = show(au_field("AU4", "left"), 0.05)
    segment = np.zeros(N, np.int32)
    segment[70:75] = -1
    segment[75:] = 1
    broken = FaceFeatures(features.snippets, features.landmarks, segment, Timebase(np.arange(N) / 30.0))
    assert explain_interval(broken, EVENT) is None
    with pytest.raises(ValueError, match="one stretch"):
        facial_motion(broken, ONSET, OFFSET)


def test_long_ways_are_put_together_from_several_snippets():
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.normal(0, 0.01, (N, 10, 2)), axis=0)
    ticks = np.arange(N)
    first = np.clip(ticks - 8, 0, N - 1)
    steps = np.clip(ticks[:, None] - 8 + np.arange(17), 0, N - 1)
    snippets = (path[steps] - path[first][:, None]).astype(np.float32)
    landmarks = np.repeat((neutral_face() * 100 + 256)[None], N, axis=0).astype(np.float32)
    features = features_of(Observation(snippets, landmarks))
    for onset, offset in ((0, 5), (3, 90), (120, 159), (0, 159)):
        motion = facial_motion(features, onset, offset)
        for i, region in enumerate(REGIONS):
            if region.rois:
                way = path[onset : offset + 1, region.rois[0]] - path[onset, region.rois[0]]
                assert motion.paths[:, i] == pytest.approx(way, abs=1e-5)


def test_no_movement_is_no_action_unit():
    assert action_units(np.zeros((len(REGIONS), 2))) == ()


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample clip is not in this installation")
def test_the_rendered_sample_is_explained_from_its_pixels(tmp_path):
    """Amplitudes are those the clip was rendered with, the largest movement of a region in IOD."""
    features = extract_features(SAMPLE, cache=tmp_path)
    with SAMPLE.with_name("astronaut.truth.csv").open() as file:
        truth = list(csv.DictReader(file))
    for row, words in zip(
        truth, ("brows up", "corners", "brows down", "brows up", "corners", "brows down"), strict=True
    ):
        ticks = [int(row[f"{name}_tick"]) for name in ("onset", "apex", "offset")]
        said = explain_interval(features, Interval(*ticks, row["type"]))
        assert words in said.regions
        assert said.peak_motion == pytest.approx(100 * float(row["amplitude_iod"]), rel=0.35)
        assert said.peak_motion > 2 * said.noise or row["type"] == "micro"
        assert said.head_rotation < 3


def test_an_explanation_comes_back_from_json():
    said = explain_interval(show(au_field("AU12", "left"), 0.1), EVENT, np.ones(N))
    assert Explanation.from_dict(json.loads(json.dumps(said.to_dict()))) == said


@pytest.fixture(scope="module")
def spotted():
    features, _ = laboratory_clip(4)
    return features, Spotter.load(device="cpu").spot(features)


def test_spotting_explains_every_row(spotted):
    features, result = spotted
    assert len(result.spots) >= 2
    for spot, row in zip(result.spots, result.rows(), strict=True):
        ticks = (features.timebase.tick_of_seconds(s) for s in (spot.onset_s, spot.apex_s, spot.offset_s))
        speaking = result.speaking
        assert spot.explanation == explain_interval(features, Interval(*ticks, spot.type), speaking)
        assert (row["peak_motion"], row["regions"]) == (spot.explanation.peak_motion, spot.explanation.regions)
        assert row["head_motion"] == spot.explanation.head_rotation
        assert (row["speech"] is None) == (speaking is None)
    assert result.scores.shape == (features.timebase.n_ticks, 2)


def test_explanations_are_in_json_and_come_back_from_an_archive(spotted, tmp_path):
    _, result = spotted
    result.save(tmp_path / "r.npz")
    result.save(tmp_path / "r.spots.json")
    back = SpotResult.load(tmp_path / "r.npz")
    assert [s.explanation for s in back.spots] == [s.explanation for s in result.spots]
    assert np.array_equal(back.scores, result.scores)
    written = json.loads((tmp_path / "r.spots.json").read_text())["spots"]
    assert [Explanation.from_dict(spot["explanation"]) for spot in written] == [s.explanation for s in result.spots]
    assert written[0]["explanation"]["moved"][0]["directions"]
