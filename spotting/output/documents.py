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
    """`account`, under "spots" what a CSV row holds, to six decimals, and the explanations whole; the curves of speech
    that are known, `rate_hz` values a second, to three decimals."""
    _, rows = columns_and_rows(result)
    spots = [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items() if k != "video"} for row in rows]
    for spot, of in zip(spots, result.spots, strict=True):
        spot["explanation"] = None if of.explanation is None else of.explanation.to_dict()
    document = account(result)
    ending = {name: document.pop(name) for name in ("warnings", "provenance")}
    text = json.dumps(document | {"spots": spots} | ending, indent=2, ensure_ascii=False, default=_plain)
    curves = {name: curve for name in ("speaking", "voice") if (curve := getattr(result, name)) is not None}
    if not curves:
        return text + "\n"
    # A curve a line: a number a line would bury the rest.
    lines = [f'"rate_hz": {result.timebase.rate}']
    lines += [f'"{name}": {json.dumps([round(float(v), 3) for v in curve])}' for name, curve in curves.items()]
    return text.removesuffix("\n}") + "".join(f",\n  {line}" for line in lines) + "\n}\n"


def _plain(value: Any) -> Any:
    """NumPy values and paths as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no place in a provenance record")
