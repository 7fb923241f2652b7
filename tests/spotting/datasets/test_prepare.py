"""Preparing a whole data set: processes, kills, bad recordings, a real Dask cluster on this machine."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from facespot.commands.prepare import prepare as prepare_command
from facespot.errors import AnnotationError, FacespotError, VideoNotFoundError
from facespot.extract.cache import SIDECAR
from facespot.processes import usable_cores
from facespot.spotting.datasets.layouts import scan_dataset
from facespot.spotting.datasets.prepare import prepare
from facespot.spotting.datasets.prepared import PreparedSet
from fake_extraction import fake_features
from media import moving_face, write_video
from places import TESTS

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
PATIENCE_S = 240  # of everything that waits for another process; only a failure ever takes this long


def make_root(folder, **texts):
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / f"{name}.mp4").write_text(text, encoding="utf-8")
    return folder


def tree(folder):
    """Every file's bytes, hidden ones included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def in_process(root, output, **options):
    """One run without other processes: what every other way has to equal."""
    from facespot.extract.options import ExtractOptions
    from facespot.spotting.datasets import prepare as module

    outcomes = [
        module.prepare_one(
            recording,
            root=root.absolute(),
            output=output.absolute(),
            options=ExtractOptions(),
            extract=fake_features,
        )
        for recording in scan_dataset(root)
    ]
    summary = module.PrepareSummary(tuple(outcomes))
    made = [outcome.prepared for outcome in outcomes if outcome.prepared]
    module.update_index(output, [(o.recording.dataset, o.recording.video) for o in outcomes], made)
    return summary


