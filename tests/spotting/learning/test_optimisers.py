"""Optimisers, and that a training leaves nothing of PyTorch's in the folder of temporary files."""

import os
import subprocess
import sys

import pytest
import torch
from facespot.spotting.learning.optimisers import make_optimiser
from places import ROOT, TESTS

FROM_POINTS = """
from facespot.spotting.datasets.sampling import sample_points
from facespot.spotting.learning.from_points import train
from facespot.spotting.learning.point_videos import pair_points
from small_set import small_records, store_features, tiny

videos, _ = pair_points(store_features("features", 2), sample_points(small_records(2), 0))
train(videos, tiny("context", 1), "out")
"""
FROM_SIMULATION = """
import numpy as np
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS
from facespot.models.context import ContextConfig
from facespot.spotting.learning.from_simulation import SupervisedRecipe, train_supervised
from facespot.spotting.simulation.corpus import ClipBatch

one = np.zeros((1, 4), np.float16)
shapes = np.zeros((1, 4, len(GEOMETRY_CHANNELS)), np.float16)
clips = ClipBatch(np.zeros((1, 4, 17, 10, 2), np.float16), shapes, one, [[]], one > 0)
recipe = SupervisedRecipe(steps=1, ticks_per_step=16, warmup_steps=0)
assert list(train_supervised({4: clips}, ContextConfig(width=4, dilations=(1,)), recipe, 0))
"""
FOLDER_IS_THE_USUAL_ONE = """
import os
from torch._inductor.runtime.cache_dir_utils import cache_dir, default_cache_dir

assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
assert cache_dir() == default_cache_dir()
"""


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_optimiser_is_the_one_that_was_asked_for(name):
    network = torch.nn.Linear(2, 1)
    optimiser = make_optimiser(network.parameters(), 0.1, 0.5, name)
    assert type(optimiser) is {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    assert (optimiser.defaults["lr"], optimiser.defaults["weight_decay"]) == (0.1, 0.5)


def run(code, folder, **environment):
    """In a process of its own, since a compiler is loaded once. Returns what is left of temporary files."""
    (temporary := folder / "tmp").mkdir()
    path = os.pathsep.join([str(ROOT.parent), str(TESTS), *sys.path])
    kept = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    environment = {**kept, "PYTHONPATH": path, "TMPDIR": str(temporary), **environment}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True, timeout=300)
    return [path.name for path in temporary.iterdir()]


@pytest.mark.parametrize("code", [FROM_POINTS, FROM_SIMULATION], ids=["points", "simulation"])
def test_a_training_leaves_nothing_among_the_temporary_files(code, tmp_path):
    assert run(code, tmp_path) == []


def test_whoever_compiles_later_has_the_usual_folder(tmp_path):
    code = "import torch\nfrom facespot.spotting.learning.optimisers import make_optimiser\n"
    code += "make_optimiser(torch.nn.Linear(1, 1).parameters(), 0.1, 0.0)\n" + FOLDER_IS_THE_USUAL_ONE
    (left,) = run(code, tmp_path)
    assert left.startswith("torchinductor_")


def test_a_folder_that_the_user_has_named_is_left_to_pytorch(tmp_path):
    (named := tmp_path / "compiled").mkdir()
    code = FROM_SIMULATION + f'import os\nassert os.environ["TORCHINDUCTOR_CACHE_DIR"] == {str(named)!r}\n'
    assert run(code, tmp_path, TORCHINDUCTOR_CACHE_DIR=str(named)) == []
