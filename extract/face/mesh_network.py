"""MediaPipe's attention mesh run by LiteRT, without MediaPipe's graph around it.

The network (Grishchenko et al. 2020, "Attention Mesh") lays 468 points on a face and refines lips, eyes and irises from
three windows of an early feature map. How the windows are cut is written in operations that only MediaPipe has. So its
file is taken apart: what comes before those operations and what comes after run in LiteRT, they themselves in NumPy
here, after `mediapipe/util/tflite/operations`. The answers are the graph's, for two fifths of its processor time.
"""

import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .litert import Network
from .mediapipe_graphs import mediapipe_file

N_MESH_POINTS = 478
NETWORK_PIXELS = 192  # side of the picture it reads

_OF_FULL = np.float32(1 / 255)  # brightness
_N_PLAIN = 468  # points of the mesh without irises
# The heads in the file's order: the window each reads (0 lips, 1 and 2 the eyes left and right in the image) and the
# points it gives, None for those its window is cut around.
_HEADS = ((0, None), (1, None), (1, np.arange(468, 473)), (2, None), (2, np.arange(473, 478)))
# Fields of a graph in the files of TensorFlow Lite, as flatbuffers counts them.
_INPUTS, _OUTPUTS, _OPERATORS = 6, 8, 10
_EYE_OUTLINE = 16  # points of an eye's window that come first, whose mean depth its iris is given


class MeshNetwork:
    """The attention mesh on one square picture of a face. Not for several threads at once."""

    def __init__(self) -> None:
        first, heads, windows = _taken_apart()
        self._first, self._heads = Network(first), Network(heads)
        self._windows = _Windows(windows)
        self._read = np.empty((1, NETWORK_PIXELS, NETWORK_PIXELS, 3), np.float32)

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        """(478, 3) float32 x, y, z in pixels of the (192, 192, 3) RGB picture, and how surely it is a face, 0 to 1."""
        # In a third of the time that a table takes.
        np.multiply(picture, _OF_FULL, out=self._read[0], dtype=np.float32)
        mesh, flag, features = self._first(self._read)
        points = np.empty((N_MESH_POINTS, 3), np.float32)
        points[:_N_PLAIN] = mesh.reshape(_N_PLAIN, 3)
        placed = self._windows.around(points[:_N_PLAIN, :2])
        refined = self._heads(*self._windows.cut(features[0], placed))
        # A head's unit is a quarter of a cell, and so is the picture's pixel.
        turns, shifts = placed[:, :, :2].swapaxes(1, 2), 4 * placed[:, :, 2]
        for (window, rows), answer in zip(_HEADS, refined, strict=True):
            around = self._windows.points[window]
            if rows is not None:
                points[rows, 2] = np.add.reduce(points[around[:_EYE_OUTLINE], 2]) / _EYE_OUTLINE
            points[around if rows is None else rows, :2] = answer[0] @ turns[window] + shifts[window]
        return points, float(1 / (1 + np.exp(-flag.item())))


