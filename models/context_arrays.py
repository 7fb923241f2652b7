"""`ContextArrays`: the project's own network in NumPy, for spotting on the processor.

Loading torch takes longer than spotting a clip of some seconds, so a process that only spots does without it. The
answers are those of `ContextSpotter` to 1e-5; the same names as there say what is computed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..extract.features import SNIPPET_STEPS
from ..extract.motion.geometry import GEOMETRY_MIRROR
from ..extract.regions import ROI_MIRROR, ROI_NAMES
from .context_config import COMMON_OUTPUTS, TICKS_PER_TOKEN, ContextConfig

_NORM_EPSILON = 1e-5  # torch's


class ArrayAnswer(NamedTuple):
    """As `ContextOutput`, in arrays: logits (B, T), (B, T, 2), ticks (B, T, 2), logits (B, T), (B, T) or None."""

    intensity: np.ndarray
    class_scores: np.ndarray
    reach: np.ndarray
    quality: np.ndarray
    speaking: np.ndarray | None


class ContextArrays:
    """`flow_tokens` of (B, T, 17, 10, 2) snippets in IOD, and (B, T, G) float32 geometry -> ArrayAnswer.

    state: the tensors of a trained `ContextSpotter` under its names. Raises ValueError for a configuration that reads
    nothing or a channel that does not exist, or tensors of other names or sizes than it has.
    """

    reads_geometry = tells_boundaries = True

    def __init__(self, config: ContextConfig, state: Mapping[str, np.ndarray]) -> None:
        if not (config.flow or config.geometry):
            raise ValueError("a ContextSpotter needs flow, geometry or both")
        found = {name: tensor.shape for name, tensor in state.items()}
        if found != _shapes(config) or any(tensor.dtype != np.float32 for tensor in state.values()):
            raise ValueError("the configuration describes tensors of other names, sizes or precision")
        self.config = config
        self.reach_ticks, self.tells_speaking = config.reach_ticks, config.speaking
        self._columns, self._changing = config.columns, config.changing
        self._scale = np.array(config.scale, np.float32)
        # Every layer as a product from the right; a dilated convolution as one over its three ticks side by side.
        width = config.width
        self._linear = {name: np.ascontiguousarray(state[f"{name}.weight"].T) for name in _linear_names(config)}
        for i in range(len(config.dilations)):
            temporal = state[f"blocks.{i}.temporal.weight"]  # (out, in, 3)
            self._linear[f"blocks.{i}.temporal"] = np.ascontiguousarray(temporal.transpose(2, 1, 0).reshape(-1, width))
            self._linear[f"blocks.{i}.mix"] = np.ascontiguousarray(state[f"blocks.{i}.mix.weight"][:, :, 0].T)
        self._state = dict(state)

    def __call__(self, flow: np.ndarray, geometry: np.ndarray) -> ArrayAnswer:
        batch, ticks = geometry.shape[:2]
        x = np.zeros((), np.float32)
        if self.config.flow:
            x = x + self._apply("flow_in", flow)
        if self.config.geometry:
            x = x + self._apply("geometry_in", _tokens(self._geometry_inputs(geometry)))
        for i, dilation in enumerate(self.config.dilations):
            x = x + self._block(f"blocks.{i}", x, dilation)
        hidden = _gelu(self._apply("head.0", self._normed("norm", x)))
        out = self._apply("head.2", hidden).reshape(batch, -1, self.config.outputs)[:, :ticks]
        reach = np.float32(self.config.max_reach) * sigmoid(out[..., 3:5] - np.float32(3))
        speaking = out[..., COMMON_OUTPUTS] if self.config.speaking else None
        return ArrayAnswer(out[..., 0], out[..., 1:3], reach, out[..., 5], speaking)

    def _geometry_inputs(self, geometry: np.ndarray) -> np.ndarray:
        level = geometry[..., self._columns] / self._scale
        padded = np.pad(level[..., self._changing], ((0, 0), (3, 3), (0, 0)), mode="edge")
        fast = (padded[:, 4:-2] - padded[:, 2:-4]) / np.float32(0.4)
        slow = (padded[:, 6:] - padded[:, :-6]) / np.float32(0.8)
        return _compressed(np.concatenate([level, fast, slow], axis=-1))

    def _block(self, name: str, x: np.ndarray, dilation: int) -> np.ndarray:
        ticks = x.shape[1]
        y = np.pad(self._normed(f"{name}.norm", x), ((0, 0), (dilation, dilation), (0, 0)))
        y = np.concatenate([y[:, shift : shift + ticks] for shift in (0, dilation, 2 * dilation)], axis=-1)
        return self._apply(f"{name}.mix", _gelu(self._apply(f"{name}.temporal", y)))

    def _apply(self, name: str, x: np.ndarray) -> np.ndarray:
        """A linear layer."""
        return x @ self._linear[name] + self._state[f"{name}.bias"]

    def _normed(self, name: str, x: np.ndarray) -> np.ndarray:
        """Layer norm."""
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(_NORM_EPSILON))
        return centred / deviation * self._state[f"{name}.weight"] + self._state[f"{name}.bias"]


def unpack_arrays(config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> list[ContextArrays]:
    """As `unpack_ensemble`. Raises KeyError, TypeError or ValueError for what is no such checkpoint."""
    sizes = [ContextConfig.from_dict(values) for values in config["networks"]]
    if not sizes or not all(name.split(".")[0] in map(str, range(len(sizes))) for name in state):
        raise ValueError("an ensemble has at least one member, and tensors of its members alone")
    parts = [f"{i}." for i in range(len(sizes))]
    return [
        ContextArrays(size, {name.removeprefix(part): t for name, t in state.items() if name.startswith(part)})
        for size, part in zip(sizes, parts, strict=True)
    ]


def both_faces(snippets: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A batch of two, (2, T, 17, 10, 2) and (2, T, G) float32: the face, and as `mirror_inputs` its mirror image."""
    x, g = np.asarray(snippets, np.float32), np.asarray(geometry, np.float32)
    source, sign = GEOMETRY_MIRROR
    flipped = x[..., list(ROI_MIRROR), :] * np.array([-1, 1], np.float32)
    return np.stack([x, flipped]), np.stack([g, g[..., list(source)] * np.array(sign, np.float32)])


