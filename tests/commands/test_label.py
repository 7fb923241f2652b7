"""`spot label` as a browser meets it: saving, killing, who is let in, files for others, a second coder, audits."""

import contextlib
import csv
import http.client
import json
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs facespot[label]")
pytest.importorskip("uvicorn", reason="needs facespot[label]")

from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import VideoIntervals, evaluate
from facespot.spotting.simulation.recording import read_truth
from labelling import LabelServer, label_server, number_of, numbered, until, write_spots
from media import write_video
from places import ROOT

FOUND = [Interval(20, 24, 30, "macro", 0.9), Interval(60, 63, 66, "micro", 0.6), Interval(90, 95, 99, "macro", 0.4)]
ACTS = [
    {"act": "judge", "id": 1, "status": "accepted"},
    {"act": "judge", "id": 2, "status": "rejected"},
    {"act": "change", "id": 1, "onset": 18, "offset": 33},
    {"act": "add", "onset": 40, "offset": 50, "type": "micro"},
    {"act": "change", "id": 4, "apex": 42},
    {"act": "change", "id": 3, "type": "micro"},
    {"act": "undo"},
    {"act": "undo"},
    {"act": "redo"},
    {"act": "judge", "id": 3, "status": "accepted"},
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Four seconds at 30 frames a second, without a face, and what was found in it."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", numbered(120))


