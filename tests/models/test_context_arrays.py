"""The network in NumPy answers as the one in torch."""

from importlib.resources import as_file, files

import numpy as np
import pytest
import torch
from facespot.errors import WeightsError
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS
from facespot.models.checkpoint import load_arrays, load_checkpoint, save_checkpoint
from facespot.models.context import ContextConfig, ContextSpotter, mirror_inputs, unpack_ensemble
from facespot.models.context_arrays import ContextArrays, both_faces, flow_tokens, sigmoid, unpack_arrays

SMALL = ContextConfig(width=8, dilations=(1, 3, 2))


def inputs(ticks, seed=0):
    rng = np.random.default_rng(seed)
    snippets = 0.05 * rng.standard_normal((2, ticks, 17, 10, 2))
    geometry = 0.1 * rng.standard_normal((2, ticks, len(GEOMETRY_CHANNELS)))
    return snippets.astype(np.float32), geometry.astype(np.float32)


def assert_same(arrays: ContextArrays, network: ContextSpotter, ticks: int):
    snippets, geometry = inputs(ticks)
    found = arrays(flow_tokens(snippets), geometry)
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(snippets), torch.from_numpy(geometry))
    for name in ("intensity", "class_scores", "quality", "speaking"):
        one, other = getattr(found, name), getattr(expected, name)
        if other is None:
            assert one is None
            continue
        assert one.dtype == np.float32
        assert one == pytest.approx(other.numpy(), abs=1e-5, rel=1e-5), name
    assert found.reach == pytest.approx(expected.reach.numpy(), abs=1e-4, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"flow": False},
        {"geometry": False},
        {"speaking": False},
        {"channels": ("yaw", "mouth_width_held", "chin_y")},
    ],
)
@pytest.mark.parametrize("ticks", [1, 2, 31])
def test_networks_of_every_kind_answer_as_in_torch(changes, ticks):
    torch.manual_seed(ticks)
    config = ContextConfig(**{**SMALL.to_dict(), **changes})
    network = ContextSpotter(config)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    assert_same(ContextArrays(config, state), network, ticks)


def test_the_shipped_weights_answer_as_in_torch():
    with as_file(files("facespot.weights") / "facespot.safetensors") as path:
        lean, whole = load_arrays(path), load_checkpoint(path)
    assert lean.digest == whole.digest
    networks = unpack_ensemble(whole.config, whole.state)
    arrays = unpack_arrays(lean.config, lean.state)
    assert len(arrays) == len(networks)
    assert_same(arrays[-1], networks[-1], 90)


def test_mirrored_faces_are_those_of_training():
    snippets, geometry = inputs(5)
    pair = both_faces(snippets[0].astype(np.float16), geometry[0])
    mirrored = mirror_inputs(torch.from_numpy(pair[0][:1]), torch.from_numpy(pair[1][:1]))
    for both, mirror in zip(pair, mirrored, strict=True):
        assert both.dtype == np.float32
        assert (both[1:] == mirror.numpy()).all()


def test_a_sigmoid_does_not_overflow():
    assert sigmoid(np.array([-1e4, 0, 1e4], np.float32)) == pytest.approx([0, 0.5, 1])


def test_tensors_that_are_not_the_configurations_are_refused():
    state = {name: tensor.numpy() for name, tensor in ContextSpotter(SMALL).state_dict().items()}
    with pytest.raises(ValueError, match="sizes or precision"):
        ContextArrays(ContextConfig(width=8, dilations=(1, 3)), state)
    with pytest.raises(ValueError, match="sizes or precision"):
        ContextArrays(SMALL, {name: array.astype(np.float64) for name, array in state.items()})
    with pytest.raises(ValueError, match="flow, geometry or both"):
        ContextArrays(ContextConfig(flow=False, geometry=False), {})
    with pytest.raises(ValueError, match="at least one member"):
        unpack_arrays({"networks": []}, {})


def test_digests_are_the_same_read_either_way(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2]), "c": torch.tensor(True)}
    digest = save_checkpoint(tmp_path / "w", "gim", {"x": 1}, tensors)
    assert load_arrays(tmp_path / "w").digest == load_checkpoint(tmp_path / "w").digest == digest
    assert (load_arrays(tmp_path / "w").state["a"] == tensors["a"].numpy()).all()


def test_a_precision_that_numpy_lacks_is_left_to_torch(tmp_path):
    save_checkpoint(tmp_path / "w", "gim", {}, {"a": torch.zeros(2, dtype=torch.bfloat16)})
    with pytest.raises(WeightsError):
        load_arrays(tmp_path / "w")
    assert load_checkpoint(tmp_path / "w").state["a"].dtype == torch.bfloat16
