"""The guess that is followed while it is still found out who is in a recording."""

import numpy as np
import pytest
from facespot.extract.face import watching
from facespot.extract.face.subjects import SubjectScan
from facespot.extract.face.tracks import Linker
from facespot.extract.face.watching import Watch
from facespot.extract.reading.frames import Picture
from facespot.extract.reading.stream import PendingFrame

FPS = 10
SIZE = 48
_PICTURE = np.zeros((SIZE, SIZE, 3), np.uint8)


class Sighting:
    """Stands for a detection. person: number, which is also where it is and what it looks like."""

    def __init__(self, person, width, time):
        self.person = person
        self.box = np.array([100.0 * person, 50.0 + time, width])
        self.eye_distance = width / 2
        self.eyes = np.array([[10.0, 10.0], [20.0, 10.0]]) + person


class ScriptedScan(SubjectScan):
    """Sees whom a script says. script: (person, first second, last second, width, second from which a mesh fits)."""

    script: tuple = ()
    missed: frozenset = frozenset()

    def __init__(self):
        self._linker, self._looks = Linker(), 0
        rng = np.random.default_rng(0)
        self.faces = rng.integers(0, 256, (9, SIZE, SIZE), np.uint8)

    def __exit__(self, *exc_info):
        pass

    def look(self, frame):
        self._looks += 1
        seen = [
            (Sighting(person, width, frame.time), frame.time >= fits)
            for person, first, last, width, fits in self.script
            if first <= frame.time <= last and (person, round(frame.time, 3)) not in self.missed
        ]
        found = [sighting for sighting, _ in seen]
        self._linker.missing(frame.time, found)
        grown = self._linker.add(frame.time, found, self.faces[found[0].person] if found else _PICTURE[..., 0])
        for track in grown:
            fitting = next(fits for sighting, fits in seen if sighting.box is track.boxes[-1])
            track.is_face = track.is_face or fitting
        return grown


def watched(monkeypatch, *script, seconds=20, missed=(), selector="longest", once=False, fps=FPS):
    """The watch, the frames it handed on, and what its guess said at each just then."""
    monkeypatch.setattr(watching, "SubjectScan", ScriptedScan)
    monkeypatch.setattr(ScriptedScan, "script", script)
    monkeypatch.setattr(ScriptedScan, "missed", frozenset(missed))
    watch = Watch(selector, once=once)
    pending = (PendingFrame(i, i / fps, lambda: Picture(lambda: _PICTURE)) for i in range(round(seconds * fps)))
    frames, said, held = [], [], []
    for frame in [] if watch.gave_up else watch.frames(pending):
        frames.append(frame)
        said.append((watch.guess.box_at(frame.time), watch.guess.looks_around(frame.time)))
        held.append(len(watch.frame_times) - frame.index)
    for _ in watch.look_on(pending):
        pass
    return watch, frames, said, held


def test_what_is_said_of_a_frame_is_what_the_whole_recording_says(monkeypatch):
    rng = np.random.default_rng(3)
    missed = [(1, round(i / FPS, 3)) for i in range(600) if rng.random() < 0.45]
    watch, frames, said, held = watched(
        monkeypatch, (1, 2.0, 25.0, 60, 0), (1, 31.0, 60.0, 60, 0), seconds=60, missed=missed
    )
    (subject,) = watch.subjects()
    assert not watch.gave_up
    assert watch.guess.is_of(subject)
    assert [frame.index for frame in frames] == list(range(600))
    assert max(np.diff(subject.times)) > 5
    for frame, (box, looks) in zip(frames, said, strict=True):
        assert (
            np.array_equal(box, subject.box_at(frame.time)) if box is not None else subject.box_at(frame.time) is None
        )
        assert np.array_equal(looks, subject.looks_around(frame.time))
    # In view, a frame waits for the next look only; this face is missed in nearly half of them.
    assert max(held) <= 1.4 * FPS + 5


def test_a_frame_waits_a_quarter_second_while_the_face_is_in_view(monkeypatch):
    _, _, _, held = watched(monkeypatch, (1, 0.0, 9.0, 60, 0), seconds=8, fps=30)
    assert max(held[30:]) <= 0.25 * 30 + 3


@pytest.mark.parametrize(
    ("script", "selector"),
    [
        # Two all the time: which is seen longer is open to the end.
        ([(1, 0, 20, 60, 0), (2, 0, 20, 50, 0)], "longest"),
        # One who comes later and stays longer.
        ([(1, 0, 5, 60, 0), (2, 6, 20, 60, 0)], "longest"),
        ([(1, 0, 20, 60, 0), (2, 9, 12, 90, 0)], "largest"),
        # Seen all along, but believed only when the frames before have been handed on.
        ([(1, 0, 20, 60, 9)], "longest"),
    ],
)
def test_a_wrong_or_an_open_guess_is_found_out(monkeypatch, script, selector):
    watch, frames, *_ = watched(monkeypatch, *script, selector=selector)
    assert watch.gave_up or not watch.guess.is_of(watch.subjects()[0])
    assert len(frames) < 190
    # The scan has gone on to the end all the same.
    assert watch.subjects()[-1].times[-1] > 4
    assert max(subject.times[-1] for subject in watch.subjects()) > 19


def test_a_passer_by_does_not_matter(monkeypatch):
    watch, frames, *_ = watched(monkeypatch, (1, 0, 20, 60, 0), (2, 9, 12, 90, 0))
    first, second = watch.subjects()
    assert watch.guess.is_of(first)
    assert not watch.guess.is_of(second)
    assert len(frames) == 200


def test_a_face_by_number_is_known_at_the_end_only(monkeypatch):
    assert watched(monkeypatch, (1, 0, 3, 60, 0), seconds=2, selector=1)[0].gave_up
    assert not watched(monkeypatch, (1, 0, 3, 60, 0), seconds=2, selector=0)[0].gave_up


def test_where_nothing_is_read_twice_the_guess_is_kept(monkeypatch):
    script = (1, 0, 20, 60, 0), (2, 0, 20, 50, 0)
    for selector, person in (("longest", 1), ("largest", 1), (1, 2)):
        watch, frames, *_ = watched(monkeypatch, *script, selector=selector, once=True)
        assert len(frames) == 200
        assert {box[0] for box in watch.guess.boxes} == {100.0 * person}


def test_pictures_seconds_apart_are_not_followed(monkeypatch):
    watch, frames, *_ = watched(monkeypatch, (1, 0, 99, 60, 0), seconds=99, fps=0.5)
    assert watch.gave_up
    assert len(frames) < 3
    assert len(watch.frame_times) > 40


def test_too_many_pictures_do_not_wait(monkeypatch):
    monkeypatch.setattr(watching, "_WAITING_BYTES", 5 * 3 * SIZE * SIZE)
    assert watched(monkeypatch, (1, 0, 9, 60, 0))[0].gave_up
    assert not watched(monkeypatch, (1, 0, 9, 60, 0), once=True)[0].gave_up
