"""Loads packages one after the other and says what came of it: `python -m facespot.commands.trial NAME...`.

In a process of its own, because a broken native library can take the process down with it. Prints a line of JSON when a
package's turn begins and one when it is over.
"""

import importlib
import json
import sys
from types import ModuleType
from typing import Any

# What a user's recordings are coded with, by FFmpeg's names.
VIDEO_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "prores", "ffv1", "wmv3", "theora")


def _of_av(module: ModuleType) -> dict[str, Any]:
    return {"missing codecs": [name for name in VIDEO_CODECS if name not in module.codecs_available]}


def _of_torch(module: ModuleType) -> dict[str, Any]:
    cards = [module.cuda.get_device_name(i) for i in range(module.cuda.device_count())]
    built_for = f"CUDA {module.version.cuda}" if module.version.cuda else "the processor alone"
    return {"built for": built_for, "cards": cards, "mps": bool(module.backends.mps.is_available())}


_MORE = {"av": _of_av, "torch": _of_torch}


def load(name: str) -> dict[str, Any]:
    """What there is to say of a package: its version and more, or an "error" of one line."""
    try:
        if name == "ai_edge_litert":  # whose native part it does not load by itself
            importlib.import_module("ai_edge_litert.interpreter")
        if name == "timm":
            from ..models.compat import import_timm

            module = import_timm()
        else:
            module = importlib.import_module(name)
        more = _MORE[name](module) if name in _MORE else {}
    except Exception as error:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}
    return {"version": str(getattr(module, "__version__", "")), **more}


if __name__ == "__main__":
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a package prints when it loads is no answer
    for package in sys.argv[1:]:
        print(json.dumps({"name": package}), file=answers, flush=True)
        print(json.dumps({"name": package, **load(package)}), file=answers, flush=True)
