"""Importing timm beside a torchvision whose compiled operators do not fit the installed torch.

timm needs torchvision only for image work that is not used here, but a CPU build of torch next to the default
torchvision fails at import: torchvision describes two operators that only its unloadable extension declares.
Declaring them first cures it; calling them would still fail, as it should.
"""

import importlib
import sys
from types import ModuleType

from .compiler import no_compiler_folder

_NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("torchvision::nms", "torchvision::qnms")


def import_timm(module: str = "timm") -> ModuleType:
    """timm or one of its modules ("timm.utils", "timm.scheduler", ...).

    Raises ImportError if timm is not installed.
    """
    try:
        with no_compiler_folder():
            return importlib.import_module(module)
    except RuntimeError as error:  # torch's own error for an operator that nobody declared
        if "torchvision::" not in str(error):
            raise
    for name in [m for m in sys.modules if m.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]  # half imported
    _declare_operators()
    with no_compiler_folder():
        return importlib.import_module(module)


def _declare_operators() -> None:
    import torch

    for operator in _OPERATORS:
        torch.library.define(operator, _NMS_SCHEMA)
