"""Who is in a recording, found out while the face that will most likely be chosen is followed already.

Which face is seen longest is known at the end only. Mostly there is one, though, and the first second shows it. So
frames are handed on as soon as the looks around them are known, and the looks at the face that seems to be the one go
into a `Guess`. It is held against the whole recording in the end: where both are of the same looks, whoever followed
the guess was told, at every frame, what the recording's own choice would have told.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..reading.frames import VideoFrame
from ..reading.stream import PendingFrame
from ..reading.thinning import thin_to_clock
from .subjects import REACH_S, SCAN_PERIOD_S, SMALLEST_EYE_DISTANCE, Looks, Subject, SubjectScan, is_believed, join
from .tracks import Track

_DECIDE_S = 0.75  # from the first sighting to the guess
# How far looks are ahead of a frame that no later look surrounds: more than the longest absence inside one track
# (`tracks.LINK_GAP_S`), and so much that a face first seen meanwhile is out of the frame's reach.
_AHEAD_S = _DECIDE_S + REACH_S + SCAN_PERIOD_S
_RIVAL_LOOKS = 0.75  # share of the guess's looks from which another face may yet be seen longer
_RIVAL_SIZE = 0.9  # and share of its mean width from which another may be the larger
_FEWEST_LOOKS = 2
_WAITING_BYTES = 400 << 20  # of decoded pictures whose surroundings are not known yet
_PIXEL_BYTES = 3  # 4:2:0 in ten bits
# Half of the pictures further apart than this is no video of a face. Its clock, mostly a damaged frame rate, would
# fill the disk with empty ticks.
SLOWEST_PERIOD_S = 1.0


class Guess(Looks):
    """The looks so far at the face that is followed; another thread may read them meanwhile."""

    def __init__(self) -> None:
        self.times, self.boxes, self.track = list[float](), list[np.ndarray](), list[int]()

    def add(self, time: float, box: np.ndarray, track: int) -> None:
        # The time last: whoever finds it finds the rest.
        self.boxes.append(box)
        self.track.append(track)
        self.times.append(time)

    def is_of(self, subject: Subject) -> bool:
        """Whether these are all of a subject's looks, and linked in the same way."""
        return (
            np.array_equal(self.times, subject.times)
            and np.array_equal(self.boxes, subject.boxes)
            and np.array_equal(np.diff(self.track) == 0, np.diff(subject.track) == 0)
        )


