"""The journal: on disk before it is answered, one writer at a time, torn lines dropped, damage named."""

import json
import os

import pytest
from facespot.errors import AnnotationError, FacespotError
from facespot.spotting.labelling.journal import Journal, read_journal
from facespot.spotting.labelling.recording import coded_by

EVENT = {"id": 1, "onset": 5, "apex": 6, "offset": 9, "type": "macro"}


def test_acts_come_back_in_order(tmp_path):
    path = tmp_path / "clip.labels.jsonl"
    journal = Journal.open(path, {"video": "clip.mp4"})
    for i in range(5):
        journal.append({"act": "judge", "id": i, "said": "na\u00efve\n"})
    journal.close()
    again = Journal.open(path, {"video": "another.mp4"})
    assert again.header["video"] == "clip.mp4"
    assert [act["id"] for act in again.acts] == [0, 1, 2, 3, 4]
    assert again.acts[0]["said"] == "na\u00efve\n"
    again.close()


def test_an_act_is_on_the_disk_before_append_returns(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_size), fsync(handle)))
    journal = Journal.open(tmp_path / "j", {})
    journal.append({"act": "undo"})
    assert synced[-1] == (tmp_path / "j").stat().st_size
    journal.close()


@pytest.mark.parametrize("cut", range(1, 16))
def test_a_torn_last_line_is_dropped_and_the_next_act_follows_the_whole_ones(tmp_path, cut):
    path = tmp_path / "j"
    journal = Journal.open(path, {})
    journal.append({"act": "undo"})
    journal.append({"act": "redo"})
    journal.close()
    os.truncate(path, path.stat().st_size - cut)
    again = Journal.open(path, {})
    assert again.acts == [{"act": "undo"}]
    again.append({"act": "close"})
    again.close()
    assert read_journal(path)[1] == [{"act": "undo"}, {"act": "close"}]


def test_damage_within_is_named_not_skipped(tmp_path):
    path = tmp_path / "j"
    journal = Journal.open(path, {})
    journal.append({"act": "undo"})
    journal.close()
    path.write_bytes(path.read_bytes() + b"\x00\x00\n" + b'{"act":"redo"}\n')
    with pytest.raises(AnnotationError, match="line 3: damaged"):
        read_journal(path)
    path.write_text('{"video": "clip"}\n')
    with pytest.raises(AnnotationError, match="not a journal"):
        Journal.open(path, {})
    path.write_text(json.dumps({"format": "facespot labels", "format_version": 99}) + "\n")
    with pytest.raises(AnnotationError, match="another version"):
        read_journal(path)


def test_one_writer_at_a_time(tmp_path):
    pytest.importorskip("fcntl", reason="this system has no advisory locks")
    journal = Journal.open(tmp_path / "j", {})
    with pytest.raises(FacespotError, match="another `spot label`"):
        Journal.open(tmp_path / "j", {})
    journal.close()
    Journal.open(tmp_path / "j", {}).close()


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    journal = Journal.open(tmp_path / "j", {})
    journal.append({"act": "undo"})
    before = (tmp_path / "j").read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            journal.append({"act": "redo"})
    assert (tmp_path / "j").read_bytes() == before
    journal.append({"act": "close"})
    journal.close()
    assert read_journal(tmp_path / "j")[1] == [{"act": "undo"}, {"act": "close"}]


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"machine": [{"nonsense": 1}], "frames": 90},
        {"machine": [{"id": 1, "onset": 5, "apex": "x", "offset": 9, "type": "macro"}], "frames": 90},
        {"machine": [{"id": 1, "onset": 5, "apex": 6, "offset": 95, "type": "macro"}], "frames": 90},
        {"machine": [7], "frames": 90},
        {"machine": [], "frames": 90, "mode": "open"},
    ],
)
def test_a_damaged_header_is_named(tmp_path, header):
    path = tmp_path / "clip.labels.jsonl"
    journal = Journal.open(path, header)
    journal.append({"act": "judge", "id": 99, "status": "accepted", "key": []})
    journal.close()
    with pytest.raises(AnnotationError, match=r"line [12]: "):
        coded_by(path)


@pytest.mark.parametrize(
    "machine", [[{**EVENT, "id": {}}], [{**EVENT, "id": "1"}], [EVENT, EVENT], [{**EVENT, "confidence": "high"}]]
)
def test_a_damaged_event_of_the_machine_is_named(tmp_path, machine):
    path = tmp_path / "clip.labels.jsonl"
    for found, told in (([EVENT], None), (machine, r"line 1: damaged \(ActError: ")):
        path.unlink(missing_ok=True)
        Journal.open(path, {"machine": found, "frames": 90, "mode": "open"}).close()
        if told is None:
            coded_by(path)
        else:
            with pytest.raises(AnnotationError, match=told):
                coded_by(path)


def test_a_line_that_is_nested_without_end_is_damage(tmp_path):
    path = tmp_path / "j"
    Journal.open(path, {}).close()
    path.write_bytes(path.read_bytes() + b"[" * 100_000 + b"\n")
    with pytest.raises(AnnotationError, match="line 2: damaged"):
        read_journal(path)
