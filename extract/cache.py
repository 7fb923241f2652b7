"""Extracted features kept on disk, one folder per entry, so that a recording is decoded once.

An entry is `<stem of the video>-<start of its key>/` with one `.npy` per array and the sidecar `features.json`. It is
written in a temporary folder, sidecar last, and renamed as a whole: whoever finds an entry finds all of it, also after
a kill. The sidecar carries a checksum of every array's file and one of itself, so what a disk did to an entry later is
noticed too.

A temporary folder is `.<random>.tmp/` with the new entry inside and the file `lock`, on which its writer holds an OS
lock: that ends with the writer, however it ends, and tells the same to every process, container and machine that
shares the folder.
"""

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ..errors import FacespotError
from ..version import FEATURES_VERSION, __version__
from .features import SNIPPET_STEPS, FaceFeatures
from .mapped import release
from .reading.images import list_images
from .regions import KEPT_MESH_POINTS, ROI_NAMES
from .timebase import Timebase

FORMAT_VERSION = 2
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
_TEMPORARY = re.compile(r"\.(?:.+\.)?[0-9a-f]{8,}\.tmp(?:\.old\.tmp)?")  # older versions put host and process in front
_LOCK, _NEW, _OLD = "lock", "new", "old"  # in a temporary folder


class DamagedEntryError(FacespotError):
    """A cache entry exists but is incomplete, changed or of another version; the message says what is wrong."""


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

    Reads the whole recording. Raises FileNotFoundError or another OSError when it cannot be read.
    """
    path = Path(path)
    fingerprint = source_fingerprint(path)
    identity = {
        "fingerprint": fingerprint,
        "options": options,
        "format_version": FORMAT_VERSION,
        "features_version": FEATURES_VERSION,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return CacheKey(path.stem if path.is_file() else path.resolve().name, digest, fingerprint, options)


def source_fingerprint(path: Path) -> dict[str, Any]:
    """What tells a changed source: its size and a hash of all its bytes; of a folder, of its images and their names.

    Neither place nor modification time of the source counts, nor a file's name: a copy is the same recording. Hashing
    is a hundred times faster than the extraction it saves (`docs/cache.md`), so that nothing is left to samples.
    """
    digest = hashlib.sha256()
    if not path.is_dir():
        return {"kind": "file", "bytes": _hash_file(path, digest), "sha256": digest.hexdigest()}
    images, total = list_images(path), 0
    for image in images:
        # Names and sizes keep the border between two images from moving unseen.
        digest.update(f"{image.name}\0{image.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        total += _hash_file(image, digest)
    return {"kind": "folder", "images": len(images), "bytes": total, "sha256": digest.hexdigest()}


def _hash_file(path: Path, digest: "hashlib._Hash") -> int:
    """Add a file's bytes to `digest` and return how many there were."""
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return size


