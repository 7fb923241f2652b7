"""One subject's face, followed through a recording.

`subjects` says who is there and which one is chosen, `watching` already while a recording is read; `follow_face` runs
the face mesh on that one, and `FaceReport` says what was seen, chosen and lost.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..reading.frames import FaceFrame, VideoFrame
from ..timebase import DENSE_PERIOD_S
from .cuts import SuddenChange, thumbnail
from .mesh import Place, SubjectMesh, eye_centres, has_moved, implausibility
from .portraits import portrait
from .subjects import Looks, Subject, choose_subject, scan_subjects

__all__ = ["FaceReport", "FollowStats", "choose_subject", "follow_face", "scan_subjects"]

SHORTEST_SEGMENT_S = 0.5  # a mesh that lasts less is no face, or holds no expression
LONGEST_TIME_GAP_S = 0.25  # between two frames of one segment
LONGEST_DROPOUT_FRAMES = 2  # frames without a mesh inside one segment
# Between two readings of which the mesh in a picture may be interpolated.
INTERPOLATED_S = 2 * DENSE_PERIOD_S

_PICTURE_CUT_FLOOR = 0.2
_FACE_CUT_FLOOR = 0.4
_UNCONFIRMED_S = 1.5  # how long an unbroken mesh is trusted while there is no look that confirms it
_AGREE_REACH = 0.75  # face widths between the mesh and where the subject is expected
_AGREE_RATIO = (0.7, 2.2)  # extent of the mesh over the width the detector sees; 1.2-1.4 is usual
# What a head may do between two frames, in parts of its size: what tracking jitters by, and a speed per second.
_MOVE_PART, _MOVE_PER_S = 0.15, 4.0
_GROW_PART, _GROW_PER_S = 0.1, 2.0

# The mesh's place, how the face looked, until when it is confirmed, when it was seen last and where.
_State = tuple[Place, SuddenChange, float, tuple[float, np.ndarray] | None]


@dataclass(eq=False)
class FollowStats:
    """What happened while a face was followed; filled in as the frames go by.

    lost counts the frames without usable landmarks by cause: "absent" (not expected then), "unseen" (no mesh),
    "elsewhere" (a mesh that is not where the subject is), "small", "outside", "shape" (see `mesh.implausibility`),
    "brief" (a segment under half a second).
    """

    frames: int = 0
    followed: int = 0
    segments: int = 0
    cuts: int = 0
    lost: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class FaceReport:
    """Who was seen and who was followed, JSON-serialisable through `to_dict`.

    faces: one entry per subject, in the order `--face` counts. chosen: index of the followed one. followed: share of
    the frames with usable landmarks. lost: see `FollowStats`.
    """

    faces: list[dict[str, float]]
    chosen: int
    followed: float
    segments: int
    cuts: int
    lost: dict[str, int]

    @classmethod
    def of(cls, subjects: list[Subject], chosen: Subject, stats: FollowStats) -> "FaceReport":
        faces = [
            {
                "presence": round(s.presence, 4),
                "width_px": round(s.mean_size, 1),
                "eye_distance_px": round(s.eye_distance, 1),
                "first_s": round(float(s.times.min()), 3),
                "last_s": round(float(s.times.max()), 3),
            }
            for s in subjects
        ]
        index = next(i for i, s in enumerate(subjects) if s is chosen)
        share = round(stats.followed / stats.frames, 4) if stats.frames else 0.0
        return cls(faces, index, share, stats.segments, stats.cuts, dict(stats.lost))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _agrees(mesh: np.ndarray, expected: np.ndarray) -> bool:
    """Whether a mesh, as `mesh_box`, is where and as large as a detector's box says."""
    near = np.hypot(*(mesh[:2] - expected[:2])) <= _AGREE_REACH * expected[2]
    return bool(near and _AGREE_RATIO[0] <= mesh[2] / expected[2] <= _AGREE_RATIO[1])


@dataclass(frozen=True, eq=False)
class _Picture:
    """A frame before its mesh is read. breaks: it comes after a cut or a gap. shot_start: seconds, of the last cut."""

    frame: VideoFrame
    breaks: bool
    shot_start: float


@dataclass(frozen=True, eq=False)
class _Reading:
    """What is known of a face in one picture. reason: as in `FollowStats.lost`, where there are no landmarks. breaks:
    it does not continue the segment before it. calm: it is almost where it was read last, and as large."""

    landmarks: np.ndarray | None
    reason: str
    breaks: bool
    calm: bool


