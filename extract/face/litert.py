"""Networks of TensorFlow Lite, run by LiteRT."""

import weakref
from collections import defaultdict
from typing import Any

import numpy as np

from .mediapipe_graphs import quiet_native

# Interpreters that nobody uses, by their model. Starting one takes longer than to read a picture, and a recording needs
# eight.
_IDLE: defaultdict[bytes, list[Any]] = defaultdict(list)


class Network:
    """A network in LiteRT, on one thread. Not for several threads at once.

    What it was started for goes to the next network of the same model, once this one is no longer referred to.
    """

    def __init__(self, model: bytes) -> None:
        idle = _IDLE[model]
        try:
            self._interpreter = idle.pop()
        except IndexError:
            self._interpreter = _started(model)
        weakref.finalize(self, idle.append, self._interpreter).atexit = False
        self._inputs = [part["index"] for part in self._interpreter.get_input_details()]
        self._outputs = [part["index"] for part in self._interpreter.get_output_details()]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        for index, value in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def _started(model: bytes) -> Any:
    with quiet_native():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
    return interpreter
