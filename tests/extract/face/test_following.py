import json
from functools import partial

import numpy as np
import pytest
from facespot.errors import NoFaceError
from facespot.extract.face.following import FaceReport, FollowStats, choose_subject, follow_face, scan_subjects
from facespot.extract.face.mesh import SubjectMesh, eye_centres, implausibility, mesh_box
from facespot.extract.face.subjects import SMALLEST_EYE_DISTANCE, Subject
from facespot.extract.reading.frames import Picture, VideoFrame
from facespot.extract.regions import NOSE_MESH_POINTS
from places import SHARED
from scipy.ndimage import gaussian_filter

cv2 = pytest.importorskip("cv2")
data = pytest.importorskip("skimage.data")

CLIPS = SHARED / "real" / "clips"
FPS = 12  # few frames to the second keep the tests quick; nothing below depends on it
HEIGHT, WIDTH = 300, 480
PATCH = 150  # pixels across a pasted head; its eyes are about a fifth of that apart


@pytest.fixture(scope="session")
def head():
    """(260, 260, 3) head of the astronaut."""
    return np.ascontiguousarray(data.astronaut()[0:260, 95:355])


def background(seed=0, height=HEIGHT, width=WIDTH):
    picture = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width, 3)), (20, 20, 0))
    return np.clip(110 + 25 * picture / picture.std(), 0, 255).astype(np.uint8)


def paste(canvas, head, left, top, size=PATCH):
    """The canvas with a head in it, the part that lies inside."""
    picture = canvas.copy()
    small = cv2.resize(head, (size, size), interpolation=cv2.INTER_AREA)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + size, canvas.shape[1]), min(top + size, canvas.shape[0])
    if x1 > x0 and y1 > y0:
        picture[y0:y1, x0:x1] = small[y0 - top : y1 - top, x0 - left : x1 - left]
    return picture


def film(pictures, fps=FPS):
    return [VideoFrame(i, i / fps, Picture(partial(np.asarray, picture))) for i, picture in enumerate(pictures)]


def here(left, top, size=PATCH, until_s=60.0):
    """A subject whose head is pasted at one place all the time, as a scan would see it."""
    times = np.arange(0, until_s, 0.25)
    box = np.array([left + 0.49 * size, top + 0.46 * size, 0.42 * size])
    return Subject(times, np.tile(box, (len(times), 1)), np.zeros(len(times), int), 0.2 * size, 1.0)


def valid(followed):
    return np.array([f.landmarks is not None for f in followed])


def segments(followed):
    return np.array([f.segment for f in followed])


def nose(frame):
    return frame.landmarks[list(NOSE_MESH_POINTS), :2].mean(axis=0)


@pytest.fixture(scope="module")
def two_people(head):
    """A smaller head on the left all the time, a larger one on the right for the first 60 %."""
    canvas = background()
    stays = paste(canvas, head, 20, 80, 150)
    both = paste(stays, head[:, ::-1], 240, 40, 220)
    return film([both] * 24 + [stays] * 16)


@pytest.fixture(scope="module")
def two_subjects(two_people):
    return scan_subjects(two_people)


def test_the_face_present_longest_comes_first(two_subjects):
    assert len(two_subjects) == 2
    first, second = two_subjects
    assert first.presence > 0.9
    assert 0.5 < second.presence < 0.7
    assert second.mean_size > 1.2 * first.mean_size
    assert choose_subject(two_subjects) is first
    assert choose_subject(two_subjects, "longest") is first
    assert choose_subject(two_subjects, "largest") is second
    assert choose_subject(two_subjects, 1) is second
    assert choose_subject(two_subjects, "1") is second


def test_follows_the_chosen_face_and_never_the_other(two_people, two_subjects):
    stats = FollowStats()
    followed = list(follow_face(two_people, two_subjects[0], stats))
    assert valid(followed).all()
    assert set(segments(followed)) == {0}
    assert all(nose(f)[0] < 200 for f in followed)
    assert (stats.frames, stats.followed, stats.segments) == (40, 40, 1)

    stats = FollowStats()
    followed = list(follow_face(two_people, two_subjects[1], stats))
    assert valid(followed)[:24].all()
    assert not valid(followed)[24:].any()
    assert (segments(followed)[24:] == -1).all()
    assert all(nose(f)[0] > 240 for f in followed[:24])
    assert sum(stats.lost.values()) == 16


