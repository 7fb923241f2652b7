"""Networks of TensorFlow Lite, run by LiteRT."""

import numpy as np

from .mediapipe_graphs import quiet_native


class Network:
    """A network in LiteRT, on one thread."""

    def __init__(self, model: bytes) -> None:
        with quiet_native():
            from ai_edge_litert.interpreter import Interpreter

            self._interpreter = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        self._inputs = [part["index"] for part in self._interpreter.get_input_details()]
        self._outputs = [part["index"] for part in self._interpreter.get_output_details()]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        for index, value in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
