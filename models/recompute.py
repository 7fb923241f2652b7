"""A normalised layer whose statistics are of a whole batch and whose activations are of a few snippets at a time.

What autograd would keep of such a layer (queries, keys, values, hidden units) is far wider than its input and output;
what its own bookkeeping of chunks would copy (a batch joined from parts, gradients joined from parts, the gradient of
the statistics beside them) is as large again. Here input, output and their two gradients are all that there is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Inner = Callable[[Tensor, Tensor], Tensor]


def normed_in_chunks(
    inner: Inner,
    scale_and_shift: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]],
    affine: tuple[Tensor, Tensor],
    eps: float,
    parameters: Sequence[Tensor],
    x: Tensor,
    chunk: int,
) -> Tensor:
    """inner(x, batch norm of x) of x (n, ..., C) in batches of `chunk` snippets, each computed once more for the
    gradient; the same as in one piece up to the order of sums.

    inner: row by row along the first axis, without anything random. scale_and_shift(mean, variance, count): as of
    `ChannelNorm`, from statistics (C,) of count tokens. affine, eps: weight and bias of that norm, and its epsilon.
    parameters: those of `inner`. The result cannot be differentiated twice.
    """
    return _NormedInChunks.apply(inner, scale_and_shift, eps, chunk, x, *affine, *parameters)


class _NormedInChunks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inner: Inner,
        scale_and_shift: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]],
        eps: float,
        chunk: int,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        kind = x.device.type
        ctx.inner, ctx.eps, ctx.chunk = inner, eps, chunk
        ctx.autocast = {
            "device_type": kind,
            "dtype": torch.get_autocast_dtype(kind),
            "enabled": torch.is_autocast_enabled(kind),
            "cache_enabled": False,  # a weight cast without gradient must not be met again where one is wanted
        }
        tokens = x if x.dtype in (torch.float32, torch.float64) else x.float()  # half precision counts too coarsely
        variance, mean = torch.var_mean(tokens, dim=tuple(range(x.ndim - 1)), correction=0)
        scale, shift = scale_and_shift(mean, variance, x.numel() // x.shape[-1])
        ctx.save_for_backward(x, weight, mean, variance, scale, shift, *parameters)
        out: Any = None  # made when the first part tells its shape
        with torch.autocast(**ctx.autocast):
            for start in range(0, len(x), chunk):
                part = x[start : start + chunk]
                told = inner(part, torch.addcmul(shift, part, scale))
                if out is None:
                    out = told.new_empty(len(x), *told.shape[1:])
                out[start : start + chunk] = told
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, scale, shift, *parameters = ctx.saved_tensors
        wanted = [p for p, needed in zip(parameters, ctx.needs_input_grad[7:], strict=True) if needed]
        downstream = torch.empty_like(x)
        sums = [torch.zeros_like(leaf) for leaf in (scale, shift, *wanted)]
        scale, shift = (leaf.detach().requires_grad_() for leaf in (scale, shift))
        for start in range(0, len(x), ctx.chunk):
            rows = slice(start, start + ctx.chunk)
            with torch.enable_grad(), torch.autocast(**ctx.autocast):
                part = x[rows].detach().requires_grad_()
                told = ctx.inner(part, torch.addcmul(shift, part, scale))
            downstream[rows], *more = torch.autograd.grad(told, (part, scale, shift, *wanted), upstream[rows])
            for total, value in zip(sums, more, strict=True):
                total += value
        # shift = bias - mean * scale and scale = weight * rsqrt(variance + eps), where mean and variance are of x.
        of_scale, of_shift, *of_parameters = sums
        of_scale = of_scale - mean * of_shift
        rate = torch.rsqrt(variance + ctx.eps)
        count = x.numel() // x.shape[-1]
        slope = of_scale * weight * rate**3 / -count
        offset = -(of_shift * weight * rate) / count - slope * mean
        for start in range(0, len(x), ctx.chunk):
            rows = slice(start, start + ctx.chunk)
            downstream[rows].addcmul_(x[rows], slope).add_(offset)
        found = iter(of_parameters)
        rest = [next(found) if needed else None for needed in ctx.needs_input_grad[7:]]
        return None, None, None, None, downstream, of_scale * rate, of_shift, *rest
