"""Tracking on synthetic pictures with known motion."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from facespot.extract.motion.flow import (
    _LK_ERROR_FLOOR,
    _LK_ERROR_LIMIT,
    _LK_REACH,
    CROP_SIZE,
    FLOW_METHODS,
    HORIZON_S,
    N_ROI,
    N_SAMPLES,
    TRACKED_ANCHORS,
    CropWindow,
    FlowTracker,
    _error_limits,
    eye_distance,
    sample_points,
)
from facespot.extract.motion.snippets import build_snippets, roi_motion
from facespot.extract.reading.frames import FaceFrame
from facespot.extract.regions import EYE_CORNERS, ROI_MESH_POINTS, ROI_NAMES
from synthetic_face import IOD, face_frames, synthetic_mesh

BROW = ROI_NAMES.index("image_left_brow_mid")


def last_motion(frames: list[FaceFrame], method: str = "lk"):
    tracker = FlowTracker(method)
    return [motion for frame in frames for motion in tracker.add(frame)][-1]


def test_sample_points_surround_their_roi():
    mesh = synthetic_mesh()
    points = sample_points(mesh, IOD)
    assert points.shape == (N_ROI * N_SAMPLES + len(TRACKED_ANCHORS), 3)
    for roi, members in enumerate(ROI_MESH_POINTS.values()):
        samples = points[roi * N_SAMPLES : (roi + 1) * N_SAMPLES]
        np.testing.assert_allclose(samples.mean(0), mesh[list(members)].mean(0), atol=0.01)
        np.testing.assert_allclose(samples[0], mesh[list(members)].mean(0), rtol=1e-6)
        assert np.linalg.norm(samples - samples.mean(0), axis=1).max() < 0.1 * IOD


def test_eye_distance_does_not_shrink_as_the_head_turns():
    mesh = synthetic_mesh()
    turned = mesh - mesh.mean(0)
    angle = np.radians(30)
    turned = turned @ np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    corners = [turned[list(EYE_CORNERS[side]), :2].mean(0) for side in EYE_CORNERS]
    assert np.linalg.norm(corners[1] - corners[0]) < 0.9 * IOD
    assert eye_distance(turned) == pytest.approx(eye_distance(mesh), rel=1e-4)
    assert eye_distance(mesh) == pytest.approx(IOD, rel=1e-3)


def test_crop_window_maps_points_onto_the_same_picture_content():
    gray = np.zeros((200, 260), np.uint8)
    cv2.circle(gray, (150, 90), 6, 255, -1)
    for window in (CropWindow(100, 40, 128), CropWindow(-30, -60, 320), CropWindow(30, -20, 512)):
        cut = window.cut(gray).astype(float)
        rows, columns = np.mgrid[0 : cut.shape[0], 0 : cut.shape[1]]
        centre = np.array([(columns * cut).sum(), (rows * cut).sum()]) / cut.sum()
        np.testing.assert_allclose(window.into(np.array([150.0, 90.0])), centre, atol=0.1)


def test_crop_window_repeats_the_edge_outside_the_picture():
    gray = np.tile(np.arange(50, 150, dtype=np.uint8), (100, 1))
    cut = CropWindow(-50, -50, CROP_SIZE).cut(gray)
    assert np.all(cut[:, :49] == 50)
    assert np.all(cut[:, 151:] == 149)


@pytest.mark.parametrize("method", FLOW_METHODS)
def test_translation_of_the_picture_is_measured_and_then_removed(method):
    frames = face_frames(lambda points, s: np.broadcast_to([24 * s, -12 * s], points.shape), n=10)
    motion = last_motion(frames, method)
    expected = np.array([24.0, -12.0]) * (frames[-1].time - motion.times)[:, None]
    error = motion.displacements - expected[:, None]
    assert motion.trusted.mean() > 0.95
    assert np.abs(np.median(error, axis=1)).max() < 0.15
    for alignment in ("nose", "similarity", "pose"):
        residual, seen = roi_motion(motion, alignment)
        assert seen.all()
        assert np.abs(residual).max() < (0.003 if method == "lk" else 0.03)


def test_the_frame_itself_has_not_moved():
    motion = last_motion(face_frames(lambda points, s: 30 * s * np.ones_like(points), n=5))
    np.testing.assert_array_equal(motion.displacements[-1], 0)
    np.testing.assert_array_equal(roi_motion(motion, "pose")[0][-1], 0)


def test_roll_is_removed_by_the_fits():
    def roll(points, seconds):
        angle = np.radians(8) * seconds / 0.3
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return (points - 160) @ turn + 160 - points

    motion = last_motion(face_frames(roll, n=10))
    fitted = np.abs(roi_motion(motion, "similarity")[0][0]).max()
    assert fitted < 0.01
    assert np.abs(roi_motion(motion, "nose")[0][0]).max() > 5 * fitted


def local_warp(shift: tuple[float, float]):
    """The left brow's middle moves by `shift` px, rising over the first four frames."""
    centre = synthetic_mesh()[list(ROI_MESH_POINTS[ROI_NAMES[BROW]]), :2].mean(0)

    def motion(points, seconds):
        near = np.exp(-((points - centre) ** 2).sum(-1, keepdims=True) / (2 * (0.16 * IOD) ** 2))
        return near * np.array(shift) * min(seconds * 30 / 4, 1.0)

    return motion


