"""Whether this machine has room to work: the cache, temporary files, memory."""

import os
import shutil
import tempfile
from pathlib import Path

from ..files import user_cache_folder
from .diagnosis import Finding, State

_LEAST_DISK, _LITTLE_DISK = 100e6, 2e9  # bytes
_LITTLE_MEMORY = 1e9  # bytes; a recording of any length takes half of it


def check_cache(folder: Path | None = None) -> Finding:
    """Can features be kept, and how much of them is there?"""
    advice = "spot VIDEO --cache DIR    (or --cache none)"
    try:
        folder = folder or user_cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError as error:
        return Finding("cache", "warning", f"features cannot be kept: {error}", advice)
    return Finding("cache", "ok", f"{size / 1e6:.0f} MB in {folder}")


def check_disk() -> list[Finding]:
    """Room for temporary files, and whether they can be made at all."""
    try:
        with tempfile.TemporaryFile():
            pass
        folder = tempfile.gettempdir()
    except OSError as error:
        said = f"no temporary files can be made: {error}"
        return [Finding("temporary files", "broken", said, "export TMPDIR=DIR    (a folder you can write)")]
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB free in {folder}"
    if free >= _LITTLE_DISK:
        return [Finding("temporary files", "ok", said)]
    state: State = "broken" if free < _LEAST_DISK else "warning"
    return [Finding("temporary files", state, said, "export TMPDIR=DIR    (on a disk with room), or spot cache clear")]


def check_memory() -> Finding:
    free = free_memory()
    if free is None:
        return Finding("memory", "ok", "this system does not tell")
    said = f"{free / 1e9:.1f} GB free"
    if free >= _LITTLE_MEMORY:
        return Finding("memory", "ok", said)
    return Finding("memory", "warning", said, "spot VIDEOS --jobs 1    (and close other programs)")


def free_memory() -> float | None:
    """Bytes that programs can still get; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None