class Watch:
    """Looks at a recording as it is decoded. Use it as a context manager.

    selector: as of `choose_subject`. once: there is no second reading, so that the guess is held to whoever else comes.
    guess: to be followed. gave_up: it will not do, and `frames` has stopped; the rest of the recording goes to
    `look_on`. frame_times: seconds of every frame so far.
    """

    def __init__(self, selector: str | int, *, once: bool = False) -> None:
        self.guess = Guess()
        self.frame_times: list[float] = []
        self._selector, self._once = selector, once
        self.gave_up = not once and selector not in ("longest", "largest", 0)
        self._scan = SubjectScan()
        self._people: list[list[Track]] = []
        self._person_of: dict[Track, list[Track]] = {}
        self._followed: list[Track] = []  # whose looks are the guess; empty while it is open
        self._due = 0.0
        self._looked = -np.inf  # time of the last look
        self._released = -np.inf  # time of the last frame handed on
        self._slow = 0  # pictures that came late
        self._pixels = 0  # of one

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._scan.__exit__(*exc_info)

    def subjects(self) -> list[Subject]:
        """Who has been seen."""
        return self._scan.subjects()

    def look_on(self, pending: Iterable[PendingFrame]) -> Iterator[PendingFrame]:
        """The same frames, looked at where it is time to."""
        for frame in pending:
            if self.frame_times and frame.time - self.frame_times[-1] > SLOWEST_PERIOD_S:
                self._slow += 1
            self.frame_times.append(frame.time)
            if frame.time >= self._due:
                picture = frame.develop()
                frame = replace(frame, picture=lambda found=None if picture is None else picture.picture: found)
                if picture is not None:
                    self._pixels = picture.rgb.shape[0] * picture.rgb.shape[1]
                    self._due = frame.time + SCAN_PERIOD_S - 1e-3
                    self._take(frame.time, self._scan.look(picture))
            yield frame

    def frames(self, pending: Iterable[PendingFrame]) -> Iterator[VideoFrame]:
        """The frames that some tick needs, with their pictures, each as soon as the looks around it are known."""
        waiting: deque[PendingFrame] = deque()
        for frame in thin_to_clock(self.look_on(pending)):
            waiting.append(frame)
            if not self._once:
                self.gave_up = self.gave_up or 2 * self._slow > len(self.frame_times) or self._is_too_much(waiting)
            if self.gave_up:
                return
            while waiting and self._is_settled(waiting[0].time):
                yield from self._release(waiting.popleft())
        self._choose()
        while waiting and not self.gave_up:
            yield from self._release(waiting.popleft())

    def _release(self, frame: PendingFrame) -> Iterator[VideoFrame]:
        self._released = frame.time
        developed = frame.develop()
        if developed is not None:
            yield developed

    def _is_settled(self, time: float) -> bool:
        """Whether all looks are known that say where the face is at a time."""
        return bool(self.guess.times and self.guess.times[-1] >= time) or self._looked >= time + _AHEAD_S

    def _is_too_much(self, waiting: deque[PendingFrame]) -> bool:
        return len(waiting) * self._pixels * _PIXEL_BYTES > _WAITING_BYTES

    def _take(self, time: float, grown: list[Track]) -> None:
        """Give the tracks that a look has added to their people, and see what it means for the guess."""
        self._looked = time
        for track in grown:
            if self._may_be_known_yet(track):
                self._people.remove(self._person_of.pop(track))
            if track in self._person_of:
                if self._person_of[track] is self._followed:
                    self.guess.add(time, track.boxes[-1], self._followed.index(track))
            elif is_believed(track):
                person = self._person_of[track] = join(track, self._people, self._scan.cuts, grown)
                if person is self._followed:
                    self._admit(track)
        if not self._followed:
            firsts = [track.times[0] for track in self._person_of]
            if firsts and time - min(firsts) >= _DECIDE_S:
                self._choose()
        elif not self._once and any(self._is_rival(person) for person in self._people):
            self.gave_up = True

    def _may_be_known_yet(self, track: Track) -> bool:
        """Whether it has been taken for somebody new, and its latest look may tell who it is."""
        person = self._person_of.get(track)
        return person is not None and person is not self._followed and len(person) == 1 and track.is_new

    def _choose(self) -> None:
        """Guess, where nobody is followed yet and somebody can be."""
        eligible = [person for person in self._people if self._is_eligible(person)]
        if self._followed or not eligible:
            return
        eligible.sort(key=lambda person: (-_looks(person), -_size(person)))
        if self._selector == "largest":
            eligible.sort(key=_size, reverse=True)
        number = self._selector if isinstance(self._selector, int) else 0
        if number >= len(eligible):
            return
        self._followed = eligible[number]
        for track in sorted(self._followed, key=lambda track: track.times[0]):
            self._admit(track)
        self.gave_up = self.gave_up or (not self._once and any(self._is_rival(person) for person in self._people))

    def _admit(self, track: Track) -> None:
        """Add the looks of a track. Those that a frame handed on should have known come too late."""
        known = self.guess.times[-1] if self.guess.times else -np.inf
        if self._released > known:
            # Handed on while nobody was seen: with a look within reach of it, it would have been told otherwise.
            known = self._released + REACH_S
        self.gave_up = self.gave_up or (not self._once and track.times[0] <= known)
        for time, box in zip(track.times, track.boxes, strict=True):
            if time > known:
                self.guess.add(time, box, self._followed.index(track))

    def _is_eligible(self, person: list[Track]) -> bool:
        small = np.mean([np.mean(track.eye_distances[:_FEWEST_LOOKS]) for track in person]) < SMALLEST_EYE_DISTANCE
        return (isinstance(self._selector, int) or not small) and _looks(person) >= _FEWEST_LOOKS

    def _is_rival(self, person: list[Track]) -> bool:
        if person is self._followed or not self._is_eligible(person):
            return False
        if self._selector == "largest":
            return _size(person) >= _RIVAL_SIZE * _size(self._followed)
        return _looks(person) >= _RIVAL_LOOKS * _looks(self._followed)


def _looks(person: list[Track]) -> int:
    return sum(len(track.times) for track in person)


def _size(person: list[Track]) -> float:
    """Mean width of the face, pixels."""
    return sum(track.width_sum for track in person) / _looks(person)