class _Look:
    """Finds the subject's mesh in each frame and tells whether it continues the one before."""

    def __init__(self, subject: Looks, mesh: SubjectMesh, stats: FollowStats) -> None:
        self._subject, self._mesh, self._stats = subject, mesh, stats
        self._picture_change = SuddenChange(_PICTURE_CUT_FLOOR)
        self._face_change = SuddenChange(_FACE_CUT_FLOOR)
        self._shot_start = -np.inf  # of the picture prepared last
        self._frame_time = -np.inf
        self._confirmed = -np.inf
        self._last: tuple[float, np.ndarray] | None = None  # when, and the mesh as `mesh_box`

    def prepare(self, frame: VideoFrame) -> _Picture:
        """Compare a picture, read or not, with the one before. To be called for every one, in order."""
        cut = self._picture_change(thumbnail(frame.gray))
        gap = frame.time - self._frame_time > LONGEST_TIME_GAP_S
        self._frame_time = frame.time
        if cut:
            self._stats.cuts += 1
            self._shot_start = frame.time
        return _Picture(frame, cut or gap, self._shot_start)

    def read(self, picture: _Picture) -> _Reading:
        """The mesh in a picture after the one that was read last."""
        if picture.breaks:
            self._lose_track()
        landmarks, reason = self._find(picture)
        if landmarks is None:
            return _Reading(None, reason, picture.breaks, calm=False)
        time, box = picture.frame.time, self._mesh.box
        jumped = self._last is not None and self._jumped(time, box)
        changed = self._face_change(portrait(picture.frame.gray, eye_centres(landmarks)[:, :2]))
        calm = self._last is None or not has_moved(box, self._last[1])
        self._last = time, box
        return _Reading(landmarks, "", picture.breaks or jumped or changed, calm)

    @property
    def state(self) -> _State:
        """What the next reading depends on; set it to one from before and what came after has not been read."""
        return self._mesh.place, self._face_change.copy(), self._confirmed, self._last

    @state.setter
    def state(self, state: _State) -> None:
        self._mesh.place, self._face_change, self._confirmed, self._last = state

    def _lose_track(self) -> None:
        self._mesh.forget()
        self._face_change.forget()
        self._last = None
        self._confirmed = -np.inf

    def _find(self, picture: _Picture) -> tuple[np.ndarray | None, str]:
        frame = picture.frame
        expected = self._subject.box_at(frame.time, picture.shot_start)
        if expected is None and frame.time - self._confirmed > _UNCONFIRMED_S:
            self._lose_track()
            return None, "absent"
        landmarks = self._mesh(frame.rgb, expected)
        if landmarks is None:
            return None, "absent" if expected is None else "unseen"
        if expected is not None:
            # At a cut that is still to come the interpolated place is wrong and the last look right.
            places = [expected, *self._subject.looks_around(frame.time, picture.shot_start)]
            if not any(_agrees(self._mesh.box, place) for place in places):
                self._lose_track()
                return None, "elsewhere"
            self._confirmed = frame.time
        reason = implausibility(landmarks, *frame.gray.shape)
        return (landmarks, "") if reason is None else (None, reason)

    def _jumped(self, time: float, now: np.ndarray) -> bool:
        """Whether the face, as `mesh_box`, moved or grew by more than a head can since it was last seen."""
        last_time, before = self._last
        elapsed = time - last_time
        size = min(now[2], before[2])
        moved = np.hypot(*(now[:2] - before[:2])) / size
        grown = abs(np.log(now[2] / before[2]))
        return bool(moved > _MOVE_PART + _MOVE_PER_S * elapsed or grown > _GROW_PART + _GROW_PER_S * elapsed)


