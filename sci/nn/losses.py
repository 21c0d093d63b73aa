"""Losses as ops: relative L2 and H1, mean squared difference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.dual import sum_of
from sci.nn.core.op import op
from sci.nn.fused_losses import fuses, refuse_zeros, relative_loss, relative_slope, relative_sums
from sci.nn.ops.reductions import mean

__all__ = [
    "checked_fields",
    "in_units",
    "mean_squared_error",
    "relative_h1",
    "relative_l2",
    "relative_ratio",
    "squared_norms",
]


def _mean_squared_error_vjp(dout: Array, difference: Array) -> tuple[Array, Array]:
    """Return the gradients of `mean_squared_error`."""
    gradient = difference * (2 * dout / difference.size)
    return gradient, -gradient


def _mean_squared_error_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return the mean of 2 (a - b) (da - db)."""
    if args[0].dtype.kind == "c":
        raise DTypeError("mean_squared_error of complex arrays has no complex derivative; expected real arrays")
    of_a, of_b = tangents
    moved = sum_of([of_a, None if of_b is None else -of_b])
    return mean((args[0] - args[1]) * moved) * 2.0


@op(vjp=_mean_squared_error_vjp, jvp=_mean_squared_error_jvp)
def mean_squared_error(a: Array, b: Array) -> tuple[Array, Any]:
    """Return the mean of |a - b|^2; `a` and `b` have one shape and dtype, and both may be variables.

    Parameters
    ----------
    a : array
        The prediction.
    b : array
        The target, of the same shape and dtype.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError
        Also for empty arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import mean_squared_error
    >>> float(mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    if a.shape != b.shape or a.size == 0:
        raise ShapeError(
            f"mean_squared_error of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected one shape with entries"
        )
    difference = a - b
    return (difference * difference.conj()).real.mean(), difference


def _squares(field: Array) -> Array:
    """Sum |u|^2 over the grid: (batch, channel)."""
    return (field * field.conj()).real.reshape(*field.shape[:2], math.prod(field.shape[2:])).sum(axis=2)


def _difference(u: Array, axis: int, periodic: bool) -> Array:
    """First derivative along `axis` of points 1/N apart: central, at ends one-sided of third order."""
    xp, n = namespace(u), u.shape[axis]
    if periodic:
        return (xp.roll(u, -1, axis) - xp.roll(u, 1, axis)) * (n / 2)
    v = xp.moveaxis(u, axis, -1)
    out = xp.empty_like(v)
    out[..., 1:-1] = (v[..., 2:] - v[..., :-2]) * (n / 2)
    out[..., 0] = (-11 * v[..., 0] + 18 * v[..., 1] - 9 * v[..., 2] + 2 * v[..., 3]) * (n / 6)
    out[..., -1] = (11 * v[..., -1] - 18 * v[..., -2] + 9 * v[..., -3] - 2 * v[..., -4]) * (n / 6)
    return xp.moveaxis(out, -1, axis)


def _difference_transposed(u: Array, axis: int, periodic: bool) -> Array:
    """The transpose of `_difference`."""
    xp, n = namespace(u), u.shape[axis]
    if periodic:
        return -_difference(u, axis, True)
    v = xp.moveaxis(u, axis, -1)
    out = xp.zeros_like(v)
    inner = v[..., 1:-1] * (n / 2)
    out[..., 2:] += inner
    out[..., :-2] -= inner
    for k, weight in enumerate((-11, 18, -9, 2)):
        out[..., k] += v[..., 0] * (weight * n / 6)
        out[..., -1 - k] -= v[..., -1] * (weight * n / 6)
    return xp.moveaxis(out, -1, axis)


def squared_norms(u: Array, *, periodic: bool | None = None) -> Array:
    """Return the sums (batch, channel) over the grid of |u|^2; with `periodic` those of |D_j u|^2 are added.

    Parameters
    ----------
    u : (batch, channel, *grid) array
    periodic : bool, optional
        As in `relative_h1`.
    """
    total = _squares(u)
    if periodic is not None:
        total = total + sum(_squares(_difference(u, axis, periodic)) for axis in range(2, u.ndim))
    return total


def checked_fields(prediction: Array, target: Array, reduction: str) -> float:
    """Return the factor of the reduction after checking the arguments."""
    if prediction.shape != target.shape or prediction.ndim < 3 or prediction.size == 0:
        raise ShapeError(
            f"a relative loss of {tuple(prediction.shape)} and {tuple(target.shape)}; expected one shape (batch, "
            "channel, *grid) with entries"
        )
    if reduction not in ("mean", "sum"):
        raise InvalidValueError(f"reduction is {reduction!r}; expected 'mean' or 'sum'")
    return 1 / prediction.shape[0] if reduction == "mean" else 1.0


def in_units(field: Array) -> tuple[Array, Array]:
    """Return `field` over a power of two near its largest value, and that power: (batch, channel).

    Squares of the result neither overflow nor vanish, and the division is exact.
    """
    xp = namespace(field)
    largest = xp.abs(field).reshape(*field.shape[:2], math.prod(field.shape[2:])).max(axis=2)
    limit = np.finfo(largest.dtype).maxexp - 3
    exponent = xp.clip(xp.frexp(largest)[1], -limit, limit)
    one = xp.ones_like(largest)
    inverse = xp.ldexp(one, -exponent).reshape(*largest.shape, *(1,) * (field.ndim - 2))
    return field * inverse, xp.ldexp(one, exponent)


def relative_ratio(
    errors: Array, scales: Array, factor: float, *, zero: Any = None, units: tuple[Array, Array] | None = None
) -> tuple[Array, Array]:
    """Return sum sqrt(errors / scales) times `factor` from squared norms (batch, channel), and its gradient's weights.

    Parameters
    ----------
    errors, scales : (batch, channel) arrays
        ||p - y||^2 and ||y||^2.
    factor : float
    zero : float or (batch, channel) array, optional
        Takes the place of ||y||^2 where that is 0.
    units : two (batch, channel) arrays, optional
        Units of p - y and of y, in which the squared norms are given; 1 unless given.

    Returns
    -------
    loss : scalar array
    weights : (batch, channel) array
        d loss / d p is `weights` times p - y in its unit; 0 where an error is 0.

    Raises
    ------
    InvalidValueError
        If a target is zero everywhere and `zero` is not given; the message names the sample and the channel.
    """
    xp = namespace(errors)
    empty = scales == 0
    if zero is None:
        refuse_zeros(empty.reshape(-1), scales.shape[1], _refuse_zero)
    error_unit, scale_unit = units or (xp.ones_like(errors), xp.ones_like(scales))
    if zero is not None:
        scales = xp.where(empty, zero, scales).astype(scales.dtype, copy=False)
        scale_unit = xp.where(empty, 1, scale_unit).astype(scales.dtype, copy=False)
    size, scale = xp.sqrt(errors), xp.sqrt(scales)
    # At a perfect prediction the norm has no gradient; zero is one of its subgradients.
    weights = factor / (xp.where(size > 0, size, np.inf) * scale) / scale_unit
    with np.errstate(over="ignore"):
        ratios = size / scale * (error_unit / scale_unit)
    return ratios.sum() * factor, weights.astype(errors.dtype, copy=False)


def _refuse_zero(sample: int, channel: int) -> None:
    raise InvalidValueError(
        f"a relative loss: the target of sample {sample}, channel {channel} is zero everywhere, so that it has no "
        "relative error; leave it out, or pass zero_scale, the size of values that counts as an error of 1"
    )


def _relative(
    prediction: Array, target: Array, factor: float, periodic: bool | None, zero_scale: float | None
) -> tuple[Array, Any]:
    """Return the loss, and the error in its units with the weights of the gradient."""
    (error, error_unit), (truth, truth_unit) = (in_units(u) for u in (prediction - target, target))
    squares = [squared_norms(u, periodic=periodic) for u in (error, truth)]
    zero = None if zero_scale is None else float(zero_scale) ** 2 * math.prod(target.shape[2:])
    loss, weights = relative_ratio(squares[0], squares[1], factor, zero=zero, units=(error_unit, truth_unit))
    return loss, (error, weights)


def _relative_l2_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient (p - y) / (||p - y|| ||y||)."""
    if len(residuals) == 3:
        prediction, target, of_rows = residuals
        return (relative_slope(prediction, target, of_rows, dout),)
    error, weights = residuals
    return (error * (dout * weights).reshape(*weights.shape, *(1,) * (error.ndim - 2)),)


