"""Files of the authors' release, taken over: their network spots as theirs did, their features can be learnt from."""

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from facespot.cli import main
from facespot.models.authors import read_authors_checkpoint
from facespot.models.checkpoint import load_checkpoint
from facespot.models.gim import GIMSpotter, GIMSpotterConfig
from facespot.spotting.datasets.prepared import PreparedSet
from facespot.spotting.spotter import Spotter
from golden import golden_cases, load_golden, strip_prefix


def authors_state(width, rng):
    """Their two branches, whose layers are convolutions of kernel 1, for an encoder of that width."""
    rows = {"attn_feature_extractor": width, "attention": 1, "apex_classifier": 2}
    state = {}
    for name, count in rows.items():
        state[f"{name}.0.weight"] = torch.from_numpy(rng.normal(size=(count, width, 1)).astype(np.float32))
        state[f"{name}.0.bias"] = torch.from_numpy(rng.normal(size=count).astype(np.float32))
    return state


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file as the release stores one: encoder and heads under the names of the modules that hold them."""
    arrays = load_golden(golden_cases("spotformer")[0])
    dim, heads, _, _ = map(int, arrays["cfg"])
    encoder = {f"encoder.{k}": torch.from_numpy(v) for k, v in strip_prefix(arrays, "sd.").items()}
    branches = authors_state(dim, np.random.default_rng(0))
    path = tmp_path_factory.mktemp("authors") / "best.pth"
    torch.save({"state_dict": {**encoder, **{f"module.head.{k}": v for k, v in branches.items()}}}, path)
    return path, arrays, branches, heads


def spot(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_their_network_answers_as_theirs(checkpoint, tmp_path):
    path, arrays, branches, heads = checkpoint
    run = spot("convert", path, "-o", tmp_path / "w.safetensors", "--heads", heads)
    assert run.exit_code == 0, run.output
    stored = load_checkpoint(tmp_path / "w.safetensors", "gim")
    network = GIMSpotter(GIMSpotterConfig.from_dict(stored.config))
    network.load_state_dict(stored.state)
    with torch.no_grad():
        output = network.eval()(torch.from_numpy(arrays["x"]))
    np.testing.assert_allclose(output.features, arrays["out_eval"], rtol=2e-3, atol=2e-3)
    weight, bias = branches["apex_classifier.0.weight"][..., 0], branches["apex_classifier.0.bias"]
    torch.testing.assert_close(output.class_scores, torch.sigmoid(output.features @ weight.T + bias))
    assert Spotter.load(tmp_path / "w.safetensors", "cpu").origin["architecture"] == "gim"


def test_other_files_and_code_are_refused(tmp_path):
    other = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(3)}, other)
    assert "is not a parameter of the authors' network" in spot("convert", other, "-o", tmp_path / "w").stderr
    torch.save({"state_dict": {}}, other)
    assert "is not the authors' network" in spot("convert", other, "-o", tmp_path / "w").stderr
    other.write_bytes(b"no checkpoint")
    assert spot("convert", other, "-o", tmp_path / "w").exit_code == 7
    assert spot("convert", tmp_path / "none.pth", "-o", tmp_path / "w").exit_code == 7
    marker = tmp_path / "sprung"

    class Trap:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    torch.save({"state_dict": Trap()}, other)
    assert "without running its code" in spot("convert", other, "-o", tmp_path / "w").stderr
    assert not marker.exists()
    assert not (tmp_path / "w").exists()


def release(folder, lengths=(60, 50)):
    """A feature file and its annotations: one macro- and one micro-expression in each of two videos of two subjects."""
    rng = np.random.default_rng(1)
    flow = np.empty(len(lengths), dtype=object)
    flow[:] = [0.01 * rng.normal(size=(n, 17, 13, 2)) for n in lengths]
    np.save(folder / "SAMM-SLopticalflow.npy", flow, allow_pickle=True)
    annotations = folder / "SAMM-Annotations"
    annotations.mkdir()
    content = {
        "videoname": ["samm_006_1", "samm_007_1"],
        "labels": [["Macro", "Micro"], ["Macro"]],
        "segments": [[[5, 25], [40, 48]], [[10, 30]]],
        "labels_gau_frame": [[15, 44], [20]],
    }
    for name, values in content.items():
        array = np.empty(len(values), dtype=object)
        array[:] = values
        np.save(annotations / f"{name}.npy", array, allow_pickle=True)
    return folder / "SAMM-SLopticalflow.npy", annotations


def test_their_features_become_a_data_set_to_learn_from(tmp_path, one_thread):
    features, annotations = release(tmp_path)
    command = ("convert", features, "--annotations", annotations, "-o", tmp_path / "set")
    refused = spot(*command)
    assert refused.exit_code == 8
    assert "pickle" in refused.stderr
    assert not (tmp_path / "set" / "index.csv").exists()
    run = spot(*command, "--trust-pickle")
    assert run.exit_code == 0, run.output
    prepared = PreparedSet(tmp_path / "set")
    assert [(v.subject, v.video, v.ticks) for v in prepared] == [("006", "006_1", 60), ("007", "007_1", 50)]
    loaded = prepared.load(prepared.videos[0])
    given = np.load(features, allow_pickle=True)[0][:, :, [1, 2, 3, 5, 6, 7, 9, 10, 11, 12]]
    np.testing.assert_allclose(loaded.snippets, given, atol=1e-4)
    table = pd.read_csv(tmp_path / "set" / "annotations.csv")
    assert list(table["type"]) == ["macro", "micro", "macro"]
    options = ("--model", "journal", "--epochs", "1", "--hold-out", "0", "-q")
    run = spot("train", tmp_path / "set", tmp_path / "set" / "annotations.csv", "-o", tmp_path / "run", *options)
    assert run.exit_code == 0, run.output
    assert Spotter.load(tmp_path / "run" / "weights.safetensors", "cpu").intervals(loaded, 0.0)
    assert "need --annotations" in spot("convert", features, "-o", tmp_path / "x").stderr


def test_a_checkpoint_says_how_wide_it_is(checkpoint):
    path, arrays, _, heads = checkpoint
    config, _ = read_authors_checkpoint(path, heads)
    dim, heads, dim_head, mlp_dim = map(int, arrays["cfg"])
    sizes = config["encoder"]
    assert (sizes["dim"], sizes["heads"], sizes["dim_head"], sizes["mlp_dim"]) == (dim, heads, dim_head, mlp_dim)
