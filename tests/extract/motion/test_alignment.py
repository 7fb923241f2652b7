"""Head-motion removal: what each method takes out exactly, and what it must leave."""

import numpy as np
import pytest
from facespot.extract.motion.alignment import ALIGNMENTS, ANCHOR_MESH_POINTS, masked_median, remove_head_motion

RNG = np.random.default_rng(7)
POINTS = RNG.uniform(-1, 1, (10, 3))
# Anchors as spread as a face's: the first five stand for the nose.
ANCHORS = RNG.uniform(-1, 1, (11, 3))


def similarity(points: np.ndarray, roll: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]) * scale
    return points[..., :2] @ turn + shift - points[..., :2]


def residual(motion, method: str, **options) -> np.ndarray:
    anchors = ANCHORS[:5] if method == "nose" else ANCHORS
    return remove_head_motion(POINTS, motion(POINTS), anchors, motion(anchors), method, **options)


@pytest.mark.parametrize("method", ALIGNMENTS)
def test_translation_is_removed_by_every_method(method):
    left = residual(lambda p: np.broadcast_to([0.3, -0.2], p[..., :2].shape), method)
    np.testing.assert_allclose(left, 0, atol=1e-9)


@pytest.mark.parametrize("method", ["similarity", "pose"])
def test_roll_and_scale_are_removed_by_the_fits_only(method):
    def motion(points):
        return similarity(points, roll=np.radians(12), scale=1.1, shift=(0.4, 0.1))

    assert np.abs(residual(motion, method)).max() < 1e-4
    assert np.abs(residual(motion, "nose")).max() > 0.05


def test_a_turn_is_mostly_removed_by_pose():
    def motion(points):  # yaw about an axis behind the face: motion grows with depth
        x, z = points[..., 0], points[..., 2] - 1.0
        angle = np.radians(8)
        return np.stack([x * np.cos(angle) + z * np.sin(angle) - x, np.zeros_like(x)], -1)

    spread = {method: np.abs(residual(motion, method)).max() for method in ALIGNMENTS}
    assert spread["pose"] < 0.4 * min(spread["nose"], spread["similarity"])


@pytest.mark.parametrize("method", ALIGNMENTS)
def test_local_motion_stays_where_it_is(method):
    local = np.zeros((10, 2))
    local[3] = (0.02, -0.04)
    anchors = ANCHORS[:5] if method == "nose" else ANCHORS
    left = remove_head_motion(POINTS, local, anchors, np.zeros((len(anchors), 2)), method)
    np.testing.assert_allclose(left, local, atol=1e-9)


@pytest.mark.parametrize("method", ["similarity", "pose"])
def test_outlying_anchors_lose_their_say(method):
    moved = similarity(ANCHORS, np.radians(3), 1.02, (0.1, 0.0))
    moved[[2, 6, 9]] += [(0.5, -0.3), (-0.8, 0.0), (0.0, 0.6)]
    left = remove_head_motion(POINTS, similarity(POINTS, np.radians(3), 1.02, (0.1, 0.0)), ANCHORS, moved, method)
    assert np.abs(left).max() < 2e-3


@pytest.mark.parametrize("method", ALIGNMENTS)
def test_lost_anchors_are_ignored_and_without_any_the_head_is_still(method):
    anchors = ANCHORS[:5] if method == "nose" else ANCHORS
    moved = np.full((len(anchors), 2), 0.25)
    moved[1] = 99.0
    weights = np.ones(len(anchors))
    weights[1] = 0
    shifts = np.full((10, 2), 0.25)
    left = remove_head_motion(POINTS, shifts, anchors, moved, method, weights)
    np.testing.assert_allclose(left, 0, atol=1e-6)
    left = remove_head_motion(POINTS, shifts, anchors, moved, method, 0 * weights)
    np.testing.assert_array_equal(left, shifts)


@pytest.mark.parametrize("method", ALIGNMENTS)
def test_a_batch_equals_its_items_and_keeps_the_dtype(method):
    n = 5 if method == "nose" else 11
    points, shifts = RNG.normal(size=(4, 6, 10, 3)).astype(np.float32), RNG.normal(size=(4, 6, 10, 2))
    anchors, moved = RNG.normal(size=(4, 6, n, 3)).astype(np.float32), RNG.normal(size=(4, 6, n, 2))
    shifts, moved = shifts.astype(np.float32), moved.astype(np.float32)
    batch = remove_head_motion(points, shifts, anchors, moved, method)
    assert batch.shape == (4, 6, 10, 2)
    assert batch.dtype == np.float32
    one = remove_head_motion(points[2, 5], shifts[2, 5], anchors[2, 5], moved[2, 5], method)
    np.testing.assert_allclose(batch[2, 5], one, atol=1e-4)


def test_one_reference_serves_many_displacements():
    moved = RNG.normal(size=(8, 17, 11, 2)) * 0.01
    shifts = RNG.normal(size=(8, 17, 10, 2)) * 0.01
    wide = remove_head_motion(POINTS, shifts, ANCHORS, moved, "pose")
    narrow = remove_head_motion(POINTS, shifts[3, 4], ANCHORS, moved[3, 4], "pose")
    np.testing.assert_allclose(wide[3, 4], narrow, atol=1e-12)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="alignment must be one of"):
        residual(lambda p: p[..., :2], "median")
    with pytest.raises(ValueError, match="depth"):
        remove_head_motion(POINTS[:, :2], POINTS[:, :2], ANCHORS[:, :2], ANCHORS[:, :2], "pose")


def test_every_method_has_anchors():
    assert all(len(ANCHOR_MESH_POINTS[method]) >= 5 for method in ALIGNMENTS)


def test_masked_median_counts_known_values_only():
    values = np.array([[5.0, 1.0, 3.0, 99.0], [2.0, 4.0, 7.0, 7.0]])
    known = np.array([[True, True, True, False], [True, True, False, False]])
    np.testing.assert_array_equal(masked_median(values, known), [3.0, 3.0])
    np.testing.assert_array_equal(masked_median(values, np.zeros_like(known)), [0.0, 0.0])
