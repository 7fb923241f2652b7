"""Detections linked, look after look, into unbroken sightings of one face each."""

from dataclasses import dataclass, field

import numpy as np

from .appearance import resemblance
from .detection import Detection
from .portraits import likeness, portrait

LINK_REACH = 1.0  # face widths the centre may move between looks
LINK_RATIO = 1.6  # change of face width between looks
LINK_GAP_S = 1.0  # longest absence inside one track

_FIRST_CHECKS, _CHECK_EVERY = 4, 8  # looks
_RAREST_VIEW = 64  # looks: between two where those before showed nothing that was not known
_MOST_PORTRAITS = 4
_EARLY_LOOKS = 4  # by whose views a face is known again; who it is must be settled before its frames are followed
_MOST_VIEWS = 6
_NEW_VIEW = 0.9  # resemblance to all views kept below which another is worth keeping


@dataclass(eq=False)
class Track:
    """Consecutive looks at one face within one shot."""

    times: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    eye_distances: list[float] = field(default_factory=list)
    portraits: list[np.ndarray] = field(default_factory=list)
    views: list[np.ndarray] = field(default_factory=list)  # see `appearance`
    early_views: int = 0  # how many of them, the first, are of its first looks
    is_face: bool = False  # a mesh has been fitted to it at least once
    width_sum: float = 0.0  # of the boxes
    next_view: int = _CHECK_EVERY  # the look from which on another view may be kept
    view_pause: int = _CHECK_EVERY  # looks until then when it was set last

    @property
    def wants_check(self) -> bool:
        """Whether a mesh should be tried on the latest look: at first, and now and then until one fits."""
        return not self.is_face and (len(self.times) <= _FIRST_CHECKS or len(self.times) % _CHECK_EVERY == 0)

    @property
    def is_new(self) -> bool:
        """Whether its looks are still those by which a face is known again."""
        return len(self.times) <= _EARLY_LOOKS

    @property
    def wants_view(self) -> bool:
        """Whether the latest look may show the face from another side: at first, and now and then while there is room
        for what it shows, the more rarely the more often that was nothing new."""
        due = self.is_new or len(self.times) >= self.next_view
        return self.is_face and len(self.views) < _MOST_VIEWS and due

    def add_view(self, view: np.ndarray | None) -> None:
        """Keep what the latest look shows, None where it cannot be told, if it is like nothing that is kept."""
        known = view is not None and any(resemblance(view, old) >= _NEW_VIEW for old in self.views)
        if not self.is_new:
            self.view_pause = min(2 * self.view_pause, _RAREST_VIEW) if known else _CHECK_EVERY
            self.next_view = len(self.times) + self.view_pause
        if view is None or known:
            return
        self.views.append(view)
        if self.is_new:
            self.early_views = len(self.views)

    def add(self, time: float, seen: Detection, gray: np.ndarray) -> None:
        self.times.append(time)
        self.boxes.append(seen.box)
        self.width_sum += float(seen.box[2])
        self.eye_distances.append(seen.eye_distance)
        if len(self.portraits) < _MOST_PORTRAITS:
            new = portrait(gray, seen.eyes)
            # Only views that differ from those already kept, so that four of them can span a turning head.
            if all(likeness(new, old) < 0.9 for old in self.portraits):
                self.portraits.append(new)


def fits(box: np.ndarray, other: np.ndarray, reach: float, ratio: float) -> bool:
    size = np.sqrt(box[2] * other[2])
    return bool(np.hypot(*(box[:2] - other[:2])) <= reach * size and 1 / ratio <= box[2] / other[2] <= ratio)


class Linker:
    """Links detections, look after look, into tracks."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.cuts: list[float] = []
        self._live: list[Track] = []

    def cut(self, time: float) -> None:
        self.cuts.append(time)
        self._live = []

    def missing(self, time: float, found: list[Detection]) -> list[Track]:
        """Live tracks, longest first, that none of the detections continues."""
        self._live = [t for t in self._live if time - t.times[-1] <= LINK_GAP_S]
        lost = [t for t in self._live if not any(fits(t.boxes[-1], d.box, LINK_REACH, LINK_RATIO) for d in found)]
        return sorted(lost, key=lambda t: -len(t.times))

    @property
    def idle(self) -> bool:
        return not self._live

    def add(self, time: float, found: list[Detection], gray: np.ndarray) -> list[Track]:
        """Give each live track the nearest detection that fits; the rest begin tracks. Gives the tracks added to."""
        pairs = sorted(
            (float(np.hypot(*(t.boxes[-1][:2] - d.box[:2])) / d.box[2]), i, j)
            for i, t in enumerate(self._live)
            for j, d in enumerate(found)
            if fits(t.boxes[-1], d.box, LINK_REACH, LINK_RATIO)
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
                track = Track()
                self.tracks.append(track)
                self._live.append(track)
            track.add(time, detection, gray)
            grown.append(track)
        return grown