def test_report_says_who_else_was_there(two_people, two_subjects):
    stats = FollowStats()
    list(follow_face(two_people, two_subjects[1], stats))
    report = json.loads(json.dumps(FaceReport.of(two_subjects, two_subjects[1], stats).to_dict()))
    assert len(report["faces"]) == 2
    assert report["chosen"] == 1
    assert report["followed"] == pytest.approx(0.6)
    assert report["faces"][0]["presence"] > report["faces"][1]["presence"]
    assert report["faces"][1]["last_s"] == pytest.approx(2.0, abs=0.3)
    assert sum(report["lost"].values()) == 16


def test_unknown_choices(two_subjects):
    with pytest.raises(NoFaceError, match=r"no face 2; seen: face 0 in .* face 1 in"):
        choose_subject(two_subjects, 2)
    with pytest.raises(NoFaceError, match="no face -1"):
        choose_subject(two_subjects, -1)
    with pytest.raises(ValueError, match="selector"):
        choose_subject(two_subjects, "tallest")


def test_no_face_at_all():
    subjects = scan_subjects(film([background(s) for s in (0, 1)] * 10))
    assert subjects == []
    with pytest.raises(NoFaceError, match="no face was seen"):
        choose_subject(subjects)


def test_face_that_leaves_and_returns_elsewhere_is_one_subject_in_two_segments(head):
    canvas = background()
    left, right = paste(canvas, head, 20, 60), paste(canvas, head, 300, 100)
    frames = film([left] * 18 + [canvas] * 30 + [right] * 18)
    subjects = scan_subjects(frames)
    assert len(subjects) == 1
    followed = list(follow_face(frames, subjects[0]))
    assert (segments(followed) == [0] * 18 + [-1] * 30 + [1] * 18).all()


def test_hard_cut_begins_a_segment_at_its_frame(head):
    frames = film(
        [paste(background(0), head, 100, 60)] * 15
        + [paste(background(1), head, 150, 80)] * 15
        + [255 - background(2)] * 10
    )
    stats = FollowStats()
    followed = list(follow_face(frames, scan_subjects(frames)[0], stats))
    assert (segments(followed) == [0] * 15 + [1] * 15 + [-1] * 10).all()
    assert stats.cuts == 2


def test_leap_without_a_cut_begins_a_segment(head):
    canvas = background()
    frames = film([paste(canvas, head, 60, 80)] * 20 + [paste(canvas, head, 160, 80)] * 20, fps=25)
    followed = list(follow_face(frames, choose_subject(scan_subjects(frames))))
    # The first pass, four looks a second, may place the leap a few frames late.
    assert (segments(followed)[:20] == 0).all()
    assert set(segments(followed)[20:25]) <= {-1, 1}
    assert (segments(followed)[25:] == 1).all()


def test_steady_motion_is_one_segment_and_stays_on_the_face(head):
    canvas = background()
    lefts = [20 + 6 * i for i in range(40)]
    frames = film([paste(canvas, head, left, 80) for left in lefts], fps=25)
    followed = list(follow_face(frames, choose_subject(scan_subjects(frames))))
    assert valid(followed).all()
    assert set(segments(followed)) == {0}
    offsets = np.array([nose(f)[0] for f in followed]) - lefts
    assert np.ptp(offsets) < 0.03 * PATCH  # the face moved by 1.6 PATCH


def test_a_sudden_move_is_not_smoothed_over_time(head):
    canvas = background()
    frames = film([paste(canvas, head, 100, 80)] * 20 + [paste(canvas, head, 112, 80)] * 10, fps=25)
    followed = list(follow_face(frames, here(100, 80)))
    assert set(segments(followed)) == {0}
    moved = nose(followed[20])[0] - nose(followed[19])[0]
    assert moved == pytest.approx(12, abs=1.0)


