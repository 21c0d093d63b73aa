"""Pieces of fields, and the pointwise layers on one piece: perceptrons over the channels and skips.

The array formulation of what the kernels of `kernels/nn/fno_block.cu` do: a tile stays in the cache from call to call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sci.backend import Array, is_device_array, namespace
from sci.nn import channel_scale, gelu, pointwise_conv
from sci.nn.ops.products import outer_sum

__all__ = ["TILE_POINTS", "perceptron_tile", "perceptron_tile_vjp", "skip", "skip_vjp", "tiles"]

TILE_POINTS = 4096
"""Points of a tile: 32 channels of float32 are half a MiB, and a call of a kernel is small beside the work on them."""


def tiles(x: Array) -> Iterator[tuple[slice, slice, slice]]:
    """Yield the tiles of a field (batch, channel, points): all of it on a device; on the CPU a few thousand points."""
    whole = slice(None)
    if is_device_array(x):
        yield whole, whole, whole
        return
    pieces, together = -(-x.shape[2] // TILE_POINTS), max(1, TILE_POINTS // x.shape[2])
    width = -(-x.shape[2] // pieces)
    for sample in range(0, x.shape[0], together):
        for start in range(0, x.shape[2], width):
            yield slice(sample, sample + together), whole, slice(start, start + width)


def perceptron_tile(x: Array, w0: Array, b0: Array, w1: Array, b1: Array) -> Array:
    """Return w1 gelu(w0 x + b0) + b1 of a tile (batch, channel, points)."""
    out: Array = pointwise_conv(gelu(pointwise_conv(x, w0, b0)), w1, b1)
    return out


def perceptron_tile_vjp(x: Array, dout: Array, weights: tuple[Array, Array, Array], sums: list[Array]) -> Array:
    """Return dx of w1 gelu(w0 x + b0) + b1 and add the gradients of w0, b0, w1, b1 to `sums`."""
    w0, b0, w1 = weights
    xp = namespace(x)
    hidden = xp.matmul(w0, x)
    hidden += b0[:, None]
    value, slope = gelu.forward(hidden)
    sums[2] += outer_sum(dout, value)
    sums[3] += dout.sum(axis=(0, 2))
    slope *= xp.matmul(w1.T, dout)
    sums[0] += outer_sum(slope, x)
    sums[1] += slope.sum(axis=(0, 2))
    return xp.matmul(w0.T, slope)


def skip(x: Any, kind: str, weight: Any) -> Any:
    """Return the skip connection of a field, arrays or variables: "linear", "soft-gating" or "identity"."""
    if kind == "linear":
        return pointwise_conv(x, weight)
    return channel_scale(x, weight) if kind == "soft-gating" else x


def skip_vjp(x: Array, dout: Array, kind: str | None, weight: Array | None, total: Array | None) -> Array | None:
    """Return the gradient of `x` through `skip`, None without one; add that of the weight to `total`."""
    if kind == "linear" and weight is not None:
        total += outer_sum(dout, x)
        return namespace(x).matmul(weight.T, dout)
    if kind == "soft-gating" and weight is not None:
        total += (x * dout).sum(axis=(0, 2))
        return dout * weight[:, None]
    return dout if kind == "identity" else None
