"""Who is in the recording: a light first pass that links face detections into subjects, and the choice of one."""

import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from ...errors import NoFaceError
from ..reading.frames import VideoFrame
from .cuts import SuddenChange, difference, standardised, thumbnail
from .detection import Detection, FaceCheck, FaceFinder

SCAN_PERIOD_S = 0.25
SMALLEST_EYE_DISTANCE = 20.0  # pixels; below it a micro-expression is a small fraction of a pixel

_CUT_FLOOR = 0.25  # pictures a quarter second apart differ more than neighbours do
_TILE_PERIOD_S = 1.0
_LINK_GAP_S = 1.0  # longest absence inside one track
_LINK_REACH = 1.0  # face widths the centre may move between looks
_LINK_RATIO = 1.6  # change of face width between looks
_MOST_CLOSER_LOOKS = 2  # tracks looked for again in one picture
_RETURN_GAP_S = 2.0  # absence after which a face in the old place needs a likeness
_SAME_FACE = 0.8  # likeness of two portraits: 99.9 % of pairs of different people stay below it
_SAME_FACE_IN_PLACE = 0.6
_FIRST_CHECKS, _CHECK_EVERY = 4, 8  # looks
_MOST_PORTRAITS = 4
_PORTRAIT_PIXELS = 24
_FEWEST_LOOKS = 2  # a face seen once is a mistake of the detector, unless the recording is that short


@dataclass(frozen=True, eq=False)
class Subject:
    """One person as the first pass saw them.

    times: (S,) seconds. boxes: (S, 3) centre x, centre y and width of the face in pixels. track: (S,) number of the
    unbroken sighting each look belongs to. eye_distance: median, pixels. presence: share of the looked-at pictures.
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

    def box_at(self, time: float, since: float = -np.inf, reach_s: float = 1.5 * SCAN_PERIOD_S) -> np.ndarray | None:
        """(3,) box expected at `time`, from looks no earlier than `since`; None where the subject is not expected.

        Interpolated between two looks of one sighting, otherwise that of the nearest look within `reach_s` seconds.
        """
        after = int(np.searchsorted(self.times, time))
        before = after - 1
        has_before = before >= 0 and self.times[before] >= since
        has_after = after < len(self.times) and self.times[after] >= since
        if has_before and has_after and self.track[before] == self.track[after]:
            weight = (time - self.times[before]) / (self.times[after] - self.times[before])
            return (1 - weight) * self.boxes[before] + weight * self.boxes[after]
        near = [i for i, has in ((before, has_before), (after, has_after)) if has]
        near = [i for i in near if abs(self.times[i] - time) <= reach_s]
        return self.boxes[min(near, key=lambda i: abs(self.times[i] - time))] if near else None

    def looks_around(self, time: float, since: float = -np.inf, reach_s: float = 1.5 * SCAN_PERIOD_S) -> np.ndarray:
        """(0 to 2, 3) boxes of the looks just before and after `time` that are within reach and not before `since`."""
        after = int(np.searchsorted(self.times, time))
        near = [i for i in (after - 1, after) if 0 <= i < len(self.times)]
        near = [i for i in near if self.times[i] >= since and abs(self.times[i] - time) <= reach_s]
        return self.boxes[near]


@dataclass(eq=False)
class _Track:
    """Consecutive looks at one face within one shot."""

    times: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    eye_distances: list[float] = field(default_factory=list)
    portraits: list[np.ndarray] = field(default_factory=list)
    is_face: bool = False  # a mesh has been fitted to it at least once

    @property
    def wants_check(self) -> bool:
        """Whether a mesh should be tried on the latest look: at first, and now and then until one fits."""
        return not self.is_face and (len(self.times) <= _FIRST_CHECKS or len(self.times) % _CHECK_EVERY == 0)

    def add(self, time: float, seen: Detection, gray: np.ndarray) -> None:
        self.times.append(time)
        self.boxes.append(seen.box)
        self.eye_distances.append(seen.eye_distance)
        if len(self.portraits) < _MOST_PORTRAITS:
            new = portrait(gray, seen.eyes)
            # Only views that differ from those already kept, so that four of them can span a turning head.
            if all(likeness(new, old) < 0.9 for old in self.portraits):
                self.portraits.append(new)


def portrait(gray: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """(24, 24) standardised picture of a face with its eyes, (2, 2) x, y, at fixed places."""
    import cv2

    side = _PORTRAIT_PIXELS
    axis = eyes[1] - eyes[0]
    scale = 0.4 * side / max(float(np.hypot(*axis)), 1.0)
    angle = np.arctan2(axis[1], axis[0])
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array([0.5, 0.35]) * side - turn @ eyes.mean(axis=0)
    # Shrunk through a picture twice the size: a bilinear read alone would alias on a large face.
    large = cv2.warpAffine(
        gray, 2 * np.column_stack([turn, shift]), (2 * side, 2 * side), borderMode=cv2.BORDER_REPLICATE
    )
    return standardised(cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA))


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two portraits: 1 the same picture, about 0.3 two different people."""
    return 1.0 - difference(a, b)


