"""The renderer moves a face by what it was told to, opens mouths, shuts eyes, and writes files that read back."""

from dataclasses import replace

import av
import numpy as np
import pytest
from facespot.errors import NoFaceError, NotAVideoError, VideoNotFoundError
from facespot.extract.regions import KEPT_INDEX, KEPT_MESH_POINTS, ROI_MESH_POINTS
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.simulation import recording
from facespot.spotting.simulation.camera import SceneOptions, draw_tracks
from facespot.spotting.simulation.recording import (
    at_frames,
    draw_scene,
    fit_to_still,
    read_truth,
    render_recording,
    write_truth,
)
from facespot.spotting.simulation.render import Camera, render_frames, write_video
from facespot.spotting.simulation.stage import Event, Performance
from facespot.spotting.simulation.still import Still, load_still

K = len(KEPT_MESH_POINTS)
SIZE = (256, 256)
SCENE = SceneOptions.steady(size=SIZE, face_width=0.22)
IOD = SCENE.face_width * SIZE[0]
LOWER_LIP = (14, 87, 317, 17, 84, 314, 91, 321, 18)
BROWS = [p for name, points in ROI_MESH_POINTS.items() if "brow" in name for p in points]


def resting_mesh(still):
    """(478, 2) where the mesh points lie in the rendered picture while nothing moves, in pixels."""
    camera = Camera(still, SCENE)
    return camera.to_output(camera.still.landmarks[:, :2])


@pytest.fixture(scope="module")
def still() -> Still:
    return load_still(pytest.importorskip("skimage.data").astronaut())


def move(points: dict[int, tuple[float, float]]) -> np.ndarray:
    field = np.zeros((1, K, 2))
    for point, vector in points.items():
        field[0, KEPT_INDEX[point]] = vector
    return field


def picture(still: Still, displacement: np.ndarray, scene: SceneOptions = SCENE, **tracks: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn = replace(draw_tracks(scene, 1, rng), **tracks) if tracks else None
    return next(render_frames(still, displacement, scene, rng, drawn))


def located(still: Still, displacement: np.ndarray, point: int, **tracks: np.ndarray) -> np.ndarray:
    """How far, in IOD, the skin at a mesh point has really moved.

    The still is replaced by one whose colours are its own coordinates around the point, and the output is searched
    for the point's colour.
    """
    height, width = still.image.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    at = still.landmarks[point, :2]
    step = 3.0 * 42.0 / still.iod
    ramps = np.stack([128 + step * (x - at[0]), 128 + step * (y - at[1]), np.zeros_like(x)], axis=-1)
    coded = Still(np.clip(ramps, 0, 255).astype(np.uint8), still.landmarks)
    shown = picture(coded, displacement, **tracks)[..., :2].astype(float) - 128
    start = resting_mesh(still)[point]
    reach = round(0.4 * IOD)
    left, top = start.round().astype(int) - reach
    window = np.abs(shown[top : top + 2 * reach, left : left + 2 * reach]).sum(axis=-1)
    row, column = np.unravel_index(window.argmin(), window.shape)
    # Between pixels: where a plane through the neighbourhood's colours passes through the point's own.
    dy, dx = np.mgrid[-2:3, -2:3]
    near = shown[top + row - 2 : top + row + 3, left + column - 2 : left + column + 3].reshape(-1, 2)
    plane, *_ = np.linalg.lstsq(np.column_stack([dx.ravel(), dy.ravel(), np.ones(25)]), near, rcond=None)
    fine = np.linalg.solve(plane[:2].T, -plane[2])
    return (np.array([left + column, top + row]) + fine - start) / IOD


@pytest.mark.parametrize("amount", [0.02, 0.1, 0.2])
def test_brows_rise_by_what_was_asked(still, amount):
    raised = move(dict.fromkeys(BROWS, (0, -amount)))
    for point in (105, 334):
        rise = located(still, raised, point) - located(still, np.zeros((1, K, 2)), point)
        assert rise == pytest.approx((0, -amount), abs=0.012)


def test_mouth_corner_and_chin_land_where_asked(still):
    jaw = dict.fromkeys((*LOWER_LIP, 152, 199, 175, 148, 377), (0.0, 0.2))
    for point, field in ((61, {61: (-0.1, -0.08)}), (199, jaw)):
        moved = located(still, move(field), point) - located(still, np.zeros((1, K, 2)), point)
        assert moved == pytest.approx(field[point], abs=0.015)


def test_nothing_moves_far_from_the_movement(still):
    rest = picture(still, np.zeros((1, K, 2))).astype(int)
    raised = picture(still, move(dict.fromkeys(BROWS, (0, -0.1)))).astype(int)
    changed = np.abs(raised - rest).max(axis=-1)
    mesh = resting_mesh(still).astype(int)
    brow_row, mouth_row = mesh[105, 1], mesh[13, 1]
    assert changed[brow_row - 15 : brow_row + 15].max() > 40
    assert changed[mouth_row:].max() < 12
    assert changed[:, :20].max() < 2


def test_jaw_drop_opens_a_dark_mouth(still):
    lower = dict.fromkeys((*LOWER_LIP, 152, 199, 175, 148, 377), (0.0, 0.3))
    x, y = resting_mesh(still)[14].round().astype(int)
    gap = slice(y + 4, y + round(0.2 * IOD)), slice(x - 3, x + 4)
    assert picture(still, np.zeros((1, K, 2)))[gap].mean() > 120
    assert picture(still, move(lower))[gap].mean() < 70


def test_a_closed_lid_hides_the_iris(still):
    upper = (158, 159, 160, 385, 386, 387)
    gap = (still.landmarks[145, 1] - still.landmarks[159, 1]) / still.iod
    x, y = resting_mesh(still)[468].round().astype(int)
    eye = slice(y - 1, y + 2), slice(x - 1, x + 2)
    open_eye, shut = (
        picture(still, np.zeros((1, K, 2)))[eye].mean(),
        picture(still, move(dict.fromkeys(upper, (0, gap))))[eye].mean(),
    )
    assert shut > open_eye + 40


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ({"head": np.array([[0.1, -0.05, 0.0, 1.0]])}, (0.1, -0.05)),
        ({"camera": np.array([[0.1, -0.05, 0.0, 1.0]])}, (0.1, -0.05)),
    ],
)
def test_head_and_camera_shift_the_nose(still, tracks, expected):
    rest = located(still, np.zeros((1, K, 2)), 4)
    assert located(still, np.zeros((1, K, 2)), 4, **tracks) - rest == pytest.approx(expected, abs=0.012)