@pytest.fixture
def folder(clip, tmp_path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    write_spots(tmp_path / "clip.spots.csv", FOUND)
    return tmp_path


@pytest.fixture(scope="module")
def running(clip, tmp_path_factory) -> LabelServer:
    """A server for tests that change nothing."""
    home = tmp_path_factory.mktemp("running")
    (home / "clip.mp4").write_bytes(clip.read_bytes())
    (home / "secret.mp4").write_bytes(b"nobody named me")
    write_spots(home / "clip.spots.csv", FOUND)
    with label_server(home, "clip.mp4") as server:
        yield server


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_killed_after_any_act_nothing_is_lost(folder):
    expected = None
    for act in ACTS:
        with label_server(folder, "clip.mp4") as server:
            if expected is not None:
                assert server.get("videos/0").json == expected
            answer = server.act(act)
            server.kill()
        assert answer.status == 200
        expected = answer.json
    assert expected["acts"] == len(ACTS)
    with label_server(folder, "clip.mp4") as server:
        assert server.get("videos/0").json == expected
    assert [r["onset_frame"] for r in rows(folder / "clip.labels.csv")] == ["18", "40", "90"]


def test_killed_while_an_act_is_under_way_only_the_unanswered_is_open(folder):
    answered = 0
    for delay in (0.05, 0.11, 0.23):
        with label_server(folder, "clip.mp4") as server:
            assert answered <= len(server.events()) - len(FOUND)
            answered = len(server.events()) - len(FOUND)
            assassin = threading.Timer(delay, server.kill)
            assassin.start()
            with contextlib.suppress(OSError, http.client.HTTPException):
                while server.act({"act": "add", "onset": 5, "offset": 8, "type": "micro"}).status == 200:
                    answered += 1
            assassin.join()
    with label_server(folder, "clip.mp4") as server:
        # One act may have reached the disk without its answer getting out, none may be lost.
        assert len(server.events()) - len(FOUND) - answered in (0, 1)
    assert answered >= 3


def test_an_act_sent_again_is_done_once(folder):
    with label_server(folder, "clip.mp4") as server:
        act = {"act": "add", "onset": 1, "offset": 5, "type": "micro", "key": "abc"}
        assert server.act(act).json == server.act(act).json
        server.kill()
    with label_server(folder, "clip.mp4") as server:
        assert len(server.act(act).json["events"]) == len(FOUND) + 1


def test_what_is_written_other_programs_read(folder):
    from pympi import Eaf

    with label_server(folder, "clip.mp4") as server:
        for act in ACTS:
            server.act(act)
    table = rows(folder / "clip.labels.csv")
    assert [(r["type"], r["onset_frame"], r["apex_frame"], r["offset_frame"]) for r in table] == [
        ("macro", "18", "24", "33"),
        ("micro", "40", "42", "50"),
        ("macro", "90", "95", "99"),
    ]
    assert (folder / "points.csv").read_text() == (
        "video,type,time_s\nclip,macro,0.800\nclip,micro,1.400\nclip,macro,3.167\n"
    )
    eaf = Eaf(str(folder / "clip.labels.eaf"))
    assert [a[:3] for a in eaf.get_annotation_data_for_tier("expression")] == [
        (600, 1100, "macro"),
        (1333, 1667, "micro"),
        (3000, 3300, "macro"),
    ]
    for name in ("clip.labels.eaf", "clip.labels.boris.tsv", "clip.labels.csv", "points.csv"):
        records = read_annotations(folder / name)
        assert list(records["type"]) == ["macro", "micro", "macro"], name
        assert set(records["video"]) == {"clip"}


def test_points_of_earlier_recordings_stay_in_the_table(folder):
    (folder / "other.mp4").write_bytes((folder / "clip.mp4").read_bytes())
    write_spots(folder / "other.spots.csv", FOUND)
    for name in ("clip", "other"):
        with label_server(folder, f"{name}.mp4") as server:
            server.act({"act": "judge", "id": 1, "status": "accepted"})
    assert [r["video"] for r in rows(folder / "points.csv")] == ["clip", "other"]


def test_recordings_of_one_name_stay_apart(folder):
    for name in ("anna", "ben"):
        (folder / name).mkdir()
        (folder / name / "clip.mp4").write_bytes((folder / "clip.mp4").read_bytes())
        write_spots(folder / "out" / f"{name}_clip.mp4.spots.csv", FOUND)
    with label_server(folder, "anna/clip.mp4", "ben/clip.mp4", "-o", "out") as server:
        for video, number in ((0, 1), (1, 2)):
            server.act({"act": "judge", "id": number, "status": "accepted"}, video)
    assert [(r["video"], r["type"]) for r in rows(folder / "out" / "points.csv")] == [
        ("anna/clip", "macro"),
        ("ben/clip", "micro"),
    ]
    assert [r["onset_frame"] for r in rows(folder / "out" / "ben_clip.mp4.labels.csv")] == ["60"]


def test_what_was_not_spotted_yet_is_spotted(clip, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    run = spot_label("clip.mp4", "--no-browser", "--cache", "none", home=tmp_path)
    assert run.returncode == 5  # for the clip has no face
    assert "clip.mp4" in run.stderr


def test_a_table_of_the_users_own_is_not_touched(folder):
    (folder / "points.csv").write_text("mine")
    run = spot_label("clip.mp4", "--no-browser", home=folder)
    assert run.returncode == 1
    assert "not from `spot label`" in run.stderr
    assert (folder / "points.csv").read_text() == "mine"
    assert not list(folder.glob("*.jsonl"))


def spot_label(*arguments: str, home: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "facespot.cli", "label", *arguments]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=120)


def test_impossible_acts_are_refused_with_a_reason_and_not_kept(running):
    before = running.get("videos/0").json
    answer = running.act({"act": "change", "id": 1, "onset": 500})
    assert answer.status == 409
    assert "onset <= apex <= offset" in answer.json["error"]
    path = f"{running.root}videos/0/acts"
    for body in (b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 9000, b'{"act":"' + b"x" * 20_000 + b'"}'):
        assert running.request("POST", path, body, content_type="application/json").status == 400
    form = running.request("POST", path, b'{"act":"undo"}', content_type="text/plain")
    assert form.status == 400
    assert running.act({"act": "close"}).status == 409
    assert running.act({"act": "watch", "stretch": 0, "done": True}).status == 409
    assert running.get("videos/0").json == before


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]:{port}",
        "",
        "127.0.0.1:{port}.evil.example",
    ],
)
def test_other_hosts_are_refused(running, host):
    port = running.host.rpartition(":")[2]
    answer = running.get("session", host=host.format(port=port))
    assert answer.status in (400, 403)
    assert b"clip" not in answer.body


