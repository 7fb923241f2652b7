"""Who is in the recording: looks at single pictures, the people they show, and the choice of one."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import NoFaceError
from ..reading.frames import VideoFrame
from .appearance import appearance, resemblance
from .cuts import SuddenChange, thumbnail
from .detection import Detection, FaceCheck, FaceFinder
from .portraits import likeness
from .tracks import LINK_RATIO, LINK_REACH, Linker, Track, fits

SCAN_PERIOD_S = 0.25
REACH_S = 1.5 * SCAN_PERIOD_S  # from a look to where nothing nearer says where the face is
SMALLEST_EYE_DISTANCE = 20.0  # pixels; below it a micro-expression is a small fraction of a pixel

_CUT_FLOOR = 0.25  # pictures a quarter second apart differ more than neighbours do
_TILE_PERIOD_S = 1.0
_MOST_CLOSER_LOOKS = 2  # tracks looked for again in one picture
_RETURN_GAP_S = 2.0  # absence after which a face in the old place needs a likeness
_SAME_FACE = 0.8  # likeness of two portraits: 99.9 % of pairs of different people stay below it
_SAME_FACE_IN_PLACE = 0.6
_SAME_LOOKS = 0.8  # resemblance of two views of one person in different shots; see benchmarks/same_person.py
_NOT_OTHER_LOOKS = 0.75  # below it a likeness in another shot or place is of two people
_CLEARLY = 0.05  # by which one person's must exceed anyone else's
_FEWEST_LOOKS = 2  # a face seen once is a mistake of the detector, unless the recording is that short


class Looks:
    """The looks at one person, in order of time, and where they say the face is.

    times: (S,) seconds. boxes: (S, 3) centre x, centre y and width of the face in pixels. track: (S,) number of the
    unbroken sighting each look belongs to. Arrays, or lists that grow at their ends.
    """

    times: Any
    boxes: Any
    track: Any

    def box_at(self, time: float, since: float = -np.inf, reach_s: float = REACH_S) -> np.ndarray | None:
        """(3,) box expected at `time`, from looks no earlier than `since`; None where the subject is not expected.

        Interpolated between two looks of one sighting, otherwise that of the nearest look within `reach_s` seconds.
        """
        after = bisect_left(self.times, time)
        before = after - 1
        has_before = before >= 0 and self.times[before] >= since
        has_after = after < len(self.times) and self.times[after] >= since
        if has_before and has_after and self.track[before] == self.track[after]:
            weight = (time - self.times[before]) / (self.times[after] - self.times[before])
            return (1 - weight) * self.boxes[before] + weight * self.boxes[after]
        near = [i for i, has in ((before, has_before), (after, has_after)) if has]
        near = [i for i in near if abs(self.times[i] - time) <= reach_s]
        return self.boxes[min(near, key=lambda i: abs(self.times[i] - time))] if near else None

    def looks_around(self, time: float, since: float = -np.inf, reach_s: float = REACH_S) -> list[np.ndarray]:
        """Boxes of the looks, none to two, just before and after `time`, within reach and not before `since`."""
        after = bisect_left(self.times, time)
        near = [i for i in (after - 1, after) if 0 <= i < len(self.times)]
        return [self.boxes[i] for i in near if self.times[i] >= since and abs(self.times[i] - time) <= reach_s]


@dataclass(frozen=True, eq=False)
class Subject(Looks):
    """One person as the whole recording shows them.

    eye_distance: median, pixels. presence: share of the looked-at pictures.
    """

    times: np.ndarray
    boxes: np.ndarray
    track: np.ndarray
    eye_distance: float
    presence: float

    @property
    def mean_size(self) -> float:
        """Mean width of the face in pixels."""
        return float(self.boxes[:, 2].mean())

    @property
    def usable(self) -> bool:
        return self.eye_distance >= SMALLEST_EYE_DISTANCE


class SubjectScan:
    """Looks at single pictures and links the faces in them. Use it as a context manager.

    Faces just seen that the whole picture no longer shows are looked for in a crop around their last place; where there
    is nothing at all, small faces are looked for in tiles once a second. cuts: seconds at which the picture changed.
    """

    def __init__(self) -> None:
        self._linker = Linker()
        self._change = SuddenChange(_CUT_FLOOR)
        self._looks = 0
        self._next_tiles = -np.inf
        self._finder, self._is_face = FaceFinder(), FaceCheck()

    def __enter__(self) -> "SubjectScan":
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._is_face.__exit__(*exc_info)
        self._finder.__exit__(*exc_info)

    @property
    def cuts(self) -> list[float]:
        return self._linker.cuts

    def look(self, frame: VideoFrame) -> list[Track]:
        """The tracks that are seen in a picture, `SCAN_PERIOD_S` after the one before; their last look is at it."""
        self._looks += 1
        finder, linker = self._finder, self._linker
        found = finder.whole(frame.rgb)
        gray = frame.gray
        if self._change(thumbnail(gray)):
            linker.cut(frame.time)
        for track in linker.missing(frame.time, found)[:_MOST_CLOSER_LOOKS]:
            closer = [d for d in finder.near(frame.rgb, track.boxes[-1]) if _is_new(d, found)]
            found += [d for d in closer if fits(track.boxes[-1], d.box, LINK_REACH, LINK_RATIO)][:1]
        if not found and linker.idle and frame.time >= self._next_tiles:
            self._next_tiles = frame.time + _TILE_PERIOD_S
            found = finder.tiles(frame.rgb)
        grown = linker.add(frame.time, found, gray)
        for track in grown:
            if track.wants_check or track.wants_view:
                read = self._is_face(frame.rgb, track.boxes[-1])
                track.is_face = track.is_face or read is not None
                track.add_view(None if read is None else appearance(*read))
        return grown

    def subjects(self) -> list[Subject]:
        """Who has been seen, the one seen longest first (of equals, the larger).

        A person who leaves and comes back, or is filmed from elsewhere after a cut, is one subject if place and
        likeness or looks say so. Ignored are faces of which no mesh can be made and, unless no more than two looks were
        taken, those seen in a single look.
        """
        people: list[list[Track]] = []
        tracks = sorted((t for t in self._linker.tracks if is_believed(t)), key=lambda t: t.times[0])
        for track in tracks:
            join(track, people, self.cuts, tracks)
        subjects = [_subject(tracks, self._looks) for tracks in people]
        fewest = _FEWEST_LOOKS if self._looks > 2 else 1
        return sorted((s for s in subjects if len(s.times) >= fewest), key=lambda s: (-s.presence, -s.mean_size))


def is_believed(track: Track) -> bool:
    """Whether it shows a face. Those too small for a mesh are reported, and never followed unasked."""
    return track.is_face or float(np.median(track.eye_distances)) < SMALLEST_EYE_DISTANCE


def scan_subjects(frames: Iterable[VideoFrame]) -> list[Subject]:
    """`SubjectScan.subjects` of a recording. Frames may come already thinned; each is read once and none is kept."""
    due = -np.inf
    with SubjectScan() as scan:
        for frame in frames:
            if frame.time >= due:
                due = frame.time + SCAN_PERIOD_S - 1e-3
                scan.look(frame)
        return scan.subjects()


def _is_new(detection: Detection, found: list[Detection]) -> bool:
    return all(np.hypot(*(detection.box[:2] - d.box[:2])) > 0.5 * d.box[2] for d in found)


def join(track: Track, people: list[list[Track]], cuts: list[float], beside: Iterable[Track] = ()) -> list[Track]:
    """Add a track to the tracks of the most alike person who is not in view at its time, or to a new one's.

    Alike is first the picture of the face, which tells who is still or again in the same place; after a cut or
    elsewhere the looks must not speak against it. Then it is the looks alone (see `_known_by_looks`). beside: tracks
    that may be in view with it.
    """
    best, best_likeness = None, -np.inf
    absent = [person for person in people if not any(_meet(t, track) for t in person)]
    for person in absent:
        alike = max(likeness(a, b) for t in person for a in t.portraits for b in track.portraits)
        last = max(person, key=lambda t: t.times[-1])
        in_place = fits(last.boxes[-1], track.boxes[0], LINK_REACH, LINK_RATIO)
        cut_between = any(last.times[-1] < c <= track.times[0] for c in cuts)
        stayed = in_place and not cut_between and track.times[0] - last.times[-1] <= _RETURN_GAP_S
        needed = 0.0 if stayed else _SAME_FACE_IN_PLACE if in_place else _SAME_FACE
        if (cut_between or not in_place) and -1.0 < _looks_alike(track, person) < _NOT_OTHER_LOOKS:
            continue
        if alike >= needed and alike > best_likeness:
            best, best_likeness = person, alike
    if best is None:
        others = [t for t in beside if t is not track and _meet(t, track)]
        best = _known_by_looks(track, absent, [person for person in people if person not in absent], others)
    if best is None:
        best = []
        people.append(best)
    best.append(track)
    return best


def _known_by_looks(
    track: Track, absent: list[list[Track]], present: list[list[Track]], others: list[Track]
) -> list[Track] | None:
    """The one of the `absent` people whom a track resembles, if it is sure; a wrong name is worse than none.

    It is not where somebody else, in view or not, resembles the track nearly as much, nor where another track in view
    resembles that person more. Two who resemble the track enough and were never in view together are no rivals: they
    may well be one person who was not known again before.
    """
    ranked = sorted(absent, key=lambda person: -_looks_alike(track, person))
    if not ranked:
        return None
    best = ranked[0]
    alike = _looks_alike(track, best)
    if alike < _SAME_LOOKS:
        return None
    for person in ranked[1:] + present:
        rival = _looks_alike(track, person)
        apart = any(_meet(a, b) for a in [*best, track] for b in person)
        if alike < rival + _CLEARLY and (apart or rival < _SAME_LOOKS):
            return None
    return None if any(_looks_alike(other, best) > alike for other in others) else best


def _looks_alike(track: Track, person: list[Track]) -> float:
    """The largest resemblance of a view of a track's first looks to any of a person's; -1 where there is none."""
    pairs = [resemblance(a, b) for a in track.views[: track.early_views] for t in person for b in t.views]
    return max(pairs, default=-1.0)


def _meet(a: Track, b: Track) -> bool:
    """Whether two tracks are in view at the same time."""
    return a.times[-1] >= b.times[0] and a.times[0] <= b.times[-1]


def _subject(tracks: list[Track], looks: int) -> Subject:
    times = np.concatenate([t.times for t in tracks])
    return Subject(
        times=times,
        boxes=np.concatenate([np.array(t.boxes) for t in tracks]),
        track=np.concatenate([np.full(len(t.times), i) for i, t in enumerate(tracks)]),
        eye_distance=float(np.median(np.concatenate([t.eye_distances for t in tracks]))),
        presence=len(times) / looks,
    )


def choose_subject(subjects: list[Subject], selector: str | int = "longest") -> Subject:
    """The subject to follow: "longest" present, "largest" (mean face width), or an index into `subjects`.

    By name, only subjects whose face is large enough to be measured are eligible; an index means exactly that one.
    Raises NoFaceError, saying what was seen, if there is none; ValueError for an unknown selector.
    """
    if not subjects:
        raise NoFaceError("no face was seen in the recording")
    if isinstance(selector, str) and selector not in ("longest", "largest"):
        if not selector.isdecimal():
            raise ValueError(f"face selector {selector!r} is neither 'longest', 'largest' nor a number")
        selector = int(selector)
    if isinstance(selector, int):
        if not 0 <= selector < len(subjects):
            raise NoFaceError(f"there is no face {selector}; seen: {describe(subjects)}")
        return subjects[selector]
    usable = [s for s in subjects if s.usable]
    if not usable:
        raise NoFaceError(
            f"every face is too small (eyes under {SMALLEST_EYE_DISTANCE:.0f} px apart); seen: {describe(subjects)}"
        )
    return usable[0] if selector == "longest" else max(usable, key=lambda s: s.mean_size)


def describe(subjects: list[Subject]) -> str:
    """One line on who was seen, for messages."""
    return "; ".join(
        f"face {i} in {100 * s.presence:.0f} % of the recording, {s.mean_size:.0f} px wide"
        for i, s in enumerate(subjects)
    )
