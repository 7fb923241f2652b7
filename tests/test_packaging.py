"""The house: quick help, light imports, pins that fit, data that travels with the package."""

import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HEAVY = ("torch", "timm", "cv2", "mediapipe", "matplotlib", "pandas", "scipy", "numpy", "av")


def python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {name_of(line): line.split("==")[1] for line in lines if line and not line.startswith("#")}


def test_help_takes_under_half_a_second():
    spot = Path(sys.executable).with_name("spot")
    command = [str(spot)] if spot.exists() else [sys.executable, "-m", "facespot.cli"]
    took = [float("inf")]
    while min(took) >= 0.5 and len(took) < 10:  # a busy machine delays runs, the quickest tells what the program needs
        start = time.perf_counter()
        run = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60)
        took.append(time.perf_counter() - start)
        assert run.returncode == 0
        assert run.stderr == ""
        assert "VIDEO..." in run.stdout
    assert min(took) < 0.5, took


def test_command_line_and_package_import_nothing_heavy():
    code = (
        "import sys, facespot, facespot.cli, facespot.extract, facespot.models, facespot.spotting, facespot.weights; "
        f"print(*[m for m in {HEAVY} if m in sys.modules])"
    )
    run = python("-c", code)
    assert run.stderr == ""
    assert run.stdout.strip() == ""


def test_every_requirement_is_pinned_within_its_range():
    packaging = pytest.importorskip("packaging.requirements")
    project = PROJECT["project"]
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    for requirement in map(packaging.Requirement, wanted):
        if name_of(requirement.name) != "facespot":
            assert requirement.specifier.contains(pins()[name_of(requirement.name)]), requirement


def test_both_opencv_wheels_have_one_version():
    assert pins()["opencv-python"] == pins()["opencv-contrib-python"]


def test_every_package_folder_is_packaged():
    folders = {p.parent.relative_to(ROOT) for p in ROOT.glob("*/__init__.py")}
    for deeper in ("*/*", "*/*/*"):
        folders |= {p.parent.relative_to(ROOT) for p in ROOT.glob(f"{deeper}/__init__.py")}
    folders = {f for f in folders if f.parts[0] not in (".venv", "venv", "build", "tests", "benchmarks")}
    assert {".".join(("facespot", *f.parts)) for f in folders} | {"facespot"} == set(
        PROJECT["tool"]["setuptools"]["packages"]
    )


def test_everything_a_package_reads_is_packaged():
    setuptools = PROJECT["tool"]["setuptools"]
    found = 0
    for package in setuptools["packages"]:
        folder = ROOT.joinpath(*package.split(".")[1:])
        patterns = setuptools["package-data"].get(package, [])
        for data in (
            p for ending in ("html", "css", "js", "j2", "json", "safetensors") for p in folder.glob(f"*.{ending}")
        ):
            assert any(data.match(pattern) for pattern in patterns), data
            found += 1
    assert found > 5


def test_the_weights_of_every_model_are_packaged():
    from facespot.models.shipped import MODELS

    patterns = PROJECT["tool"]["setuptools"]["package-data"]["facespot.weights"]
    for name in MODELS.values():
        path = ROOT / "weights" / name
        assert any(path.match(pattern) for pattern in patterns)
        assert 0 < path.stat().st_size <= 10_000_000, path


def test_version_is_told_once():
    import facespot

    assert PROJECT["project"]["version"] == facespot.__version__
    assert f"## {facespot.__version__}" in (ROOT / "CHANGELOG.md").read_text()