def test_localhost_is_this_host_too_and_other_sites_are_not(running):
    port = running.host.rpartition(":")[2]
    assert running.get("session", host=f"localhost:{port}").status == 200
    assert running.get("session", origin=f"http://{running.host}").status == 200
    for origin in ("http://evil.example", "null", f"https://{running.host}"):
        assert running.get("session", origin=origin).status == 403


def test_only_the_loopback_interface_listens(running):
    port = int(running.host.rpartition(":")[2])
    listening = (
        [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if sys.platform == "linux"
        else []
    )
    if not listening:
        pytest.skip("/proc/net/tcp is Linux's")
    assert [a for a in listening if a.endswith(f":{port:04X}") and not a.startswith("0100007F")] == []


def test_without_the_token_there_is_nothing(running):
    token = running.root.strip("/")
    wrong = [
        "/",
        "/session",
        f"/{token[:-1]}/session",
        f"/{token}x/session",
        f"/{token.swapcase()}/session",
        f"//{token}/session",
    ]
    for path in [*wrong, "/x/videos/0/media"]:
        answer = running.request("GET", path)
        assert answer.status == 403, path
        assert answer.body == b"not for you"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.mp4",
        "videos/../../secret.mp4",
        "videos/0/../../../secret.mp4",
        "videos/0/media/../../../../secret.mp4",
        "%2e%2e/secret.mp4",
        "..%2fsecret.mp4",
        "videos/%2e%2e%2f%2e%2e%2fsecret.mp4/media",
        "videos/secret.mp4/media",
        "videos/1/media",
        "videos/-1/media",
        "videos/0/media%00",
        "videos/99999999999999999999/media",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "secret.mp4",
        "page.py",
        "desk.js",
        "server.py",
        "..\\secret.mp4",
        "clip.labels.jsonl",
    ],
)
def test_nothing_but_the_named_files_is_served(running, path):
    answer = running.get(path)
    assert answer.status in (403, 404)
    assert b"nobody named me" not in answer.body
    assert b"root:" not in answer.body


def test_other_methods_are_refused(running):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"):
        assert running.request(method, f"{running.root}videos/0/media").status == 405
    assert running.get("videos/0/acts").status == 405
    assert running.get("quit").status == 405
    assert running.process.poll() is None


def test_answers_tell_browsers_to_be_strict(running):
    for path in ("", "page.js", "player.js", "page.css", "session", "videos/0/media", "no"):
        headers = running.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    page = running.get("").body.decode()
    assert "http://" not in page
    assert "https://" not in page


def test_players_get_the_ranges_they_ask_for(running, clip):
    data = clip.read_bytes()
    whole = running.get("videos/0/media")
    assert (whole.status, whole.body) == (200, data)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/mp4"
    for asked, start, end in (
        ("0-99", 0, 100),
        ("100-", 100, len(data)),
        ("-50", len(data) - 50, len(data)),
        (f"10-{10**12}", 10, len(data)),
    ):
        part = running.get("videos/0/media", range=f"bytes={asked}")
        assert (part.status, part.body) == (206, data[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(data)}"
    assert running.get("videos/0/media", range=f"bytes={len(data)}-").status == 416
    head = running.request("HEAD", f"{running.root}videos/0/media")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(data)))


