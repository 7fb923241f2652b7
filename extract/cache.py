"""Extracted features kept on disk, one folder per entry, so that a recording is decoded once.

An entry is `<stem of the video>-<start of its key>/` with one `.npy` per array and the sidecar `features.json`. It is
written under a temporary name, sidecar last, and renamed as a whole: whoever finds an entry finds all of it, also
after a kill. The sidecar carries checksums, so what a disk did to an entry later is noticed too.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..version import __version__
from .features import SNIPPET_STEPS, FaceFeatures
from .mapped import release
from .reading.video import list_images
from .regions import KEPT_MESH_POINTS, ROI_NAMES
from .timebase import Timebase

FORMAT_VERSION = 1
SIDECAR = "features.json"
# Shape after the first axis and accepted types of each array.
_ARRAYS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "snippets": ((SNIPPET_STEPS, len(ROI_NAMES), 2), ("float16", "float32")),
    "landmarks": ((len(KEPT_MESH_POINTS), 3), ("float32",)),
    "segment": ((), ("int32",)),
    "frame_times": ((), ("float64",)),
}
_BLOCK_BYTES = 1 << 20
_STEM_BYTES = 80  # leaves room for key and suffix below the 255 bytes file systems allow
_KEY_LETTERS = 20  # of the key, in an entry's name
_ABANDONED_S = 24 * 3600  # a temporary folder of another machine this old has no writer any more

_own_temporaries: set[Path] = set()  # being written by this process just now


class DamagedEntryError(Exception):
    """A cache entry exists but is incomplete, changed or of no readable form; the message says what is wrong."""


@dataclass(frozen=True)
class CacheKey:
    """What an entry was made from. digest: hexadecimal hash of all of it. stem: for people."""

    stem: str
    digest: str
    fingerprint: dict[str, Any]
    options: dict[str, Any]

    @property
    def entry_name(self) -> str:
        stem = re.sub(r"[^\w.\-]", "_", self.stem).lstrip(".-") or "video"
        stem = stem.encode("utf-8", "replace")[:_STEM_BYTES].decode("utf-8", "ignore")
        return f"{stem}-{self.digest[:_KEY_LETTERS]}"


def cache_key(path: str | os.PathLike[str], options: dict[str, Any]) -> CacheKey:
    """Key of a file or folder of images under JSON-serialisable `options` (everything that changes the result).

    Raises FileNotFoundError or another OSError when the source cannot be read.
    """
    path = Path(path)
    fingerprint = source_fingerprint(path)
    identity = {
        "fingerprint": fingerprint,
        "options": options,
        "format_version": FORMAT_VERSION,
        "library_version": __version__,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return CacheKey(path.stem if path.is_file() else path.resolve().name, digest, fingerprint, options)


def source_fingerprint(path: Path) -> dict[str, Any]:
    """What tells a changed source: its size and a hash of its head, middle and tail; of a folder also names and sizes.

    Neither name nor place nor modification time of the source counts: a copy is the same recording.
    """
    digest = hashlib.sha256()
    if not path.is_dir():
        size = path.stat().st_size
        _hash_blocks(path, size, digest)
        return {"kind": "file", "bytes": size, "sha256_of_samples": digest.hexdigest()}
    images = list_images(path)
    sizes = [image.stat().st_size for image in images]
    for image, size in zip(images, sizes, strict=True):
        digest.update(f"{image.name}\0{size}\0".encode("utf-8", "surrogateescape"))
    for i in sorted({0, len(images) // 2, len(images) - 1} if images else ()):
        _hash_blocks(images[i], sizes[i], digest)
    return {"kind": "folder", "images": len(images), "bytes": sum(sizes), "sha256_of_samples": digest.hexdigest()}


def _hash_blocks(path: Path, size: int, digest: "hashlib._Hash") -> None:
    with path.open("rb") as file:
        for start in (0, max(0, (size - _BLOCK_BYTES) // 2), max(0, size - _BLOCK_BYTES)):
            file.seek(start)
            digest.update(file.read(_BLOCK_BYTES))


class FeatureCache:
    """A folder of entries, shared by any number of processes. It is made when the first entry is stored."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def load(self, key: CacheKey) -> FaceFeatures | None:
        """The entry's features, its arrays memory-mapped read-only; None if there is no entry.

        Raises DamagedEntryError if there is one that cannot be trusted; `store` replaces it.
        """
        entry = self.folder / key.entry_name
        if not entry.exists():
            return None
        try:
            sidecar = json.loads((entry / SIDECAR).read_bytes())
            if sidecar["key"] != key.digest:
                raise DamagedEntryError(f"{entry}: belongs to another key")
            arrays = {name: self._load_array(entry, name, sidecar["arrays"][name]) for name in _ARRAYS}
            timebase = Timebase(np.array(arrays.pop("frame_times")), rate=sidecar["clock"]["rate_hz"])
            return FaceFeatures(**arrays, timebase=timebase, provenance=sidecar["provenance"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise DamagedEntryError(f"{entry}: {error!r}") from error

    @staticmethod
    def _load_array(entry: Path, name: str, described: dict[str, Any]) -> np.ndarray:
        array = np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        shape, dtypes = _ARRAYS[name]
        if array.shape[1:] != shape or array.dtype.name not in dtypes:
            raise DamagedEntryError(f"{entry}: {name} is {array.dtype} {array.shape}")
        if _checksum(array) != described["crc32"]:
            raise DamagedEntryError(f"{entry}: the checksum of {name} does not match")
        return array

    def store(self, key: CacheKey, features: FaceFeatures) -> Path:
        """Write an entry, in place of an older one, and return its folder. Raises OSError when that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.remove_abandoned()
        entry = self.folder / key.entry_name
        writer = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        temporary = self.folder / f".{writer}.tmp"
        _own_temporaries.add(temporary)
        try:
            temporary.mkdir()
            self._write(temporary, key, features)
            self._move(temporary, entry)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            _own_temporaries.discard(temporary)
        return entry

    @staticmethod
    def _write(folder: Path, key: CacheKey, features: FaceFeatures) -> None:
        arrays = {
            "snippets": features.snippets,
            "landmarks": features.landmarks,
            "segment": features.segment,
            "frame_times": features.timebase.frame_times,
        }
        described = {}
        for name, array in arrays.items():
            shape, dtypes = _ARRAYS[name]
            if array.shape[1:] != shape or array.dtype.name not in dtypes:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, which the cache has no room for")
            checksum = _save_array(folder / f"{name}.npy", array)
            described[name] = {"dtype": array.dtype.name, "shape": list(array.shape), "crc32": checksum}
        timebase = features.timebase
        sidecar = {
            "format_version": FORMAT_VERSION,
            "library_version": __version__,
            "key": key.digest,
            "source": key.fingerprint,
            "options": key.options,
            "clock": {"rate_hz": timebase.rate, "ticks": timebase.n_ticks, "frames": timebase.n_frames},
            "roi_order": list(ROI_NAMES),
            "landmark_mesh_points": list(KEPT_MESH_POINTS),
            "arrays": described,
            "provenance": features.provenance,
        }
        (folder / SIDECAR).write_text(json.dumps(sidecar, indent=1, ensure_ascii=True) + "\n", encoding="ascii")

    def _move(self, temporary: Path, entry: Path) -> None:
        """Put the finished folder in its place. An older entry is moved aside first: no rename replaces a folder."""
        for _ in range(10):
            aside = temporary.with_name(f"{temporary.name}.old.tmp")
            try:
                entry.rename(aside)
                shutil.rmtree(aside, ignore_errors=True)
            except FileNotFoundError:
                pass
            try:
                temporary.rename(entry)
                return
            except OSError:
                if not entry.exists():
                    raise
                # Another process stored the same entry between the two renames: ours goes in its place.
        raise OSError(f"{entry}: other processes keep writing it")

    def remove_abandoned(self) -> None:
        """Delete what a killed writer left. Temporary folders are named `.<host>.<process>.<random>.tmp`."""
        for leftover in self.folder.glob(".*.tmp"):
            named = re.fullmatch(r"\.(.+)\.(\d+)\.[0-9a-f]{8}\.tmp(\.old\.tmp)?", leftover.name)
            if named is None or any(leftover.name.startswith(own.name) for own in _own_temporaries):
                continue
            host, process = named[1], int(named[2])
            try:
                old = time.time() - leftover.stat().st_mtime > _ABANDONED_S
            except FileNotFoundError:  # finished by its writer just now
                continue
            if old or (host == socket.gethostname() and not _is_running(process)):
                shutil.rmtree(leftover, ignore_errors=True)


def _is_running(process: int) -> bool:
    """Whether a process of this machine is alive; this one has told its own temporaries already."""
    if process == os.getpid():
        return False
    if os.name != "posix":  # elsewhere signal 0 is not a harmless question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _blocks(array: np.ndarray) -> Iterator[memoryview]:
    """The bytes of an array in C order, a few at a time; of a mapped one no more than those stay in memory."""
    rows = max(_BLOCK_BYTES // max(array[:1].nbytes, 1), 1)
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).data.cast("B")
        release(array)


def _save_array(path: Path, array: np.ndarray) -> str:
    """Write a `.npy` file and return the checksum of what is in the array."""
    described = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    checksum = 0
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, described)
        for block in _blocks(array):
            file.write(block)
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"


def _checksum(array: np.ndarray) -> str:
    checksum = 0
    for block in _blocks(array):
        checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"
