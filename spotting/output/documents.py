"""A result as one JSON document: the rows and everything that tells how they came about."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...version import __version__
from ..result import SpotResult
from .cells import columns_and_rows

JSON_FORMAT_VERSION = 1


def account(result: SpotResult) -> dict[str, Any]:
    """JSON-serialisable: what is known of the recording and of how it was spotted.

    Raises TypeError for a provenance that JSON cannot hold.
    """
    document = {
        "format": "facespot spots",
        "format_version": JSON_FORMAT_VERSION,
        "version": __version__,
        "video": result.video,
        "duration_s": round(result.timebase.duration_s, 6),
        "frames": result.timebase.n_frames,
        "fps": round(result.timebase.fps, 6),
        "coverage": round(result.coverage, 6),
        "warnings": list(result.warnings),
        "provenance": result.provenance,
    }
    return json.loads(json.dumps(document, default=_plain))


def render_json(result: SpotResult, path: Path) -> str:
    """`account`, and under "spots" what a CSV row holds, to six decimals."""
    _, rows = columns_and_rows(result)
    spots = [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items() if k != "video"} for row in rows]
    document = account(result)
    ending = {name: document.pop(name) for name in ("warnings", "provenance")}
    return json.dumps(document | {"spots": spots} | ending, indent=2, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """NumPy values and paths as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no place in a provenance record")
