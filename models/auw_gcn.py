"""AUW-GCN: the fully supervised comparison method (Yin et al., ICME 2023, arXiv 2303.09114).

One graph convolution mixes the motion of twelve face regions along a fixed adjacency that counts which action units
occur together; convolutions over time then score onset, apex and offset of each tick. Sizes and layers are those of the
authors' release.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .checkpoint import Checkpoint

KIND = "auw-gcn"  # of checkpoints
NODES = 12  # regions of the face: brows outer to inner to outer, nose (6, 7), mouth corners and lips
ROI_NODES = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11)  # node of each of the ten ROIs of `extract.regions`
# Ticks before and after a window that the network reads but does not answer; its receptive field needs five.
CONTEXT = 7
_CLASSES = 2
ONSET, OFFSET, NEITHER = range(3)  # of `AUWGCNOutput.ends`
_ENDS = 3
# The release's channels: onset/offset/none of micro, of macro, apex of micro, macro, action of micro, macro.
_CHANNELS = _CLASSES * _ENDS + 2 * _CLASSES


@dataclass(frozen=True)
class AUWGCNConfig:
    """graph: channels of a node after the graph convolution. width: channels of the convolutions over time."""

    graph: int = 16
    width: int = 64

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AUWGCNConfig":
        """The inverse of `to_dict`. Raises TypeError for an unknown name."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class AUWGCNOutput:
    """Logits of B windows of T ticks; the classes are macro, micro.

    ends: (B, T, 2, 3) onset, offset, neither. apex: (B, T, 2). action: (B, T, 2), inside an expression.
    """

    ends: Tensor
    apex: Tensor
    action: Tensor


class GraphConvolution(nn.Module):
    """A X W + b over nodes: (..., 12, inputs) -> (..., 12, outputs), A fixed."""

    def __init__(self, inputs: int, outputs: int, adjacency: Tensor) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        bound = outputs**-0.5
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return self.adjacency @ (x @ self.weight) + self.bias


class AUWGCN(nn.Module):
    """Motion (B, T + 2 `CONTEXT`, 12, 2), fractions of the inter-ocular distance per tick -> `AUWGCNOutput` of T ticks.

    adjacency: (12, 12), rows normalised. mean, scale: (2,) of x and y in the training data, by which motion is
    standardised. All three are buffers and come with the weights; the defaults are there to be loaded over.
    Raises ValueError for other shapes.
    """

    def __init__(
        self,
        config: AUWGCNConfig | None = None,
        adjacency: Tensor | None = None,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config = config = config or AUWGCNConfig()
        adjacency = torch.eye(NODES) if adjacency is None else adjacency
        mean, scale = torch.zeros(2) if mean is None else mean, torch.ones(2) if scale is None else scale
        if adjacency.shape != (NODES, NODES) or mean.shape != (2,) or scale.shape != (2,):
            raise ValueError(f"need an adjacency of {NODES} x {NODES}, and a mean and a scale of x and y")
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.graph = GraphConvolution(2, config.graph, adjacency)
        self.graph_norm = nn.BatchNorm1d(config.graph)
        width = config.width
        self.time = nn.Sequential(
            *_block(NODES * config.graph, width, 1, 1), *_block(width, width, 3, 1), *_block(width, width, 3, 2)
        )
        self.answer = _convolution(width, _CHANNELS, 3, 2)

    @classmethod
    def rebuild(cls, checkpoint: Checkpoint) -> "AUWGCN":
        """The network of a checkpoint of this kind. Raises WeightsError if it does not fit."""
        try:
            network = cls(AUWGCNConfig.from_dict(checkpoint.config["network"]))
            network.load_state_dict(checkpoint.state)
        except (KeyError, TypeError, RuntimeError) as error:
            raise WeightsError("this version of facespot cannot rebuild the network; train it again") from error
        return network

    def forward(self, motion: Tensor) -> AUWGCNOutput:
        batch, ticks = motion.shape[:2]
        if motion.shape[2:] != (NODES, 2) or ticks <= 2 * CONTEXT:
            raise ValueError(f"need (B, more than {2 * CONTEXT}, {NODES}, 2), got {tuple(motion.shape)}")
        nodes = self.graph((motion - self.mean) / self.scale)
        nodes = self.graph_norm(nodes.flatten(0, 2)).relu().view(batch, ticks, -1)
        logits = self.answer(self.time(nodes.transpose(1, 2)))[:, :, CONTEXT:-CONTEXT].transpose(1, 2)
        split = _CLASSES * _ENDS
        # The release has micro first, this package macro.
        ends = logits[..., :split].unflatten(-1, (_CLASSES, _ENDS)).flip(-2)
        return AUWGCNOutput(
            ends, logits[..., split : split + _CLASSES].flip(-1), logits[..., split + _CLASSES :].flip(-1)
        )


def _convolution(inputs: int, outputs: int, kernel: int, dilation: int) -> nn.Conv1d:
    """Keeps the length."""
    layer = nn.Conv1d(inputs, outputs, kernel, padding="same", dilation=dilation, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    return layer


def _block(inputs: int, outputs: int, kernel: int, dilation: int) -> tuple[nn.Module, ...]:
    return _convolution(inputs, outputs, kernel, dilation), nn.BatchNorm1d(outputs), nn.ReLU()