@op(vjp=_relative_l2_vjp)
def relative_l2(
    prediction: Array, *, target: Array, reduction: str = "mean", zero_scale: float | None = None
) -> tuple[Array, Any]:
    """Return sum ||p - y|| / ||y|| over channels and samples, each norm over the grid.

    Parameters
    ----------
    prediction : (batch, channel, *grid) array
    target : the same; a constant
    reduction : "mean" or "sum"
        Over samples; channels are summed. The mean is what papers report.
    zero_scale : float, optional
        If a target is zero everywhere, the error is divided by the norm of a field of this root mean square: 1 for
        standardized data. Without it such a target is an error.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError
    InvalidValueError
        For a target that is zero everywhere, by sample and channel, unless `zero_scale` is given.

    Notes
    -----
    Free of units: the same number if prediction and target are multiplied by any factor, up to the ends of the range
    of their dtype.

    References
    ----------
    Li et al., arXiv:2010.08895, section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import relative_l2
    >>> y = 1e-200 * np.ones((1, 1, 8))
    >>> float(relative_l2(1.5 * y, target=y))
    0.5
    """
    factor = checked_fields(prediction, target, reduction)
    if not fuses(prediction, target):
        return _relative(prediction, target, factor, None, zero_scale)
    zero = None if zero_scale is None else float(zero_scale) ** 2 * math.prod(target.shape[2:])
    loss, weights, odd = relative_loss(relative_sums(prediction, target), factor, zero)
    if zero is None:
        refuse_zeros(odd, target.shape[1], _refuse_zero)
    return loss, (prediction, target, weights)


