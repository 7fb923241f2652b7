"""States of unfinished trainings: files that a later run goes on from, and that belong to one training alone."""

import io
import os
from typing import Any

import torch

from ...errors import WeightsError
from ...files import replacing

_FORMAT = 2


def write_state(path: str | os.PathLike[str], fingerprint: str, state: dict[str, Any]) -> None:
    """Written so that a kill leaves the old file or the new one. fingerprint: which training it is of. state: tensors
    and plain values by name."""
    # Through memory: a full disk is an OSError then, and the name of a file is not in its bytes.
    content = io.BytesIO()
    torch.save({"format": _FORMAT, "fingerprint": fingerprint, **state}, content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def read_state(path: str | os.PathLike[str], fingerprint: str, device: torch.device | str) -> dict[str, Any]:
    """What `write_state` wrote. Raises WeightsError if the file is damaged or is of another training."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        ours = (state["format"], state["fingerprint"]) == (_FORMAT, fingerprint)
    except Exception as error:  # torch has many ways of saying that a file is broken
        raise WeightsError(
            f"{path}: no state of a training that can be read ({error}); remove it to start anew"
        ) from error
    if not ours:
        raise WeightsError(
            f"{path}: belongs to a training with other data, recipe, weights or seed; use another folder"
        )
    return state