class _Windows:
    """Where the windows of the feature map lie, and what is in them.

    A window is turned until two of its points lie level and has 1.5 times the extent of its points, in each direction.
    """

    def __init__(self, options: list[dict[str, Any]]) -> None:
        """options: of the file's operations that place the windows."""
        self.points = [np.array(window["subset_idxs"]) for window in options]
        most = max(map(len, self.points))
        self._around = np.stack([np.resize(points, most) for points in self.points])
        self._left, self._right = (
            np.array([window[f"{side}_rotation_idx"] for window in options]) for side in ("left", "right")
        )
        self._scale = np.float32(options[0]["scale_x"])
        self._side = options[0]["output_width"]
        rows, columns = np.mgrid[: self._side, : self._side].reshape(2, -1).astype(np.float32)
        # Whole cells are at their centres: half a cell is added here and taken off in the feature map.
        self._cells = np.stack([columns + 0.5, rows + 0.5, np.ones_like(rows)])

    def around(self, points: np.ndarray) -> np.ndarray:
        """(3, 2, 3) affine maps from each window's cells to those of the feature map, for (468, 2) points in pixels."""
        plane = (points[:, 0] + 1j * points[:, 1]) / 4
        level = plane[self._right] - plane[self._left]
        turn = (level / np.abs(level))[:, None]
        upright = plane[self._around] * turn.conj()
        low = upright.real.min(1) + 1j * upright.imag.min(1)
        high = upright.real.max(1) + 1j * upright.imag.max(1)
        centre, step = (low + high)[:, None] / 2 * turn, self._scale * (high - low)[:, None] / self._side
        along, across = step.real * turn, 1j * step.imag * turn
        maps = np.concatenate([along, across, centre - self._side / 2 * (along + across)], axis=1)
        return np.stack([maps.real, maps.imag], axis=1).astype(np.float32)

    def cut(self, features: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """(3, 1, 16, 16, C) windows of an (H, W, C) feature map, interpolated between its cells; beyond its edge 0."""
        height, width, channels = features.shape
        x, y = (maps @ self._cells - 0.5).swapaxes(0, 1)
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        column = np.minimum(np.maximum(np.floor(x), 0), width - 2)
        row = np.minimum(np.maximum(np.floor(y), 0), height - 2)
        right, down = x - column, y - row
        left, up = 1 - right, 1 - down
        corner = (row * width + column).astype(np.intp)
        corners = corner[..., None] + np.array([0, 1, width, width + 1])
        shares = np.empty(corners.shape, features.dtype)
        for k, (across, along) in enumerate(((left, up), (right, up), (left, down), (right, down))):
            np.multiply(across, along, out=shares[..., k])
        shares *= inside[..., None]
        cells = features.reshape(-1, channels).take(corners, axis=0)
        return np.einsum("wpk,wpkc->wpc", shares, cells).reshape(-1, 1, self._side, self._side, channels)


@cache  # a recording needs two: one to follow, one to check who is there
def _taken_apart() -> tuple[bytes, bytes, list[dict[str, Any]]]:
    """The attention mesh's file as two that any runtime of TensorFlow Lite knows all operations of.

    Gives the network up to the feature map, mesh and flag; the heads, from windows to refined points in them; and the
    options of the operations that place the windows.
    """
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import flexbuffers

    file = mediapipe_file("face_landmark/face_landmark_with_attention.tflite")
    model = schema.Model.GetRootAsModel(file, 0)
    graph = model.Subgraphs(0)
    names = [model.OperatorCodes(i).CustomCode() for i in range(model.OperatorCodesLength())]
    operations = [graph.Operators(i) for i in range(graph.OperatorsLength())]

    def named(name: bytes) -> list[Any]:
        return [op for op in operations if names[op.OpcodeIndex()] == name]

    place, cut, move = map(named, (b"Landmarks2TransformMatrix", b"TransformTensorBilinear", b"TransformLandmarks"))
    mesh, *_, flag = graph.OutputsAsNumpy()
    first = _part(file, graph, operations, graph.InputsAsNumpy(), [mesh, flag, cut[0].Inputs(0)])
    heads = _part(file, graph, operations, [op.Outputs(0) for op in cut], [op.Inputs(0) for op in move])
    return first, heads, [flexbuffers.Loads(op.CustomOptionsAsNumpy().tobytes()) for op in place]


def _part(file: bytes, graph: Any, operations: list[Any], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """The file with only those operations that lead from some tensors of its graph to others.

    Changed in place, and in a hundredth of the time it would take to read and write it: the kept operations are moved
    to the front of the list, inputs and outputs written behind the end.
    """
    makers = {tensor: i for i, op in enumerate(operations) for tensor in op.OutputsAsNumpy().tolist()}
    needed: set[int] = set()
    wanted = list(outputs)
    while wanted:
        tensor = wanted.pop()
        maker = None if tensor in inputs else makers.get(tensor)
        if maker is not None and maker not in needed:
            needed.add(maker)
            wanted += operations[maker].InputsAsNumpy().tolist()
    part = bytearray(file)
    table = graph._tab  # where in the file its fields are, which flatbuffers' readers do not say otherwise
    start = table.Vector(table.Offset(_OPERATORS))
    for place, index in enumerate(sorted(needed)):
        here = start + 4 * place
        struct.pack_into("<I", part, here, operations[index]._tab.Pos - here)
    struct.pack_into("<I", part, start - 4, len(needed))
    for slot, tensors in ((_INPUTS, inputs), (_OUTPUTS, outputs)):
        part += bytes(-len(part) % 4)
        here = table.Pos + table.Offset(slot)
        struct.pack_into("<I", part, here, len(part) - here)
        part += struct.pack(f"<I{len(tensors)}i", len(tensors), *tensors)
    return bytes(part)
