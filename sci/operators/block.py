"""A whole FNO block as one (forward, vjp) pair, and multi-layer perceptrons over the channels.

Between two Fourier transforms everything in a block is pointwise in space, and what would be a dozen arrays of the size
of the field is made in registers or in the cache, and again in the derivative. Kept are the field before the first
GELU, the slope of the second, and the truncated spectrum.
"""

from __future__ import annotations

from typing import Any

from sci.backend import Array, namespace
from sci.nn import gelu_value
from sci.operators.convolution import spectral_convolution, spectral_convolution_vjp
from sci.operators.pointwise import BlockSpec, mlp_tile_vjp, pointwise, pointwise_vjp, tiles

__all__ = ["BlockSpec", "block", "block_vjp", "channel_mlp", "channel_mlp_vjp"]


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:2], -1)


def channel_mlp(x: Array, w0: Array, b0: Array, w1: Array, b1: Array) -> tuple[Array, Any]:
    """Return w1 gelu(w0 x + b0) + b1 over the channels of `x` (batch, channel, *grid).

    Parameters
    ----------
    x : (batch, in, *grid) array
    w0, b0 : (hidden, in), (hidden,) arrays
    w1, b1 : (out, hidden), (out,) arrays

    Notes
    -----
    Kept for the derivative: `x` alone; the hidden layer is made again.
    """
    xp = namespace(x, w0)
    out = xp.empty((x.shape[0], w1.shape[0], *x.shape[2:]), x.dtype)
    source, target = _flat(x), _flat(out)
    for tile in tiles(source):
        hidden = xp.matmul(w0, source[tile])
        hidden += b0[:, None]
        product = xp.matmul(w1, gelu_value(hidden))
        product += b1[:, None]
        target[tile] = product
    return out, (x, w0, b0, w1, b1)


def channel_mlp_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `channel_mlp`."""
    x, w0, b0, w1, b1 = residuals
    xp = namespace(dout)
    dx = xp.empty(x.shape, x.dtype)
    sums = [xp.zeros_like(p) for p in (w0, b0, w1, b1)]
    source, into, grad = _flat(x), _flat(dx), _flat(dout)
    for tile in tiles(source):
        into[tile] = mlp_tile_vjp(source[tile], grad[tile], (w0, b0, w1), sums)
    return (dx, *sums)


def block(x: Array, *arrays: Array, spec: BlockSpec, keep: bool = True) -> tuple[Array, Any]:
    """Return gelu(MLP(gelu(v)) + gate x), v = K x + bias + A x, K the spectral convolution.

    Parameters
    ----------
    x : (batch, channel, *grid) array
    *arrays
        In the order of `spec.names`.
    spec : BlockSpec
    keep : bool
        False where no derivative will be asked for.

    Notes
    -----
    Of the size of the field, v and the slope of the last GELU are kept, and the input.
    """
    p = dict(zip(spec.names, arrays))
    weights = [p[name] for name in spec.weights]
    v, spectral = spectral_convolution(x, p["bias"], *weights, names=spec.weights, form=spec.form, layer=spec.layer)
    before = _flat(v)
    out, slope = pointwise(_flat(x), before, p, spec, keep)
    return out.reshape(v.shape), (x, before, slope, spectral, p, spec) if keep else None


def block_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `block`."""
    x, v, slope, spectral, p, spec = residuals
    dv, dx, sums = pointwise_vjp(_flat(dout), _flat(x), v, slope, p, spec)
    through_spectrum, dbias, *dweights = spectral_convolution_vjp(dv.reshape(dout.shape), spectral)
    through_spectrum += dx.reshape(x.shape)
    sums.update({"bias": dbias, **dict(zip(spec.weights, dweights))})
    return (through_spectrum, *(sums[name] for name in spec.names))
