"""The weights that come with facespot, by the names they are asked for with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

DEFAULT_MODEL = "default"
# default: our encoder with seconds of context and boundary heads; laboratory: the same, for people who sit still before
# a camera, which the default gives their recordings to; gim: the paper's network.
MODELS = {DEFAULT_MODEL: "facespot.safetensors", "laboratory": "laboratory.safetensors", "gim": "gim.safetensors"}


def check_choice(weights: str | os.PathLike[str] | None, model: str | None) -> None:
    """Raises ValueError for a model that does not exist, and for a model beside a file of weights."""
    if model is not None and model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {model!r}")
    if weights is not None and model is not None:
        raise ValueError("weights and model both say what to spot with; give one of them")


@contextmanager
def shipped_weights(model: str = DEFAULT_MODEL) -> Iterator[Path]:
    """The file of a model, there as long as the context lasts."""
    with as_file(files("facespot.weights") / MODELS[model]) as path:
        yield path