def test_face_that_slides_out_is_dropped_before_it_is_gone(head):
    canvas = background()
    lefts = [300 + 6 * i for i in range(36)]
    frames = film([paste(canvas, head, left, 80) for left in lefts])
    followed = list(follow_face(frames, scan_subjects(frames)[0]))
    seen = valid(followed)
    assert seen[:10].all()
    assert not seen[-6:].any()
    for frame in followed:
        if frame.landmarks is not None:
            assert np.all(eye_centres(frame.landmarks)[:, 0] < WIDTH)


@pytest.mark.parametrize(("missing", "expected"), [(1, {0}), (2, {0}), (4, {0, 1})])
def test_short_dropout_keeps_the_segment(head, missing, expected):
    canvas = background()
    shown = paste(canvas, head, 160, 80)
    frames = film([shown] * 16 + [canvas] * missing + [shown] * 16, fps=25)
    followed = list(follow_face(frames, here(160, 80)))
    assert (valid(followed) == [True] * 16 + [False] * missing + [True] * 16).all()
    assert set(segments(followed)[valid(followed)]) == expected
    assert (segments(followed)[~valid(followed)] == -1).all()


def test_face_seen_for_less_than_half_a_second_is_not_believed(head):
    canvas = background()
    frames = film([canvas] * 15 + [paste(canvas, head, 160, 80)] * 10 + [canvas] * 15, fps=25)
    stats = FollowStats()
    followed = list(follow_face(frames, here(160, 80), stats))
    assert not valid(followed).any()
    assert stats.lost["brief"] == 10
    assert (stats.followed, stats.segments) == (0, 0)


def test_very_short_recording_is_still_followed(head):
    frames = film([paste(background(), head, 160, 80)] * 10, fps=25)
    followed = list(follow_face(frames, choose_subject(scan_subjects(frames))))
    assert valid(followed).all()


def test_gap_in_time_begins_a_segment(head):
    shown = paste(background(), head, 160, 80)
    frames = [VideoFrame(i, i / FPS + (0.4 if i >= 10 else 0.0), Picture(lambda: shown)) for i in range(20)]
    followed = list(follow_face(frames, here(160, 80)))
    assert (segments(followed) == [0] * 10 + [1] * 10).all()


def test_small_face_in_a_large_picture(head):
    height, width = 720, 1280
    frames = film([paste(background(0, height, width), head, 900 + i, 420, 130) for i in range(14)])
    subject = choose_subject(scan_subjects(frames))
    assert SMALLEST_EYE_DISTANCE <= subject.eye_distance < 35
    followed = list(follow_face(frames, subject))
    assert valid(followed).all()
    assert nose(followed[0]) == pytest.approx([900 + 0.5 * 130, 420 + 0.5 * 130], abs=12)


def test_face_too_small_to_measure_is_refused_with_what_was_seen(head):
    frames = film([paste(background(), head, 200, 100, 90)] * 14)
    subjects = scan_subjects(frames)
    assert len(subjects) == 1
    with pytest.raises(NoFaceError, match=r"too small.*face 0 in 100 % of the recording"):
        choose_subject(subjects)


def test_frames_keep_order_number_time_and_gray(head):
    frames = film([background()] * 5 + [paste(background(), head, 160, 80)] * 15)
    followed = list(follow_face(iter(frames), here(160, 80)))
    assert [f.index for f in followed] == list(range(20))
    assert [f.time for f in followed] == [f.time for f in frames]
    assert followed[0].gray.dtype == np.uint8
    assert (followed[7].gray == cv2.cvtColor(frames[7].rgb, cv2.COLOR_RGB2GRAY)).all()
    assert followed[10].landmarks.shape == (478, 3)
    assert followed[10].landmarks.dtype == np.float32


def test_only_half_a_second_is_held_back(head):
    shown = paste(background(), head, 160, 80)
    taken = []

    def source():
        for frame in film([shown] * 40):
            taken.append(frame.index)
            yield frame

    held = [taken[-1] - frame.index for frame in follow_face(source(), here(160, 80))]
    assert max(held) <= 0.5 * FPS + 1
    assert held[-1] == 0