def flow_tokens(snippets: np.ndarray) -> np.ndarray:
    """What every network of an ensemble reads of the flow: (B, T, 17, 10, 2) float32 -> (B, ceil(T / 2), 680)."""
    return _tokens(_compressed(snippets.reshape(*snippets.shape[:2], -1) * np.float32(100)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), by way of tanh, which does not overflow."""
    half = np.asarray(0.5, x.dtype)
    return half * np.tanh(half * x) + half


def _compressed(x: np.ndarray) -> np.ndarray:
    """asinh, in a tenth of the time that NumPy's takes for float32."""
    return np.copysign(np.log(np.abs(x) + np.sqrt(x * x + 1)), x)


def _tokens(x: np.ndarray) -> np.ndarray:
    """(B, T, C) -> (B, ceil(T / 2), 2 C); an odd last tick is repeated."""
    if x.shape[1] % TICKS_PER_TOKEN:
        x = np.concatenate([x, x[:, -1:]], axis=1)
    return x.reshape(x.shape[0], -1, TICKS_PER_TOKEN * x.shape[2])


# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: erf to 1.5e-7. SciPy's takes as long to load as
# everything else here takes to run.
_ERF_P = np.float32(0.3275911)
_ERF_A = tuple(map(np.float32, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)))


def _gelu(x: np.ndarray) -> np.ndarray:
    """x / 2 (1 + erf(x / sqrt 2))."""
    size = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + _ERF_P * size)
    series = np.zeros_like(t)
    for a in _ERF_A:
        series = (series + a) * t
    tail = series * np.exp(-size * size)  # 1 - erf(|x| / sqrt 2)
    return np.maximum(x, 0) - np.float32(0.5) * np.abs(x) * tail


def _linear_names(config: ContextConfig) -> list[str]:
    inputs = [name for name, read in (("flow_in", config.flow), ("geometry_in", config.geometry)) if read]
    return [*inputs, "head.0", "head.2"]


def _shapes(config: ContextConfig) -> dict[str, tuple[int, ...]]:
    """Of every tensor of a `ContextSpotter`."""
    width = config.width
    weights: dict[str, tuple[int, ...]] = {}
    if config.flow:
        weights["flow_in"] = (width, TICKS_PER_TOKEN * SNIPPET_STEPS * len(ROI_NAMES) * 2)
    if config.geometry:
        weights["geometry_in"] = (width, TICKS_PER_TOKEN * (len(config.channels) + 2 * len(config.changing)))
    for i in range(len(config.dilations)):
        weights |= {f"blocks.{i}.norm": (width,), f"blocks.{i}.temporal": (width, width, 3)}
        weights[f"blocks.{i}.mix"] = (width, width, 1)
    weights |= {"norm": (width,), "head.0": (width, width), "head.2": (TICKS_PER_TOKEN * config.outputs, width)}
    biases = {f"{name}.bias": shape[:1] for name, shape in weights.items()}
    return {f"{name}.weight": shape for name, shape in weights.items()} | biases
