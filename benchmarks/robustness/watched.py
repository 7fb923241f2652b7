"""Watching what a call takes and where it writes: peak memory, time, and files opened for writing outside a folder."""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 1 << 20
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.truncate": 0, "shutil.move": 1}
_outside: list[str] = []
_allowed: list[str] = []


@dataclass(frozen=True)
class Watched:
    """What a call took. error: what it raised. peak_mib: most resident memory of the process while it ran.

    grown_mib: by how much more than before. processor_s: of all its threads. outside: files written elsewhere.
    """

    value: Any
    error: BaseException | None
    seconds: float
    processor_s: float
    peak_mib: float
    grown_mib: float
    outside: tuple[str, ...]


def watch(call: Callable[[], Any], folder: Path) -> Watched:
    """`call()`, which may write into `folder` only; temporary files go there too. Linux, for the peak's reset."""
    if not _allowed:
        sys.addaudithook(_note)
    _allowed[:] = [os.path.realpath(folder), os.devnull, "/proc/"]
    _outside.clear()
    before_folder, tempfile.tempdir = tempfile.tempdir, str(folder)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before_mib, start, processor = _status("VmRSS"), time.monotonic(), time.process_time()
    value = error = None
    try:
        value = call()
    except Exception as raised:
        error = raised
    finally:
        tempfile.tempdir = before_folder
    peak = _status("VmHWM")
    spent = time.monotonic() - start, time.process_time() - processor
    found = tuple(dict.fromkeys(_outside))
    _allowed[:] = ["/"]
    return Watched(value, error, *spent, peak, peak - before_mib, found)


def limit_memory(more_mib: int) -> None:
    """No more address space from now on than this beside what the process has: a MemoryError instead of a machine
    brought down."""
    limit = int(_status("VmSize") + more_mib) * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _status(name: str) -> float:
    """MiB, as /proc/self/status has them under this name."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _note(event: str, arguments: tuple) -> None:
    """Python's own account of what is opened and renamed; what libraries in C open by themselves is not in it."""
    if event == "open":
        path, mode, flags = arguments
        writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITES)
    elif event in _CHANGES:
        path, writes = arguments[_CHANGES[event]], True
    else:
        return
    if writes and isinstance(path, str | bytes | os.PathLike):
        place = os.path.realpath(os.fsdecode(path))
        # A list of fonts, which matplotlib keeps for itself and MediaPipe makes it look for, is no output of ours.
        if not place.startswith(tuple(_allowed)) and "matplotlib" not in Path(place).parts:
            _outside.append(place)