def _relative_h1_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient (1 + sum_j D_j^T D_j)(p - y), divided by both norms."""
    error, weights, periodic = residuals
    total = error.copy()
    for axis in range(2, error.ndim):
        total += _difference_transposed(_difference(error, axis, periodic), axis, periodic)
    return (total * (dout * weights).reshape(*weights.shape, *(1,) * (error.ndim - 2)),)


@op(vjp=_relative_h1_vjp)
def relative_h1(
    prediction: Array,
    *,
    target: Array,
    periodic: bool = True,
    reduction: str = "mean",
    zero_scale: float | None = None,
) -> tuple[Array, Any]:
    """Return the relative error as in `relative_l2` with ||u||^2 = sum |u|^2 + sum_j |D_j u|^2.

    Parameters
    ----------
    prediction, target, reduction, zero_scale
        As in `relative_l2`.
    periodic : bool
        D_j is the central difference at spacing 1 / N_j; it wraps around, or is one-sided (third order) at the ends.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, InvalidValueError
        As in `relative_l2`; without periodicity also for fewer than 4 points along an axis.

    References
    ----------
    Li et al., arXiv:2111.03794 (Sobolev norms as losses of operators).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import relative_h1
    >>> y = np.sin(2 * np.pi * np.arange(16) / 16)[None, None]
    >>> round(float(relative_h1(1.1 * y, target=y)), 12)
    0.1
    """
    factor = checked_fields(prediction, target, reduction)
    if not periodic and min(prediction.shape[2:]) < 4:
        raise ShapeError(
            f"relative_h1 on a grid {tuple(prediction.shape[2:])}; expected 4 points or more along each axis"
        )
    loss, (error, weights) = _relative(prediction, target, factor, periodic, zero_scale)
    return loss, (error, weights, periodic)
