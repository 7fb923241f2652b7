"""A checkpoint of the authors' release (github KinopioIsAllIn/GIM) as a `GIMSpotter`.

Only tensors are read, by torch's restricted loader: whatever else a file carries is not run.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from .gim import GIMSpotter, GIMSpotterConfig, heads_from_authors_state
from .spotformer import SpotFormerConfig, from_authors_state

_WRAPPERS = ("state_dict", "model", "model_state_dict", "net")


def read_authors_checkpoint(path: str | Path, heads: int = 4) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a checkpoint of the kind "gim", from a file of `torch.save`.

    heads: of attention, which the tensors do not tell; the release has 4. Raises WeightsError for a file that is
    missing, holds more than tensors or lacks a layer.
    """
    path = Path(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except Exception as error:  # whatever unpickling makes of bytes that are no checkpoint
        raise WeightsError(f"{path}: holds no tensors that can be read without running its code") from error
    for name in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{path}: is not a state dict of the authors' network")
    state: dict[str, Tensor] = {}
    for name, value in loaded.items():
        state |= _renamed(str(name), value, path)
    try:
        width, inner = state["encoder.embed.weight"].shape[0], state["encoder.over_regions.0.to_qkv.weight"].shape[0]
        mlp = state["encoder.over_regions.1.widen.weight"].shape[0]
        encoder = SpotFormerConfig(width, heads, inner // 3 // heads, mlp)
        config = GIMSpotterConfig(encoder, "journal", logit_dropout=0.7)
        GIMSpotter(config).load_state_dict(state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: is not the authors' network with {heads} heads ({error})") from error
    return asdict(config), state


def _renamed(name: str, value: Tensor, path: Path) -> dict[str, Tensor]:
    """One tensor under our name. What wraps the two modules in front of theirs is passed over."""
    parts = name.split(".")
    for start in range(len(parts)):
        rest = ".".join(parts[start:])
        for prefix, convert in (("encoder.", from_authors_state), ("heads.", heads_from_authors_state)):
            try:
                return {prefix + ours: tensor for ours, tensor in convert({rest: value}).items()}
            except KeyError:
                continue
    raise WeightsError(f"{path}: {name!r} is not a parameter of the authors' network")
