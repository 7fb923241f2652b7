"""MediaPipe's networks without its graphs, against the graphs themselves."""

import subprocess
import sys
from collections import defaultdict

import cv2
import numpy as np
import pytest
from facespot.extract.face import litert
from facespot.extract.face.detector_network import DetectorNetwork
from facespot.extract.face.mesh import SubjectMesh, eye_centres, mesh_box
from facespot.extract.face.mesh_network import N_MESH_POINTS, MeshNetwork
from facespot.extract.face.mesh_reader import MeshReader
from facespot.extract.face.square import TurnedSquare
from facespot.extract.reading.video import open_video
from places import ROOT

data = pytest.importorskip("skimage.data")
SAMPLE = ROOT / "samples" / "astronaut.mp4"
BOX = np.array([223.0, 118.0, 100.0])  # of the astronaut's face, as a detector gives it
N_FRAMES = 6


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


@pytest.fixture(scope="module")
def reader():
    return MeshReader()


@pytest.fixture(scope="module")
def frames():
    with open_video(SAMPLE) as stream:
        return [frame.rgb for frame, _ in zip(stream, range(N_FRAMES), strict=False)]


@pytest.fixture(scope="module")
def graphs(frames):
    """(N, 478, 3) landmarks in pixels, by MediaPipe's graph that follows the face."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    height, width = frames[0].shape[:2]
    with FaceMesh(max_num_faces=1, refine_landmarks=True) as graph:
        seen = [graph.process(frame).multi_face_landmarks[0].landmark for frame in frames]
    return np.array([[(p.x, p.y, p.z) for p in mesh] for mesh in seen]) * (width, height, width)


def test_every_point_of_the_mesh_is_the_graphs(frames, graphs):
    """Read in the same square."""
    network = MeshNetwork()
    for frame, before, expected in zip(frames[1:], graphs[:-1], graphs[1:], strict=True):
        square = TurnedSquare.around_mesh(before.astype(np.float32))
        points, surety = network(square.cut(frame))
        found = square.into_picture(points)
        assert found.shape == (N_MESH_POINTS, 3)
        assert surety > 0.99
        # Of pixels, where the eyes are 100 apart.
        assert np.abs(found - expected).max() < 0.05


def test_following_a_face_gives_what_the_graph_gives_at_another_size(frames, graphs):
    seen = mesh_box(graphs[0]) / (1, 1, 1.3)  # a detector's box is smaller than the mesh
    with SubjectMesh() as mesh:
        found = np.array([mesh(frame, seen) for frame in frames])
    left, right = eye_centres(graphs[-1])
    distance = np.linalg.norm(right - left)
    away = np.abs(found[2:] - graphs[2:])
    assert away.mean() < 0.01 * distance
    assert away.max() < 0.05 * distance


@pytest.mark.parametrize("reach", ["short", "full"])
def test_detections_are_the_graphs(reach, astronaut):
    from mediapipe.python.solutions.face_detection import FaceDetection

    head = astronaut[:300, 100:400]
    pictures = [astronaut, cv2.resize(astronaut, (640, 480)), np.concatenate([head, head[:, ::-1]], axis=1)]
    pictures.append(np.random.default_rng(0).integers(0, 255, (300, 480, 3), np.uint8))
    network = DetectorNetwork(reach)
    counts = []
    with FaceDetection(model_selection=("short", "full").index(reach)) as graph:
        for picture in map(np.ascontiguousarray, pictures):
            size = np.array(picture.shape[1::-1])
            expected, found = graph.process(picture).detections or [], network(picture)
            counts.append(len(found))
            assert len(expected) == len(found)
            for one, other in zip(expected, found, strict=True):
                box = one.location_data.relative_bounding_box
                low = np.array([box.xmin, box.ymin]) * size
                corners = np.concatenate([low, low + np.array([box.width, box.height]) * size])
                eyes = np.array([(p.x, p.y) for p in one.location_data.relative_keypoints[:2]]) * size
                np.testing.assert_allclose(other.box, corners, atol=0.01)
                np.testing.assert_allclose(other.eyes, eyes, atol=0.01)
                assert other.score == pytest.approx(one.score[0], abs=1e-4)
    assert counts == [1, 1, 2, 0]


@pytest.mark.parametrize("degrees", [-50, 25])
def test_a_rolled_face_gives_rolled_landmarks(degrees, astronaut, reader):
    """The picture is turned around the face; each reading starts from what the detector sees."""

    def settled(rgb):
        square = reader.find(rgb)
        for _ in range(3):
            landmarks = reader.read(rgb, square)
            square = TurnedSquare.around_mesh(landmarks)
        return landmarks

    upright = settled(astronaut)
    turn = cv2.getRotationMatrix2D((BOX[0], BOX[1]), -degrees, 1.0)
    rolled = settled(cv2.warpAffine(astronaut, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE))
    expected = upright[:, :2] @ turn[:, :2].T + turn[:, 2]
    left, right = eye_centres(upright)
    distance = np.linalg.norm(right - left)
    assert np.abs(rolled[:, :2] - expected).mean() < 0.03 * distance
    assert np.abs(rolled[:, :2] - upright[:, :2]).mean() > 0.1 * distance


def test_a_face_is_lost_where_there_is_none_and_found_again_elsewhere(astronaut):
    empty = np.full_like(astronaut, 90)
    moved = np.roll(astronaut, 90, axis=1)
    with SubjectMesh() as mesh:
        first = mesh(astronaut, BOX)
        assert mesh(empty, BOX) is None
        assert mesh.box is None
        assert mesh(astronaut, None) is None  # not expected anywhere
        again = mesh(moved, np.add(BOX, (90, 0, 0)))
        kept = mesh(moved, None)  # followed without being expected
    np.testing.assert_allclose(again - first, np.tile([90, 0, 0], (N_MESH_POINTS, 1)), atol=1.5)
    np.testing.assert_allclose(kept, again, atol=2.0)


def test_no_square_is_found_where_there_is_no_face(reader):
    assert reader.find(np.full((300, 400, 3), 120, np.uint8)) is None


def test_what_a_network_was_started_for_goes_to_the_next_one(astronaut, monkeypatch):
    started = []
    start = litert._started
    monkeypatch.setattr(litert, "_IDLE", defaultdict(list))
    monkeypatch.setattr(litert, "_started", lambda model: started.append(len(model)) or start(model))
    detector = DetectorNetwork("short")
    (first,) = detector(astronaut)
    beside = DetectorNetwork("short")  # while the first is in use
    assert len(started) == 2
    detector(np.zeros_like(astronaut))  # which leaves other numbers in it
    del detector, beside
    (again,) = DetectorNetwork("short")(astronaut)
    assert (again.box == first.box).all()
    assert again.score == first.score
    assert len(started) == 2
    DetectorNetwork("full")
    assert len(started) == 3


def test_reading_a_face_loads_nothing_of_mediapipe():
    code = (
        "import sys; from facespot.extract.face.mesh_reader import MeshReader; MeshReader();"
        "assert not any(name.split('.')[0] in ('mediapipe', 'tensorflow', 'jax') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
