"""The project's own two-branch GIM: flow snippets and geometry, read with several seconds of context around each tick.

The paper's branches are 1x1 convolutions on the snippet features, so a frame inside a long held expression, which shows
no motion in its 17 ticks, looks neutral. Here both kinds of channel pass through dilated convolutions first, and beside
the paper's two outputs (intensity, class) every tick says how far away the onset and the offset of its own expression
are, which separates expressions that touch. F of the paper is what leaves the convolutions, X what the heads are read
from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..extract.features import SNIPPET_STEPS
from ..extract.motion.geometry import GEOMETRY_MIRROR
from ..extract.regions import ROI_MIRROR, ROI_NAMES
from .checkpoint import rebuild_network
from .context_config import COMMON_OUTPUTS, TICKS_PER_TOKEN, ContextConfig
from .gim import GIMOutput, TwoBranchNetwork


@dataclass(frozen=True, eq=False)
class ContextOutput:
    """Per tick, batch B of T ticks. intensity (B, T), class_scores (B, T, 2: macro, micro) and quality (B, T) are
    logits; reach (B, T, 2) is the distance in ticks to onset and offset of the expression the tick lies in, quality
    the IoU expected of that interval. speaking (B, T): logits, None from networks that do not tell.

    features (B, T, width) leave the trunk, attention (B, T, width) is what the outputs are read from: what learning
    from points compares ticks by, as F and X of `GIMOutput`. Both ticks of a token share theirs. None unless asked for.
    """

    intensity: Tensor
    class_scores: Tensor
    reach: Tensor
    quality: Tensor
    speaking: Tensor | None = None
    features: Tensor | None = None
    attention: Tensor | None = None


class _Block(nn.Module):
    """Dilated convolution over time, then a pointwise mix, added to the input: (B, T, width) -> (B, T, width).

    Normalised per tick, so that a clip may be cut anywhere outside the reach. Whole channels of a clip drop out. The
    convolutions are carried out as products of matrices, which takes two thirds of the time on a CPU.
    """

    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.temporal = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        self.dilation, self.dropout = dilation, dropout

    def forward(self, x: Tensor) -> Tensor:
        batch, ticks, width = x.shape
        y = F.pad(self.norm(x), (0, 0, self.dilation, self.dilation))
        y = torch.cat([y[:, shift : shift + ticks] for shift in (0, self.dilation, 2 * self.dilation)], dim=-1)
        y = F.linear(y, self.temporal.weight.transpose(1, 2).reshape(width, -1), self.temporal.bias)
        y = F.linear(F.gelu(y), self.mix.weight[:, :, 0], self.mix.bias)
        if self.training and self.dropout:
            y = y * F.dropout(y.new_ones(batch, 1, width), self.dropout)
        return x + y


class ContextSpotter(TwoBranchNetwork):
    """(B, T, 17, 10, 2) snippets in IOD and (B, T, G) `GEOMETRY_CHANNELS` -> ContextOutput, for any T of at least 1.

    Ticks of other segments must not share a batch row. Raises ValueError for a configuration that reads nothing or a
    channel that does not exist.
    """

    def __init__(self, config: ContextConfig):
        super().__init__()
        if not (config.flow or config.geometry):
            raise ValueError("a ContextSpotter needs flow, geometry or both")
        self.config = config
        width = config.width
        if config.flow:
            self.flow_in = nn.Linear(TICKS_PER_TOKEN * SNIPPET_STEPS * len(ROI_NAMES) * 2, width)
        if config.geometry:
            n_inputs = len(config.channels) + 2 * len(config.changing)
            self.geometry_in = nn.Linear(TICKS_PER_TOKEN * n_inputs, width)
        self.blocks = nn.ModuleList(_Block(width, d, config.dropout) for d in config.dilations)
        self.norm = nn.LayerNorm(width)
        outputs = TICKS_PER_TOKEN * config.outputs
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs))
        self.register_buffer("geometry_scale", torch.tensor(config.scale), persistent=False)
        self.register_buffer("columns", torch.tensor(config.columns), persistent=False)
        self.register_buffer("changing", torch.tensor(config.changing), persistent=False)

    @property
    def reach_ticks(self) -> int:
        """Ticks on either side that an output depends on."""
        return self.config.reach_ticks

    reads_geometry = tells_boundaries = True

    @property
    def tells_speaking(self) -> bool:  # type: ignore[override]
        return self.config.speaking

    def branches(self, snippets: Tensor, geometry: Tensor) -> GIMOutput:
        """The answers as the family gives them."""
        raw = self(snippets, geometry, with_features=True)
        intensity, scores, quality = (t.float().sigmoid() for t in (raw.intensity, raw.class_scores, raw.quality))
        speaking = None if raw.speaking is None else raw.speaking.float().sigmoid()
        return GIMOutput(raw.features, raw.attention, intensity, scores, raw.reach.float(), quality, speaking)

    def _geometry_inputs(self, geometry: Tensor) -> Tensor:
        """(B, T, G) -> (B, T, n): each channel it reads, the change of those that are not held over three ticks and
        over seven, all compressed."""
        geometry = geometry[..., self.columns] / self.geometry_scale
        level = _compressed(geometry)
        padded = F.pad(geometry[..., self.changing].transpose(1, 2), (3, 3), mode="replicate").transpose(1, 2)
        fast = _compressed((padded[:, 4:-2] - padded[:, 2:-4]) / 0.4)
        slow = _compressed((padded[:, 6:] - padded[:, :-6]) / 0.8)
        return torch.cat([level, fast, slow], dim=-1)

    def forward(self, snippets: Tensor, geometry: Tensor, with_features: bool = False) -> ContextOutput:
        """with_features: also give the features, which only learning from points needs."""
        batch, ticks = geometry.shape[:2]
        x = 0.0
        if self.config.flow:
            x = x + self.flow_in(_tokens(_compressed(snippets.flatten(2) / 0.01)))
        if self.config.geometry:
            x = x + self.geometry_in(_tokens(self._geometry_inputs(geometry)))
        for block in self.blocks:
            x = block(x)
        features = self.norm(x)
        attention = self.head[:-1](features)
        out = self.head[-1](attention).reshape(batch, -1, self.config.outputs)[:, :ticks]
        reach = self.config.max_reach * torch.sigmoid(out[..., 3:5] - 3.0)
        speaking = out[..., COMMON_OUTPUTS] if self.config.speaking else None
        answer = ContextOutput(out[..., 0], out[..., 1:3], reach, out[..., 5], speaking)
        if not with_features:
            return answer
        per_tick = (t.repeat_interleave(TICKS_PER_TOKEN, dim=1)[:, :ticks] for t in (features, attention))
        return replace(answer, **dict(zip(("features", "attention"), per_tick, strict=True)))


def pack_ensemble(
    networks: Sequence[tuple[ContextConfig, Mapping[str, Tensor]]],
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a checkpoint of several networks, from the configuration and tensors of each."""
    state = {f"{i}.{name}": tensor for i, (_, one) in enumerate(networks) for name, tensor in one.items()}
    return {"networks": [config.to_dict() for config, _ in networks]}, state


