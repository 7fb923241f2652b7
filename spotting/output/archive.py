"""A whole result in one file, for `SpotResult.load`: NumPy's .npz with the curves and a JSON text with the rest."""

import dataclasses
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FacespotError
from ...extract.timebase import Timebase
from ...files import replacing
from ..explanations import Explanation
from ..intervals import Spot
from ..result import SpotResult
from ..stimuli import Stimulus

ARCHIVE_VERSION = 1


def write_archive(result: SpotResult, path: str | os.PathLike[str]) -> None:
    """Atomically; raises OSError where that is impossible."""
    told = {
        "format": "facespot result",
        "format_version": ARCHIVE_VERSION,
        "video": result.video,
        "rate_hz": result.timebase.rate,
        "coverage": result.coverage,
        "spots": [dataclasses.asdict(spot) for spot in result.spots],
        "warnings": result.warnings,
        "provenance": result.provenance,
        "min_confidence": result.min_confidence,
        "strongest": result.strongest,
        "face": result.face,
        "stimuli": [dataclasses.asdict(stimulus) for stimulus in result.stimuli],
    }
    arrays = {
        "intensity": result.intensity,
        "segment": result.segment,
        "frame_times": result.timebase.frame_times,
    }
    arrays |= {name: curve for name in ("speaking", "scores") if (curve := getattr(result, name)) is not None}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, told=np.array(json.dumps(told)), **arrays)


def read_archive(path: str | os.PathLike[str]) -> SpotResult:
    """Raises FacespotError for a file that `write_archive` did not write or of another version, OSError for none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            told = json.loads(str(file["told"]))
            arrays = {name: file[name] for name in file.files if name != "told"}
        if told["format_version"] != ARCHIVE_VERSION:
            raise FacespotError(f"{path}: was saved by another version of facespot; spot the recording again")
        least = told["min_confidence"]
        return SpotResult(
            told["video"],
            tuple(_spot(**spot) for spot in told["spots"]),
            arrays["intensity"],
            arrays["segment"],
            Timebase(arrays["frame_times"], told["rate_hz"]),
            told["coverage"],
            tuple(told["warnings"]),
            told["provenance"],
            None if least is None else tuple(least),
            told["strongest"],
            told["face"],
            tuple(Stimulus(**stimulus) for stimulus in told["stimuli"]),
            arrays.get("speaking"),
            arrays.get("scores"),
        )
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        name = Path(path).name
        raise FacespotError(f"{name}: is no result that facespot saved as .npz ({type(error).__name__})") from error


def _spot(explanation: dict[str, Any] | None = None, **values: Any) -> Spot:
    return Spot(**values, explanation=None if explanation is None else Explanation.from_dict(explanation))