def test_turning_moves_the_nose_further_than_the_temples(still):
    turn = {"turn": np.deg2rad([[5.0, 0.0]])}
    nose, temple = (
        located(still, np.zeros((1, K, 2)), point, **turn)[0] - located(still, np.zeros((1, K, 2)), point)[0]
        for point in (4, 127)
    )
    assert nose > temple + 0.02
    assert nose > 0.05


def test_camera_moves_the_background_and_the_head_does_not(still):
    corner = np.s_[-16:, -16:]
    rest = picture(still, np.zeros((1, K, 2)))[corner]
    shift = np.array([[0.15, 0.0, 0.0, 1.0]])
    assert np.array_equal(picture(still, np.zeros((1, K, 2)), head=shift)[corner], rest)
    assert not np.array_equal(picture(still, np.zeros((1, K, 2)), camera=shift)[corner], rest)


def test_same_seed_same_frames_and_noise_of_the_asked_size(still):
    scene = replace(SCENE, head_shift=0.02, head_turn=1.0, gain_drift=0.02, read_noise=4.0)
    first, again, other = (
        np.stack(list(render_frames(still, np.zeros((3, K, 2)), scene, np.random.default_rng(seed))))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    clean = picture(still, np.zeros((1, K, 2))).astype(float)
    noisy = picture(still, np.zeros((1, K, 2)), replace(SCENE, read_noise=4.0)).astype(float)
    middle = (clean > 30) & (clean < 225)
    assert (noisy - clean)[middle].std() == pytest.approx(4.0, rel=0.05)


def test_wrong_shapes_are_refused(still):
    with pytest.raises(ValueError, match="displacement"):
        next(render_frames(still, np.zeros((2, K, 3)), SCENE, np.random.default_rng(0)))
    tracks = draw_tracks(SCENE, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="tracks"):
        next(render_frames(still, np.zeros((2, K, 2)), SCENE, np.random.default_rng(0), tracks))


@pytest.mark.parametrize("fps", [25, 29.97, 200])
def test_video_reads_back_with_its_frames_and_rate(tmp_path, fps):
    shades = [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(8)]
    assert write_video(tmp_path / "v.mp4", shades, fps) == 8
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.codec_context.name == "h264"
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-4)
    read = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    assert read == pytest.approx([20 * i for i in range(8)], abs=4)
    assert [frame.time for frame in frames] == pytest.approx(np.arange(8) / fps, abs=1e-3)


