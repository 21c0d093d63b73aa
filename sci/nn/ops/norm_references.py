"""References of the kernels that fuse a norm with its activation, in array calls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import Array, namespace

__all__: list[str] = []


def row_moments(x: Array) -> tuple[Array, Array]:
    """Return mean and variance of every row of `x` (rows, n), float64."""
    mean, root = row_roots(x)
    with np.errstate(over="ignore"):  # the caller refuses it by name
        return mean, root * root


def row_roots(x: Array, centered: bool = True) -> tuple[Array, Array]:
    """Return mean and root of the variance of every row of `x` (rows, n), float64; of mean 0 unless `centered`."""
    xp = namespace(x)
    top = xp.abs(x).max(axis=1, keepdims=True)
    scale = xp.ldexp(1.0, xp.clip(-xp.frexp(xp.where(top > 0, top, 1).astype(np.float64))[1], -1000, 1000))
    units = x * scale
    mean = units.mean(axis=1, keepdims=True) if centered else xp.zeros_like(scale)
    root = xp.sqrt(((units - mean) ** 2).mean(axis=1, keepdims=True))
    return (mean / scale)[:, 0], (root / scale)[:, 0]


def shifted(x: Array, mean: Array) -> Array:
    """Return x - mean for a mean (rows,) in float64: rounding it first would lose digits next to a large mean."""
    high = mean.astype(x.dtype)
    return (x - high[:, None]) - (mean - high).astype(x.dtype)[:, None]


def scales(x: Array, eps: float, centered: bool = True) -> tuple[Array, Array]:
    """Return mean (rows,) in float64 and inverse root of the variance (rows,) in the dtype of `x`."""
    mean, root = row_roots(x, centered)
    return mean, (1 / namespace(x).hypot(root, math.sqrt(eps))).astype(x.dtype)


def _wide(vector: Array, x: Array, members: int) -> Array:
    """Return one number a channel as (groups, members, 1), repeated for the samples of `x`."""
    groups = len(vector) // members
    return namespace(x, vector).tile(vector.reshape(groups, members), (len(x) // groups, 1))[:, :, None]


def _split(x: Array, members: int) -> Array:
    return x.reshape(len(x), members, x.shape[1] // members)


def norm_relu(
    x: Array, added: Array | None, weight: Array, bias: Array, members: int, slope: float, eps: float
) -> tuple[Array, Array, Array]:
    """Reference of the kernel `norm_relu`."""
    xp, (mean, inverse) = namespace(x, weight), scales(x, eps)
    unit = _split(shifted(x, mean) * inverse[:, None], members)
    value = (unit * _wide(weight, x, members) + _wide(bias, x, members)).reshape(x.shape)
    value = value if added is None else value + added
    return xp.where(value > 0, value, x.dtype.type(slope) * value), mean, inverse


def norm_relu_vjp(
    d: Array, x: Array, y: Array, weight: Array, mean: Array, inverse: Array, members: int, slope: float
) -> tuple[Array, ...]:
    """Reference of the kernel `norm_relu_vjp`."""
    xp = namespace(x, d)
    slanted = xp.where(y > 0, d, x.dtype.type(slope) * d)
    unit, parts = shifted(x, mean) * inverse[:, None], _split(slanted, members)
    weighted = (parts * _wide(weight, x, members)).reshape(x.shape)
    along = (weighted * unit).mean(axis=1, keepdims=True)
    dx = (weighted - weighted.mean(axis=1, keepdims=True) - unit * along) * inverse[:, None]
    return dx, slanted, (parts * _split(unit, members)).sum(axis=2), parts.sum(axis=2)


def _sigmoid(x: Array) -> Array:
    xp = namespace(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x < 0, small, 1) / (1 + small)


def evonorm_s0(
    x: Array, gate: Array, weight: Array, bias: Array, members: int, eps: float
) -> tuple[Array, Array, Array]:
    """Reference of the kernel `evonorm_s0`."""
    mean, inverse = scales(x, eps)
    parts = _split(x, members)
    gated = parts * _sigmoid(parts * _wide(gate, x, members)) * inverse[:, None, None]
    return (gated * _wide(weight, x, members) + _wide(bias, x, members)).reshape(x.shape), mean, inverse


def evonorm_s0_vjp(
    d: Array, x: Array, gate: Array, weight: Array, mean: Array, inverse: Array, members: int
) -> tuple[Array, ...]:
    """Reference of the kernel `evonorm_s0_vjp`."""
    parts, dparts = _split(x, members), _split(d, members)
    slant, factor, scale = _wide(gate, x, members), _wide(weight, x, members), inverse[:, None, None]
    open_ = _sigmoid(parts * slant)
    gated = dparts * (parts * scale) * open_
    tilt = (gated * factor).sum(axis=(1, 2)) / x.shape[1]
    direct = dparts * factor * open_ * (1 + slant * parts * (1 - open_))
    unit = _split(shifted(x, mean), members) * scale
    dx = (direct - unit * tilt[:, None, None]) * scale
    dgate = (gated * (parts * _sigmoid(-parts * slant)) * factor).sum(axis=2)
    return dx.reshape(x.shape), dgate, gated.sum(axis=2), dparts.sum(axis=2)


def _arms(x: Array, batch: Array, own: Array, gate: Array) -> tuple[Any, Array, Array, Array]:
    """Return a function that repeats channels for rows, both arms of the maximum, and where the right is larger."""
    xp, samples = namespace(x, batch), len(x) // len(batch)

    def rows(vector: Array) -> Array:
        return xp.tile(vector, samples)[:, None]

    left, right = rows(batch), rows(gate) * x + own[:, None]
    return rows, left, right, right > left


def evonorm_b0(x: Array, batch: Array, own: Array, gate: Array, weight: Array, bias: Array) -> Array:
    """Reference of the kernel `evonorm_b0`."""
    rows, left, right, _ = _arms(x, batch, own, gate)
    return x / namespace(x).maximum(left, right) * rows(weight) + rows(bias)


def evonorm_b0_sums(d: Array, x: Array, batch: Array, own: Array, gate: Array) -> Array:
    """Reference of the kernel `evonorm_b0_sums`."""
    xp, (_, left, right, single) = namespace(x, d), _arms(x, batch, own, gate)
    inverse = 1 / xp.maximum(left, right)
    ratio = d * x * inverse
    fall = -ratio * inverse
    terms = (
        d,
        ratio,
        xp.where(single, 0, fall),
        xp.where(single, fall, 0),
        xp.where(single, -ratio * (x * inverse), 0),
    )
    return xp.stack([term.sum(axis=1, dtype=np.float64) for term in terms], axis=1)


def evonorm_b0_vjp(
    d: Array, x: Array, batch: Array, own: Array, gate: Array, weight: Array, mean: Array, tilt: Array, lift: Array
) -> Array:
    """Reference of the kernel `evonorm_b0_vjp`."""
    xp, (rows, left, right, single) = namespace(x, d), _arms(x, batch, own, gate)
    inverse = 1 / xp.maximum(left, right)
    direct = xp.where(single, own[:, None] * inverse * inverse, inverse)
    return d * rows(weight) * direct + (x - mean[:, None]) / own[:, None] * tilt[:, None] + lift[:, None]
