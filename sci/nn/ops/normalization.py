"""Layer, group, instance and root-mean-square normalization as ops."""

from __future__ import annotations

import math
from typing import Any

from sci.backend import Array, is_device_array, namespace
from sci.errors import ShapeError
from sci.kernels import get_kernel, launch, use_compiled
from sci.nn.core.dual import sum_of
from sci.nn.core.op import op
from sci.nn.core.tape import value_of
from sci.nn.ops.checks import require_single_or_double
from sci.nn.ops.norm_references import scales, shifted
from sci.nn.ops.reductions import Axes, mean
from sci.nn.ops.shaping import reshape

__all__ = [
    "group_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
]


_ROWS_PER_BLOCK = {"host": 16, "device": 2}


def _check(x: Array, name: str, ndim: int, shape: tuple[int, ...], *vectors: Array) -> None:
    """Check the dtype of `x`, its least number of axes, and the shape of the weights."""
    require_single_or_double(x, name)
    if x.ndim < ndim or any(v.shape != shape for v in vectors):
        shapes = " and ".join(str(tuple(v.shape)) for v in vectors) or "none"
        raise ShapeError(
            f"{name} of shape {tuple(x.shape)} with weights {shapes}; expected {ndim} axes or more, and weights {shape}"
        )


def _rows(x: Array, count: int) -> Array:
    """Return `x` as `count` rows, of what length it may be; an empty array has no length that NumPy could infer."""
    return x.reshape(count, x.size // count if count else max(1, x.shape[-1]))


def row_blocks(x: Array) -> int:
    """Return the blocks of a launch over the rows of `x`."""
    return -(-len(x) // _ROWS_PER_BLOCK["device" if is_device_array(x) else "host"])


def standardize(x: Array, eps: float, centered: bool = True) -> tuple[Array, Array]:
    """Return unit = (x - mean) / sqrt(var + eps) in every row of `x` (rows, n), and the inverse roots (rows,).

    Without `centered` the rows are not shifted: the mean counts as zero.
    """
    require_single_or_double(x, "a norm")
    if x.shape[-1] == 0:
        raise ShapeError(f"a norm over the last axis of shape {tuple(x.shape)}; expected one entry or more")
    kernel = get_kernel("nn/norms.cu", "standardize", x.dtype, centered)
    if not use_compiled(kernel, x):
        return standardize_reference(x, eps, centered)
    xp = namespace(x)
    unit, inverse = xp.empty(x.shape, x.dtype), xp.empty(len(x), x.dtype)
    launch(kernel, row_blocks(x), xp.ascontiguousarray(x), unit, inverse, *x.shape, eps)
    return unit, inverse


def standardize_reference(x: Array, eps: float, centered: bool) -> tuple[Array, Array]:
    """Reference of the kernel `standardize`, in array calls."""
    mean, inverse = scales(x, eps, centered)
    return (shifted(x, mean) if centered else x) * inverse[:, None], inverse


def standardize_vjp(dout: Array, unit: Array, inverse: Array, centered: bool = True) -> Array:
    """Return the gradient of `standardize` for x."""
    kernel = get_kernel("nn/norms.cu", "standardize_vjp", unit.dtype, centered)
    if not use_compiled(kernel, unit):
        return standardize_vjp_reference(dout, unit, inverse, centered)
    xp = namespace(unit)
    dx = xp.empty(unit.shape, unit.dtype)
    launch(kernel, row_blocks(unit), xp.ascontiguousarray(dout), unit, inverse, dx, *unit.shape)
    return dx


def standardize_vjp_reference(dout: Array, unit: Array, inverse: Array, centered: bool) -> Array:
    """Reference of the kernel `standardize_vjp`, in array calls."""
    along = (dout * unit).mean(axis=1, keepdims=True)
    gradient = dout - unit * along
    if centered:
        gradient -= dout.mean(axis=1, keepdims=True)
    return gradient * inverse[:, None]


def _power(x: Array, axes: Axes) -> Array:
    """Return powers of two, at most 1, that bring the entries of `x` over the axes to 1 or below."""
    xp = namespace(x)
    exponents = xp.frexp(xp.abs(x).max(axis=axes, keepdims=True))[1]
    return xp.ldexp(xp.ones_like(exponents, dtype=x.dtype), -xp.maximum(exponents, 0))


def _unit(x: Any, axes: Axes, eps: float, tangent: Any, centered: bool = True) -> tuple[Any, Any]:
    """Return `standardize` over axes by ops, and its tangent; None for that of a constant."""
    scale = _power(value_of(x), axes)
    around = x * scale
    for _ in range(2 if centered else 0):  # the second time takes off what rounding left of a large mean
        around = around - mean(around, axis=axes, keepdims=True)
    inverse = (mean(around * around, axis=axes, keepdims=True) + scale * scale * eps) ** -0.5
    unit = around * inverse
    if tangent is None:
        return unit, None
    tangent = tangent * scale
    moved = tangent - mean(tangent, axis=axes, keepdims=True) if centered else tangent
    return unit, (moved - unit * mean(unit * moved, axis=axes, keepdims=True)) * inverse


def _weighted(unit: Any, of_unit: Any, weight: Any, of_weight: Any, of_bias: Any) -> Any:
    """Return the tangent of unit weight + bias, in the shape of `unit`."""
    terms = [
        None if of_unit is None else of_unit * weight,
        None if of_weight is None else unit * of_weight,
        None if of_bias is None else unit * 0.0 + of_bias,
    ]
    return sum_of(terms)


def _layer_norm_jvp(out: Any, args: Any, tangents: Any, *, eps: float = 1e-5) -> Any:
    return _weighted(*_unit(args[0], -1, eps, tangents[0]), args[1], *tangents[1:])


def _rms_norm_jvp(out: Any, args: Any, tangents: Any, *, eps: float = 1e-6) -> Any:
    return _weighted(*_unit(args[0], -1, eps, tangents[0], centered=False), args[1], tangents[1], None)


def _group_norm_jvp(out: Any, args: Any, tangents: Any, *, groups: int = 1, eps: float = 1e-5) -> Any:
    shape = tuple(out.shape)
    grouped = [None if a is None else reshape(a, shape=(shape[0], groups, -1)) for a in (args[0], tangents[0])]
    parts = [None if a is None else reshape(a, shape=shape) for a in _unit(grouped[0], -1, eps, grouped[1])]
    channel = (-1, *(1,) * (len(shape) - 2))
    vectors = [None if a is None else reshape(a, shape=channel) for a in (args[1], *tangents[1:])]
    return _weighted(*parts, *vectors)


def _instance_norm_jvp(out: Any, args: Any, tangents: Any, *, eps: float = 1e-5) -> Any:
    return _unit(args[0], tuple(range(2, out.ndim)), eps, tangents[0])[1]


def _layer_norm_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array]:
    """Return the gradients of `layer_norm`."""
    unit, inverse, weight = residuals
    rows = dout.reshape(unit.shape)
    dweight = namespace(rows).einsum("ri,ri->i", rows, unit)
    return standardize_vjp(rows * weight, unit, inverse).reshape(dout.shape), dweight, rows.sum(axis=0)


@op(vjp=_layer_norm_vjp, jvp=_layer_norm_jvp)
def layer_norm(x: Array, weight: Array, bias: Array, *, eps: float = 1e-5) -> tuple[Array, Any]:
    """Return w (x - mean) / sqrt(var + eps) + b over the last axis: `x` (..., n), `weight` and `bias` (n,).

    Parameters
    ----------
    x : (..., n) array
        What is normalized.
    weight : (n,) array
        Factors.
    bias : (n,) array
        Summands.
    eps : float
        Added to the variance.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import layer_norm
    >>> layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=0.0)
    array([[-1.,  1.]])
    """
    _check(x, "layer_norm", 1, x.shape[-1:], weight, bias)
    unit, inverse = standardize(_rows(x, math.prod(x.shape[:-1])), eps)
    out = unit * weight
    out += bias
    return out.reshape(x.shape), (unit, inverse, weight)


def _rms_norm_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `rms_norm`."""
    unit, inverse, weight = residuals
    rows = dout.reshape(unit.shape)
    dx = standardize_vjp(rows * weight, unit, inverse, centered=False)
    return dx.reshape(dout.shape), namespace(rows).einsum("ri,ri->i", rows, unit)


@op(vjp=_rms_norm_vjp, jvp=_rms_norm_jvp)
def rms_norm(x: Array, weight: Array, *, eps: float = 1e-6) -> tuple[Array, Any]:
    """Return w x / sqrt(mean(x^2) + eps) over the last axis: `x` (..., n), `weight` (n,).

    Parameters
    ----------
    x : (..., n) array
        What is normalized.
    weight : (n,) array
        Factors.
    eps : float
        Added to the mean square.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import rms_norm
    >>> rms_norm(np.array([[3.0, 3.0]]), np.ones(2), eps=0.0)
    array([[1., 1.]])
    """
    _check(x, "rms_norm", 1, x.shape[-1:], weight)
    unit, inverse = standardize(_rows(x, math.prod(x.shape[:-1])), eps, centered=False)
    return (unit * weight).reshape(x.shape), (unit, inverse, weight)


def _group_norm_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array]:
    """Return the gradients of `group_norm`."""
    unit, inverse, weight, shape = residuals
    rows = dout.reshape(shape[0], shape[1], math.prod(shape[2:]))
    dweight = namespace(rows).einsum("bck,bck->c", rows, unit.reshape(rows.shape))
    dx = standardize_vjp((rows * weight[:, None]).reshape(unit.shape), unit, inverse)
    return dx.reshape(shape), dweight, rows.sum(axis=2).sum(axis=0)


@op(vjp=_group_norm_vjp, jvp=_group_norm_jvp)
def group_norm(x: Array, weight: Array, bias: Array, *, groups: int = 1, eps: float = 1e-5) -> tuple[Array, Any]:
    """Normalize over the grid and the channels of a group.

    Parameters
    ----------
    x : (batch, channel, *grid) array
    weight, bias : (channel,) arrays
    groups : int
        Divides the channels; 1 is a layer norm over channels and grid.
    eps : float

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError
        Also if `groups` does not divide the channels.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import group_norm
    >>> x = np.array([[[1.0, 3.0], [5.0, 9.0]]])
    >>> group_norm(x, np.ones(2), np.zeros(2), groups=2, eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    _check(x, "group_norm", 2, x.shape[1:2], weight, bias)
    batch, channels = x.shape[:2]
    if groups < 1 or channels % groups:
        raise ShapeError(f"group_norm of {channels} channels in {groups} groups; expected a divisor")
    unit, inverse = standardize(_rows(x, batch * groups), eps)
    per_channel = unit.reshape(batch, channels, math.prod(x.shape[2:]))
    out = per_channel * weight[:, None]
    out += bias[:, None]
    return out.reshape(x.shape), (unit, inverse, weight, x.shape)


def _instance_norm_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `instance_norm`."""
    unit, inverse = residuals
    return (standardize_vjp(dout.reshape(unit.shape), unit, inverse).reshape(dout.shape),)


@op(vjp=_instance_norm_vjp, jvp=_instance_norm_jvp)
def instance_norm(x: Array, *, eps: float = 1e-5) -> tuple[Array, Any]:
    """Normalize every channel of every sample over the grid; no parameters: `x` (batch, channel, *grid).

    Parameters
    ----------
    x : (batch, channel, *grid) array
        The fields.
    eps : float
        Added to the variance.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import instance_norm
    >>> instance_norm(np.array([[[1.0, 3.0]]]), eps=0.0)
    array([[[-1.,  1.]]])
    """
    _check(x, "instance_norm", 2, ())
    unit, inverse = standardize(_rows(x, x.shape[0] * x.shape[1]), eps)
    return unit.reshape(x.shape), (unit, inverse)