def test_video_needs_frames_of_even_size(tmp_path):
    with pytest.raises(ValueError, match="frame"):
        write_video(tmp_path / "v.mp4", [], 30)
    with pytest.raises(ValueError, match="even"):
        write_video(tmp_path / "v.mp4", [np.zeros((31, 32, 3), np.uint8)], 30)


def test_stills_that_cannot_be_used(tmp_path):
    with pytest.raises(VideoNotFoundError):
        load_still(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(NotAVideoError):
        load_still(tmp_path / "text.png")
    with pytest.raises(NoFaceError):
        load_still(np.zeros((64, 64, 3), np.uint8))


def test_frames_between_ticks_follow_the_curve():
    ticks = np.arange(30) / 30
    curve = np.sin(2 * np.pi * ticks)
    sixty = Timebase(np.arange(58) / 60)
    values = at_frames(np.broadcast_to(curve[:, None, None], (30, 2, 2)), sixty)
    assert values[:, 0, 0] == pytest.approx(np.sin(2 * np.pi * np.arange(58) / 60), abs=2e-3)


def test_movements_tilt_with_the_face(still):
    centre = still.landmarks[:, :2].mean(axis=0)
    turned = still.landmarks.copy()
    offset = turned[:, :2] - centre
    turned[:, :2] = centre + np.stack([-offset[:, 1], offset[:, 0]], axis=1)  # a quarter turn clockwise
    field = np.zeros((1, K, 3))
    field[0, KEPT_INDEX[61]] = (0.1, 0.0, 0.0)
    upright = fit_to_still(still, field)[0, KEPT_INDEX[61]]
    tilted = fit_to_still(Still(still.image, turned), field)[0, KEPT_INDEX[61]]
    assert upright == pytest.approx((0.1, 0.0), abs=0.01)
    assert tilted == pytest.approx((0.0, 0.1), abs=0.01)


def test_recording_is_repeatable(still, tmp_path):
    scene = replace(SCENE, size=(96, 96), fps=25.0)
    first = render_recording(still, tmp_path / "a.mp4", 3, 1.0, scene)
    again = render_recording(still, tmp_path / "b.mp4", 3, 1.0, scene)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert first.events == again.events
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == first.timebase.n_frames == 25
    with pytest.raises(ValueError, match="half a second"):
        render_recording(still, tmp_path / "c.mp4", 0, 0.2)


def test_nods_of_the_performance_turn_the_head(still, tmp_path, monkeypatch):
    filmed = []
    monkeypatch.setattr(recording, "write_video", lambda path, frames, fps, **_: filmed.append(frames))
    monkeypatch.setattr(recording, "render_frames", lambda *arguments: arguments[-1])
    nods = np.zeros((31, 3))
    nods[:, 1] = 0.1 * np.sin(np.arange(31) / 5)
    for given in (nods, np.zeros((0, 3))):
        still_face = Performance(np.zeros((31, K, 3)), [], np.zeros(31), np.zeros(31, bool), nods=given)
        recording.film(still, still_face, tmp_path / "a.mp4", replace(SCENE, fps=30.0), np.random.default_rng(0))
    nodding, plain = filmed
    assert nodding.turn[:, 1] - plain.turn[:, 1] == pytest.approx(nods[:, 1], abs=1e-6)
    assert np.array_equal(nodding.turn[:, 0], plain.turn[:, 0])


def test_lively_heads_move_as_fast_as_those_of_people_who_talk():
    def speed(lively):
        scenes = [draw_scene(np.random.default_rng(seed), lively=lively) for seed in range(20)]
        turns = [draw_tracks(s, 450, np.random.default_rng(0)).turn * s.fps for s in scenes]
        return np.median([np.median(np.linalg.norm(np.diff(turn, axis=0), axis=1)) for turn in turns])

    assert 0.04 < speed(True) < 0.58
    assert speed(True) > 3 * speed(False)


def test_truth_names_ticks_seconds_and_frames_and_reads_back(tmp_path):
    timebase = Timebase(np.arange(120) / 60)
    write_truth(tmp_path / "t.csv", [Event(15, 18, 24, "micro", 0.04)], timebase)
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == "15,18,24,0.500,0.600,0.800,30,36,48,micro,0.0400"
    assert read_truth(tmp_path / "t.csv") == [Interval(15, 18, 24, "micro")]
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="truth"):
        read_truth(tmp_path / "other.csv")
