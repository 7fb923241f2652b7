"""`FoldedSpotFormer`: the same encoder for inference; what does not depend on the snippet is computed once.

Batch norms in evaluation are affine, so they vanish into the linear layers that follow, and so do the biases of the
layers before: what flows along the residuals lacks a constant per channel, which every reader adds. The tokens that
enter the first attention are an affine image of two numbers (u, v) plus a constant per step and region. Its scores are
then a bilinear form of those, and what it mixes, the tokens themselves and the first hidden units are linear in the
weights of the attention, in (u, v) mixed by them, in (u, v), and in which region it is: 60 numbers where the published
network has 256. Few snippets at a time stay in the processor's cache: moving their activations through memory costs as
much as the arithmetic.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .spotformer import GROUPS, REGIONS, STEPS, Attention, ChannelNorm, FeedForward, Halve, SpotFormer

CHUNK = 16  # snippets at a time while each has 170 tokens: few, so that they stay in the processor's cache
CHUNK_LATE = 128  # and with 27 tokens or fewer: many, so that small products are worth their call
CHUNK_CUDA = 1024  # of either; not measured: no card was at hand


def _affine(norm: ChannelNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) of a batch norm in evaluation."""
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _projection(source: Attention) -> tuple[Tensor, Tensor]:
    """Weight (C, inner) and bias (C,) behind an attention, where there is no such layer those that change nothing."""
    if isinstance(source.project, nn.Linear):
        return source.project.weight, source.project.bias
    weight = torch.eye(source.norm.num_features, device=source.norm.weight.device)
    return weight, torch.zeros_like(weight[0])


class _FoldedAttention(nn.Module):
    """`Attention` with its norm inside the projection. lacking: (C,) what its input lacks; `lacks`: its output."""

    def __init__(self, source: Attention, lacking: Tensor) -> None:
        super().__init__()
        scale, shift = _affine(source.norm)
        self.heads = source.heads
        self.register_buffer("weight", (source.to_qkv.weight * scale).T.contiguous())
        self.register_buffer("bias", source.to_qkv.weight @ (shift + scale * lacking))
        weight, bias = _projection(source)
        self.register_buffer("project", weight.T.contiguous())
        self.lacks = lacking + bias

    def forward(self, x: Tensor) -> Tensor:
        """(b, K, C), changed in place."""
        rows = x.view(-1, x.shape[-1])
        qkv = torch.addmm(self.bias, rows, self.weight).view(*x.shape[:2], 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (b, heads, K, dim_head)
        rows.addmm_(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(len(rows), -1), self.project)
        return x


class _FoldedFeedForward(nn.Module):
    """`FeedForward`; lacking and `lacks` as in `_FoldedAttention`."""

    def __init__(self, source: FeedForward, lacking: Tensor) -> None:
        super().__init__()
        scale, shift = _affine(source.norm)
        self.register_buffer("weight", (source.widen.weight * scale).T.contiguous())
        self.register_buffer("bias", source.widen.bias + source.widen.weight @ (shift + scale * lacking))
        self.register_buffer("narrow", source.narrow.weight.T.contiguous())
        self.lacks = lacking + source.narrow.bias

    def forward(self, x: Tensor) -> Tensor:
        """(b, K, C), changed in place."""
        rows = x.view(-1, x.shape[-1])
        rows.addmm_(F.gelu(torch.addmm(self.bias, rows, self.weight)), self.narrow)
        return x


class _FoldedBlock(nn.Module):
    def __init__(self, source: nn.Sequential, lacking: Tensor) -> None:
        super().__init__()
        self.attend = _FoldedAttention(source[0], lacking)
        self.mix = _FoldedFeedForward(source[1], self.attend.lacks)
        self.lacks = self.mix.lacks

    def forward(self, x: Tensor) -> Tensor:
        """(..., K, C), changed in place."""
        self.mix(self.attend(x.view(-1, *x.shape[-2:])))
        return x


class _FoldedHalve(nn.Module):
    """`Halve` as one matrix product over windows of three steps. What its norm shifts does not reach the zero padding,
    so the constant is one of each step."""

    def __init__(self, source: Halve, steps: int, lacking: Tensor) -> None:
        super().__init__()
        scale, shift = _affine(source.norm)
        self.padding = source.conv.padding[0]
        constant = (shift + scale * lacking).expand(1, steps, -1).transpose(1, 2)
        self.register_buffer("bias", source.conv(constant)[0].T.contiguous())  # (steps out, C)
        weight = source.conv.weight * scale[:, None]  # (C out, C in, 3)
        self.register_buffer("weight", weight.transpose(1, 2).flatten(1))  # steps slow

    def forward(self, x: Tensor) -> Tensor:
        """(n, nodes, S, C) -> (n, nodes, about S / 2, C)"""
        x = F.pad(x, (0, 0, self.padding, self.padding))
        return F.linear(x.unfold(-2, 3, 2).transpose(-1, -2).flatten(-2), self.weight).add_(self.bias)


class _FoldedPool(nn.Module):
    """Norm, then the maximum over all nodes of a group."""

    def __init__(self, norm: ChannelNorm, groups: tuple[tuple[int, int], ...], lacking: Tensor) -> None:
        super().__init__()
        scale, shift = _affine(norm)
        self.groups = groups
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift + scale * lacking)

    def forward(self, x: Tensor) -> Tensor:
        """(n, nodes, S, C) -> (n, groups, S, C)"""
        x = torch.addcmul(self.shift, x, self.scale)
        return torch.stack([x[:, start:stop].amax(dim=1) for start, stop in self.groups], dim=1)