def _fits(box: np.ndarray, other: np.ndarray, reach: float, ratio: float) -> bool:
    size = np.sqrt(box[2] * other[2])
    return bool(np.hypot(*(box[:2] - other[:2])) <= reach * size and 1 / ratio <= box[2] / other[2] <= ratio)


class _Linker:
    """Links detections, look after look, into tracks."""

    def __init__(self) -> None:
        self.tracks: list[_Track] = []
        self.cuts: list[float] = []
        self._live: list[_Track] = []

    def cut(self, time: float) -> None:
        self.cuts.append(time)
        self._live = []

    def missing(self, time: float, found: list[Detection]) -> list[_Track]:
        """Live tracks, longest first, that none of the detections continues."""
        self._live = [t for t in self._live if time - t.times[-1] <= _LINK_GAP_S]
        lost = [t for t in self._live if not any(_fits(t.boxes[-1], d.box, _LINK_REACH, _LINK_RATIO) for d in found)]
        return sorted(lost, key=lambda t: -len(t.times))

    @property
    def idle(self) -> bool:
        return not self._live

    def add(self, time: float, found: list[Detection], gray: np.ndarray) -> list[_Track]:
        """Give each live track the nearest detection that fits; the rest begin tracks. Gives the tracks added to."""
        pairs = sorted(
            (float(np.hypot(*(t.boxes[-1][:2] - d.box[:2])) / d.box[2]), i, j)
            for i, t in enumerate(self._live)
            for j, d in enumerate(found)
            if _fits(t.boxes[-1], d.box, _LINK_REACH, _LINK_RATIO)
        )
        taken: dict[int, int] = {}
        for _, i, j in pairs:
            if i not in taken.values() and j not in taken:
                taken[j] = i
        grown = []
        for j, detection in enumerate(found):
            if j in taken:
                track = self._live[taken[j]]
            else:
                track = _Track()
                self.tracks.append(track)
                self._live.append(track)
            track.add(time, detection, gray)
            grown.append(track)
        return grown


