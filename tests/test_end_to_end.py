"""`spot` as a user runs it: a process of its own, the bundled clip, real extraction, a real network."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from facespot.extract.reading.video import open_video
from media import excerpt
from places import ROOT

SAMPLE = ROOT / "samples" / "astronaut.mp4"
TRUTH = ROOT / "samples" / "astronaut.truth.csv"

# Every way out of Python's own network layer is shut before anything else is imported.
OFFLINE = """
import socket, sys
def refuse(*arguments, **options):
    raise RuntimeError("the network was asked for")
for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refuse)
socket.socket.connect = socket.socket.connect_ex = refuse
from facespot.cli import main
main(prog_name="spot")
"""


def spot(*arguments, home: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", OFFLINE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment, cwd=home)


# Frames of the excerpt in which `weights` says there is a macro-expression.
LEARNT = range(20, 46)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of the paper's network, and its digest.

    Its encoder is untrained; its heads are solved for, so that intensity is high in the frames `LEARNT` of the excerpt
    and nowhere else. Whatever goes wrong on the way from the picture to the network takes that interval away.
    """
    import numpy as np
    import torch
    from facespot.extract.pipeline import extract_features
    from facespot.models.checkpoint import save_checkpoint
    from facespot.models.gim import GIMSpotter, GIMSpotterConfig
    from facespot.models.spotformer import SpotFormerConfig

    folder = tmp_path_factory.mktemp("weights")
    features = extract_features(excerpt(SAMPLE, folder / "excerpt.mp4", 2.0))
    torch.manual_seed(0)
    # Wider than twice the frames of the excerpt, so that there is an exact solution: snippets of neighbouring frames
    # have much in common.
    config = GIMSpotterConfig(SpotFormerConfig(dim=144, heads=1, dim_head=16, mlp_dim=16))
    network = GIMSpotter(config).eval()
    wanted = np.full(len(features.snippets), -4.0, np.float32)
    wanted[list(LEARNT)] = 4.0
    with torch.no_grad():
        answer = network(torch.from_numpy(np.array(features.snippets, np.float32))[None])
        x = torch.cat([answer.attention[0], torch.ones(len(wanted), 1)], dim=1)
        *weight, bias = torch.linalg.lstsq(x, torch.from_numpy(wanted)[:, None], driver="gelsd").solution[:, 0]
        network.heads.to_intensity.weight[0] = torch.stack(weight)
        network.heads.to_intensity.bias[0] = bias
        network.heads.to_classes.weight.zero_()
        network.heads.to_classes.bias.copy_(torch.tensor([3.0, -3.0]))
    path = folder / "solved.safetensors"
    return path, save_checkpoint(path, "gim", asdict(config), network.state_dict())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_whole_way_offline_without_chatter_and_again_from_the_cache(tmp_path, weights):
    video = excerpt(SAMPLE, tmp_path / "clip one.mp4", 2.0)
    asked = ["--weights", weights[0], "--format", "csv,json", "--min-confidence", "0", "--device", "cpu"]
    first = spot(video, *asked, "--plot", home=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    document = json.loads((tmp_path / "clip one.spots.json").read_text())
    assert document["provenance"]["weights_sha256"] == weights[1]
    assert document["coverage"] == 1.0
    assert document["frames"] == 60
    assert len(document["spots"]) == len(rows(tmp_path / "clip one.spots.csv")) > 0
    found = max(document["spots"], key=lambda spot: spot["confidence"])
    assert found["type"] == "macro"
    assert abs(found["onset_frame"] - LEARNT[0]) <= 2
    assert abs(found["offset_frame"] - LEARNT[-1]) <= 2
    assert (tmp_path / "clip one.spots.png").read_bytes().startswith(b"\x89PNG")

    before = (tmp_path / "clip one.spots.csv").read_bytes()
    (entry,) = (tmp_path / "cache" / "facespot").iterdir()
    made = {p.name: p.stat().st_mtime_ns for p in entry.iterdir()}
    second = spot(video, *asked, home=tmp_path)
    assert (second.returncode, second.stdout) == (
        0,
        first.stdout.replace(f"-> {tmp_path / 'clip one.spots.png'}\n", ""),
    )
    assert (tmp_path / "clip one.spots.csv").read_bytes() == before
    assert {p.name: p.stat().st_mtime_ns for p in entry.iterdir()} == made


def test_bad_inputs_beside_a_damaged_one(tmp_path, weights):
    damaged = excerpt(SAMPLE, tmp_path / "cut.mkv", 4.0)
    with open_video(damaged) as stream:
        whole = sum(1 for _ in stream)
    os.truncate(damaged, damaged.stat().st_size * 6 // 10)
    (tmp_path / "text.mp4").write_text("hello")
    names = ["nothing.mp4", "text.mp4", "cut.mkv"]
    run = spot(*names, "--weights", weights[0], "--cache", "none", "--format", "json", home=tmp_path)
    assert run.returncode == 3
    document = json.loads((tmp_path / "cut.spots.json").read_text())
    assert 0 < document["frames"] < whole
    assert any(warning.startswith("damaged:") for warning in document["warnings"])
    errors = [line for line in run.stderr.splitlines() if line.startswith("spot: error: ")]
    assert [line.split(": ")[2] for line in errors] == ["nothing.mp4", "text.mp4", "2 of 3 videos failed"]
    assert all(line.startswith("spot: ") for line in run.stderr.splitlines())
    assert "cut.mkv: warning: damaged:" in run.stderr


@pytest.fixture(scope="module")
def one_home(tmp_path_factory):
    """Where all models find the features of the sample clip, once the first of them has measured it."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize(
    ("model", "read_by", "least", "false_alarms"),
    # The head keeps still in it.
    [("default", "laboratory", 5, 1), ("laboratory", "laboratory", 5, 1), ("gim", "gim", 3, 4)],
)
def test_shipped_weights_find_the_sample_clips_expressions(model, read_by, least, false_alarms, one_home, tmp_path):
    from facespot.models.shipped import MODELS
    from facespot.spotting.intervals import Interval
    from facespot.spotting.judging.metrics import match
    from facespot.spotting.simulation.recording import read_truth

    if not (ROOT / "weights" / MODELS[model]).exists():
        pytest.skip("the trained weights are not in this checkout")
    run = spot(SAMPLE, "--model", model, "--format", "csv,json", "-o", tmp_path, home=one_home)
    assert (run.returncode, run.stderr) == (0, "")
    found = [
        # The clip has 30 frames a second, so its frames are the clock's ticks.
        Interval(*(int(row[f"{moment}_frame"]) for moment in ("onset", "apex", "offset")), row["type"])
        for row in rows(tmp_path / "astronaut.spots.csv")
    ]
    truth = read_truth(TRUTH)
    hits = sum(
        len(match([e for e in truth if e.type == kind], [e for e in found if e.type == kind]))
        for kind in ("macro", "micro")
    )
    assert hits >= least
    assert len(found) - hits <= false_alarms
    assert json.loads((tmp_path / "astronaut.spots.json").read_text())["provenance"]["weights"] == MODELS[read_by]
