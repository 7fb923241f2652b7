"""`spot doctor` on installations that are broken in the ways users meet: what it finds and what it advises."""

import json
import os
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from facespot.cli import main
from facespot.commands import diagnosis, diagnosis_of_machine, doctor
from facespot.commands.diagnosis import Finding, cure
from facespot.models import shipped
from places import ROOT

PINS = diagnosis.tested_pins()


@pytest.fixture
def versions(monkeypatch):
    """Versions and requirements of distributions, to be changed; None for one that is not installed."""
    real_version, real_requires, told = metadata.version, metadata.requires, {}

    def version(name):
        if name in told:
            if told[name] is None:
                raise metadata.PackageNotFoundError(name)
            return told[name]
        return PINS.get(name) or real_version(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda name: real_requires(name) if name != "facespot" else [])
    return told


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """Writes modules that a fresh Python finds before the installed ones."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def write(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)

    return write


def one(findings: list[Finding], check: str) -> Finding:
    (found,) = [f for f in findings if f.check == check]
    return found


def test_the_pins_are_those_of_what_facespot_needs():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {name.lower() for name in PINS}
    assert {requirement.partition("=")[0].partition(">")[0].lower() for requirement in needed} <= names
    assert {"protobuf", "torchvision"} <= names
    assert "pytest" not in names


def test_pythons_are_those_of_the_project():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    (low, high) = diagnosis.PYTHONS[0], (diagnosis.PYTHONS[-1][0], diagnosis.PYTHONS[-1][1] + 1)
    assert wanted == ">={}.{},<{}.{}".format(*low, *high)


def test_another_python_is_named(monkeypatch):
    assert diagnosis.check_python().state == "ok"
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    found = diagnosis.check_python()
    assert found.state == "broken"
    assert "3.11" in found.advice


def test_what_was_tested_is_well(versions):
    assert [f.state for f in diagnosis.check_packages(PINS)] == ["ok"]


def test_a_missing_package_is_named(versions):
    versions["av"] = None
    (found,) = diagnosis.check_packages(PINS)
    assert (found.state, found.advice) == ("broken", f"pip install av=={PINS['av']}")


@pytest.mark.parametrize(("name", "version"), [("numpy", "2.3.1"), ("protobuf", "6.31.0")])
def test_what_mediapipe_cannot_work_with_is_named(versions, name, version):
    versions[name] = version
    found = [f for f in diagnosis.check_packages(PINS) if f.found.startswith("mediapipe")]
    assert [f.state for f in found] == ["broken"]
    assert f"{version} is installed" in found[0].found
    assert found[0].advice == f'pip install "{name}=={PINS[name]}"'


def test_a_torchvision_of_another_torch_is_a_warning(versions, monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: ["torch==2.9.0"] if name == "torchvision" else [])
    (found,) = diagnosis.check_packages(PINS)
    assert found.state == "warning"
    assert found.found.endswith(f"{PINS['torch']} is installed")


def test_other_versions_that_fit_are_told(versions):
    versions["rich"] = "99.1"
    (found,) = diagnosis.check_packages(PINS)
    assert found.state == "ok"
    assert "rich 99.1" in found.found


def test_opencv_wheels_that_fight_are_named(versions):
    assert diagnosis.check_opencv(PINS).state == "ok"
    versions["opencv-python-headless"] = "4.13.0.92"
    found = diagnosis.check_opencv(PINS)
    assert found.state == "broken"
    assert found.advice.startswith("pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless && ")
    assert f"opencv-python=={PINS['opencv-python']}" in found.advice
    versions.update(dict.fromkeys(diagnosis._OPENCV))
    assert diagnosis.check_opencv(PINS).found == "no OpenCV is installed"


def test_an_opencv_that_is_not_what_its_wheels_say_is_named(versions, fakes):
    fakes("cv2", "__version__ = '4.13.0'")
    found = one(diagnosis.check_loading(PINS, ["cv2"]), "OpenCV")
    assert found.state == "broken"
    assert "holds 4.13.0" in found.found


@pytest.mark.parametrize(
    ("name", "error", "advice"),
    [
        ("cv2", "libGL.so.1: cannot open shared object file: No such file or directory", "libgl1"),
        ("cv2", "libgthread-2.0.so.0: cannot open shared object file", "libglib2.0-0"),
        ("ai_edge_litert", "numpy.core.multiarray failed to import", f'"numpy=={PINS["numpy"]}"'),
        ("mediapipe", "Descriptors cannot be created directly.", f'"protobuf=={PINS["protobuf"]}"'),
        ("av", "DLL load failed while importing _core", "vc_redist"),
        ("scipy", "something that nobody has seen", f"scipy=={PINS['scipy']}"),
    ],
)
def test_errors_of_loading_have_a_cure(fakes, name, error, advice):
    fakes("broken_one", f"raise ImportError({error!r})")
    (found,) = diagnosis.check_loading(PINS, ["broken_one"])
    assert found.state == "broken"
    assert error in found.found
    assert advice in cure(found.found, name, PINS)


def test_a_package_that_is_not_there_or_takes_the_process_down_stops_no_other(fakes):
    fakes("crashing", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    fakes("noisy", "__version__ = '7'; print('{hello')")
    answers = diagnosis.try_packages(["absent_one", "crashing", "noisy"])
    assert "No module named 'absent_one'" in answers["absent_one"]["error"]
    assert "SIGILL" in answers["crashing"]["error"]
    assert answers["noisy"] == {"version": "7"}


def test_a_python_that_cannot_be_started_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "no process" in diagnosis.try_packages(["numpy"])["numpy"]["error"]


def test_codecs_that_are_missing_are_a_warning(fakes):
    fakes("av", "codecs_available = {'h264', 'vp8'}")
    found = one(diagnosis.check_loading(PINS, ["av"]), "video codecs")
    assert found.state == "warning"
    assert "hevc" in found.found
    assert "h264" not in found.found
    assert f"av=={PINS['av']}" in found.advice


@pytest.mark.parametrize(
    ("built_for", "cards", "driver", "state", "said"),
    [
        ("CUDA 12.6", ["H100"], True, "ok", "sees H100"),
        ("CUDA 12.6", [], True, "warning", "nvidia-smi"),
        ("the processor alone", [], True, "warning", "whl/cu126"),
        ("the processor alone", [], False, "ok", "on the processor"),
    ],
)
def test_cards_that_torch_does_not_see(monkeypatch, built_for, cards, driver, state, said):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([Path("/dev/nvidia0")] if driver else []))
    answer = {"torch": {"version": "2.13.0", "built for": built_for, "cards": cards, "mps": False}}
    monkeypatch.setattr(diagnosis, "try_packages", lambda names: answer)
    found = one(diagnosis.check_loading(PINS, ["torch"]), "device")
    assert found.state == state
    assert said in found.found + found.advice


def test_damaged_weights_are_named(tmp_path, monkeypatch):
    assert diagnosis.check_weights().state == "ok"
    (tmp_path / "facespot.safetensors").write_bytes(b"nothing of the kind")
    monkeypatch.setattr(shipped, "files", lambda package: tmp_path)
    found = diagnosis.check_weights()
    assert (found.state, found.advice) == ("broken", "pip install --force-reinstall --no-deps facespot")


def test_damaged_face_models_are_named(tmp_path, monkeypatch):
    assert diagnosis.check_face_models().state == "ok"
    damaged = tmp_path / "face_landmark.tflite"
    damaged.write_bytes(b"short")
    # Not `metadata.PackagePath`: where the backport has been imported, it answers for the standard library.
    listed = type(metadata.files("mediapipe")[0])
    real = listed.locate
    monkeypatch.setattr(listed, "locate", lambda self: damaged if self.name == damaged.name else real(self))
    found = diagnosis.check_face_models()
    assert found.found == "missing or damaged: face_landmark.tflite"
    assert "mediapipe==" in found.advice
    damaged.unlink()
    assert diagnosis.check_face_models().state == "broken"


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "entry").write_bytes(bytes(3_000_000))
    assert diagnosis_of_machine.check_cache(tmp_path).found == f"3 MB in {tmp_path}"
    (tmp_path / "file").write_text("no folder")
    found = diagnosis_of_machine.check_cache(tmp_path / "file" / "cache")
    assert found.state == "warning"
    assert "--cache" in found.advice


def test_a_full_disk_and_a_full_memory_are_told(monkeypatch):
    usage = type("Usage", (), {"free": 5e7})
    monkeypatch.setattr(diagnosis_of_machine.shutil, "disk_usage", lambda folder: usage)
    (found,) = diagnosis_of_machine.check_disk()
    assert (found.state, "TMPDIR" in found.advice) == ("broken", True)
    usage.free = 1e9
    assert diagnosis_of_machine.check_disk()[0].state == "warning"
    monkeypatch.setattr(diagnosis_of_machine.tempfile, "tempdir", "/nowhere/at/all")
    assert "no temporary files" in diagnosis_of_machine.check_disk()[0].found
    monkeypatch.setattr(diagnosis_of_machine, "free_memory", lambda: 5e8)
    assert diagnosis_of_machine.check_memory().state == "warning"
    monkeypatch.setattr(diagnosis_of_machine, "free_memory", lambda: 5e9)
    assert diagnosis_of_machine.check_memory().state == "ok"


def test_a_test_that_fails_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "files", lambda package: tmp_path)  # no sample there
    found = doctor.check_spotting()
    assert found.state == "broken"
    assert "spot doctor --json" in found.advice


def test_the_clip_of_the_test_is_spotted():
    found = doctor.check_spotting()
    assert found.state == "ok", found.found
    assert "found the raised brows" in found.found


def findings_of(monkeypatch, *states: str) -> None:
    made = [
        Finding(f"check {i}", state, "something", "pip install x" * (state != "ok")) for i, state in enumerate(states)
    ]
    monkeypatch.setattr(doctor, "diagnose", lambda: made)


@pytest.mark.parametrize(
    ("states", "code", "said"),
    [(("ok",), 0, "all is well"), (("ok", "warning"), 0, "0 broken, 1 warnings"), (("broken",), 1, "1 broken")],
)
def test_only_what_is_broken_is_an_error(monkeypatch, states, code, said):
    findings_of(monkeypatch, *states)
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == code
    assert done.stdout.splitlines()[0].split() == ["check", "state", "found"]
    assert done.stdout.splitlines()[-1].startswith(said)
    assert ("pip install x" in done.stdout) == (states[-1] != "ok")


def test_json_says_the_same(monkeypatch):
    findings_of(monkeypatch, "ok", "broken")
    done = CliRunner().invoke(main, ["doctor", "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == document["broken"] == 1
    assert document["checks"][1] == {
        "check": "check 1",
        "state": "broken",
        "found": "something",
        "advice": "pip install x",
    }


def test_it_works_where_nothing_else_does():
    """With every heavy package out of reach, the checks still run and say so."""
    import subprocess

    code = (
        "import sys; sys.modules.update(dict.fromkeys("
        f"{[*diagnosis.HEAVY, 'packaging', 'rich']})); from facespot.commands import diagnosis as d; "
        "pins = d.tested_pins(); "
        "print(*[f.state for f in [*d.check_packages(pins), d.check_opencv(pins), d.check_weights()]])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["broken", "ok", "broken"]
