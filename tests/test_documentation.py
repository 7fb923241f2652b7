"""What README and documentation tell the reader to type: Python is run on a short clip, command lines are understood.

`test_proofreading` runs its page word for word.
"""

import os
import re
import shlex
import subprocess
import sys

import click
import facespot
import pytest
from facespot.cli import main
from media import excerpt
from places import ROOT

SAMPLE = ROOT / "samples" / "astronaut.mp4"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Recordings by the names that the examples use.
RECORDINGS = ("clip.mp4", "their_own.mp4", "interview.mp4", "interviews/anna.mp4", "samples/astronaut.mp4")
# What needs a running cluster, or weights that somebody trained.
NOT_RUN = ("tcp://", "dask_jobqueue", "run/weights.safetensors")


def blocks(page, language):
    """The fenced blocks of a page, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def command_lines():
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].endswith("spot") and "[" not in line:
                    yield pytest.param(words[1:], id=f"{page.stem}: {' '.join(words)[:60]}")


@pytest.mark.parametrize("words", list(command_lines()))
def test_a_documented_command_line_is_understood(words):
    words = words[: words.index(">>")] if ">>" in words else words
    words = words[: words.index(">")] if ">" in words else words
    if words[0] == "--completion":
        return
    # As the group does it, up to the point where the command would begin.
    name = words[0] if words[0] in main.commands else "run"
    rest = words[1:] if words[0] in main.commands else words
    context = main.commands[name].make_context(name, list(rest), parent=click.Context(main, info_name="spot"))
    assert not context.args


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the recordings that the examples name, and a cache, so that each is extracted once."""
    folder = tmp_path_factory.mktemp("desk")
    for name in RECORDINGS:
        (folder / name).parent.mkdir(exist_ok=True)
        # Whoever looks for neutral stretches needs some seconds of them.
        excerpt(SAMPLE, folder / name, 15.0 if name == "interview.mp4" else 3.0)
    facespot.spot(folder / "clip.mp4", device="cpu").save(folder / "clip.spots.csv")
    (folder / "events.csv").write_text("stimulus,start,end\nfilm,0,2\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.stem)
def test_documented_python_runs_as_written(page, desk):
    runnable = [b for b in blocks(page, "python") if not any(word in b for word in NOT_RUN)]
    if not runnable:
        pytest.skip("its example needs a cluster or weights that somebody trained")
    script = desk / f"{page.stem}_example.py"
    script.write_text("import facespot\n" + "\n".join(runnable), encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HOME": str(desk), "XDG_CACHE_HOME": str(desk / "cache")}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=desk, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
