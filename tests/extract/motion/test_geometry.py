"""Face geometry: pose taken out, signs, mirror images, segments."""

import numpy as np
import pytest
from facespot.extract.motion import geometry as geometry_module
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS, GEOMETRY_MIRROR, geometry_channels
from facespot.extract.regions import KEPT_INDEX, KEPT_MESH_POINTS, ROI_MESH_POINTS, ROI_NAMES
from facespot.spotting.simulation.anatomy import mirror_index, neutral_face
from scipy.spatial.transform import Rotation

INDEX = {name: i for i, name in enumerate(GEOMETRY_CHANNELS)}
POSE = ("yaw", "pitch", "roll", "rotation_speed", "translation_speed", "scale_speed")
DEVIATIONS = [i for name, i in INDEX.items() if name not in POSE and not name.endswith("_level")]
LEVELS = [i for name, i in INDEX.items() if name.endswith("_level")]


def film(points, angles=(0, 0, 0), shift=(0, 0), scale=1.0):
    """Pixels of a face (N, K, 3) that is rolled, turned and nodded (degrees; nodded first), moved and scaled."""
    turned = np.einsum("...ij,...kj->...ki", Rotation.from_euler("ZYX", angles, degrees=True).as_matrix(), points)
    shift = np.concatenate([np.atleast_2d(shift), np.zeros((len(np.atleast_2d(shift)), 1))], axis=1)
    return 80.0 * np.reshape(scale, (-1, 1, 1)) * turned + 300.0 + 80.0 * shift[:, None]


def still(n):
    return np.repeat(neutral_face()[None], n, axis=0)


def channels(landmarks):
    return geometry_channels(landmarks, [(0, len(landmarks))])


