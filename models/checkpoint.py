"""Checkpoints: one safetensors file with the tensors, the configuration that rebuilds the model, and a digest.

torch is imported on use: spotting on the processor reads the tensors as NumPy arrays and never loads it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open

from ..errors import WeightsError
from ..files import replacing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

FORMAT = "facespot-checkpoint"
FORMAT_VERSION = 1
# Bounds of what is believed before anything is made of it: bytes of the header (the shipped weights have 21 thousand),
# and in the configuration the size of a number, the items of a list or mapping, and how deep they lie in one another.
_LONGEST_HEADER = 1 << 20
_LARGEST_NUMBER = 1e4
_MOST_ITEMS = 256
_DEEPEST = 8
_Network = TypeVar("_Network", bound="nn.Module")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What one file holds.

    kind: which architecture the configuration is for ("gim", ...). config: its configuration, JSON-serialisable.
    state: tensors by name, NumPy arrays if `load_arrays` read them. notes: anything else worth keeping (recipe, epoch,
    versions), JSON-serialisable.
    digest: hexadecimal SHA-256 over kind, config and tensors; names the weights in a result's provenance.
    """

    kind: str
    config: dict[str, Any]
    state: "dict[str, Tensor]"
    notes: dict[str, Any]
    digest: str


def save_checkpoint(
    path: str | os.PathLike[str],
    kind: str,
    config: Mapping[str, Any],
    state: "Mapping[str, Tensor]",
    notes: Mapping[str, Any] | None = None,
) -> str:
    """Write a checkpoint under a temporary name and rename it, so that a kill leaves the old file or the new one.

    Returns its digest. Raises TypeError or ValueError for a config or notes that JSON cannot hold exactly.
    """
    import safetensors.torch

    path = Path(path)
    # Copied, because safetensors refuses tensors that share memory.
    state = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}
    config_json = json.dumps(config, sort_keys=True, allow_nan=False)
    notes_json = json.dumps(notes or {}, sort_keys=True, allow_nan=False)
    digest = _digest(kind, config_json, state)
    metadata = {
        "format": FORMAT,
        "version": str(FORMAT_VERSION),
        "kind": kind,
        "config": config_json,
        "notes": notes_json,
        "digest": digest,
        "seal": _seal(digest, notes_json),
    }
    with replacing(path) as temporary:
        safetensors.torch.save_file(state, temporary, metadata)
        _sort_header(temporary)
    return digest


def load_checkpoint(
    path: str | os.PathLike[str], kind: str | None = None, device: "torch.device | str" = "cpu"
) -> Checkpoint:
    """Read a checkpoint and verify its digest.

    Raises WeightsError if the file is missing, damaged, not a facespot checkpoint, of another format version, or (when
    `kind` is given) for another architecture.
    """
    found = _read(Path(path), "pt")
    if kind is not None and found.kind != kind:
        raise WeightsError(f"{path}: weights of a {found.kind!r} model, but {kind!r} was asked for")
    return replace(found, state={k: v.to(device) for k, v in found.state.items()})


def load_arrays(path: str | os.PathLike[str]) -> Checkpoint:
    """The same with NumPy arrays for tensors, without torch. Raises WeightsError also for a precision that NumPy does
    not have (bfloat16)."""
    return _read(Path(path), "np")


def _read(path: Path, framework: str) -> Checkpoint:
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        _check_header(path)
        with safe_open(path, framework=framework, device="cpu") as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        config, notes = json.loads(metadata["config"]), json.loads(metadata["notes"])
        _check_config(config)
        kind = metadata["kind"]
        intact = _digest(kind, metadata["config"], state) == metadata["digest"]
        intact = intact and _seal(metadata["digest"], metadata["notes"]) == metadata["seal"]
    except (SafetensorError, KeyError, TypeError, ValueError, OSError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged weights file ({error}); fetch or train it again") from error
    if not intact:
        raise WeightsError(f"{path}: damaged weights file (its contents do not match their digest)")
    return Checkpoint(kind, config, state, notes, metadata["digest"])


def rebuild_network(make: Callable[[], _Network], state: "Mapping[str, Tensor]") -> _Network:
    """The network that `make` builds, with the tensors of a checkpoint.

    It is first made without memory: sizes that the tensors do not bear out cost nothing. Raises RuntimeError if names
    or sizes differ, and what `make` raises.
    """
    import torch

    with torch.device("meta"):
        sizes = {name: tensor.shape for name, tensor in make().state_dict().items()}
    if sizes != {name: tensor.shape for name, tensor in state.items()}:
        raise RuntimeError("the configuration describes tensors of other names or sizes")
    network = make()
    network.load_state_dict(state)
    return network


def _check_header(path: Path) -> None:
    """Raises ValueError where reading on would take more than a file of weights can be worth."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > min(_LONGEST_HEADER, path.stat().st_size):
        raise ValueError(f"its header claims {size} bytes")


def _check_config(value: Any, depth: int = 0) -> None:
    """Raises ValueError for a configuration that no network of ours has."""
    if isinstance(value, dict | list):
        if len(value) > _MOST_ITEMS or depth == _DEEPEST:
            raise ValueError("its configuration is too long or too deep")
        for item in value.values() if isinstance(value, dict) else value:
            _check_config(item, depth + 1)
    elif isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER:
        raise ValueError(f"its configuration holds {value}")


def _sort_header(path: Path) -> None:
    """safetensors writes the names of its header in random order; sorted, equal checkpoints are equal files."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > size:  # another spelling of the same; the order is not worth a wrong offset
            return
        file.seek(8)
        file.write(text.ljust(size))


def _check_format(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path}: not a facespot checkpoint")
    if metadata.get("version") != str(FORMAT_VERSION):
        raise WeightsError(
            f"{path}: checkpoint format {metadata.get('version')}, this version of facespot reads {FORMAT_VERSION}"
        )


def _seal(digest: str, notes_json: str) -> str:
    """Checksum that also covers the notes, which do not change what the weights are."""
    return hashlib.sha256(f"{digest}\n{notes_json}".encode()).hexdigest()


def _digest(kind: str, config_json: str, state: "Mapping[str, Tensor | np.ndarray]") -> str:
    digest = hashlib.sha256(f"{kind}\n{config_json}\n".encode())
    for name in sorted(state):
        tensor = state[name]
        dtype = str(tensor.dtype).removeprefix("torch.")  # the same name in NumPy
        digest.update(f"{name} torch.{dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: "Tensor | np.ndarray") -> np.ndarray:
    """(n,) uint8 of a tensor's memory."""
    if isinstance(tensor, np.ndarray):
        return np.ascontiguousarray(tensor).reshape(-1).view(np.uint8)
    import torch

    return tensor.contiguous().flatten().view(torch.uint8).numpy()
