"""`spot_many`: many recordings from Python, and the names of the package."""

import subprocess
import sys
from dataclasses import replace

import facespot
import pytest
from facespot.errors import NotAVideoError, WeightsError
from facespot.extract.pipeline import extract_features
from facespot.spotting.many import SpotBatch, spot_many
from media import moving_face, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two recordings with their features, and a file that is none."""
    folder = tmp_path_factory.mktemp("many")
    for name, n in (("a", 24), ("b", 30)):
        extract_features(write_video(folder / f"{name}.mp4", moving_face(n, 192)), cache=folder / "cache")
    (folder / "bad.mp4").write_bytes(b"no video at all")
    return folder


def rounded(spots):
    """Sums of the network come in another order with another number of threads."""
    return [replace(spot, confidence=round(spot.confidence, 4)) for spot in spots]


def test_results_come_in_order_and_failures_by_path(folder):
    paths = [folder / "b.mp4", folder / "bad.mp4", folder / "a.mp4"]
    told = {}
    batch = spot_many(paths, jobs=2, min_confidence=0.01, cache=folder / "cache", progress=told.__setitem__)
    assert [result.video for result in batch] == [str(paths[0]), str(paths[2])]
    assert isinstance(batch.failures[str(paths[1])], NotAVideoError)
    assert set(told) == set(map(str, paths))
    alone = facespot.spot(paths[2], min_confidence=0.01, cache=folder / "cache")
    assert rounded(batch.results[1].spots) == rounded(alone.spots)
    assert len(batch.to_frame()) == sum(len(result.spots) for result in batch)


def test_weights_that_cannot_be_used_are_one_error(folder):
    with pytest.raises(WeightsError):
        spot_many([folder / "a.mp4", folder / "b.mp4"], jobs=1, weights=folder / "none.safetensors")


@pytest.mark.parametrize(
    "wrong",
    [{"types": "mini"}, {"min_confidence": 2}, {"face": "nearest"}, {"min_confidence": (0.1, 0.2, 0.3)}],
    ids=str,
)
def test_wrong_arguments_are_refused_before_any_work(wrong, folder):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        spot_many([folder / "a.mp4"], **wrong)


def test_one_path_is_for_spot():
    with pytest.raises(TypeError, match="spot takes one"):
        spot_many("a.mp4")


def test_no_paths_give_an_empty_table():
    assert len(spot_many([])) == 0
    assert SpotBatch().to_frame().empty


def test_the_package_shows_its_names_without_loading_them():
    code = (
        "import sys, facespot; names = set(dir(facespot)); assert set(facespot.__all__) <= names, names; "
        "assert 'torch' not in sys.modules; assert all(getattr(facespot, n) is not None for n in facespot.__all__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    with pytest.raises(AttributeError, match="spotty"):
        facespot.spotty  # noqa: B018 - looking it up is the test