def test_a_copy_shows_every_frame_at_its_own_time(tmp_path):
    from facespot.extract.reading.video import open_video

    times = [0.0, 0.04, 0.08, 0.2, 0.24, 0.3, 0.5, 0.52]
    write_video(tmp_path / "clip.mkv", numbered(8, 320, 192), times=times)
    write_spots(tmp_path / "clip.spots.csv", [])
    with label_server(tmp_path, "clip.mkv") as server:
        assert server.get("videos/0/times").json == pytest.approx(times)
        copy = server.get("videos/0/copy")
        again = server.get("videos/0/copy", range="bytes=0-9")
    assert (copy.status, again.body) == (200, copy.body[:10])
    (tmp_path / "copy.mp4").write_bytes(copy.body)
    with open_video(tmp_path / "copy.mp4") as stream:
        frames = list(stream)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-4)
    assert [number_of(frame.rgb[..., 1]) for frame in frames] == list(range(8))


def test_the_page_ends_the_program(folder):
    with label_server(folder, "clip.mp4") as server:
        assert server.request("POST", f"{server.root}quit", {}).status == 200
        until("-> clip.labels.csv", server.process)
        assert server.process.returncode == 0


def test_two_pages_over_one_journal_are_refused(folder):
    pytest.importorskip("fcntl", reason="this system has no advisory locks")
    with label_server(folder, "clip.mp4"):
        run = spot_label("clip.mp4", "--no-browser", home=folder)
    assert run.returncode == 1
    assert "another `spot label`" in run.stderr


def test_another_video_under_the_same_name_is_refused(folder):
    with label_server(folder, "clip.mp4"):
        pass
    write_video(folder / "clip.mp4", numbered(100))
    run = spot_label("clip.mp4", "--no-browser", home=folder)
    assert run.returncode == 8
    assert "begun with 120 frames, not 100 frames" in run.stderr


