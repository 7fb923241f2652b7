"""What lies in a folder of cached features, for people: which recordings, how large, and away with it."""

import json
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .cache import SIDECAR, FeatureCache

_ENTRY = re.compile(r".+-[0-9a-f]{20}")


@dataclass(frozen=True)
class StoredEntry:
    """One entry. recording: where it was extracted from, as far as the entry tells. size: bytes on disk."""

    path: Path
    recording: str
    size: int
    made: datetime


def stored_entries(folder: Path) -> list[StoredEntry]:
    """The entries of a folder, oldest first; nothing else that lies there. Raises OSError if it cannot be read."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        sidecar = path / SIDECAR
        if not _ENTRY.fullmatch(path.name) or not sidecar.is_file():
            continue
        size = sum(file.stat().st_size for file in path.iterdir())
        found.append(StoredEntry(path, _recording(sidecar), size, datetime.fromtimestamp(sidecar.stat().st_mtime)))
    return sorted(found, key=lambda entry: (entry.made, entry.path))


def remove_entries(folder: Path, entries: list[StoredEntry]) -> None:
    """Delete entries, and what killed writers left. Raises OSError."""
    for entry in entries:
        shutil.rmtree(entry.path)
    FeatureCache(folder).remove_abandoned()


def _recording(sidecar: Path) -> str:
    try:
        return str(json.loads(sidecar.read_bytes())["provenance"]["source"]["path"])
    except (ValueError, KeyError, TypeError):  # a damaged entry, which the next run makes anew
        return "?"
