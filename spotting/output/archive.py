"""A whole result in one file, for `SpotResult.load`: NumPy's .npz with the curves and a JSON text with the rest."""

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import FacespotError
from ...extract.timebase import Timebase
from ...files import replacing
from ..explanations import Explanation
from ..intervals import Spot
from ..result import SpotResult
from ..stimuli import Stimulus

ARCHIVE_VERSION = 2  # 1 had no seal
# Unpacked, which is what a small file can be made to claim: a day at 200 pictures a second is half of it.
_MOST_BYTES = 512 << 20


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
    arrays |= {name: curve for name in ("speaking", "scores", "voice") if (curve := getattr(result, name)) is not None}
    with replacing(path) as temporary, temporary.open("wb") as file:
        text = json.dumps(told)
        np.savez_compressed(file, told=np.array(text), seal=np.array(_seal(text, arrays)), **arrays)


def read_archive(path: str | os.PathLike[str]) -> SpotResult:
    """Raises FacespotError for a file that `write_archive` did not write or of another version, OSError for none."""
    name = Path(path).name
    try:
        with open(path, "rb") as opened:
            _check_size(opened)
            with np.load(opened, allow_pickle=False) as file:
                text = str(file["told"])
                arrays = {key: file[key] for key in file.files if key not in ("told", "seal")}
                seal = str(file["seal"]) if "seal" in file.files else ""
        told = json.loads(text)
        if told["format_version"] != ARCHIVE_VERSION:
            raise FacespotError(f"{path}: was saved by another version of facespot; spot the recording again")
        if seal != _seal(text, arrays):
            raise ValueError("its contents do not match their seal")
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
            arrays.get("voice"),
        )
    except (FacespotError, OSError):
        raise
    # Whatever a parser of archives, JSON or arrays raises over bytes nobody wrote: there is no end of kinds.
    except Exception as error:
        raise FacespotError(f"{name}: is no result that facespot saved as .npz ({type(error).__name__})") from error


def _check_size(file: BinaryIO) -> None:
    """Raises ValueError where reading on would take more memory than a result can be worth."""
    with zipfile.ZipFile(file) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
    file.seek(0)
    if claimed > _MOST_BYTES:
        raise ValueError(f"it would unpack to {claimed} bytes")


def _seal(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Hexadecimal SHA-256 of all that an archive holds."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _spot(explanation: dict[str, Any] | None = None, **values: Any) -> Spot:
    return Spot(**values, explanation=None if explanation is None else Explanation.from_dict(explanation))
