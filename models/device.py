"""Which device the networks run on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import FacespotError

if TYPE_CHECKING:
    import torch

DEVICE_NAMES = ("auto", "cpu", "cuda", "mps")
Precision = Literal["float32", "bf16", "fp16"]
# What a Linux driver of NVIDIA (also on Tegra), AMD or WSL shows; torch without it sees no card either.
_CARDS = ("nvidia*", "nvmap", "kfd", "dxg")


def surely_cpu(name: str) -> bool:
    """Whether a `--device` value means the processor, as far as can be told without loading torch, which takes a
    second: it does by name, and "auto" does on a Linux where no card's driver is."""
    if name != "auto":
        return name == "cpu"
    return sys.platform == "linux" and not any(any(Path("/dev").glob(pattern)) for pattern in _CARDS)


def resolve_device(name: str = "auto") -> "torch.device":
    """The torch device of a `--device` value: "auto" takes CUDA, then Apple's MPS, then the CPU; "cuda:1" is one GPU.

    Raises FacespotError for an unknown name or a device that this machine or this torch does not have.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind, _, index = name.partition(":")
    if kind not in available or (index and not (kind == "cuda" and index.isdecimal())):
        raise FacespotError(f"unknown device {name!r}; choose one of {', '.join(DEVICE_NAMES)}")
    if not available[kind]:
        usable = ", ".join(k for k, yes in available.items() if yes)
        raise FacespotError(f"device {kind!r} is not available here (usable: {usable}); use --device auto")
    if index and int(index) >= torch.cuda.device_count():
        raise FacespotError(f"device {name!r} does not exist; this machine has {torch.cuda.device_count()} GPU(s)")
    return torch.device(name)


def training_dtype(precision: Precision, device: "torch.device") -> "torch.dtype | None":
    """What `torch.autocast` is to compute in while a network learns there; None for no autocast.

    Raises FacespotError where the device lacks that precision.
    """
    import torch

    kind = device.type
    if precision == "float32":
        return None
    if precision == "fp16":
        if kind != "cuda":
            other = "bf16 or float32" if kind == "cpu" else "float32"
            raise FacespotError(f"learning in fp16 needs CUDA; on {kind!r} use --precision {other}")
        return torch.float16
    if kind == "mps" or (kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)):
        other = "fp16 or float32" if kind == "cuda" else "float32"
        raise FacespotError(f"device {str(device)!r} does not compute in bf16; use --precision {other}")
    return torch.bfloat16
