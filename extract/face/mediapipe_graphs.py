"""MediaPipe's ready-made graphs: run in the thread that calls them, read quickly, and kept quiet.

All that rests on MediaPipe's insides is here: a private method, the wire format of its answers, and the chatter of its
native libraries (TensorFlow Lite, absl) on stderr. FFmpeg needs nothing: PyAV discards its log unless told otherwise.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T", bound=type)

# Read by the libraries when they are first loaded; a value the user has set stays.
_LOG_ENVIRONMENT = {"GLOG_minloglevel": "3", "TF_CPP_MIN_LOG_LEVEL": "3", "ABSL_MIN_LOG_LEVEL": "3"}
_STDERR_FD = 2
# A landmark in protobuf's wire format: two bytes that open it, then x, y and z, each behind its tag.
_WIRE_LANDMARK = np.dtype({"names": ["x", "y", "z"], "formats": ["<f4"] * 3, "offsets": [3, 8, 13], "itemsize": 17})

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


def in_callers_thread(solution: T) -> T:
    """The same class of solution (`mediapipe.solutions...`), with the same answers, without threads of its own.

    MediaPipe passes a picture from thread to thread sixteen times on its way through the face mesh, though nothing in
    it runs side by side: that is a quarter of the time it takes, and more where the cores are busy.
    """

    def _initialize_graph_interface(self: Any, *arguments: Any, **options: Any) -> Any:
        config = super(made, self)._initialize_graph_interface(*arguments, **options)
        config.ClearField("num_threads")
        config.ClearField("executor")
        config.executor.add(type="ApplicationThreadExecutor")
        return config

    made = type(solution.__name__, (solution,), {"_initialize_graph_interface": _initialize_graph_interface})
    return made


def mesh_points(face: Any) -> np.ndarray:
    """(K, 3) float32 x, y, z of a mesh as MediaPipe gives it, in parts of the picture.

    Asked for one by one, the 1434 numbers would keep other threads from running for a fifth of a millisecond.
    """
    wire = np.frombuffer(face.SerializeToString(), _WIRE_LANDMARK)
    return np.stack([wire["x"], wire["y"], wire["z"]], axis=1)


def mediapipe_file(name: str) -> bytes:
    """One of the networks in MediaPipe's package, by its path below `modules`, without importing MediaPipe."""
    package = find_spec("mediapipe")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("mediapipe is not installed", name="mediapipe")
    return Path(package.submodule_search_locations[0], "modules", name).read_bytes()