class _FoldedStart(nn.Module):
    """Embedding, attention over the regions and feed-forward: snippets (n, 17, 10, 2) -> tokens (n, 10, 17, C)."""

    def __init__(self, source: SpotFormer) -> None:
        super().__init__()
        attention, mix = source.over_regions
        self.heads = heads = attention.heads
        scale, shift = _affine(source.embed_norm)
        position = source.step_position[:, None] + source.group_position[source.group_of]  # (17, 10, C)
        # Token = (u, v) @ inward + constant of its step and region; its query, key and value alike, head by head.
        inward = (source.embed.weight * scale[:, None]).T  # (2, C)
        constant = source.embed.bias * scale + shift + position  # (17, 10, C)
        scale, shift = _affine(attention.norm)
        qkv = attention.to_qkv.weight.T
        of_flow = ((inward * scale) @ qkv).unflatten(-1, (3, heads, -1))  # (2, 3, h, d)
        of_place = ((constant * scale + shift) @ qkv).unflatten(-1, (3, heads, -1))  # (17, 10, 3, h, d)
        (q, k, v), (q0, k0, v0) = of_flow.unbind(1), of_place.unbind(2)
        q, q0 = q * q.shape[-1] ** -0.5, q0 * q.shape[-1] ** -0.5
        # Score of i and j = uv_i (q k) uv_j + (q0_i k) uv_j + uv_i (q k0_j) + q0_i k0_j: for each step the first two
        # need a factor of u_j and one of v_j, which like the rest is linear in uv_i and the region of i.
        eye = torch.eye(REGIONS, device=q.device)
        factor = torch.cat(
            [
                torch.einsum("ahd,bhd->abh", q, k).expand(STEPS, -1, -1, -1),
                torch.einsum("sihd,bhd->sibh", q0, k),
            ],
            dim=1,
        )
        rest = torch.cat(
            [torch.einsum("ahd,sjhd->sahj", q, k0), torch.einsum("sihd,sjhd->sihj", q0, k0)], dim=1
        )  # (17, 2 + 10, h, 10)
        self.register_buffer("to_scores", torch.cat([factor.flatten(2), rest.flatten(2)], dim=2))
        # What is mixed, behind the projection; then the token itself.
        weight, bias = _projection(attention)
        outward = weight.T.unflatten(0, (heads, -1))  # (h, d, C)
        mixed_flow = torch.einsum("bhd,hdc->hbc", v, outward).flatten(0, 1).expand(STEPS, -1, -1)
        mixed_place = torch.einsum("sjhd,hdc->shjc", v0, outward).flatten(1, 2)
        tokens = torch.cat([mixed_flow, mixed_place, inward.expand(STEPS, -1, -1), constant + bias], dim=1)
        scale, shift = _affine(mix.norm)
        hidden = (tokens * scale) @ mix.widen.weight.T
        hidden[:, -REGIONS:] += mix.widen.weight @ shift + mix.widen.bias
        self.register_buffer("to_tokens", tokens.contiguous())  # (17, 2h + 10h + 2 + 10, C)
        self.register_buffer("to_hidden", hidden.contiguous())
        self.register_buffer("narrow", mix.narrow.weight.T.contiguous())
        self.register_buffer("which", eye)
        self.lacks = mix.narrow.bias

    def forward(self, x: Tensor) -> Tensor:
        n, heads = len(x), self.heads
        flow = x.transpose(0, 1)  # (17, n, 10, 2)
        place = torch.cat([flow, self.which.to(x.dtype).expand(STEPS, n, -1, -1)], dim=-1).view(STEPS, n * REGIONS, -1)
        linear = torch.bmm(place, self.to_scores).view(STEPS, n, REGIONS, -1)
        factors, scores = linear.split([2 * heads, REGIONS * heads], dim=-1)
        scores = scores.unflatten(-1, (heads, REGIONS))  # (17, n, i, h, j)
        for axis in range(2):
            factor = factors[..., axis * heads : (axis + 1) * heads, None]
            scores = torch.addcmul(scores, factor, flow[:, :, None, None, :, axis])
        weights = scores.softmax(dim=-1).view(STEPS * n, REGIONS * heads, REGIONS)
        mixed = torch.bmm(weights, flow.reshape(STEPS * n, REGIONS, 2))
        parts = [part.view(STEPS, n * REGIONS, -1) for part in (mixed, weights)]
        known = torch.cat([*parts, place], dim=-1)
        hidden = F.gelu(torch.bmm(known, self.to_hidden)).flatten(0, 1)
        tokens = torch.bmm(known, self.to_tokens)
        tokens.flatten(0, 1).addmm_(hidden, self.narrow)
        return tokens.view(STEPS, n, REGIONS, -1).permute(1, 2, 0, 3).contiguous()


