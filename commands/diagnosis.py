"""What can be wrong with an installation, and what to do about each. Loads nothing that could itself be broken.

`docs/doctor.md` explains the checks to users.
"""

import json
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ..errors import one_line

State = Literal["ok", "warning", "broken"]
PYTHONS = ((3, 11), (3, 12))
# Packages whose native parts may fail to load, in the order in which one failing explains the next.
HEAVY = (
    *("numpy", "cv2", "av", "safetensors", "ai_edge_litert", "scipy", "pandas", "matplotlib"),
    *("torch", "torchvision", "timm"),
)
_OPENCV = (
    "opencv-python",
    "opencv-contrib-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)
_MEDIAPIPE_MODELS = (
    "face_detection_short_range.tflite",
    "face_detection_full_range_sparse.tflite",
    "face_landmark.tflite",
    "face_landmark_with_attention.tflite",
)
# Part of an error's text -> what to do.
_CURES = {
    "libGL.so": "sudo apt install libgl1    (Fedora: sudo dnf install mesa-libGL)",
    "libgthread": "sudo apt install libglib2.0-0",
    "libEGL.so": "sudo apt install libegl1",
    "libGLESv2": "sudo apt install libgles2",
    "DLL load failed": "install https://aka.ms/vs/17/release/vc_redist.x64.exe and start again",
    "numpy.core.multiarray": "pip install {numpy}",
    "compiled using NumPy 1.x": "pip install {numpy}",
    "_ARRAY_API": "pip install {numpy}",
    "Descriptors cannot be created directly": "pip install {protobuf}",
    "google.protobuf": "pip install {protobuf}",
}
_TRIAL_S = 300


@dataclass(frozen=True)
class Finding:
    """One check. found: a phrase. advice: what to do, mostly a command; empty where there is nothing to do."""

    check: str
    state: State
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def tested_pins() -> dict[str, str]:
    """Distribution -> version that facespot is tested with, of those it cannot do without."""
    text = files("facespot").joinpath("requirements.txt").read_text(encoding="utf-8")
    lines = text.partition("# extras")[0].splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def check_python() -> Finding:
    version = platform.python_version()
    found = f"{version}, {platform.system()} {platform.machine()}"
    if sys.version_info[:2] in PYTHONS:
        return Finding("Python", "ok", found)
    known = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    advice = f"make an environment with Python {known}: uv venv --python 3.11, or python3.11 -m venv .venv"
    return Finding("Python", "broken", f"{found}; mediapipe has wheels for {known}", advice)


def check_packages(pins: dict[str, str]) -> list[Finding]:
    """Is everything there, does it fit together, is it what was tested?"""
    installed = {name: version_of(name) for name in pins}
    missing = [name for name, version in installed.items() if version is None]
    wrong = list(conflicts(pins))
    other = [f"{name} {v} ({pins[name]})" for name, v in installed.items() if v is not None and _base(v) != pins[name]]
    found = [
        Finding("packages", "broken", f"{name} is not installed", f"pip install {name}=={pins[name]}")
        for name in missing
    ]
    found += wrong
    if not found:
        said = f"{len(pins)} as tested" if not other else f"they fit; other than tested: {', '.join(other)}"
        found.append(Finding("packages", "ok", said))
    return found


def conflicts(pins: dict[str, str]) -> Iterable[Finding]:
    """What the installed packages ask of each other and do not get."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        yield Finding("packages", "broken", "packaging is not installed", "pip install packaging")
        return
    for name in ["facespot", *pins]:
        for text in _requirements_of(name):
            try:
                wanted = Requirement(text)
            except InvalidRequirement:
                continue
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            has = version_of(wanted.name)
            if has is None or wanted.specifier.contains(has, prereleases=True):
                continue
            pinned = {known.lower(): known for known in pins}.get(wanted.name.lower())
            install = f"{pinned}=={pins[pinned]}" if pinned else f"{wanted.name}{wanted.specifier}"
            state: State = "warning" if name == "torchvision" else "broken"
            said = f"{name} {version_of(name)} needs {wanted.name}{wanted.specifier}, {has} is installed"
            yield Finding("packages", state, said, f'pip install "{install}"')


def check_opencv(pins: dict[str, str]) -> Finding:
    """Its wheels all write the folder cv2: of two versions, each overwrites half of the other."""
    there = {name: version for name in _OPENCV if (version := version_of(name)) is not None}
    if not there:
        return Finding("OpenCV", "broken", "no OpenCV is installed", _reinstall_opencv([], pins))
    found = ", ".join(f"{name} {version}" for name, version in there.items())
    if len(set(there.values())) > 1:
        return Finding("OpenCV", "broken", f"wheels of several versions: {found}", _reinstall_opencv(there, pins))
    return Finding("OpenCV", "ok", found)


def _reinstall_opencv(there: Iterable[str], pins: dict[str, str]) -> str:
    wanted = " ".join(f"{name}=={pins[name]}" for name in _OPENCV if name in pins)
    remove = f"pip uninstall -y {' '.join(there)} && " if there else ""
    return f"{remove}pip install --force-reinstall --no-deps {wanted}"


def check_loading(pins: dict[str, str], names: Sequence[str] = HEAVY) -> list[Finding]:
    """Does each package load? Each that does not is named with its error."""
    found = []
    for name, answer in try_packages(names).items():
        if "error" in answer:
            # timm asks for torchvision, and nothing that is used here does; where it does not load, that is got round.
            state: State = "warning" if name == "torchvision" else "broken"
            found.append(Finding(f"load {name}", state, answer["error"], cure(answer["error"], name, pins)))
            continue
        found += _more_of(name, answer, pins)
    failed = {finding.check for finding in found if finding.state != "ok"}
    loaded = [name for name in names if f"load {name}" not in failed]
    if loaded:
        found.insert(0, Finding("loading", "ok", ", ".join(loaded)))
    return found


def _more_of(name: str, answer: dict[str, Any], pins: dict[str, str]) -> list[Finding]:
    """What a package that loads says beside its version."""
    if name == "av":
        missing = answer["missing codecs"]
        advice = f"pip install --force-reinstall --no-deps --only-binary :all: av=={pins.get('av', '')}"
        if missing:
            return [Finding("video codecs", "warning", f"FFmpeg here lacks {', '.join(missing)}", advice)]
        return [Finding("video codecs", "ok", "all of the usual ones")]
    if name == "cv2":
        versions = {version_of(wheel) for wheel in _OPENCV} - {None}
        if versions and not any(_base(version).startswith(_base(answer["version"])) for version in versions):
            said = f"the folder cv2 holds {answer['version']}, the wheels say {', '.join(sorted(versions))}"
            return [Finding("OpenCV", "broken", said, _reinstall_opencv((), pins))]
    if name == "torch":
        return [_device(answer)]
    return []


def _device(answer: dict[str, Any]) -> Finding:
    said = f"torch {answer['version']} is built for {answer['built for']}"
    if answer["cards"]:
        return Finding("device", "ok", f"{said}; sees {', '.join(answer['cards'])}")
    if answer["mps"]:
        return Finding("device", "ok", f"{said}; sees Apple's GPU")
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return Finding("device", "ok", f"{said}; networks run on the processor")
    if "CUDA" in answer["built for"]:
        advice = "nvidia-smi    (its driver has to be at least as new as this CUDA)"
        return Finding("device", "warning", f"{said}, but sees no card, though there is one", advice)
    advice = "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu126"
    return Finding("device", "warning", f"{said}, though there is an NVIDIA card", advice)


def try_packages(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Package -> what `trial` says of it; one that takes the process down has that as its error."""
    answers: dict[str, dict[str, Any]] = {}
    while left := [name for name in names if name not in answers]:
        command = [sys.executable, "-m", f"{__package__}.trial", *left]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TRIAL_S, errors="replace")
            ended, text = _how_it_ended(done.returncode), done.stdout
        except subprocess.TimeoutExpired as error:
            ended, text = f"it did not load in {_TRIAL_S} s", (error.stdout or b"").decode(errors="replace")
        except OSError as error:
            return {name: {"error": f"no process could be started ({error})"} for name in names}
        begun = left[0]
        for line in text.splitlines():
            answer = json.loads(line)
            begun = answer.pop("name")
            if answer:
                answers[begun] = answer
        if begun not in answers:
            answers[begun] = {"error": ended}
        elif not text:
            return {**answers, **{name: {"error": ended} for name in left}}
    return {name: answers[name] for name in names}


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"loading it ended the process (exit code {code})"
    name = signal.Signals(-code).name
    if name == "SIGILL":
        return "loading it ended the process (SIGILL): it was built for a newer processor"
    return f"loading it ended the process ({name})"


