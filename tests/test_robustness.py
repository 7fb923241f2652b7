"""The scripts that try to bring facespot down, and short runs of each: recordings, mutations, kills."""

import mmap
import os
import subprocess
import sys
from random import Random

import facespot.benchmarks.robustness.corpus as corpus
import facespot.benchmarks.robustness.fuzz as fuzz
import pytest
from facespot.benchmarks.robustness import inputs, mutations, recordings, watched
from facespot.extract.pipeline import extract_features
from places import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks and kills are measured by Linux's /proc")
WITHOUT_PICTURES = [r for r in recordings.corpus() if r.expected in (recordings.NOT_THERE, recordings.NO_VIDEO)]
QUICK = [r for r in WITHOUT_PICTURES if "folder" not in r.what and "picture" not in r.what]


@pytest.mark.parametrize("recording", QUICK, ids=lambda recording: recording.what)
def test_what_is_no_video_is_refused_in_a_line(recording, tmp_path):
    assert corpus.run(recording, tmp_path).wrong == ""


@pytest.mark.parametrize(
    "what", ["MKV, cut off at 90 %", "MP4 with its index first, cut off at 90 %", "a damaged image in a folder", "1x1"]
)
def test_recordings_end_as_expected(what, tmp_path):
    (recording,) = (r for r in recordings.corpus() if r.what == what)
    assert corpus.run(recording, tmp_path).wrong == ""


def test_a_recording_that_does_not_end_as_expected_is_marked(tmp_path):
    for number, (code, words) in enumerate([(recordings.FOUND, ""), (recordings.NO_VIDEO, "no such words")]):
        (folder := tmp_path / str(number)).mkdir()
        empty = recordings.Recording("empty", lambda folder: _touched(folder / "a.mp4"), code, words)
        assert corpus.run(empty, folder).wrong


def _touched(path):
    path.touch()
    return path


def test_the_corpus_is_as_large_as_is_said():
    whats = [recording.what for recording in recordings.corpus()]
    assert len(whats) == len(set(whats)) > 150
    assert len({suffix for suffix, _, _ in recordings.FORMATS.values()}) >= 12
    assert sum("cut off" in what for what in whats) == 4 * 20


@pytest.mark.parametrize("kind", ["cache", "table", "saved result", "journal", "index", "stimuli"])
def test_mutated_files_are_read_or_refused(kind, tmp_path):
    fuzz.write_seeds(tmp_path / "seeds", {kind})
    numbers = [number for number in range(1000) if fuzz.kind_of(number, 0) == kind][:8]
    cases = [fuzz.try_case(number, seed=1, media=0, folder=tmp_path) for number in numbers]
    assert [case for case in cases if case.finding] == []


def test_whole_files_of_every_kind_are_read(tmp_path):
    """Otherwise what is done to them would show nothing."""
    for name in ("cache", "saved result", "journal", "index", "stimuli", "coding sheet"):
        kind = inputs.KINDS[name]
        (making := tmp_path / name / "making").mkdir(parents=True)
        seeds = kind.seeds(making)
        for number, (file, data) in enumerate(seeds.items()):
            (folder := tmp_path / name / str(number)).mkdir()
            (folder / file).write_bytes(data)
            if file != "casme3.xlsx":  # whose type is told by the name of the file
                kind.use(folder / file, seeds)


@pytest.mark.parametrize("name", ["01.mp4", "11.avi", "20.gif", "26.mkv"])
def test_faces_in_whole_recordings_of_the_seeds_are_followed_to_the_end(name, tmp_path):
    features = extract_features(recordings.SEEDS[name](tmp_path / name))
    assert features.segments() == [(0, 15)]


def test_mutations_follow_from_their_seed_and_change_something():
    data = bytes(range(256)) * 20
    made = [mutations.mutate(data, Random(f"{seed}")) for seed in range(50)]
    assert made == [mutations.mutate(data, Random(f"{seed}")) for seed in range(50)]
    assert len(set(made)) > 45


def test_what_a_call_takes_and_writes_is_seen(tmp_path):
    (folder := tmp_path / "allowed").mkdir()

    def call():
        taken = mmap.mmap(-1, 64 << 20)  # not memory that was freed before
        for page in range(0, len(taken), mmap.PAGESIZE):
            taken[page] = 1
        (folder / "in").write_text("x")
        (tmp_path / "out").write_text("x")
        raise KeyError(len(taken))

    seen = watched.watch(call, folder)
    assert isinstance(seen.error, KeyError)
    assert 60 < seen.grown_mib < 200
    assert seen.outside == (str(tmp_path / "out"),)


@pytest.mark.parametrize("stage", ["storing", "labelling"])
def test_a_killed_stage_ends_with_the_same_bytes(stage):
    script = ROOT / "benchmarks" / "robustness" / "kills.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT.parent), *sys.path])}
    words = [sys.executable, str(script), stage, "--kills", "3", "--shares", "2"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"| {stage} |" in done.stdout
