"""Acts on the events of a recording: what each does, what none may do, and taking back."""

import pytest
from facespot.errors import AnnotationError
from facespot.spotting.intervals import Interval
from facespot.spotting.labelling.events import ActError, CodedEvent, History, read_machine_events
from labelling import write_spots

FOUND = (CodedEvent(1, 10, 15, 20, "macro", confidence=0.9), CodedEvent(2, 40, 42, 44, "micro", confidence=0.5))


def after(*acts: dict, found=FOUND) -> History:
    history = History(100, tuple(found))
    for act in acts:
        history = history.after(act)
    return history


def test_judging_changing_and_adding():
    history = after(
        {"act": "judge", "id": 1, "status": "rejected"},
        {"act": "change", "id": 2, "offset": 50, "apex": 45},
        {"act": "add", "onset": 60, "offset": 70, "type": "micro"},
        {"act": "change", "id": 3, "type": "macro"},
    )
    assert [(e.id, e.onset, e.apex, e.offset, e.type, e.status) for e in history.events] == [
        (1, 10, 15, 20, "macro", "rejected"),
        (2, 40, 45, 50, "micro", "accepted"),
        (3, 60, 65, 70, "macro", "accepted"),
    ]
    assert [e.id for e in history.accepted] == [2, 3]
    assert [e.machine for e in history.events] == [True, True, False]


def test_undo_and_redo_walk_back_and_forth_and_a_new_act_ends_the_future():
    one = {"act": "judge", "id": 1, "status": "accepted"}
    two = {"act": "change", "id": 2, "onset": 30}
    undo, redo = {"act": "undo"}, {"act": "redo"}
    assert after(one, two, undo).events == after(one).events
    assert after(one, two, undo, undo).events == list(FOUND)
    assert after(one, two, undo, undo, redo, redo).events == after(one, two).events
    with pytest.raises(ActError, match="nothing to redo"):
        after(one, undo, two, redo)
    with pytest.raises(ActError, match="nothing to undo"):
        after(one, undo, undo)


def test_an_undone_id_is_given_again_only_because_nobody_has_it():
    add = {"act": "add", "onset": 60, "offset": 70, "type": "micro"}
    assert [e.id for e in after(add, {"act": "undo"}, add, add).events] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "act",
    [
        {},
        {"act": "fly"},
        {"act": "judge", "id": 9, "status": "accepted"},
        {"act": "judge", "id": [1], "status": "accepted"},
        {"act": "judge", "id": 1, "status": "fine"},
        {"act": "judge", "id": 1, "status": ["open"]},
        {"act": "change", "id": 1},
        {"act": "change", "id": 1, "onset": 21},
        {"act": "change", "id": 1, "apex": 9},
        {"act": "change", "id": 1, "offset": 100},
        {"act": "change", "id": 1, "onset": -1},
        {"act": "change", "id": 1, "onset": 11.5},
        {"act": "change", "id": 1, "onset": True},
        {"act": "change", "id": 1, "type": "huge"},
        {"act": "add", "onset": 5, "type": "micro"},
        {"act": "add", "onset": 5, "offset": 4, "type": "micro"},
        {"act": "add", "onset": 5, "offset": 9},
        {"act": "watch", "stretch": 0},
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_no_trace(act):
    history = after()
    with pytest.raises(ActError):
        history.after(act)
    assert history.events == list(FOUND)


def test_watching_is_taken_back_like_any_act():
    watch = {"act": "watch", "stretch": 3, "done": True}
    assert after(watch).watched == {3}
    assert after(watch, {"act": "undo"}).watched == set()
    assert after(watch, {**watch, "done": False}).watched == set()


def test_a_closed_audit_takes_nothing():
    with pytest.raises(ActError, match="told its result"):
        after({"act": "close"}, {"act": "judge", "id": 1, "status": "accepted"})


def test_outputs_of_spot_are_read_and_others_refused(tmp_path):
    path = write_spots(
        tmp_path / "clip.spots.csv", [Interval(40, 42, 44, "micro", 0.5), Interval(10, 15, 20, "macro", 0.9)]
    )
    assert read_machine_events(path, 100) == FOUND
    with pytest.raises(AnnotationError, match=r"frames 0\.\.30"):
        read_machine_events(path, 31)
    path.write_text("video,time_s\nclip,3\n")
    with pytest.raises(AnnotationError, match="onset_frame"):
        read_machine_events(path, 100)
    path.with_suffix(".json").write_text("[]")
    with pytest.raises(AnnotationError, match="not what facespot found"):
        read_machine_events(path.with_suffix(".json"), 100)
