"""The loop of docs/proofreading.md - spot, correct, prepare, train, spot again - word for word, on a short clip."""

import csv
import os
import re
import shlex
import subprocess
import sys

import pytest

pytest.importorskip("starlette", reason="needs facespot[label]")
pytest.importorskip("uvicorn", reason="needs facespot[label]")

from labelling import label_server
from media import excerpt
from places import ROOT

WEIGHTS = ROOT / "weights" / "facespot.safetensors"
# What would take long or open a window in a test.
EXTRA = {"train": ["--epochs", "1", "-q"], "spot": ["-q"], "prepare": ["-q"]}


def documented() -> list[str]:
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "proofreading.md").read_text(encoding="utf-8"), re.S)
    return block.splitlines()


def run(line: str, extra: list[str], home) -> None:
    """As a shell would, with this interpreter's `spot`."""
    words = line.split(maxsplit=1)
    assert words[0] == "spot"
    command = f"{shlex.quote(sys.executable)} -m facespot.cli {words[1]} {' '.join(extra)}"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    done = subprocess.run(command, shell=True, cwd=home, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


@pytest.mark.skipif(not WEIGHTS.exists(), reason="the trained weights are not in this checkout")
def test_the_documented_loop_works_as_written(tmp_path):
    (tmp_path / "session").mkdir()
    excerpt(ROOT / "samples" / "astronaut.mp4", tmp_path / "session" / "anna.mp4", 6.0)
    did = []
    for line in documented():
        verb = line.split()[1] if line.split()[1] in ("label", "prepare", "train") else "spot"
        did.append(verb)
        if verb == "label":
            arguments = [str(path.relative_to(tmp_path)) for path in tmp_path.glob(line.split()[2])]
            with label_server(tmp_path, *arguments) as server:
                found = server.events()
                for event in found:
                    server.act({"act": "judge", "id": event["id"], "status": "rejected"})
                # What is known of the clip.
                for onset, apex, offset, kind in ((45, 54, 78, "macro"), (129, 133, 139, "micro")):
                    act = {"act": "add", "onset": onset, "apex": apex, "offset": offset, "type": kind}
                    assert server.act(act).status == 200
            continue
        run(line, EXTRA[verb], tmp_path)
    assert did == ["spot", "label", "prepare", "train", "spot"]
    assert (tmp_path / "session" / "points.csv").read_text() == (
        "video,type,time_s\nanna,macro,1.800\nanna,micro,4.433\n"
    )
    with (tmp_path / "again" / "anna.spots.csv").open(newline="") as file:
        spotted = list(csv.DictReader(file))
    assert all(row["type"] in ("macro", "micro") for row in spotted)
    assert len(spotted) >= 1
    first = (tmp_path / "session" / "anna.spots.csv").read_text()
    assert len(found) == len(first.splitlines()) - 1