class FoldedSpotFormer(nn.Module):
    """A trained `SpotFormer` for inference: the same answers to about 1e-6.

    The weights are those of `source` at the time it is made; later changes of it do not reach this one.
    """

    @torch.no_grad()
    def __init__(self, source: SpotFormer) -> None:
        super().__init__()
        self.dim = source.config.dim
        nothing = torch.zeros_like(source.embed.bias)
        self.start = _FoldedStart(source)
        first = _FoldedBlock(source.over_steps[0], self.start.lacks)
        self.pool_regions = _FoldedPool(source.pool_regions.norm, GROUPS, first.lacks)
        self.over_groups = _FoldedBlock(source.over_groups, nothing)
        second = _FoldedBlock(source.over_steps[1], self.over_groups.lacks)
        self.pool_groups = _FoldedPool(source.pool_groups.norm, source.pool_groups.groups, second.lacks)
        last = [_FoldedBlock(source.over_steps[i], nothing) for i in (2, 3)]
        self.over_steps = nn.ModuleList([first, second, *last])
        lacking = (nothing, nothing, *(block.lacks for block in last))
        self.halve = nn.ModuleList(
            _FoldedHalve(halve, steps, lack)
            for halve, steps, lack in zip(source.halve, (STEPS, 9, 5, 3), lacking, strict=True)
        )
        self.requires_grad_(False)

    @torch.inference_mode()
    def forward(self, snippets: Tensor, valid: Tensor | None = None) -> Tensor:
        """As `SpotFormer.forward`: snippets (B, L, 17, 10, 2), valid (B, L) bool -> (B, L, dim)."""
        if snippets.ndim != 5 or snippets.shape[2:] != (STEPS, REGIONS, 2):
            raise ValueError(f"snippets must have shape (B, L, {STEPS}, {REGIONS}, 2), got {tuple(snippets.shape)}")
        flat = snippets.flatten(0, 1)
        keep = torch.ones(len(flat), dtype=torch.bool, device=flat.device) if valid is None else valid.flatten()
        out = flat.new_zeros(len(flat), self.dim)
        if keep.any():
            late = CHUNK_CUDA if flat.is_cuda else CHUNK_LATE
            out[keep] = torch.cat([self._encode(part) for part in flat[keep].split(late)]).to(out.dtype)
        return out.unflatten(0, snippets.shape[:2])

    def _encode(self, x: Tensor) -> Tensor:
        """(n, 17, 10, 2) -> (n, dim); the shapes are those of `SpotFormer._encode`."""
        early = CHUNK_CUDA if x.is_cuda else CHUNK
        x = torch.cat([self.pool_regions(self.over_steps[0](self.start(part))) for part in x.split(early)])
        x = self.halve[0](x)  # (n, 3, 9, C)
        x = self.over_groups(x.transpose(1, 2).contiguous())
        x = self.over_steps[1](x.transpose(1, 2).contiguous())
        x = self.halve[1](self.pool_groups(x))
        x = self.halve[2](self.over_steps[2](x))
        x = self.halve[3](self.over_steps[3](x))
        return x[:, 0, 0]
