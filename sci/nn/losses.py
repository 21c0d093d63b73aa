"""Losses as ops: relative L2 and H1, mean squared difference."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.op import op

__all__ = ["mean_squared_error", "relative_h1", "relative_l2", "relative_ratio", "squared_norms"]

_TINY = 1e-8


def _mean_squared_error_vjp(dout: Array, difference: Array) -> tuple[Array, Array]:
    """Return the gradients of `mean_squared_error`."""
    gradient = difference * (2 * dout / difference.size)
    return gradient, -gradient


@op(vjp=_mean_squared_error_vjp)
def mean_squared_error(a: Array, b: Array) -> tuple[Array, Any]:
    """Return the mean of |a - b|^2; `a` and `b` have one shape and dtype, and both may be variables."""
    if a.shape != b.shape:
        raise ShapeError(f"mean_squared_error of shapes {a.shape} and {b.shape}; expected one shape")
    difference = a - b
    return (difference * difference.conj()).real.mean(), difference


def _squares(field: Array) -> Array:
    """Sum |u|^2 over the grid: (batch, channel)."""
    return (field * field.conj()).real.reshape(*field.shape[:2], -1).sum(axis=2)


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


def _checked(prediction: Array, target: Array, reduction: str) -> float:
    """Return the factor of the reduction after checking the arguments."""
    if prediction.shape != target.shape or prediction.ndim < 3:
        raise ShapeError(
            f"a relative loss of {prediction.shape} and {target.shape}; expected one shape (batch, channel, *grid)"
        )
    if reduction not in ("mean", "sum"):
        raise InvalidValueError(f"reduction is {reduction!r}; expected 'mean' or 'sum'")
    return 1 / prediction.shape[0] if reduction == "mean" else 1.0


def relative_ratio(errors: Array, scales: Array, factor: float) -> tuple[Array, Array]:
    """Return sum sqrt(errors / scales) times `factor` from squared norms (batch, channel), and its gradient's weights.

    The gradient of the norms' root is 0 where an error is 0.
    """
    xp = namespace(errors)
    size, scale = xp.sqrt(errors), xp.sqrt(scales) + _TINY
    # At a perfect prediction the norm has no gradient; zero is one of its subgradients.
    weights = factor / (xp.where(size > 0, size, np.inf) * scale)
    return (size / scale).sum() * factor, weights.astype(errors.dtype, copy=False)


def _relative_l2_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `relative_l2`: (p - y) / (||p - y|| ||y||)."""
    error, weights = residuals
    return (error * (dout * weights).reshape(*weights.shape, *(1,) * (error.ndim - 2)),)


@op(vjp=_relative_l2_vjp)
def relative_l2(prediction: Array, *, target: Array, reduction: str = "mean") -> tuple[Array, Any]:
    """Return sum ||p - y|| / (||y|| + 1e-8) over channels and samples, each norm over the grid.

    Parameters
    ----------
    prediction : (batch, channel, *grid) array
    target : the same; a constant
    reduction : "mean" or "sum"
        Over samples; channels are summed. The mean is what papers report.

    Returns
    -------
    loss : scalar array
    residuals

    References
    ----------
    Li et al., arXiv:2010.08895, section 5.
    """
    factor = _checked(prediction, target, reduction)
    error = prediction - target
    loss, weights = relative_ratio(_squares(error), _squares(target), factor)
    return loss, (error, weights)


def _relative_h1_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `relative_h1`: (1 + sum_j D_j^T D_j)(p - y), divided by both norms."""
    error, weights, periodic = residuals
    total = error.copy()
    for axis in range(2, error.ndim):
        total += _difference_transposed(_difference(error, axis, periodic), axis, periodic)
    return (total * (dout * weights).reshape(*weights.shape, *(1,) * (error.ndim - 2)),)


@op(vjp=_relative_h1_vjp)
def relative_h1(
    prediction: Array, *, target: Array, periodic: bool = True, reduction: str = "mean"
) -> tuple[Array, Any]:
    """Return the relative error as in `relative_l2` with ||u||^2 = sum |u|^2 + sum_j |D_j u|^2.

    Parameters
    ----------
    prediction, target, reduction
        As in `relative_l2`.
    periodic : bool
        D_j is the central difference at spacing 1 / N_j; it wraps around, or is one-sided (third order) at the ends.

    References
    ----------
    Li et al., arXiv:2111.03794 (Sobolev norms as losses of operators).
    """
    factor = _checked(prediction, target, reduction)
    if not periodic and min(prediction.shape[2:]) < 4:
        raise ShapeError(f"relative_h1 on a grid {prediction.shape[2:]}; expected 4 points an axis without periodicity")
    error = prediction - target
    loss, weights = relative_ratio(
        squared_norms(error, periodic=periodic),
        squared_norms(target, periodic=periodic),
        factor,
    )
    return loss, (error, weights, periodic)
