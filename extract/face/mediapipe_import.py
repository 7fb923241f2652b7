"""One of MediaPipe's solutions without the rest of MediaPipe.

`import mediapipe` also loads its tasks, its drawing, Matplotlib, JAX and an audio library: half a second for nothing
that is used here. Here its two packages that load everything are put in place without being run, so that the one module
can be imported; they run, once, as soon as anything else is asked of them.
"""

import importlib.util
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_EAGER = ("mediapipe", "mediapipe.python.solutions")
# Loaded together, this one first: the detector's graph is set up otherwise, and sees a face a little elsewhere, where
# the messages that the mesh's module defines are not known.
_FIRST = "face_mesh"


class _Deferred(ModuleType):
    """A package whose own code has not run yet. It does when an attribute is asked for that it does not have."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":  # what the import machinery asks
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def import_solution(name: str) -> ModuleType:
    """`mediapipe.solutions.<name>`, "face_mesh" or "face_detection". Raises ImportError if MediaPipe is not installed
    or does not load."""
    for package in _EAGER:
        if package in sys.modules:
            continue
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        module = importlib.util.module_from_spec(spec)
        module.__class__ = _Deferred
        sys.modules[package] = module
    import_module(f"mediapipe.python.solutions.{_FIRST}")
    return import_module(f"mediapipe.python.solutions.{name}")
