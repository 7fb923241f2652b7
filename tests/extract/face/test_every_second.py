"""Which pictures the face mesh is read in, and what stands in the others; a stand-in for the network gives meshes."""

import numpy as np
import pytest
from facespot.extract.face import following
from facespot.extract.face.following import FollowStats, follow_face
from facespot.extract.face.mesh import mesh_box
from facespot.extract.face.subjects import Subject
from facespot.extract.reading.frames import Picture, VideoFrame
from facespot.extract.regions import KEPT_MESH_POINTS
from scipy.ndimage import gaussian_filter
from synthetic_face import IOD, MIDDLE, synthetic_mesh

CHEEKS, MOUTH_CORNERS = (234, 454), (61, 291)
LIP = 13  # a mesh point whose depth says which picture was read
SIZE = 320


def face():
    """(478, 3) px, of a face's proportions."""
    mesh = synthetic_mesh().copy()
    mesh[list(CHEEKS), 0] = MIDDLE - 1.15 * IOD, MIDDLE + 1.15 * IOD
    mesh[list(MOUTH_CORNERS)] = mesh[list(KEPT_MESH_POINTS)].mean(0) + np.array([0, 0.4 * IOD, 0])
    return mesh


class Meshes:
    """Stands for `SubjectMesh`. hidden: frames without a face. moved: of the face in each frame, px."""

    def __init__(self, hidden=(), moved=None):
        self.hidden, self.moved = set(hidden), moved
        self.read: list[int] = []
        self.place = None
        self.box = None

    def __call__(self, rgb, expected):
        frame = int(rgb[0, 0, 0])
        self.read.append(frame)
        self.place = frame
        landmarks = None if frame in self.hidden else self.truth(frame)
        self.box = None if landmarks is None else mesh_box(landmarks)
        return landmarks

    def truth(self, frame):
        landmarks = face()
        landmarks[LIP, 2] += np.float32(frame**2)
        if self.moved is not None:
            landmarks[:, 0] += np.float32(self.moved[frame])
        return landmarks

    def forget(self):
        self.place = None

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass


def scene(seed):
    picture = gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), 15)
    return np.clip(120 + 40 * picture / picture.std(), 0, 255).astype(np.uint8)[..., None].repeat(3, -1)


def film(times, cut=None):
    """Still pictures, another scene from `cut` on. The first pixel is the number of the frame."""
    scenes = scene(0), scene(1)
    frames = []
    for i, time in enumerate(times):
        rgb = scenes[cut is not None and i >= cut].copy()
        rgb[0, 0] = i
        frames.append(VideoFrame(i, float(time), Picture(lambda rgb=rgb: rgb)))
    return frames


def follow(monkeypatch, frames, **known):
    meshes = Meshes(**known)
    monkeypatch.setattr(following, "SubjectMesh", lambda: meshes)
    times = np.arange(0, 10, 0.25)
    box = mesh_box(face())
    subject = Subject(times, np.tile([box[0], box[1], box[2] / 1.3], (len(times), 1)), np.zeros(len(times), int), 64, 1)
    stats = FollowStats()
    followed = list(follow_face(iter(frames), subject, stats))
    assert [face.index for face in followed] == [frame.index for frame in frames]
    return followed, meshes, stats


def as_read(followed, meshes):
    """Frames whose mesh is what the network says of them."""
    return [f.index for f in followed if f.landmarks is not None and np.array_equal(f.landmarks, meshes.truth(f.index))]


@pytest.mark.parametrize("fps", [28, 29.97, 30])
def test_dense_pictures_are_read_in_every_second_and_the_last(monkeypatch, fps):
    followed, meshes, stats = follow(monkeypatch, film(np.arange(30) / fps))
    assert meshes.read == [*range(0, 30, 2), 29]
    assert as_read(followed, meshes) == meshes.read
    for i in range(1, 28, 2):
        expected = (followed[i - 1].landmarks + followed[i + 1].landmarks) / 2
        np.testing.assert_allclose(followed[i].landmarks, expected, atol=1e-4)
        assert followed[i].landmarks.dtype == np.float32
    assert (stats.frames, stats.followed, stats.segments) == (30, 30, 1)


@pytest.mark.parametrize("fps", [10, 12, 15, 23.976, 25])
def test_slower_ones_are_read_in_every_picture(monkeypatch, fps):
    followed, meshes, _ = follow(monkeypatch, film(np.arange(24) / fps))
    assert meshes.read == as_read(followed, meshes) == list(range(24))


def test_uneven_pictures_are_interpolated_by_their_time(monkeypatch):
    times = np.array([0, 0.02, 0.05, 0.07, 0.13, *(0.2 + np.arange(20) / 12)])
    followed, meshes, _ = follow(monkeypatch, film(times))
    assert as_read(followed, meshes) == [0, *range(3, 25)]
    before, after = followed[0].landmarks, followed[3].landmarks
    for i in (1, 2):
        np.testing.assert_allclose(followed[i].landmarks, before + times[i] / times[3] * (after - before), atol=1e-4)


@pytest.mark.parametrize("lost", [[20], [21], [20, 21], range(20, 27), range(21, 26)])
def test_what_lies_around_a_lost_face_is_read(monkeypatch, lost):
    followed, meshes, stats = follow(monkeypatch, film(np.arange(60) / 30), hidden=lost)
    missing = [face.index for face in followed if face.landmarks is None]
    interpolated = set(range(60)) - set(missing) - set(as_read(followed, meshes))
    assert len(interpolated) > 20
    # A single missing picture that was passed over is not known of; nothing else is interpolated across.
    assert missing == ([] if lost == [21] else list(lost))
    if missing:
        assert not interpolated & {lost[0] - 1, lost[-1] + 1}
        assert sum(stats.lost.values()) == len(lost)


def test_what_lies_around_a_cut_is_read(monkeypatch):
    for cut in (30, 31):
        followed, meshes, stats = follow(monkeypatch, film(np.arange(60) / 30, cut))
        assert stats.cuts == 1
        assert [face.segment for face in followed] == [0] * cut + [1] * (60 - cut)
        assert {cut - 1, cut} <= set(as_read(followed, meshes))


def test_what_lies_around_a_gap_is_read(monkeypatch):
    times = np.concatenate([np.arange(31), np.arange(45, 76)]) / 30
    followed, meshes, _ = follow(monkeypatch, film(times))
    assert {30, 31} <= set(as_read(followed, meshes))
    assert len({face.segment for face in followed}) == 2


def test_a_sudden_move_is_read_in_every_picture(monkeypatch):
    moved = np.where(np.arange(60) < 31, 0, 25)
    followed, meshes, _ = follow(monkeypatch, film(np.arange(60) / 30), moved=moved)
    assert {30, 31, 32} <= set(as_read(followed, meshes))
    step = followed[31].landmarks - followed[30].landmarks
    assert np.median(step[:, 0]) == pytest.approx(25, abs=0.01)