class _Segments:
    """Numbers the segments, and holds a new one back until it has lasted long enough to be believed."""

    def __init__(self, stats: FollowStats) -> None:
        self._stats = stats
        self._held: list[FaceFrame] = []
        self._start: float | None = None  # of the segment under way
        self._last_face = 0.0
        self._dropout = 0
        self._believed = False
        self._first_time: float | None = None
        self._last_time = 0.0

    def add(self, frame: FaceFrame, breaks: bool) -> Iterator[FaceFrame]:
        """Take one frame (its segment is ignored); give back those whose fate is decided, in order."""
        self._stats.frames += 1
        if self._first_time is None:
            self._first_time = frame.time
        self._last_time = frame.time
        seen = frame.landmarks is not None
        self._dropout = 0 if seen else self._dropout + 1
        if self._start is not None and (breaks or self._dropout > LONGEST_DROPOUT_FRAMES):
            yield from self._close(self._last_face - self._start >= SHORTEST_SEGMENT_S)
        if seen:
            if self._start is None:
                self._start = frame.time
            self._last_face = frame.time
        if self._start is None:
            yield frame
            return
        self._held.append(frame)
        if seen and not self._believed and frame.time - self._start >= SHORTEST_SEGMENT_S:
            self._believed = True
            self._stats.segments += 1
        if self._believed:
            yield from self._release()

    def end(self) -> Iterator[FaceFrame]:
        """Give back what is still held. In a recording of under a second, half its length is long enough."""
        if self._start is not None:
            length = self._last_face - self._start
            yield from self._close(length > 0 and length >= 0.5 * (self._last_time - self._first_time))

    def _close(self, long_enough: bool) -> Iterator[FaceFrame]:
        if long_enough and not self._believed:
            self._believed = True
            self._stats.segments += 1
        yield from self._release()
        self._start, self._believed = None, False

    def _release(self) -> Iterator[FaceFrame]:
        for frame in self._held:
            if frame.landmarks is None:
                yield frame
            elif self._believed:
                self._stats.followed += 1
                yield replace(frame, segment=self._stats.segments - 1)
            else:
                self._stats.lost["brief"] += 1
                yield replace(frame, landmarks=None, segment=-1)
        self._held = []


def _read_every_second(pictures: Iterable[_Picture], look: _Look) -> Iterator[tuple[_Picture, _Reading]]:
    """Every picture with its reading, in order.

    One is passed over, its mesh interpolated in time, while the next comes within `INTERPOLATED_S` of the last reading
    and continues that. Where the next turns out to show no face, another, or one that has moved far, both are read
    after all: what is said around a break or of a sudden move never rests on interpolation.
    """
    last: tuple[float, np.ndarray] | None = None  # when the mesh was read last, and what it was; None if not calm
    passed: list[_Picture] = []  # pictures since

    def read(picture: _Picture) -> Iterator[tuple[_Picture, _Reading]]:
        nonlocal last
        state = look.state if passed else None
        reading = look.read(picture)
        if passed and (reading.landmarks is None or reading.breaks or not reading.calm):
            look.state = state
            for between in passed:
                yield between, look.read(between)
            reading = look.read(picture)
        elif passed:
            time, before = last
            for between in passed:
                share = np.float32((between.frame.time - time) / (picture.frame.time - time))
                yield between, _Reading(before + share * (reading.landmarks - before), "", breaks=False, calm=True)
        passed.clear()
        last = (picture.frame.time, reading.landmarks) if reading.landmarks is not None and reading.calm else None
        yield picture, reading

    waiting: _Picture | None = None
    for picture in pictures:
        if waiting is not None:
            steady = last is not None and not waiting.breaks and not picture.breaks
            if steady and picture.frame.time - last[0] <= INTERPOLATED_S:
                passed.append(waiting)
            else:
                yield from read(waiting)
        waiting = picture
    if waiting is not None:
        yield from read(waiting)


def follow_face(frames: Iterable[VideoFrame], subject: Looks, stats: FollowStats | None = None) -> Iterator[FaceFrame]:
    """The same frames, in order, each with the subject's face mesh or without; `stats` counts along.

    In pictures that follow each other as fast as 28 a second the mesh is read in every second one and interpolated in
    time in the others, never across a picture that breaks with the one before or shows no face.
    A new segment begins at a hard cut, where the face moves, grows or changes its looks in one frame by more than a
    head can, when it returns after more than two frames, and after a quarter second without frames. A face missing for
    one or two frames does not end its segment; those frames have no landmarks. A segment under half a second is not
    believed. At most about half a second of frames is held back at a time.
    """
    stats = FollowStats() if stats is None else stats
    segments = _Segments(stats)
    with SubjectMesh() as mesh:
        look = _Look(subject, mesh, stats)
        pictures = (look.prepare(frame) for frame in frames)
        for picture, reading in _read_every_second(pictures, look):
            if reading.landmarks is None:
                stats.lost[reading.reason] += 1
            frame = picture.frame
            face = FaceFrame(frame.index, frame.time, frame.gray, reading.landmarks, -1)
            yield from segments.add(face, reading.breaks)
    yield from segments.end()