def unpack_ensemble(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> list[ContextSpotter]:
    """The networks of a checkpoint that `pack_ensemble` described.

    Raises KeyError, TypeError, ValueError or RuntimeError for a checkpoint that is not one, holds no network or holds
    tensors of another size.
    """
    sizes = [ContextConfig.from_dict(values) for values in config["networks"]]
    if not sizes:
        raise ValueError("an ensemble has at least one member")
    return list(rebuild_network(lambda: nn.ModuleList(map(ContextSpotter, sizes)), state))


def _compressed(x: Tensor) -> Tensor:
    """asinh, without torch's slow path."""
    return torch.copysign(torch.addcmul(x.new_ones(()), x, x).sqrt_().add_(x.abs()).log_(), x)


def _tokens(x: Tensor) -> Tensor:
    """(B, T, C) -> (B, ceil(T / 2), 2 C); an odd last tick is repeated."""
    if x.shape[1] % TICKS_PER_TOKEN:
        x = torch.cat([x, x[:, -1:]], dim=1)
    return x.reshape(x.shape[0], -1, TICKS_PER_TOKEN * x.shape[2])


def mirror_inputs(snippets: Tensor, geometry: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, 17, 10, 2) snippets and (B, T, G) geometry of the same face in a mirror, for augmentation and for
    averaging at test time."""
    # A product with a matrix of ones, and minus ones for x, gives the same and takes an eighth of the time of an index.
    mirror = torch.zeros(2 * len(ROI_NAMES), 2 * len(ROI_NAMES))
    for roi, other in enumerate(ROI_MIRROR):
        mirror[2 * other, 2 * roi], mirror[2 * other + 1, 2 * roi + 1] = -1.0, 1.0
    with torch.autocast(snippets.device.type, enabled=False):
        flipped = (snippets.flatten(-2) @ mirror.to(snippets)).view(snippets.shape)
    source, sign = GEOMETRY_MIRROR
    turned = geometry.index_select(-1, torch.tensor(source, device=geometry.device)) * geometry.new_tensor(sign)
    return flipped, turned
