"""A whole FNO block as one (forward, vjp) pair, and multi-layer perceptrons over the channels, both in tiles.

Between two Fourier transforms everything in a block is pointwise in space. On the CPU it runs over tiles of points that
stay in the cache, and what would be a dozen arrays of the size of the field is made again tile by tile in the
derivative. Kept are the field before the first GELU, the slope of the second, and the truncated spectrum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sci.backend import Array, is_device_array, namespace
from sci.nn import gelu, gelu_value
from sci.operators.convolution import spectral_convolution, spectral_convolution_vjp
from sci.operators.weights import WeightFormat

__all__ = ["BlockSpec", "block", "block_vjp", "channel_mlp", "channel_mlp_vjp", "tiles"]

TILE_POINTS = 4096
"""Points of a tile: 32 channels of float32 are half a MiB, and a call of a kernel is small beside the work on them."""


def tiles(x: Array) -> Iterator[tuple[slice, slice, slice]]:
    """Yield the tiles of a field (batch, channel, points): all of it on a device; on the CPU a piece of a sample, or a few."""
    whole = slice(None)
    if is_device_array(x):
        yield whole, whole, whole
        return
    pieces, together = -(-x.shape[2] // TILE_POINTS), max(1, TILE_POINTS // x.shape[2])
    width = -(-x.shape[2] // pieces)
    for sample in range(0, x.shape[0], together):
        for start in range(0, x.shape[2], width):
            yield slice(sample, sample + together), whole, slice(start, start + width)


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:2], -1)


def _outer(a: Array, b: Array) -> Array:
    """sum over samples and points of a (s, m, p) b (s, n, p): (m, n)."""
    products = namespace(a, b).matmul(a, b.transpose(0, 2, 1))
    return products[0] if len(products) == 1 else products.sum(axis=0)


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
        dtile = _mlp_tile_vjp(source[tile], grad[tile], (w0, b0, w1), sums)
        into[tile] = dtile
    return (dx, *sums)


def _mlp_tile_vjp(x: Array, dout: Array, weights: tuple[Array, Array, Array], sums: list[Array]) -> Array:
    """Return dx of a tile and add the gradients of the parameters to `sums`."""
    w0, b0, w1 = weights
    xp = namespace(x)
    hidden = xp.matmul(w0, x)
    hidden += b0[:, None]
    value, slope = gelu(hidden)
    sums[2] += _outer(dout, value)
    sums[3] += dout.sum(axis=(0, 2))
    slope *= xp.matmul(w1.T, dout)
    sums[0] += _outer(slope, x)
    sums[1] += slope.sum(axis=(0, 2))
    return xp.matmul(w0.T, slope)


@dataclass(frozen=True)
class BlockSpec:
    """What a block without normalisation is made of.

    Parameters
    ----------
    form : WeightFormat
        Of the spectral weights.
    names : tuple of str
        The arrays that the pair takes after the field: "bias", the weights, "skip" (linear or soft-gating),
        "mlp_0", "mlp_0_bias", "mlp_1", "mlp_1_bias", and "gate" (linear or soft-gating).
    layer : int
        Row of joint weights.
    fno_skip, mlp_skip : "linear", "soft-gating", "identity" or None
    activate : bool
        GELU after each half; not in the last block.
    """

    form: WeightFormat
    names: tuple[str, ...]
    layer: int
    fno_skip: str | None
    mlp_skip: str | None
    activate: bool

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the spectral weights."""
        return tuple(self.form.shapes())


def _skip(x: Array, kind: str | None, weight: Array | None) -> Array | None:
    if kind == "linear":
        return namespace(x).matmul(weight, x)
    if kind == "soft-gating" and weight is not None:
        return x * weight[:, None]
    return x if kind == "identity" else None


def _skip_vjp(x: Array, dout: Array, kind: str | None, weight: Array | None, total: Array | None) -> Array | None:
    """Return the gradient of `x` and add that of the weight to `total`."""
    if kind == "linear" and weight is not None:
        total += _outer(dout, x)
        return namespace(x).matmul(weight.T, dout)
    if kind == "soft-gating" and weight is not None:
        total += (x * dout).sum(axis=(0, 2))
        return dout * weight[:, None]
    return dout if kind == "identity" else None


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
    xp = namespace(x)
    source, before = _flat(x), _flat(v)
    out = xp.empty_like(before) if keep else before
    slope = xp.empty_like(before) if keep and spec.activate else None
    for tile in tiles(source):
        xt, vt = source[tile], before[tile]
        skip = _skip(xt, spec.fno_skip, p.get("skip"))
        if skip is not None:
            vt += skip
        hidden = xp.matmul(p["mlp_0"], gelu_value(vt) if spec.activate else vt)
        hidden += p["mlp_0_bias"][:, None]
        m = xp.matmul(p["mlp_1"], gelu_value(hidden))
        m += p["mlp_1_bias"][:, None]
        skip = _skip(xt, spec.mlp_skip, p.get("gate"))
        if skip is not None:
            m += skip
        if slope is not None:
            out[tile], slope[tile] = gelu(m)
        else:
            out[tile] = gelu_value(m) if spec.activate else m
    return out.reshape(v.shape), (x, v, slope, spectral, p, spec) if keep else None


def block_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `block`."""
    x, v, slope, spectral, p, spec = residuals
    xp = namespace(dout)
    dv, dx = xp.empty(v.shape, v.dtype), xp.empty(x.shape, x.dtype)
    sums = {name: xp.zeros_like(p[name]) for name in spec.names if name not in (*spec.weights, "bias")}
    mlp = [sums[name] for name in ("mlp_0", "mlp_0_bias", "mlp_1", "mlp_1_bias")]
    source, before, grad, into, into_v = (_flat(a) for a in (x, v, dout, dx, dv))
    for tile in tiles(source):
        xt, dm = source[tile], grad[tile]
        dm = dm * slope[tile] if slope is not None else dm
        value, first = gelu(before[tile]) if spec.activate else (before[tile], None)
        da = _mlp_tile_vjp(value, dm, (p["mlp_0"], p["mlp_0_bias"], p["mlp_1"]), mlp)
        if first is not None:
            da *= first
        into_v[tile] = da
        through_v = _skip_vjp(xt, da, spec.fno_skip, p.get("skip"), sums.get("skip"))
        through_gate = _skip_vjp(xt, dm, spec.mlp_skip, p.get("gate"), sums.get("gate"))
        parts = [part for part in (through_v, through_gate) if part is not None]
        into[tile] = parts[0] + parts[1] if len(parts) == 2 else (parts[0] if parts else 0)
    through_spectrum, dbias, *dweights = spectral_convolution_vjp(dv, spectral)
    dx += through_spectrum
    sums.update({"bias": dbias, **dict(zip(spec.weights, dweights))})
    return (dx, *(sums[name] for name in spec.names))
