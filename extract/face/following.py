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
from .cuts import SuddenChange, thumbnail
from .mesh import SubjectMesh, eye_centres, implausibility
from .portraits import portrait
from .subjects import Looks, Subject, choose_subject, scan_subjects

__all__ = ["FaceReport", "FollowStats", "choose_subject", "follow_face", "scan_subjects"]

SHORTEST_SEGMENT_S = 0.5  # a mesh that lasts less is no face, or holds no expression
LONGEST_TIME_GAP_S = 0.25  # between two frames of one segment
LONGEST_DROPOUT_FRAMES = 2  # frames without a mesh inside one segment

_PICTURE_CUT_FLOOR = 0.2
_FACE_CUT_FLOOR = 0.4
_UNCONFIRMED_S = 1.5  # how long an unbroken mesh is trusted while there is no look that confirms it
_AGREE_REACH = 0.75  # face widths between the mesh and where the subject is expected
_AGREE_RATIO = (0.7, 2.2)  # extent of the mesh over the width the detector sees; 1.2-1.4 is usual
# What a head may do between two frames, in parts of its size: what tracking jitters by, and a speed per second.
_MOVE_PART, _MOVE_PER_S = 0.15, 4.0
_GROW_PART, _GROW_PER_S = 0.1, 2.0


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


class _Look:
    """Finds the subject's mesh in each frame and tells whether it continues the one before."""

    def __init__(self, subject: Looks, mesh: SubjectMesh, stats: FollowStats) -> None:
        self._subject, self._mesh, self._stats = subject, mesh, stats
        self._picture_change = SuddenChange(_PICTURE_CUT_FLOOR)
        self._face_change = SuddenChange(_FACE_CUT_FLOOR)
        self._shot_start = -np.inf
        self._frame_time = -np.inf
        self._confirmed = -np.inf
        self._last: tuple[float, np.ndarray] | None = None  # when, and the mesh as `mesh_box`

    def __call__(self, frame: VideoFrame, gray: np.ndarray) -> tuple[np.ndarray | None, bool]:
        """Landmarks (or None), and whether the frame breaks with the segment before it."""
        cut = self._picture_change(thumbnail(gray))
        gap = frame.time - self._frame_time > LONGEST_TIME_GAP_S
        self._frame_time = frame.time
        if cut:
            self._stats.cuts += 1
            self._shot_start = frame.time
        if cut or gap:
            self._lose_track()
        expected = self._subject.box_at(frame.time, self._shot_start)
        landmarks, reason = self._find(frame, expected)
        if landmarks is None:
            self._stats.lost[reason] += 1
            return None, cut or gap
        box = self._mesh.box
        jumped = self._last is not None and self._jumped(frame.time, box)
        changed = self._face_change(portrait(gray, eye_centres(landmarks)[:, :2]))
        self._last = frame.time, box
        return landmarks, cut or gap or jumped or changed

    def _lose_track(self) -> None:
        self._mesh.forget()
        self._face_change.forget()
        self._last = None
        self._confirmed = -np.inf

    def _find(self, frame: VideoFrame, expected: np.ndarray | None) -> tuple[np.ndarray | None, str]:
        if expected is None and frame.time - self._confirmed > _UNCONFIRMED_S:
            self._lose_track()
            return None, "absent"
        landmarks = self._mesh(frame.rgb, expected)
        if landmarks is None:
            return None, "absent" if expected is None else "unseen"
        if expected is not None:
            # At a cut that is still to come the interpolated place is wrong and the last look right.
            places = [expected, *self._subject.looks_around(frame.time, self._shot_start)]
            if not any(_agrees(self._mesh.box, place) for place in places):
                self._lose_track()
                return None, "elsewhere"
            self._confirmed = frame.time
        reason = implausibility(landmarks, *frame.rgb.shape[:2])
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


def follow_face(frames: Iterable[VideoFrame], subject: Looks, stats: FollowStats | None = None) -> Iterator[FaceFrame]:
    """The same frames, in order, each with the subject's face mesh or without; `stats` counts along.

    A new segment begins at a hard cut, where the face moves, grows or changes its looks in one frame by more than a
    head can, when it returns after more than two frames, and after a quarter second without frames. A face missing for
    one or two frames does not end its segment; those frames have no landmarks. A segment under half a second is not
    believed. At most about half a second of frames is held back at a time.
    """
    import cv2

    stats = FollowStats() if stats is None else stats
    segments = _Segments(stats)
    with SubjectMesh() as mesh:
        look = _Look(subject, mesh, stats)
        for frame in frames:
            gray = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
            landmarks, breaks = look(frame, gray)
            yield from segments.add(FaceFrame(frame.index, frame.time, gray, landmarks, -1), breaks)
    yield from segments.end()
