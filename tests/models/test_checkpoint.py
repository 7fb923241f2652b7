"""Checkpoints, the choice of device and the import of timm."""

import dataclasses
import os
import resource
import subprocess
import sys
import time

import facespot.models.checkpoint as checkpoint
import pytest
import safetensors.torch
import torch
from facespot.errors import FacespotError, WeightsError
from facespot.models.checkpoint import load_checkpoint, save_checkpoint
from facespot.models.device import resolve_device
from facespot.models.gim import GIMSpotter, GIMSpotterConfig
from facespot.models.spotformer import SpotFormerConfig
from facespot.spotting.spotter import Spotter
from safetensors.torch import save_file


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    spotter = GIMSpotter(GIMSpotterConfig(SpotFormerConfig(8, 2, 4, 8))).eval()
    path = tmp_path / "weights.safetensors"
    digest = save_checkpoint(path, "gim", dataclasses.asdict(spotter.config), spotter.state_dict(), {"epoch": 7})
    return path, spotter, digest


def test_a_file_alone_rebuilds_the_model(saved):
    path, spotter, digest = saved
    loaded = load_checkpoint(path, "gim")
    rebuilt = GIMSpotter(GIMSpotterConfig.from_dict(loaded.config)).eval()
    rebuilt.load_state_dict(loaded.state)
    snippets = torch.randn(1, 5, 17, 10, 2)
    with torch.no_grad():
        assert torch.equal(rebuilt(snippets).intensity, spotter(snippets).intensity)
    assert loaded.notes == {"epoch": 7}
    assert loaded.digest == digest
    assert os.listdir(path.parent) == [path.name]


def test_every_kind_of_tensor_survives(tmp_path):
    shared = torch.arange(6.0)
    state = {
        "half": torch.randn(3).half(),
        "brain": torch.randn(2, 2).bfloat16(),
        "count": torch.tensor(5),
        "bytes": torch.arange(4, dtype=torch.uint8),
        "empty": torch.zeros(0, 3),
        "view": shared[::2],
        "same": shared,
        "flags": torch.tensor([True, False]),
    }
    save_checkpoint(tmp_path / "x", "test", {}, state)
    loaded = load_checkpoint(tmp_path / "x").state
    assert loaded.keys() == state.keys()
    for name, tensor in state.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_digest_tells_weights_and_configurations_apart(tmp_path):
    state = {"a": torch.zeros(2)}
    digests = {
        save_checkpoint(tmp_path / "x", "k", {"dim": 1}, state),
        save_checkpoint(tmp_path / "x", "k", {"dim": 2}, state),
        save_checkpoint(tmp_path / "x", "l", {"dim": 1}, state),
        save_checkpoint(tmp_path / "x", "k", {"dim": 1}, {"a": torch.ones(2)}),
        save_checkpoint(tmp_path / "x", "k", {"dim": 1}, {"a": torch.zeros(1, 2)}),
    }
    assert len(digests) == 5
    assert save_checkpoint(tmp_path / "x", "k", {"dim": 1}, state, {"epoch": 1}) in digests


def test_damage_is_found_wherever_it_is(saved):
    path, _, _ = saved
    intact = path.read_bytes()
    notes = intact.index(b"epoch")
    for at in [0, 9, 200, notes, notes + len(b'epoch\\": '), len(intact) // 2, len(intact) - 1]:
        path.write_bytes(intact[:at] + bytes([intact[at] ^ 1]) + intact[at + 1 :])
        with pytest.raises(WeightsError):
            load_checkpoint(path)
    for length in [0, 5, len(intact) // 2, len(intact) - 1]:
        path.write_bytes(intact[:length])
        with pytest.raises(WeightsError):
            load_checkpoint(path)


def test_other_files_and_versions_are_refused(saved, tmp_path, monkeypatch):
    path, _, _ = saved
    with pytest.raises(WeightsError, match="no such"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(WeightsError, match="'gim' model"):
        load_checkpoint(path, "auw-gcn")
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    with pytest.raises(WeightsError, match="format 1, this version of facespot reads 2"):
        load_checkpoint(path)
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(WeightsError, match="not a facespot checkpoint"):
        load_checkpoint(tmp_path / "foreign")


def test_sizes_that_the_tensors_do_not_bear_out_cost_nothing(saved):
    """A config of a few bytes could ask for terabytes, and a header for as much."""
    path, spotter, _ = saved
    config = dataclasses.asdict(spotter.config)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before, start = peak(), time.process_time()
    for encoder in ({"dim": 10_000}, {"mlp_dim": 10_000}, {"heads": 5000}):
        save_checkpoint(path, "gim", config | {"encoder": config["encoder"] | encoder}, spotter.state_dict())
        with pytest.raises(WeightsError, match="cannot rebuild"):
            Spotter.load(path, "cpu")
    wide = {"width": 10_000, "dilations": [1] * 256, "dropout": 0.1, "flow": True, "geometry": True}
    save_checkpoint(path, "context", {"networks": [wide]}, spotter.state_dict())
    with pytest.raises(WeightsError, match="cannot rebuild"):
        Spotter.load(path, "cpu")
    assert time.process_time() - start < 10
    assert peak() - before < 200 * 1024, "KiB"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dim": 10**9}, "holds 1000000000"),
        ({"networks": [{"dilations": [1] * 1000}]}, "too long or too deep"),
        ({"a": [[[[[[[[[1]]]]]]]]]}, "too long or too deep"),
    ],
)
def test_configurations_that_no_network_has_are_refused(tmp_path, config, message):
    save_checkpoint(tmp_path / "w", "gim", config, {"a": torch.zeros(1)})
    with pytest.raises(WeightsError, match=message):
        load_checkpoint(tmp_path / "w")


def test_a_header_longer_than_its_worth_is_refused(saved):
    path, _, _ = saved
    content = path.read_bytes()
    for size in (10**6 + len(content), 1 << 40):
        path.write_bytes(size.to_bytes(8, "little") + content[8:])
        with pytest.raises(WeightsError, match=f"claims {size} bytes"):
            load_checkpoint(path)
    save_checkpoint(path, "gim", {"dim": 1}, {}, {"text": "x" * (1 << 20)})
    with pytest.raises(WeightsError, match="header claims"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    path, _, digest = saved

    def fail(state, name, metadata):
        name.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, "gim", {}, {"a": torch.zeros(1)})
    assert load_checkpoint(path).digest == digest
    assert os.listdir(path.parent) == [path.name]


def test_files_are_as_readable_as_any_other(tmp_path):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600)):
        before = os.umask(mask)
        try:
            save_checkpoint(tmp_path / "x", "k", {}, {"a": torch.zeros(1)})
        finally:
            os.umask(before)
        assert (tmp_path / "x").stat().st_mode & 0o777 == mode


def test_device_names(monkeypatch):
    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    for name in ("cuda", "mps"):
        with pytest.raises(FacespotError, match=f"{name}.*not available.*usable: cpu"):
            resolve_device(name)
    for name in ("gpu", "cpu:0", "cuda:x", ""):
        with pytest.raises(FacespotError, match="unknown device"):
            resolve_device(name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(FacespotError, match="2 GPU"):
        resolve_device("cuda:2")


def test_timm_imports_in_a_fresh_interpreter():
    code = (
        "from facespot.models.compat import import_timm\n"
        "ema = import_timm('timm.utils').ModelEmaV3\n"
        "import_timm('timm.scheduler').CosineLRScheduler\n"
        "import torch; layer = torch.nn.Linear(2, 2); ema(layer).update(layer)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