def start(root, output, scheduler=""):
    return subprocess.Popen(
        [sys.executable, str(TESTS / "fake_extraction.py"), str(root), str(output), scheduler],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def finish(process):
    out, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out.splitlines()


def group_members(group):
    """Processes of a group that still run."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            members.append(int(stat.parent.name))
    return members


@pytest.fixture
def slow_root(tmp_path):
    return make_root(tmp_path / "data", **{f"v{i:02d}": f"slow {i}" for i in range(8)})


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for left-over processes in /proc")
def test_killed_again_and_again_it_ends_with_the_same_bytes(slow_root, tmp_path):
    expected = tmp_path / "expected"
    in_process(slow_root, expected)
    output = tmp_path / "features"
    rng = random.Random(5)
    for attempt in range(4):
        process = start(slow_root, output)
        # Some work has to be under way; then any moment will do, inside a write as well as between two.
        process.stdout.readline()
        time.sleep(rng.random() * 0.3)
        if attempt % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait(PATIENCE_S)
        process.stdout.close()
        # Its workers do not outlive it.
        deadline = time.monotonic() + PATIENCE_S
        while group_members(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not group_members(process.pid)
        # What is there under its final name is whole.
        for entry in output.glob("[!.]*-*"):
            assert (entry / SIDECAR).read_bytes() == (expected / entry.name / SIDECAR).read_bytes()
    code, lines = finish(start(slow_root, output))
    assert code == 0
    assert lines[-1].startswith("end ")
    assert tree(output) == tree(expected)
    assert finish(start(slow_root, output))[1][-1] == "end 0 8 0"
    assert tree(output) == tree(expected)


def test_leftovers_of_killed_writers_are_removed(tmp_path):
    root = make_root(tmp_path / "data", a="one")
    in_process(root, tmp_path / "expected")
    output = tmp_path / "features"
    entry = output / ".0123456789abcdef.tmp"
    (entry / "new").mkdir(parents=True)
    (entry / "new" / "snippets.npy").write_bytes(b"half")
    index = output / ".index.csv.k3j5x8aa.csv"
    index.write_text("dataset,sub")
    assert finish(start(root, output))[0] == 0
    assert tree(output) == tree(tmp_path / "expected")
    assert not entry.exists()
    assert not index.exists()


_INDEX_WRITER = """
import sys
sys.path[:0] = sys.argv[1].split(sys.argv[2])
from facespot.spotting.datasets.prepared import PreparedVideo, update_index
folder, name = sys.argv[3:]
print("ready", flush=True)
sys.stdin.readline()
for i in range(30):
    video = PreparedVideo("own", "", f"{name}{i}", ".", 9, 1.0)
    update_index(folder, [(video.dataset, video.video)], [video])
"""


def test_processes_that_end_together_keep_each_others_lines(tmp_path):
    command = [sys.executable, "-c", _INDEX_WRITER, os.pathsep.join(sys.path), os.pathsep, str(tmp_path)]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for name in ("a", "b", "c")
    ]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [writer.wait(PATIENCE_S) for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.communicate()
    assert len(PreparedSet(tmp_path)) == 90
    assert sorted(p.name for p in tmp_path.iterdir()) == [".index.lock", "index.csv"]


def test_bad_recordings_are_reported_and_the_others_go_on(tmp_path):
    root = make_root(tmp_path / "data", a="one", b="this is bad", c="kill the process", d="two", e="three")
    code, lines = finish(start(root, tmp_path / "features"))
    assert code == 4  # the first failure's: not a video
    assert lines[-1] == "end 3 0 2" or lines[-1] == "end 2 1 2"
    assert any(line.startswith("b failed") and "holds no video" in line for line in lines)
    assert any(line.startswith("c failed") and "died twice" in line for line in lines)
    prepared = PreparedSet(tmp_path / "features")
    assert [v.video for v in prepared] == ["a", "d", "e"]
    features = prepared.load(prepared.find("own", "d"))
    expected = fake_features(root / "d.mp4")
    np.testing.assert_array_equal(features.snippets, expected.snippets)
    assert features.timebase.n_ticks == prepared.videos[1].ticks == 600
    assert prepared.find("own", "b") is None


def test_nothing_stored_tells_the_place(tmp_path):
    trees = []
    for place in ("here", "else/where"):
        root = make_root(tmp_path / place / "data", a="one")
        assert in_process(root, tmp_path / place / "features").exit_code == 0
        trees.append(tree(tmp_path / place / "features"))
    assert trees[0] == trees[1]
    assert not any(str(tmp_path).encode() in content for content in trees[0].values())


def test_damaged_entry_is_made_again(tmp_path):
    root = make_root(tmp_path / "data", a="one", b="two")
    output = tmp_path / "features"
    in_process(root, output)
    before = tree(output)
    prepared = PreparedSet(output)
    snippets = output / prepared.videos[0].entry / "snippets.npy"
    content = bytearray(snippets.read_bytes())
    content[-1] ^= 1
    snippets.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"damaged.*run spot prepare again"):
        prepared.load(prepared.videos[0])
    summary = in_process(root, output)
    assert [outcome.status for outcome in summary.outcomes] == ["made", "kept"]
    assert tree(output) == before


def test_two_data_sets_share_a_folder(tmp_path):
    output = tmp_path / "features"
    first = make_root(tmp_path / "one", a="one")
    in_process(first, output)
    in_process(make_root(tmp_path / "two", b="two"), output)
    assert [v.video for v in PreparedSet(output)] == ["a", "b"]
    # A recording that has become bad loses its line.
    (first / "a.mp4").write_text("bad")
    assert in_process(first, output).exit_code == 4
    assert [v.video for v in PreparedSet(output)] == ["b"]


def test_broken_index(tmp_path):
    with pytest.raises(AnnotationError, match=r"index\.csv: no such file"):
        PreparedSet(tmp_path)
    in_process(make_root(tmp_path / "data", a="one"), tmp_path / "features")
    index = tmp_path / "features" / "index.csv"
    index.write_text(index.read_text().replace(",600,", ",many,"))
    with pytest.raises(AnnotationError, match=r"index\.csv, row 2: .*many"):
        PreparedSet(tmp_path / "features")
    index.write_bytes(b"\xff\xfe" + index.read_bytes())
    with pytest.raises(AnnotationError, match=r"index\.csv: is damaged.*spot prepare"):
        PreparedSet(tmp_path / "features")


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"[]", b'{"key": 3}'])
def test_a_damaged_sidecar_is_one_line_that_says_what_to_do(tmp_path, content):
    in_process(make_root(tmp_path / "data", a="one"), tmp_path / "features")
    prepared = PreparedSet(tmp_path / "features")
    (tmp_path / "features" / prepared.videos[0].entry / SIDECAR).write_bytes(content)
    with pytest.raises(AnnotationError, match=r"^[^\n]*run spot prepare again$"):
        prepared.load(prepared.videos[0])


def test_never_more_processes_than_cores(tmp_path, monkeypatch):
    from facespot.spotting.datasets import prepare as module

    widths = []

    def note(task, jobs, width):
        widths.append(width)
        raise FacespotError("seen enough")

    monkeypatch.setattr(module, "run_jobs", note)
    root = make_root(tmp_path / "data", **{f"v{i}": str(i) for i in range(usable_cores() + 3)})
    for asked in (None, 1, usable_cores() + 50):
        with pytest.raises(FacespotError, match="seen enough"):
            prepare(scan_dataset(root), root, tmp_path / "features", processes=asked, extract=fake_features)
    assert widths == [usable_cores(), 1, usable_cores()]


class TestCluster:
    @pytest.fixture
    def cluster(self, tmp_path):
        """A scheduler and two workers, all of them real processes, on the loopback interface."""
        pytest.importorskip("distributed")
        contact = tmp_path / "scheduler.json"
        common = ["--scheduler-file", str(contact), "--host", "127.0.0.1", "--no-dashboard"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": ENVIRONMENT, "cwd": tmp_path}
        processes = [
            subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", *common], **quiet)
        ]
        try:
            for name in ("one", "two"):
                processes.append(
                    subprocess.Popen(
                        [
                            sys.executable,
                            *("-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1"),
                            *("--name", name, "--local-directory", str(tmp_path / "scratch"), *common),
                        ],
                        **quiet,
                    )
                )
            from distributed import Client

            deadline = time.monotonic() + PATIENCE_S
            while not contact.exists() or not contact.stat().st_size:
                assert time.monotonic() < deadline, "the scheduler did not start"
                time.sleep(0.1)
            with Client(scheduler_file=str(contact), set_as_default=False, timeout=PATIENCE_S) as client:
                client.wait_for_workers(2, timeout=PATIENCE_S)
                address = client.scheduler.address
            yield address, processes[1:]
        finally:
            for process in processes:
                process.kill()
                process.wait(PATIENCE_S)

    def test_a_worker_is_killed_on_the_way(self, cluster, slow_root, tmp_path):
        address, workers = cluster
        (slow_root / "bad.mp4").write_text("bad")
        expected = tmp_path / "expected"
        in_process(slow_root, expected)
        output = tmp_path / "features"
        process = start(slow_root, output, address)
        process.stdout.readline()
        workers[0].kill()
        code, lines = finish(process)
        assert code == 4
        assert lines[-1].startswith("end ")
        assert lines[-1].endswith(" 1")
        assert workers[1].poll() is None
        assert tree(output) == tree(expected)

    def test_no_scheduler_there(self, tmp_path):
        pytest.importorskip("distributed")
        import dask

        root = make_root(tmp_path / "data", a="one")
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
            pytest.raises(FacespotError, match=r"127\.0\.0\.1:9: no Dask scheduler"),
        ):
            prepare(scan_dataset(root), root, tmp_path / "f", scheduler="tcp://127.0.0.1:9", extract=fake_features)


class TestCommand:
    def test_end_to_end(self, tmp_path):
        """The real extraction, in the layout of CAS(ME)^2."""
        folder = tmp_path / "data" / "rawvideo" / "s15"
        folder.mkdir(parents=True)
        write_video(folder / "15_0101disgustingteeth.avi", moving_face(24, 192))
        (folder / "15_0102eatingworms.avi").write_bytes(b"no video at all")
        arguments = [str(tmp_path / "data"), "-o", str(tmp_path / "features"), "-v"]
        first = CliRunner().invoke(prepare_command, arguments)
        assert first.exit_code == 4, first.output
        assert "CAS(ME)^2: 2 recordings" in first.output
        assert "15_0102eatingworms.avi: " in first.output
        assert "1 prepared, 0 were there already, 1 failed" in first.output
        before = tree(tmp_path / "features")
        second = CliRunner().invoke(prepare_command, arguments)
        assert "0 prepared, 1 were there already, 1 failed" in second.output
        assert tree(tmp_path / "features") == before
        assert not any(str(tmp_path).encode() in content for content in before.values())
        prepared = PreparedSet(tmp_path / "features")
        (video,) = prepared
        assert (video.dataset, video.subject, video.video) == ("CAS(ME)^2", "s15", "15_0101")
        assert prepared.load(video).snippets.shape == (24, 17, 10, 2)

    def test_wrong_use(self, tmp_path):
        root = make_root(tmp_path / "data", a="one")
        output = ["-o", str(tmp_path / "features")]
        missing = CliRunner().invoke(prepare_command, [str(tmp_path / "none"), *output])
        assert (missing.exit_code, "none: no such folder" in missing.output) == (3, True)
        (tmp_path / "empty").mkdir()
        empty = CliRunner().invoke(prepare_command, [str(tmp_path / "empty"), *output])
        assert (empty.exit_code, "no video" in empty.output) == (3, True)
        sheet = tmp_path / "points.csv"
        sheet.write_text("video,time_s,type\na.mp4,x,macro\n")
        broken = CliRunner().invoke(prepare_command, [str(root), *output, "--annotations", str(sheet)])
        assert (broken.exit_code, "row 2, column B" in broken.output) == (8, True)
        face = CliRunner().invoke(prepare_command, [str(root), *output, "--face", "nearest"])
        assert face.exit_code == 2

    def test_no_recordings(self, tmp_path):
        with pytest.raises(VideoNotFoundError):
            prepare([], tmp_path, tmp_path / "features")
