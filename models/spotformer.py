"""`SpotFormer` (Deng et al. 2024): one vector per snippet of region flow, by attention over regions and over time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .recompute import normed_in_chunks

STEPS = 17
REGIONS = 10
GROUPS = ((0, 3), (3, 6), (6, 10))  # left brow, right brow, mouth: half-open ranges of the region axis
CHUNK = 512  # snippets encoded at a time outside training; bounds memory, changes no result
# Snippets whose inner activations are alive at a time while training; with more of them, they are computed twice.
# At the published size each holds 5 MB, and a video of two and a half minutes has 4,440 snippets.
TRAINING_CHUNK = 64


@dataclass(frozen=True)
class SpotFormerConfig:
    """Sizes of a `SpotFormer`. The default trains on a CPU; `paper()` is the published size.

    dim: width of the output. heads, dim_head: attention heads and their width (heads * dim_head need not equal dim).
    mlp_dim: hidden width of the feed-forward layers. embedding_dropout: after the position embeddings.
    Raises ValueError for sizes below 1 or a dropout outside [0, 1).
    """

    dim: int = 48
    heads: int = 4
    dim_head: int = 12
    mlp_dim: int = 96
    embedding_dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.dim, self.heads, self.dim_head, self.mlp_dim) < 1:
            raise ValueError("the sizes of a SpotFormer must be at least 1")
        if not 0.0 <= self.embedding_dropout < 1.0:
            raise ValueError("embedding_dropout must lie in [0, 1)")

    @classmethod
    def paper(cls) -> "SpotFormerConfig":
        return cls(dim=256, heads=4, dim_head=64, mlp_dim=256)


class ChannelNorm(nn.BatchNorm1d):
    """Batch norm of the last axis with statistics over all the others."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)

    def scale_and_shift(self, mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """What normalises `count` tokens of this mean and (biased) variance (C,) while training: x * scale + shift.

        Updates the running statistics, as `forward` does. Gradients flow through both results.
        """
        with torch.no_grad():
            unbiased = variance * (count / max(count - 1, 1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return scale, self.bias - mean * scale


def _in_chunks(part: Callable[..., Tensor], x: Tensor, *shared: Tensor) -> Tensor:
    """part(x, *shared) of x (n, ...), a few snippets at a time, and each once more for the gradient."""
    chunks = x.split(TRAINING_CHUNK)
    return torch.cat([checkpoint(part, chunk, *shared, use_reentrant=False) for chunk in chunks])


class Normed(nn.Module):
    """A layer behind a `ChannelNorm`: `inner` of its input (n, ..., C) and of that input normalised.

    While training on many snippets, the statistics of the norm are of the whole batch, but everything behind it is
    computed in chunks, so that memory holds little more than input and output. The numbers are the same up to the order
    of sums.
    """

    norm: ChannelNorm

    def forward(self, x: Tensor) -> Tensor:
        if not _too_many(self, x):
            return self.inner(x, self.norm(x))
        own = [p for name, p in self.named_parameters() if not name.startswith("norm.")]
        affine = self.norm.weight, self.norm.bias
        return normed_in_chunks(self.inner, self.norm.scale_and_shift, affine, self.norm.eps, own, x, TRAINING_CHUNK)


def _too_many(module: nn.Module, snippets: Tensor) -> bool:
    return module.training and torch.is_grad_enabled() and len(snippets) > TRAINING_CHUNK


class Attention(Normed):
    """x + multi-head self-attention of the normalised x over its second-last axis. (..., K, C) -> (..., K, C)."""

    def __init__(self, config: SpotFormerConfig) -> None:
        super().__init__()
        inner = config.heads * config.dim_head
        self.heads = config.heads
        self.norm = ChannelNorm(config.dim)
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        # The published architecture drops the projection where it would be square and single-headed.
        single = config.heads == 1 and config.dim_head == config.dim
        self.project = nn.Identity() if single else nn.Linear(inner, config.dim)

    def inner(self, x: Tensor, normed: Tensor) -> Tensor:
        q, k, v = self.to_qkv(normed).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        q, k, v = (t.transpose(-2, -3) for t in (q, k, v))  # (..., heads, K, dim_head)
        return x + self.project(F.scaled_dot_product_attention(q, k, v).transpose(-2, -3).flatten(-2))


class FeedForward(Normed):
    """x + two-layer perceptron of the normalised x."""

    def __init__(self, config: SpotFormerConfig) -> None:
        super().__init__()
        self.norm = ChannelNorm(config.dim)
        self.widen = nn.Linear(config.dim, config.mlp_dim)
        self.narrow = nn.Linear(config.mlp_dim, config.dim)

    def inner(self, x: Tensor, normed: Tensor) -> Tensor:
        return x + self.narrow(F.gelu(self.widen(normed)))


class Halve(Normed):
    """Norm and strided convolution over steps: (n, nodes, S, C) -> (n, nodes, about S / 2, C). No residual."""

    def __init__(self, dim: int, padding: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(dim)
        self.conv = nn.Conv1d(dim, dim, kernel_size=3, stride=2, padding=padding, bias=False)

    def inner(self, x: Tensor, normed: Tensor) -> Tensor:
        n, nodes, _, _ = x.shape
        return self.conv(normed.flatten(0, 1).transpose(1, 2)).transpose(1, 2).unflatten(0, (n, nodes))


class Pool(Normed):
    """Norm, then the maximum over groups of nodes: (n, nodes, S, C) -> (n, groups, S, C)."""

    def __init__(self, norm: ChannelNorm, groups: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.norm = norm
        self.groups = groups

    def inner(self, x: Tensor, normed: Tensor) -> Tensor:
        return torch.stack([normed[:, start:stop].amax(dim=1) for start, stop in self.groups], dim=1)


def _block(config: SpotFormerConfig) -> nn.Sequential:
    return nn.Sequential(Attention(config), FeedForward(config))


class SpotFormer(nn.Module):
    """Snippets (B, L, 17, 10, 2) -> features (B, L, dim), each snippet on its own.

    Attention runs over the ten regions, then over the steps, while regions are max-pooled 10 -> 3 -> 1 and steps
    halved 17 -> 9 -> 5 -> 3 -> 1. There is no layer norm: in training the snippets meet in the batch statistics, so
    `valid` keeps padding and ticks without a face out of them.
    """

    def __init__(self, config: SpotFormerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SpotFormerConfig()
        dim = config.dim
        self.embed = nn.Linear(2, dim)
        self.embed_norm = ChannelNorm(dim)
        self.step_position = nn.Parameter(torch.randn(STEPS, dim))
        self.group_position = nn.Parameter(torch.randn(len(GROUPS), dim))
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.over_regions = _block(config)
        self.over_groups = _block(config)
        self.over_steps = nn.ModuleList(_block(config) for _ in range(4))
        self.pool_regions = Pool(ChannelNorm(dim), GROUPS)
        self.pool_groups = Pool(ChannelNorm(dim), ((0, len(GROUPS)),))
        self.halve = nn.ModuleList(Halve(dim, padding) for padding in (1, 1, 1, 0))
        group_of = [g for g, (start, stop) in enumerate(GROUPS) for _ in range(start, stop)]
        self.register_buffer("group_of", torch.tensor(group_of), persistent=False)

    def forward(self, snippets: Tensor, valid: Tensor | None = None) -> Tensor:
        """snippets (B, L, 17, 10, 2); valid (B, L) bool, the snippets to encode (default all), the others give zeros.

        Returns (B, L, dim). Raises ValueError for another snippet shape.
        """
        if snippets.ndim != 5 or snippets.shape[2:] != (STEPS, REGIONS, 2):
            raise ValueError(f"snippets must have shape (B, L, {STEPS}, {REGIONS}, 2), got {tuple(snippets.shape)}")
        flat = snippets.flatten(0, 1)
        if valid is None:
            return self._encode_chunks(flat).unflatten(0, snippets.shape[:2])
        keep = valid.flatten()
        encoded = self._encode_chunks(flat[keep])
        out = encoded.new_zeros(len(flat), self.config.dim)
        return out.masked_scatter(keep[:, None], encoded).unflatten(0, snippets.shape[:2])

    def _encode_chunks(self, x: Tensor) -> Tensor:
        if len(x) == 0:
            return x.new_zeros(0, self.config.dim)
        if self.training:  # batch statistics need every snippet at once
            return self._encode(x)
        return torch.cat([self._encode(chunk) for chunk in x.split(CHUNK)])

    def _encode(self, x: Tensor) -> Tensor:
        """(n, 17, 10, 2) -> (n, dim)"""
        x = self._embed(x)
        x = self.over_regions(x)  # (n, 17, 10, C)
        x = self.over_steps[0](x.transpose(1, 2))  # (n, 10, 17, C)
        x = self.pool_regions(x)  # (n, 3, 17, C)
        x = self.halve[0](x)  # (n, 3, 9, C)
        x = self.over_groups(x.transpose(1, 2))  # (n, 9, 3, C)
        x = self.over_steps[1](x.transpose(1, 2))
        x = self.pool_groups(x)  # (n, 1, 9, C)
        x = self.halve[1](x)
        x = self.halve[2](self.over_steps[2](x))
        x = self.halve[3](self.over_steps[3](x))  # (n, 1, 1, C)
        return x[:, 0, 0]

    def _embed(self, x: Tensor) -> Tensor:
        """(n, 17, 10, 2) -> tokens (n, 17, 10, C), normalised, with their places."""
        place = self.step_position[:, None] + self.group_position[self.group_of]
        if not _too_many(self, x):
            return self.dropout(self.embed_norm(self.embed(x)) + place)
        # The tokens are linear in two numbers, so the moments of those tell the statistics of the norm.
        tokens, weight = x.flatten(0, -2), self.embed.weight
        mean = tokens.mean(dim=0)
        covariance = (tokens - mean).T @ (tokens - mean) / len(tokens)
        moments = weight @ mean + self.embed.bias, ((weight @ covariance) * weight).sum(dim=1)
        scale, shift = self.embed_norm.scale_and_shift(*moments, len(tokens))

        def part(x: Tensor, scale: Tensor, shift: Tensor, place: Tensor) -> Tensor:
            return self.dropout(torch.addcmul(shift, self.embed(x), scale) + place)

        return _in_chunks(part, x, scale, shift, place)


_AUTHORS_NAMES = {
    "to_patch_embedding": "embed",
    "norm": "embed_norm",
    "temporal_pos_embedding": "step_position",
    "spatial_pos_embedding": "group_position",
    "transformer.gattn1": "over_regions.0",
    "transformer.gff1": "over_regions.1",
    "transformer.gattn2": "over_groups.0",
    "transformer.gff2": "over_groups.1",
    "transformer.gdown1.norm": "pool_regions.norm",
    "transformer.gdown2.norm": "pool_groups.norm",
    **{f"transformer.layers.{i}": f"over_steps.{i}" for i in range(4)},
    **{f"transformer.temporal_downsample_layers.{i}.0": f"halve.{i}" for i in range(4)},
}
_AUTHORS_LEAVES = {".to_out.0.": ".project.", ".net.0.": ".widen.", ".net2.0.": ".narrow.", ".downCNN.": ".conv."}


def from_authors_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a `SpotFormer`, from one under the names of the authors' release (github KinopioIsAllIn/GIM).

    Their step embedding has an 18th row that is never read; it is dropped.
    Raises KeyError for a name that is not theirs.
    """
    renamed = {}
    for name, value in state.items():
        head = max((h for h in _AUTHORS_NAMES if name == h or name.startswith(h + ".")), key=len, default=None)
        if head is None:
            raise KeyError(f"{name!r} is not a parameter of the authors' SpotFormer")
        ours = _AUTHORS_NAMES[head] + name[len(head) :]
        for theirs, leaf in _AUTHORS_LEAVES.items():
            ours = ours.replace(theirs, leaf)
        renamed[ours] = value[0, :STEPS] if head == "temporal_pos_embedding" else value
    return renamed
