"""What a short clip does not load, since loading it would take longer than spotting."""

import json
import subprocess
import sys

import pytest
from media import moving_face, write_video

# On a machine without a card nothing of these is needed to spot a recording and write its table.
UNNEEDED = ("torch", "torchvision", "timm", "scipy", "pandas", "matplotlib", "jax", "sounddevice", "mediapipe.tasks")
DETECTIONS = """
import json, sys
if "whole" in sys.argv:
    import mediapipe
from facespot.extract.face.detection import FaceFinder
from facespot.extract.face.mesh import SubjectMesh
from facespot.extract.reading.video import open_video
with open_video(sys.argv[1]) as stream:
    pictures = [frame.develop().rgb for frame in stream.pending()]
with FaceFinder() as finder, SubjectMesh() as mesh:
    seen = [[list(d.box), d.eyes.tolist(), d.score] for rgb in pictures for d in finder.whole(rgb)]
    meshes = [mesh(rgb, finder.whole(rgb)[0].box).tolist() for rgb in pictures]
print(json.dumps([seen, meshes]))
"""


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


def test_mediapipe_in_part_sees_what_the_whole_sees(clip):
    part, whole = python(DETECTIONS, clip), python(DETECTIONS, clip, "whole")
    assert json.loads(part)[0]
    assert part == whole


def test_mediapipe_is_whole_for_who_asks():
    code = (
        "import sys; from facespot.extract.face.mediapipe_import import import_solution; "
        "made = import_solution('face_mesh').FaceMesh; lean = 'matplotlib' not in sys.modules; "
        "import mediapipe; print(lean, mediapipe.__version__, mediapipe.solutions.face_mesh.FaceMesh is made, "
        "mediapipe.solutions.hands.Hands.__name__, mediapipe.tasks.vision.FaceLandmarker.__name__)"
    )
    assert python(code).split()[::2] == ["True", "True", "FaceLandmarker"]