def lively(n=120, seed=0):
    """A face every point of which moves on its own, with its head."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 6, n)[:, None]
    own = 0.05 * np.sin(rng.uniform(0.5, 3, neutral_face().size) * t + rng.uniform(0, 6, neutral_face().size))
    angles = np.column_stack([8 * np.sin(t), 20 * np.sin(1.3 * t), 9 * np.cos(t)])
    return film(neutral_face() + own.reshape(n, -1, 3), angles, 0.3 * np.sin(t * [1.0, 0.7]), 1 + 0.2 * np.sin(t))


def test_a_rigid_head_shows_no_expression_however_it_moves():
    rng = np.random.default_rng(3)
    n = 150
    start = rng.uniform([-180, -60, -60], [180, 60, 60])
    angles = start + np.cumsum(rng.normal(0, 1.5, (n, 3)), axis=0)
    landmarks = film(still(n), angles, np.cumsum(rng.normal(0, 0.05, (n, 2)), axis=0), np.linspace(0.5, 2.0, n))
    found = channels(landmarks)
    assert np.abs(found[:, DEVIATIONS]).max() < 1e-5
    assert np.abs(found[:, LEVELS] - channels(film(still(9)))[0, LEVELS]).max() < 1e-5
    assert np.abs(found[:, [INDEX[name] for name in POSE]]).max(axis=0).min() > 0.05


@pytest.mark.parametrize("roi", range(len(ROI_NAMES)))
def test_a_moved_region_shows_in_its_own_channels(roi):
    points = still(120)
    moved = [KEPT_INDEX[p] for p in ROI_MESH_POINTS[ROI_NAMES[roi]]]
    points[60:80, moved] += np.array([0.03, -0.1, 0])
    found = channels(film(points, (10, 15, -8)))
    assert found[65:75, INDEX[f"{ROI_NAMES[roi]}_x"]] == pytest.approx(0.03, abs=1e-4)
    assert found[65:75, INDEX[f"{ROI_NAMES[roi]}_y"]] == pytest.approx(-0.1, abs=1e-4)
    others = [INDEX[f"{name}_{axis}"] for name in ROI_NAMES if name != ROI_NAMES[roi] for axis in "xy"]
    assert np.abs(found[:, others]).max() < 1e-4
    assert np.abs(found[:50]).max(axis=0)[DEVIATIONS].max() < 1e-4


@pytest.mark.parametrize(
    ("channel", "mesh", "motion"),
    [
        ("chin_y", (152, 199, 175), (0, 0.1, 0)),
        ("chin_x", (152, 199, 175), (0.1, 0, 0)),
        ("mouth_width", (291,), (0.1, 0, 0)),
        ("nose_wings_y", (98, 327), (0, 0.1, 0)),
        ("cheek_y_image_left", (50, 205), (0, 0.1, 0)),
        ("cheek_y_image_right", (280, 425), (0, 0.1, 0)),
        ("eye_aperture_image_left", (145, 153, 144), (0, 0.1, 0)),
        ("eye_aperture_image_right", (374, 380, 373), (0, 0.1, 0)),
        ("lips_depth", (0, 17), (0, 0, 0.1)),
        ("gaze_x", (468, 473), (0.1, 0, 0)),
        ("gaze_y", (468, 473), (0, 0.1, 0)),
        ("mouth_opening_level", (14, 87, 317), (0, 0.1, 0)),
        ("corner_lift_level", (61, 291), (0, -0.1, 0)),
        ("brow_height_level", [p for n, mesh in ROI_MESH_POINTS.items() if "brow" in n for p in mesh], (0, -0.1, 0)),
    ],
)
def test_features_grow_with_what_they_are_named_for(channel, mesh, motion):
    points = still(120)
    points[60:80, [KEPT_INDEX[p] for p in mesh]] += np.array(motion)
    found = channels(film(points))[:, INDEX[channel]]
    assert found[65:75] - found[20] == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize(
    ("angle", "turn", "point", "axis", "sign"),
    [
        # Yaw brings the nose to the viewer's left, pitch brings it down, roll brings the eye on the right down.
        ("yaw", (0, 10, 0), 4, 0, -1),
        ("pitch", (0, 0, 10), 4, 1, 1),
        ("roll", (10, 0, 0), 263, 1, 1),
    ],
)
def test_angles_and_their_directions(angle, turn, point, axis, sign):
    angles = np.zeros((90, 3))
    angles[50:] = turn
    landmarks = film(still(90), angles)
    assert np.sign(landmarks[60, KEPT_INDEX[point], axis] - landmarks[0, KEPT_INDEX[point], axis]) == sign
    found = channels(landmarks)
    for name in ("yaw", "pitch", "roll"):
        expected = np.deg2rad(10) if name == angle else 0.0
        assert found[70, INDEX[name]] - found[10, INDEX[name]] == pytest.approx(expected, abs=1e-5)


def test_speeds_are_per_second():
    n = 90
    spin = channels(film(still(n), np.column_stack([np.linspace(0, 29.666667, n), np.zeros((n, 2))])))
    assert spin[10:80, INDEX["rotation_speed"]] == pytest.approx(np.deg2rad(10), rel=1e-3)
    walk = channels(film(still(n), shift=np.column_stack([np.arange(n) / 30, np.zeros(n)])))
    assert walk[10:80, INDEX["translation_speed"]] == pytest.approx(1.0, rel=1e-3)
    zoom = channels(film(still(n), scale=np.exp(np.arange(n) / 30 * 0.1)))
    assert zoom[10:80, INDEX["scale_speed"]] == pytest.approx(0.1, rel=1e-3)


def test_mirrored_landmarks_give_mirrored_channels():
    landmarks = lively()
    mirrored = landmarks[:, mirror_index()] * [-1, 1, 1] + [640, 0, 0]
    source, sign = GEOMETRY_MIRROR
    expected = channels(landmarks)[:, source] * sign
    assert channels(mirrored) == pytest.approx(expected, abs=1e-5)
    # Every channel moves in this clip, so a wrong sign or partner could not hide.
    assert (np.ptp(expected, axis=0) > 0.01).all()


def test_mirroring_twice_changes_nothing():
    source, sign = (np.array(part) for part in GEOMETRY_MIRROR)
    assert (source[source] == np.arange(len(source))).all()
    assert (sign * sign[source] == 1).all()


def test_segments_never_mix():
    landmarks = lively()
    other = 2 * lively(seed=1)
    both = np.concatenate([landmarks, np.full((7, *landmarks.shape[1:]), np.nan), other])
    found = geometry_channels(both, [(0, 120), (127, 247)])
    assert np.array_equal(found[:120], channels(landmarks))
    assert np.array_equal(found[127:], channels(other))
    assert not found[120:127].any()


@pytest.mark.parametrize("n", [1, 2, 4, 7, 16])
def test_short_segments_are_finite(n):
    found = channels(lively()[:n])
    assert found.shape == (n, len(GEOMETRY_CHANNELS))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("chunk", [10, 125, 130, 295])
def test_the_size_of_chunks_changes_nothing(monkeypatch, chunk):
    landmarks = lively(611)
    whole = channels(landmarks)
    monkeypatch.setattr(geometry_module, "_CHUNK", chunk)
    np.testing.assert_array_equal(channels(landmarks), whole)


def running_median(values, seconds=geometry_module.BASELINE_SECONDS):
    """At all ticks at once, from every fifth of them."""
    size = geometry_module._median_size(seconds)
    return geometry_module._median_at(0, len(values), values[::5], size)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 30])
def test_running_median_of_the_shortest_segments(n):
    coarse = np.random.default_rng(n).normal(size=(n, 2))
    mirrored = np.pad(coarse, ((24, 24), (0, 0)), mode="symmetric")
    expected = [np.median(mirrored[i : i + 49], axis=0) for i in range(n)]
    np.testing.assert_allclose(running_median(np.repeat(coarse, 5, axis=0)[: 5 * n - 4])[::5], expected)


def test_running_median_on_its_own_ticks_is_the_median():
    values = np.random.default_rng(0).normal(size=(301, 2))
    found = running_median(values, seconds=2.0)
    coarse = values[::5]  # a window of 13 of these is 2 s and a bit
    for i in range(6, len(coarse) - 6):
        assert found[5 * i] == pytest.approx(np.median(coarse[i - 6 : i + 7], axis=0))
        assert found[5 * i + 2] == pytest.approx(0.6 * found[5 * i] + 0.4 * found[min(5 * i + 5, 300)])


def test_running_median_forgets_what_is_short_and_keeps_what_is_long():
    values = np.zeros((600, 1))
    values[100:160] = 1.0
    values[400:] = 1.0
    found = running_median(values)
    assert np.abs(found[:350]).max() == 0.0
    assert found[450:] == pytest.approx(1.0)


def test_what_is_held_for_long_stays_visible_in_the_held_channels():
    points = still(1200)
    corner = KEPT_INDEX[61]
    points[300:600, corner, 1] -= 0.1  # ten seconds: longer than the short median can take for an expression
    found = channels(film(points))
    short, held = (found[:, INDEX[f"image_left_mouth_corner_y{end}"]] for end in ("", "_held"))
    assert held[310:590] == pytest.approx(-0.1, abs=2e-3)
    assert np.abs(held[20:280]).max() < 2e-3
    assert np.abs(short[430:470]).max() < 0.02
    # Outside of it both say the same.
    assert held[700:1100] == pytest.approx(short[700:1100], abs=0.01)


def test_every_kept_point_has_a_mirror_image():
    assert sorted(mirror_index()) == list(range(len(KEPT_MESH_POINTS)))


def test_the_shift_of_the_head_is_the_median_of_its_channel(monkeypatch):
    landmarks = lively(300)
    segments = [(0, 120), (130, 300)]
    speeds = np.concatenate(
        [geometry_channels(landmarks, segments)[a:b, INDEX["translation_speed"]] for a, b in segments]
    )
    assert geometry_module.head_shift(landmarks, segments) == pytest.approx(np.median(speeds), rel=1e-5)
    monkeypatch.setattr(geometry_module, "_CHUNK", 50)
    assert geometry_module.head_shift(landmarks, segments) == pytest.approx(np.median(speeds), rel=1e-5)
    assert geometry_module.head_shift(film(still(60)), [(0, 60)]) == pytest.approx(0, abs=1e-6)