class FeatureCache:
    """A folder of entries, shared by any number of processes. It is made when the first entry is stored."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def load(self, key: CacheKey) -> FaceFeatures | None:
        """The entry's features, its arrays memory-mapped read-only; None if there is no entry.

        Raises DamagedEntryError if there is one that cannot be trusted; `store` replaces it.
        """
        return self._load(key.entry_name, key.digest)

    def load_entry(self, name: str) -> FaceFeatures | None:
        """As `load`, for whoever knows an entry by its name and not what it was made from."""
        return self._load(name, None)

    def _load(self, name: str, digest: str | None) -> FaceFeatures | None:
        entry = self.folder / name
        if not entry.exists():
            return None
        try:
            sidecar = _read_sidecar(entry / SIDECAR)
            if not name.endswith(f"-{sidecar['key'][:_KEY_LETTERS]}") or digest not in (None, sidecar["key"]):
                raise DamagedEntryError(f"{entry}: belongs to another key")
            arrays = {name: self._load_array(entry, name, sidecar["arrays"][name]) for name in _ARRAYS}
            timebase = Timebase(np.array(arrays.pop("frame_times")), rate=sidecar["clock"]["rate_hz"])
            return FaceFeatures(**arrays, timebase=timebase, provenance=sidecar["provenance"])
        except DamagedEntryError:
            raise
        # Whatever a parser of JSON or of arrays raises over bytes nobody wrote: there is no end of kinds.
        except Exception as error:
            raise DamagedEntryError(f"{entry}: {error!r}") from error

    @staticmethod
    def _load_array(entry: Path, name: str, described: dict[str, Any]) -> np.ndarray:
        path = entry / f"{name}.npy"
        if _file_checksum(path) != described["crc32"]:
            raise DamagedEntryError(f"{entry}: the checksum of {name} does not match")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        shape, dtypes = _ARRAYS[name]
        if array.shape[1:] != shape or array.dtype.name not in dtypes or not array.dtype.isnative:
            raise DamagedEntryError(f"{entry}: {name} is {array.dtype} {array.shape}")
        return array

    def store(self, key: CacheKey, features: FaceFeatures) -> Path:
        """Write an entry, in place of an older one, and return its folder. Raises OSError when that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.remove_abandoned()
        entry = self.folder / key.entry_name
        with self._temporary() as temporary:
            (temporary / _NEW).mkdir()
            self._write(temporary / _NEW, key, features)
            _move(temporary, entry)
        return entry

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """A folder of this writer's own, removed in the end; while it is locked nobody else removes it."""
        while True:
            temporary = self.folder / f".{secrets.token_hex(8)}.tmp"
            temporary.mkdir()
            lock = FileLock(temporary / _LOCK, blocking=False)
            try:
                lock.acquire()
            except (Timeout, OSError):  # somebody who clears up was faster than we at locking it, and takes it away
                if not self.folder.is_dir():
                    raise
                continue
            if (temporary / _LOCK).exists():
                break
            lock.release()  # of a file that has been taken away meanwhile
        try:
            yield temporary
        finally:
            lock.release()
            shutil.rmtree(temporary, ignore_errors=True)

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
            "features_version": FEATURES_VERSION,
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
        sidecar["crc32"] = _content_checksum(sidecar)
        (folder / SIDECAR).write_text(json.dumps(sidecar, indent=1, ensure_ascii=True) + "\n", encoding="ascii")

    def remove_abandoned(self) -> None:
        """Delete the temporary folders whose writers are gone: those that can be locked."""
        for leftover in self.folder.glob(".*.tmp"):
            if not _TEMPORARY.fullmatch(leftover.name) or not leftover.is_dir() or leftover.is_symlink():
                continue
            try:
                with FileLock(leftover / _LOCK, blocking=False):
                    shutil.rmtree(leftover, ignore_errors=True)
            except (Timeout, OSError):  # at work, or gone, or not ours to touch
                continue
            if os.name == "nt":
                # An open lock file cannot be removed there. Elsewhere a second look would take away the folder of a
                # writer that locked it just after the first one.
                shutil.rmtree(leftover, ignore_errors=True)


def _move(temporary: Path, entry: Path) -> None:
    """Put the finished entry in its place. An older one is moved aside first: no rename replaces a folder."""
    for attempt in range(10):
        with suppress(FileNotFoundError):
            entry.rename(temporary / f"{_OLD}{attempt}")
        try:
            (temporary / _NEW).rename(entry)
            return
        except OSError:
            if not entry.exists():
                raise
            # Another process stored the same entry between the two renames: ours goes in its place.
    raise OSError(f"{entry}: other processes keep writing it")


def _read_sidecar(path: Path) -> dict[str, Any]:
    """What a sidecar says, once its checksum is right and it speaks of features as this version makes them."""
    sidecar = json.loads(path.read_bytes())
    if sidecar["format_version"] == FORMAT_VERSION and sidecar["crc32"] != _content_checksum(sidecar):
        raise DamagedEntryError(f"{path}: its checksum does not match")
    expected = {
        "format_version": FORMAT_VERSION,
        "features_version": FEATURES_VERSION,
        "roi_order": list(ROI_NAMES),
        "landmark_mesh_points": list(KEPT_MESH_POINTS),
    }
    for name, value in expected.items():
        if sidecar.get(name) != value:
            raise DamagedEntryError(f"{path}: was made by another version ({name} differs)")
    return sidecar


def _content_checksum(sidecar: dict[str, Any]) -> str:
    """Of all a sidecar says but its own checksum, however it is laid out."""
    content = {name: value for name, value in sidecar.items() if name != "crc32"}
    return f"{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}"


def _blocks(array: np.ndarray) -> Iterator[memoryview]:
    """The bytes of an array in C order, a few at a time; of a mapped one no more than those stay in memory."""
    rows = max(_BLOCK_BYTES // max(array[:1].nbytes, 1), 1)
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).data.cast("B")
        release(array)


def _save_array(path: Path, array: np.ndarray) -> str:
    """Write a `.npy` file and return its checksum."""
    described = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, described)
    checksum = 0
    with path.open("wb") as file:
        for block in chain([header.getvalue()], _blocks(array)):
            file.write(block)
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"


def _file_checksum(path: Path) -> str:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"