def scan_subjects(frames: Iterable[VideoFrame]) -> list[Subject]:
    """Who is seen in a recording, the one seen longest first (of equals, the larger).

    Looks at one picture every quarter second. Frames may come already thinned; each is read once and none is kept.
    Faces just seen that the whole picture no longer shows are looked for in a crop around their last place; where there
    is nothing at all, small faces are looked for in tiles once a second. A person who leaves and comes back, or is cut
    away from and back to, is one subject if place and likeness say so. Ignored are faces of which no mesh can be made
    and, unless no more than two looks were taken, those seen in a single look.
    """
    import cv2

    linker = _Linker()
    change = SuddenChange(_CUT_FLOOR)
    looks = 0
    next_tiles = -np.inf
    with (
        FaceFinder() as finder,
        FaceFinder() as second,
        FaceCheck() as is_face,
        # Closed before the finders are, so that none of them is closed at work.
        closing(_seen_whole(_due(frames), (finder, second))) as seen,
    ):
        for frame, found in seen:
            looks += 1
            gray = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
            if change(thumbnail(gray)):
                linker.cut(frame.time)
            for track in linker.missing(frame.time, found)[:_MOST_CLOSER_LOOKS]:
                closer = [d for d in finder.near(frame.rgb, track.boxes[-1]) if _is_new(d, found)]
                found += [d for d in closer if _fits(track.boxes[-1], d.box, _LINK_REACH, _LINK_RATIO)][:1]
            if not found and linker.idle and frame.time >= next_tiles:
                next_tiles = frame.time + _TILE_PERIOD_S
                found = finder.tiles(frame.rgb)
            for track in linker.add(frame.time, found, gray):
                if track.wants_check:
                    track.is_face = is_face(frame.rgb, track.boxes[-1])
    # Faces too small for a mesh stay, to be reported; they are never followed unasked.
    faces = [t for t in linker.tracks if t.is_face or np.median(t.eye_distances) < SMALLEST_EYE_DISTANCE]
    people = _people(faces, linker.cuts)
    subjects = [_subject(tracks, looks) for tracks in people]
    fewest = _FEWEST_LOOKS if looks > 2 else 1
    return sorted((s for s in subjects if len(s.times) >= fewest), key=lambda s: (-s.presence, -s.mean_size))


def _due(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """One frame every quarter second."""
    due = -np.inf
    for frame in frames:
        if frame.time >= due:
            due = frame.time + SCAN_PERIOD_S - 1e-3
            yield frame


def _seen_whole(
    frames: Iterable[VideoFrame], finders: Sequence[FaceFinder]
) -> Generator[tuple[VideoFrame, list[Detection]], None, None]:
    """The frames, in order, and the faces seen in each whole picture, with as many pictures looked at side by side as
    there are finders."""
    under_way: deque[tuple[VideoFrame, Future[list[Detection]]]] = deque()
    with ThreadPoolExecutor(len(finders), thread_name_prefix="facespot-finder") as pool:
        for frame, finder in zip(frames, itertools.cycle(finders), strict=False):
            if len(under_way) == len(finders):
                earlier, found = under_way.popleft()
                yield earlier, found.result()
            under_way.append((frame, pool.submit(finder.whole, frame.rgb)))
        for earlier, found in under_way:
            yield earlier, found.result()


def _is_new(detection: Detection, found: list[Detection]) -> bool:
    return all(np.hypot(*(detection.box[:2] - d.box[:2])) > 0.5 * d.box[2] for d in found)


def _people(tracks: list[_Track], cuts: list[float]) -> list[list[_Track]]:
    """Groups of tracks that are one person: each track joins the most alike person who is not in view at its time."""
    people: list[list[_Track]] = []
    for track in sorted(tracks, key=lambda t: t.times[0]):
        best, best_likeness = None, -np.inf
        for person in people:
            if any(t.times[-1] >= track.times[0] and t.times[0] <= track.times[-1] for t in person):
                continue
            alike = max(likeness(a, b) for t in person for a in t.portraits for b in track.portraits)
            last = max(person, key=lambda t: t.times[-1])
            in_place = _fits(last.boxes[-1], track.boxes[0], _LINK_REACH, _LINK_RATIO)
            cut_between = any(last.times[-1] < c <= track.times[0] for c in cuts)
            stayed = in_place and not cut_between and track.times[0] - last.times[-1] <= _RETURN_GAP_S
            needed = 0.0 if stayed else _SAME_FACE_IN_PLACE if in_place else _SAME_FACE
            if alike >= needed and alike > best_likeness:
                best, best_likeness = person, alike
        if best is None:
            people.append([track])
        else:
            best.append(track)
    return people


def _subject(tracks: list[_Track], looks: int) -> Subject:
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