def test_native_libraries_are_silent(head, capfd):
    frames = film([paste(background(), head, 160, 80)] * 8)
    list(follow_face(frames, choose_subject(scan_subjects(frames))))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@pytest.fixture(scope="module")
def mesh(head):
    picture = paste(background(), head, 160, 80)
    with SubjectMesh() as read:
        return read(picture, here(160, 80).boxes[0])


def test_mesh_is_in_pixels_of_the_whole_picture(head, mesh):
    import mediapipe as mp

    # A square picture of the same pixels: MediaPipe's own landmarks need no conversion but a scale there.
    picture = paste(background(0, 480, 480), head, 160, 80)
    with mp.solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True) as whole:
        for _ in range(3):
            seen = whole.process(picture).multi_face_landmarks[0].landmark
    expected = np.array([[p.x, p.y, p.z] for p in seen]) * 480
    distance = np.linalg.norm(np.subtract(*eye_centres(mesh)))
    assert np.abs(mesh - expected).mean() < 0.03 * distance


def test_plausible_and_implausible_meshes(mesh):
    assert implausibility(mesh, HEIGHT, WIDTH) is None
    assert implausibility(0.4 * mesh, HEIGHT, WIDTH) == "small"
    assert implausibility(mesh + np.float32([WIDTH - mesh_box(mesh)[0], 0, 0]), HEIGHT, WIDTH) == "outside"
    assert implausibility(mesh * np.float32([1, 3, 1]), 3 * HEIGHT, WIDTH) == "shape"


def test_box_expected_between_and_beyond_looks():
    times = np.array([0.0, 0.25, 0.5, 3.0])
    boxes = np.array([[0, 0, 10], [10, 20, 20], [20, 20, 20], [90, 90, 30]], dtype=float)
    subject = Subject(times, boxes, np.array([0, 0, 0, 1]), 30.0, 1.0)
    assert subject.box_at(0.125) == pytest.approx([5, 10, 15])
    assert subject.box_at(0.6) == pytest.approx(boxes[2])
    assert subject.box_at(2.8) == pytest.approx(boxes[3])
    assert subject.box_at(1.5) is None
    assert subject.box_at(3.2) == pytest.approx(boxes[3])
    assert subject.box_at(4.0) is None
    # After a cut at 0.3 s only later looks count.
    assert subject.box_at(0.31, since=0.3) == pytest.approx(boxes[2])
    assert subject.box_at(0.6, since=0.55) is None


def real(name):
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"the shared folder with {name} is not beside the repository")
    from facespot.extract.reading.video import open_video

    with open_video(path) as stream:
        return list(stream)


@pytest.mark.parametrize("name", ["asl_please.mkv", "asl_sorry.mkv"])
def test_real_face_not_the_print_on_the_shirt(name):
    frames = real(name)
    followed = list(follow_face(frames, choose_subject(scan_subjects(frames))))
    assert valid(followed).mean() > 0.95
    assert all(f.landmarks[:, 1].max() < 0.4 * f.gray.shape[0] for f in followed if f.landmarks is not None)


def test_real_tiny_moving_face():
    frames = real("lp_s13.mp4")
    followed = list(follow_face(frames, choose_subject(scan_subjects(frames))))
    assert valid(followed).mean() > 0.95


def test_real_cartoon_is_no_face():
    with pytest.raises(NoFaceError):
        choose_subject(scan_subjects(real("pf_no_face.mp4")))


@pytest.mark.parametrize(("name", "first", "last"), [("pf_face_noface.mov", 0, 71), ("pf_noface_face.mov", 96, 167)])
def test_real_cut_to_and_from_a_cartoon(name, first, last):
    frames = real(name)
    followed = list(follow_face(frames, choose_subject(scan_subjects(frames))))
    assert np.flatnonzero(valid(followed)).tolist() == list(range(first, last + 1))
    assert set(segments(followed)) == {-1, 0}