def cure(error: str, name: str, pins: dict[str, str]) -> str:
    """What to do about a package that does not load."""
    wanted = {known: f'"{known}=={version}"' for known, version in pins.items()}
    for sign, advice in _CURES.items():
        if sign in error:
            return advice.format_map(wanted)
    if name == "cv2":
        return _reinstall_opencv((), pins)
    if name == "torchvision" and (version_of("torch") or "").endswith("+cpu"):
        index = " --index-url https://download.pytorch.org/whl/cpu"
        return f"pip install --force-reinstall --no-deps torchvision=={pins.get('torchvision')}{index}"
    return f"pip install --force-reinstall --no-deps {wanted.get(name.replace('_', '-'), name).strip(chr(34))}"


def check_weights() -> Finding:
    """Are the shipped weights whole?"""
    advice = "pip install --force-reinstall --no-deps facespot"
    try:
        from ..models.checkpoint import load_arrays
        from ..models.shipped import MODELS, shipped_weights

        digests = []
        for model in MODELS:
            with shipped_weights(model) as path:
                digests.append(f"{model} {load_arrays(path).digest[:12]}...")
    except Exception as error:  # also whatever a broken NumPy or safetensors raises
        return Finding("weights", "broken", one_line(error), advice)
    return Finding("weights", "ok", f"whole (SHA-256: {', '.join(digests)})")


def check_face_models() -> Finding:
    """Are MediaPipe's models there and as its wheel brought them?"""
    try:
        listed = {Path(str(file)).name: file for file in metadata.files("mediapipe") or []}
    except metadata.PackageNotFoundError:
        return Finding("face models", "broken", "mediapipe is not installed", "")
    wrong = [name for name in _MEDIAPIPE_MODELS if name not in listed or not _as_installed(listed[name])]
    if not wrong:
        return Finding("face models", "ok", f"{len(_MEDIAPIPE_MODELS)} of MediaPipe, whole")
    advice = f"pip install --force-reinstall --no-deps mediapipe=={version_of('mediapipe')}"
    return Finding("face models", "broken", f"missing or damaged: {', '.join(wrong)}", advice)


def _as_installed(file: metadata.PackagePath) -> bool:
    import base64
    import hashlib

    try:
        content = Path(str(file.locate())).read_bytes()
    except OSError:
        return False
    if file.hash is None:
        return bool(content)
    digest = hashlib.new(file.hash.mode, content).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value


def version_of(name: str) -> str | None:
    """Installed version of a distribution; None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements_of(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _base(version: str) -> str:
    """Without what a build adds, as in 2.13.0+cpu."""
    return version.partition("+")[0]