@pytest.mark.parametrize("shift", [(0.0, -2.4), (1.6, 0.0)])
def test_a_local_warp_shows_in_its_own_roi_only(shift):
    residual, _ = roi_motion(last_motion(face_frames(local_warp(shift), n=9)), "pose")
    moved = residual[0] * IOD
    samples = sample_points(synthetic_mesh(), IOD)[BROW * N_SAMPLES : (BROW + 1) * N_SAMPLES, :2]
    expected = np.median(local_warp(shift)(samples, 1.0), axis=0)
    np.testing.assert_allclose(moved[BROW], expected, atol=0.2 * np.abs(shift).max())
    np.testing.assert_allclose(moved[[3, 4, 5, 6, 7, 8, 9]], 0, atol=0.15)


def test_face_size_does_not_matter():
    small = face_frames(local_warp((0.0, -2.4)), n=8)
    large = [
        FaceFrame(
            f.index,
            f.time,
            cv2.resize(f.gray, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
            (f.landmarks * 2 + np.array([0.5, 0.5, 0])).astype(np.float32),
            0,
        )
        for f in small
    ]
    (a, _), (b, _) = (roi_motion(last_motion(frames), "pose") for frames in (small, large))
    np.testing.assert_allclose(a, b, atol=0.005)


def test_moves_of_the_crop_window_never_show_as_motion():
    """A face that crosses the picture makes the window follow; the residue stays that of a small shift."""
    frames = face_frames(lambda points, s: np.broadcast_to([100 * s, 0], points.shape), n=17, size=(320, 400))
    tracker = FlowTracker()
    windows, worst = set(), 0.0
    for frame in frames:
        residual, seen = roi_motion(tracker.add(frame)[-1], "pose")
        windows.add(tracker._window)
        worst = max(worst, np.abs(residual[seen]).max())
    assert len(windows) > 1
    assert worst < 0.02


def test_a_covered_region_is_not_trusted_and_keeps_its_last_value():
    frames = face_frames(local_warp((0.0, -2.4)), n=10)
    covered = []
    for frame in frames:
        gray = frame.gray.copy()
        if frame.index >= 6:
            gray[:150] = 128
        covered.append(FaceFrame(frame.index, frame.time, gray, frame.landmarks, 0))
    _, seen = roi_motion(last_motion(covered), "similarity")
    assert not seen[0, BROW]
    rows = list(build_snippets(covered))
    clear = list(build_snippets(frames))
    kept = rows[5].snippet[-1, BROW]
    np.testing.assert_allclose(kept, clear[5].snippet[-1, BROW], atol=0.01)


def test_only_references_within_reach_are_kept():
    frames = face_frames(lambda points, s: np.zeros_like(points), n=30)
    tracker = FlowTracker()
    sizes = []
    for frame in frames:
        tracker.add(frame)
        sizes.append(len(tracker._references))
    assert sizes[:5] == [1, 2, 3, 4, 5]
    assert max(sizes) == sizes[-1] == round(HORIZON_S * 30) + 1


def still_face(times):
    frames = face_frames(lambda points, s: np.zeros_like(points), n=len(times))
    return [replace(frame, time=float(time)) for frame, time in zip(frames, times, strict=True)]


def tracked_steps(times):
    """For each frame that something was tracked to, how many frames before it the references lie."""
    tracker = FlowTracker()
    motions = [motion for frame in still_face(times) for motion in tracker.add(frame)] + tracker.catch_up()
    number = {float(time): i for i, time in enumerate(times)}
    return [(number[m.time], [number[m.time] - number[time] for time in m.times.tolist()]) for m in motions]


@pytest.mark.parametrize("fps", [29.97, 30])
def test_dense_pictures_are_tracked_to_every_second_later_one_and_to_the_last(fps):
    *steps, (last, caught_up) = tracked_steps(np.arange(24) / fps)
    reach = int(np.ceil(HORIZON_S * fps))
    for frame, behind in steps:
        assert behind == [step for step in range(min(reach, frame), -1, -1) if step % 2 == 0]
    assert last == 23
    assert caught_up == [step for step in range(reach, 0, -1) if step % 2 == 1]


def test_pictures_that_are_not_dense_are_tracked_to_every_one():
    reach = int(np.ceil(HORIZON_S * 12))
    steps = tracked_steps(np.arange(20) / 12)
    assert steps == [(frame, list(range(min(reach, frame), -1, -1))) for frame in range(20)]


def test_before_a_gap_everything_is_tracked_and_nothing_passed_over():
    times = np.concatenate([np.arange(6) / 30, 5 / 30 + 0.1 + np.arange(3) / 30])
    steps = tracked_steps(times)
    assert steps[5:8] == [(5, [4, 2, 0]), (5, [5, 3, 1]), (6, [6, 5, 4, 3, 2, 1, 0])]


def test_odd_steps_are_the_mean_of_their_neighbours():
    """The brow moves up and stays: what is known of even steps is exact, an odd one lies in the middle."""
    rows = list(build_snippets(face_frames(local_warp((0.0, -2.4)), n=40)))
    for row in rows[8:24]:
        np.testing.assert_allclose(row.snippet[1:-1:2], (row.snippet[:-2:2] + row.snippet[2::2]) / 2, atol=1e-6)
    assert np.abs(rows[8].snippet[:, BROW]).max() * IOD > 1.5


def test_what_a_track_may_differ_by_goes_by_the_contrast_around_its_point():
    """Also where the square around it reaches over the edge of the cut, and for points beyond it."""
    rng = np.random.default_rng(0)
    cut = np.clip(rng.normal(128, np.linspace(2, 60, CROP_SIZE), (CROP_SIZE, CROP_SIZE)), 0, 255).astype(np.uint8)
    points = rng.uniform(-20, CROP_SIZE + 20, (80, 2)).astype(np.float32)
    limits = _error_limits(cut, points)
    for (x, y), limit in zip(np.rint(points).astype(int), limits, strict=True):
        left, top = np.clip([x - _LK_REACH, y - _LK_REACH], 0, CROP_SIZE - 1)
        right, bottom = np.clip([x + _LK_REACH + 1, y + _LK_REACH + 1], 1, CROP_SIZE)
        contrast = cut[top:bottom, left:right].std()
        assert limit == pytest.approx(max(_LK_ERROR_FLOOR, _LK_ERROR_LIMIT * contrast), abs=1e-6)
    assert len(set(limits.tolist())) > 40


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="flow must be one of"):
        FlowTracker("tvl1")
