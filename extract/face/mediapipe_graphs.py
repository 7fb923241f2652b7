"""MediaPipe's package: where its networks lie, and how its native libraries are kept quiet.

Those (TensorFlow Lite, absl) chatter on stderr, LiteRT does too. FFmpeg needs nothing: PyAV discards its log unless
told otherwise.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

# Read by the libraries when they are first loaded; a value the user has set stays.
_LOG_ENVIRONMENT = {"GLOG_minloglevel": "3", "TF_CPP_MIN_LOG_LEVEL": "3", "ABSL_MIN_LOG_LEVEL": "3"}
_STDERR_FD = 2

_lock = threading.Lock()
_depth = 0
_saved_fd: int | None = None


def _redirect() -> None:
    global _depth, _saved_fd
    with _lock:
        if _depth == 0:
            if sys.stderr is not None:
                sys.stderr.flush()
            # A process without stderr (a daemon, a windowed program) has nothing to protect.
            with contextlib.suppress(OSError):
                _saved_fd = os.dup(_STDERR_FD)
        if _depth == 0 and _saved_fd is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, _STDERR_FD)
            os.close(null)
        _depth += 1


def _restore() -> None:
    global _depth, _saved_fd
    with _lock:
        _depth -= 1
        if _depth == 0 and _saved_fd is not None:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(_saved_fd, _STDERR_FD)
            os.close(_saved_fd)
            _saved_fd = None


@contextlib.contextmanager
def quiet_native() -> Iterator[None]:
    """Silence what native code writes to file descriptor 2 while the block runs.

    Put it around the import, construction, first use and closing of a native graph, not around whole runs: the redirect
    is the process's, so Python's own messages are lost as well while it lasts. Blocks may nest and overlap between
    threads. An exception leaves the block with stderr restored, so its traceback shows.
    """
    for name, value in _LOG_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _redirect()
    try:
        yield
    finally:
        _restore()


def mediapipe_file(name: str) -> bytes:
    """One of the networks in MediaPipe's package, by its path below `modules`, without importing MediaPipe."""
    package = find_spec("mediapipe")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("mediapipe is not installed", name="mediapipe")
    return Path(package.submodule_search_locations[0], "modules", name).read_bytes()
