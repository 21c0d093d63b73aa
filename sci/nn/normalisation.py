"""Layer, group, instance and root-mean-square normalisation as pairs for the tape."""

from __future__ import annotations

from typing import Any

from sci.backend import Array, namespace
from sci.errors import ShapeError

__all__ = [
    "group_norm",
    "group_norm_vjp",
    "instance_norm",
    "instance_norm_vjp",
    "layer_norm",
    "layer_norm_vjp",
    "rms_norm",
    "rms_norm_vjp",
]


def _row_dots(a: Array, b: Array) -> Array:
    """Return the inner products of the rows along the last axis, which stays with length 1; no temporary array."""
    return namespace(a, b).einsum("...i,...i->...", a, b)[..., None]


def _standardise(x: Array, eps: float) -> tuple[Array, Array]:
    """Return (x - mean) / sqrt(var + eps) over the last axis, and the inverse root."""
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse = 1 / namespace(x).sqrt(_row_dots(centred, centred) / x.shape[-1] + eps)
    centred *= inverse
    return centred, inverse


def _standardise_vjp(dout: Array, unit: Array, inverse: Array) -> Array:
    gradient = unit * (_row_dots(dout, unit) / -unit.shape[-1])
    gradient += dout
    gradient -= dout.mean(axis=-1, keepdims=True)
    gradient *= inverse
    return gradient


def layer_norm(x: Array, weight: Array, bias: Array, *, eps: float = 1e-5) -> tuple[Array, Any]:
    """Return w (x - mean) / sqrt(var + eps) + b over the last axis: `x` (..., n), `weight` and `bias` (n,)."""
    unit, inverse = _standardise(x, eps)
    out = unit * weight
    out += bias
    return out, (unit, inverse, weight)


def layer_norm_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array]:
    """Return the gradients of `layer_norm`."""
    unit, inverse, weight = residuals
    rows = dout.reshape(-1, dout.shape[-1])
    dweight = namespace(rows).einsum("ri,ri->i", rows, unit.reshape(rows.shape))
    return _standardise_vjp(dout * weight, unit, inverse), dweight, rows.sum(axis=0)


def rms_norm(x: Array, weight: Array, *, eps: float = 1e-6) -> tuple[Array, Any]:
    """Return w x / sqrt(mean(x^2) + eps) over the last axis: `x` (..., n), `weight` (n,)."""
    inverse = 1 / namespace(x).sqrt(_row_dots(x, x) / x.shape[-1] + eps)
    unit = x * inverse
    return unit * weight, (unit, inverse, weight)


def rms_norm_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `rms_norm`."""
    unit, inverse, weight = residuals
    dunit = dout * weight
    dx = unit * (_row_dots(dunit, unit) / -unit.shape[-1])
    dx += dunit
    dx *= inverse
    rows = dout.reshape(-1, dout.shape[-1])
    return dx, namespace(rows).einsum("ri,ri->i", rows, unit.reshape(rows.shape))


def group_norm(x: Array, weight: Array, bias: Array, *, groups: int = 1, eps: float = 1e-5) -> tuple[Array, Any]:
    """Normalise over the grid and the channels of a group.

    Parameters
    ----------
    x : (batch, channel, *grid) array
    weight, bias : (channel,) arrays
    groups : int
        Divides the channels; 1 is a layer norm over channels and grid.
    eps : float

    Raises
    ------
    ShapeError
        If `groups` does not divide the channels.
    """
    batch, channels = x.shape[:2]
    if groups < 1 or channels % groups:
        raise ShapeError(f"group_norm of {channels} channels in {groups} groups; expected a divisor")
    unit, inverse = _standardise(x.reshape(batch, groups, -1), eps)
    per_channel = unit.reshape(batch, channels, -1)
    out = per_channel * weight[:, None]
    out += bias[:, None]
    return out.reshape(x.shape), (unit, inverse, weight, x.shape)


def group_norm_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array]:
    """Return the gradients of `group_norm`."""
    unit, inverse, weight, shape = residuals
    rows = dout.reshape(shape[0], shape[1], -1)
    dweight = _row_dots(rows, unit.reshape(rows.shape)).sum(axis=0)[:, 0]
    dx = _standardise_vjp((rows * weight[:, None]).reshape(unit.shape), unit, inverse)
    return dx.reshape(shape), dweight, rows.sum(axis=2).sum(axis=0)


def instance_norm(x: Array, *, eps: float = 1e-5) -> tuple[Array, Any]:
    """Normalise every channel of every sample over the grid; no parameters: `x` (batch, channel, *grid)."""
    unit, inverse = _standardise(x.reshape(*x.shape[:2], -1), eps)
    return unit.reshape(x.shape), (unit, inverse)


def instance_norm_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `instance_norm`."""
    unit, inverse = residuals
    return (_standardise_vjp(dout.reshape(unit.shape), unit, inverse).reshape(dout.shape),)
