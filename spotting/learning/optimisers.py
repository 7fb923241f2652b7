"""The optimisers that learn."""

from collections.abc import Iterable
from typing import Any

import torch

from ...models.compiler import no_compiler_folder


def make_optimiser(
    parameters: Iterable[torch.Tensor] | Iterable[dict[str, Any]], rate: float, weight_decay: float, name: str = "adamw"
) -> torch.optim.Optimizer:
    """name: "adamw" (Loshchilov & Hutter 2019), or "adam" (Kingma & Ba 2015), where the decay is part of the gradient.

    parameters: as of `torch.optim`. rate: the learning rate.
    """
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    with no_compiler_folder():
        return kinds[name](parameters, lr=rate, weight_decay=weight_decay)