def test_a_blind_coder_sees_nothing_of_the_machine_and_is_compared(folder):
    with label_server(folder, "clip.mp4") as server:
        for i in (1, 2, 3):
            server.act({"act": "judge", "id": i, "status": "accepted"})
    with label_server(folder, "clip.mp4", "--blind", "--coder", "ben") as server:
        assert server.events() == []
        for path in ("", "session", "videos/0"):
            assert b"0.9" not in server.get(path).body
        server.act({"act": "add", "onset": 21, "offset": 32, "type": "macro"})
        server.act({"act": "add", "onset": 60, "offset": 66, "type": "macro"})
    assert b'machine":[]' in (folder / "clip.labels.ben.jsonl").read_bytes()
    assert [r["video"] for r in rows(folder / "points.ben.csv")] == ["clip", "clip"]
    run = spot_label("clip.mp4", "--compare", "-", "ben", home=folder)
    assert run.returncode == 0
    assert "the first coder and ben agree on 1 event " in run.stdout
    assert "1 more lie at the same moment but differ in type" in run.stdout
    assert "Only the first coder:" in run.stdout
    assert "kappa per frame: 0." in run.stdout
    assert spot_label("clip.mp4", "--blind", home=folder).returncode == 2
    assert spot_label("clip.mp4", "--compare", "-", "carl", home=folder).returncode == 8
    assert spot_label("clip.mp4", "--coder", "../x", home=folder).returncode == 1


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The rendered sample with known truth, and what a spotter said of it: hits, misses, a wrong type, false alarms."""
    home = tmp_path_factory.mktemp("audit")
    (home / "clip.mp4").write_bytes((ROOT / "samples" / "astronaut.mp4").read_bytes())
    truth = read_truth(ROOT / "samples" / "astronaut.truth.csv")
    said = [Interval(t.onset + 1, t.apex, t.offset + 2, t.type, 0.8) for t in truth[:3]]
    said += [
        Interval(100, 104, 110, "micro", 0.4),
        Interval(truth[4].onset, truth[4].apex, truth[4].offset, "micro", 0.5),
    ]
    return home, truth, said


def answer_truthfully(server: LabelServer, truth: list[Interval]) -> None:
    """Marks, stretch by stretch, what somebody who sees everything would mark there."""
    for number, stretch in enumerate(server.get("session").json["stretches"]):
        for t in truth:
            if stretch["start"] <= (t.onset + t.offset + 1) // 2 <= stretch["end"]:
                act = {"act": "add", "onset": t.onset, "apex": t.apex, "offset": t.offset, "type": t.type}
                assert server.act(act).status == 200
        assert server.act({"act": "watch", "stretch": number, "done": True}).status == 200


def test_an_audit_of_everything_is_exactly_true(rendered, tmp_path):
    home, truth, said = rendered
    (tmp_path / "clip.mp4").write_bytes((home / "clip.mp4").read_bytes())
    write_spots(tmp_path / "clip.spots.csv", said)
    with label_server(tmp_path, "clip.mp4", "--audit", "100") as server:
        session = server.get("session").json
        assert session["mode"] == "audit"
        assert not {"stratum", "probability"} & set(session["stretches"][0])
        assert server.events() == []
        assert server.request("POST", f"{server.root}audit", {}).status == 409
        answer_truthfully(server, truth)
        scores = server.request("POST", f"{server.root}audit", {}).json["scores"]
        assert server.act({"act": "undo"}).status == 409
        server.request("POST", f"{server.root}quit", {})
        printed = until("of the watching is saved", server.process)
    expected = evaluate([VideoIntervals(truth, said)])
    for kind in ("overall", "macro", "micro"):
        counts = getattr(expected, kind)
        for name in ("precision", "recall", "f1"):
            ratio = {"value": getattr(counts, name), "low": getattr(counts, name), "high": getattr(counts, name)}
            assert scores[kind][name] == pytest.approx(ratio), (kind, name)
    assert (expected.overall.tp, expected.overall.fp, expected.overall.fn) == (3, 2, 3)
    assert "0.60 (0.60-0.60)" in printed
    assert not (tmp_path / "points.csv").exists()


def test_an_audit_of_a_sample_holds_the_truth_and_goes_on_after_a_kill(rendered, tmp_path):
    home, truth, said = rendered
    # Ten recordings of the same performance, in some of which nothing was found: something to sample from.
    names = [f"clip{i}.mp4" for i in range(10)]
    found = [said[: i if i < 6 else 0] for i in range(10)]
    for name, spots in zip(names, found, strict=True):
        (tmp_path / name).write_bytes((home / "clip.mp4").read_bytes())
        write_spots(tmp_path / name.replace(".mp4", ".spots.csv"), spots)
    with label_server(tmp_path, *names, "--audit", "6") as server:
        first = server.get("session").json["stretches"]
        server.kill()
    assert len(first) == 6
    with label_server(tmp_path, *names, "--audit", "6") as server:
        assert server.get("session").json["stretches"] == first
        for number, stretch in enumerate(first):
            for t in truth:
                if stretch["start"] <= (t.onset + t.offset + 1) // 2 <= stretch["end"]:
                    act = {"act": "add", "onset": t.onset, "apex": t.apex, "offset": t.offset, "type": t.type}
                    assert server.act(act, stretch["recording"]).status == 200
            assert server.act({"act": "watch", "stretch": number, "done": True}, stretch["recording"]).status == 200
        scores = server.request("POST", f"{server.root}audit", {}).json["scores"]["overall"]
    counts = evaluate([VideoIntervals(truth, spots) for spots in found]).overall
    for name in ("precision", "recall", "f1"):
        assert scores[name]["low"] <= getattr(counts, name) <= scores[name]["high"], name
    assert scores["recall"]["low"] < scores["recall"]["high"]
    run = spot_label(*names, "--audit", "9", "--no-browser", home=tmp_path)
    assert run.returncode == 8
    assert "an audit of 6 stretches" in run.stderr


def test_times_of_the_journal_increase(folder):
    with label_server(folder, "clip.mp4") as server:
        for act in ACTS[:4]:
            server.act(act)
    lines = [json.loads(line) for line in (folder / "clip.labels.jsonl").read_text().splitlines()]
    assert all(a["at"] <= b["at"] for a, b in pairwise(lines[1:]))
    assert [line["act"] for line in lines[1:]] == [act["act"] for act in ACTS[:4]]
