"""Losses of fields in other norms: of any power, of any Sobolev order, and of widths that cover a share of points."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from sci.arguments import Real
from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.core.op import op
from sci.nn.losses import checked_fields, in_units, relative_ratio

__all__ = ["absolute_lp", "pointwise_quantile", "relative_lp", "relative_sobolev"]


def _axes(field: Array) -> tuple[int, ...]:
    return tuple(range(2, field.ndim))


def _over_grid(values: Array, field: Array) -> Array:
    """Return numbers (batch, channel) in a shape that broadcasts against a field."""
    return values.reshape(*values.shape, *(1,) * (field.ndim - 2))


def _sizes(field: Array, p: float) -> Array:
    """Return (sum |u|^p)^(1/p) over the grid: (batch, channel)."""
    return (namespace(field).abs(field) ** p).sum(axis=_axes(field)) ** (1 / p)


def _slopes(field: Array, sizes: Array, p: float) -> Array:
    """Return the gradient of `_sizes`: u |u|^(p - 2) / size^(p - 1); 0 where u or all of a field is 0."""
    xp = namespace(field)
    whole = _over_grid(xp.where(sizes > 0, sizes, 1), field)
    ratio = xp.abs(field) / whole
    direction = field / xp.where(ratio > 0, xp.abs(field), 1)
    return direction * ratio ** (p - 1) if p > 1 else direction


def _require_power(p: float) -> None:
    if not 1 <= p <= 64:
        raise InvalidValueError(f"p is {p:g}; expected a power from 1 to 64")


def _lp_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `relative_lp` and of `absolute_lp`."""
    error, sizes, weights, p = residuals
    return (_slopes(error, sizes, p) * _over_grid(dout * weights, error),)


@op(vjp=_lp_vjp)
def relative_lp(
    prediction: Array, *, target: Array, p: float = 1.0, reduction: str = "mean", zero_scale: float | None = None
) -> tuple[Array, Any]:
    """Return sum ||u - y||_p / ||y||_p over channels and samples, with ||u||_p = (sum |u|^p)^(1/p) over the grid.

    Parameters
    ----------
    prediction, target, reduction, zero_scale
        As in `relative_l2`, which is p = 2; a target of zeros counts as one of that mean power.
    p : float
        1, for sums of magnitudes, to 64.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    For p = 1 the gradient is the sign of the error at each point, 0 where the error is.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import relative_lp
    >>> float(relative_lp(np.array([[[1.0, 4.0]]]), target=np.array([[[2.0, 2.0]]])))
    0.75
    """
    factor, p = checked_fields(prediction, target, reduction), float(p)
    _require_power(p)
    (error, error_unit), (truth, truth_unit) = in_units(prediction - target), in_units(target)
    sizes, scales = _sizes(error, p), _sizes(truth, p)
    zero = None if zero_scale is None else (float(zero_scale) * math.prod(target.shape[2:]) ** (1 / p)) ** 2
    loss, weights = relative_ratio(sizes**2, scales**2, factor, zero=zero, units=(error_unit, truth_unit))
    return loss, (error, sizes, weights * sizes, p)


@op(vjp=_lp_vjp)
def absolute_lp(prediction: Array, *, target: Array, p: float = 2.0, reduction: str = "mean") -> tuple[Array, Any]:
    """Return the sum over channels and samples of (mean |u - y|^p)^(1/p), the mean over the grid.

    Parameters
    ----------
    prediction : (batch, channel, *grid) array
    target : the same; a constant
    p : float
        1 to 64.
    reduction : "mean" or "sum"
        Over samples; channels are summed.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import absolute_lp
    >>> float(absolute_lp(np.array([[[1.0, 4.0]]]), target=np.array([[[2.0, 2.0]]]), p=1))
    1.5
    """
    factor, p = checked_fields(prediction, target, reduction), float(p)
    _require_power(p)
    error, unit = in_units(prediction - target)
    sizes, share = _sizes(error, p), math.prod(target.shape[2:]) ** (-1 / p)
    weights = namespace(error).full_like(sizes, factor * share)
    return (sizes * unit).sum() * (factor * share), (error, sizes, weights, p)


def _relative_sobolev_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient (1 + |2 pi k|^2)^s (p - y), divided by both norms."""
    error, weights, order = residuals
    return (_multiplied(error, order) * _over_grid(dout * weights, error),)


@op(vjp=_relative_sobolev_vjp)
def relative_sobolev(
    prediction: Array, *, target: Array, order: float = 1.0, reduction: str = "mean", zero_scale: float | None = None
) -> tuple[Array, Any]:
    """Return the relative error as in `relative_l2` with ||u||^2 = sum (1 + |2 pi k|^2)^s |u_k|^2 over wavenumbers k.

    Parameters
    ----------
    prediction, target, reduction, zero_scale
        As in `relative_l2`; real fields that are periodic, on points i / N.
    order : float
        s, from -4 to 4: derivatives that count, of noninteger number too; below 0 the long waves count.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    Two Fourier transforms of each field. Order 1 has the gradient itself where `relative_h1` has central differences.

    References
    ----------
    Li et al., arXiv:2106.06898, section 3 (Sobolev losses of operators).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import relative_sobolev
    >>> x = 2 * np.pi * np.arange(16) / 16
    >>> error, truth = np.sin(2 * x)[None, None], np.sin(x)[None, None]
    >>> square = float(relative_sobolev(truth + error, target=truth, order=2)) ** 2
    >>> round(square * (1 + 4 * np.pi**2) ** 2 / (1 + 16 * np.pi**2) ** 2, 12)
    1.0
    """
    factor, order = checked_fields(prediction, target, reduction), float(order)
    if not -4 <= order <= 4:
        raise InvalidValueError(f"order is {order:g}; expected -4 to 4")
    (error, error_unit), (truth, truth_unit) = in_units(prediction - target), in_units(target)
    squares = [(u * _multiplied(u, order)).sum(axis=_axes(u)) for u in (error, truth)]
    squares = [namespace(error).maximum(s, 0) for s in squares]
    zero = None if zero_scale is None else float(zero_scale) ** 2 * math.prod(target.shape[2:])
    loss, weights = relative_ratio(squares[0], squares[1], factor, zero=zero, units=(error_unit, truth_unit))
    return loss, (error, weights, order)


def _multiplied(field: Array, order: float) -> Array:
    """Return the field whose Fourier coefficients are (1 + |2 pi k|^2)^order times those of `field`."""
    xp, grid, axes = namespace(field), field.shape[2:], _axes(field)
    waves = [np.fft.fftfreq(n, 1 / n) for n in grid[:-1]] + [np.arange(grid[-1] // 2 + 1)]
    squares = sum(np.ix_(*(w**2 for w in waves)))
    powers, limits = (1 + 4 * math.pi**2 * squares) ** order, np.finfo(field.dtype)
    if powers.max() * math.prod(grid) > limits.max or powers.min() < limits.tiny:
        raise InvalidValueError(
            f"order {order:g} on a grid of {' x '.join(map(str, grid))} leaves {field.dtype}; expected an order nearer "
            "to 0, a coarser grid, or float64"
        )
    weights = xp.asarray(powers.astype(field.dtype))
    return _fft(field).irfftn(_fft(field).rfftn(field, axes=axes) * weights, s=grid, axes=axes)


def _fft(like: Array) -> Any:
    """Return the FFTs for an array: SciPy's keep float32 with every NumPy."""
    xp: ModuleType = namespace(like)
    return scipy.fft if xp is np else xp.fft


def _pointwise_quantile_vjp(dout: Array, slopes: Array) -> tuple[Array]:
    """Return the gradient of `pointwise_quantile`."""
    return (slopes * dout,)


@op(vjp=_pointwise_quantile_vjp)
def pointwise_quantile(
    widths: Array, *, residuals: Real, alpha: float = 0.1, reduction: str = "mean"
) -> tuple[Array, Any]:
    """Return the loss of predicted widths that are to cover the size of residuals at a share 1 - alpha of the points.

    With q = 1 - alpha and d = |r| - w, the mean over channels and points of max(q d, (q - 1) d) / (2 q (1 - q) s), s
    the largest |r| of a point over the samples: least where w is the quantile q of |r|.

    Parameters
    ----------
    widths : (batch, channel, *grid) array
    residuals : the same; a constant
        Predictions minus truth, of an operator that was trained before, on samples that it has not seen.
    alpha : float
        Share of the points that may lie outside, between 0 and 1.
    reduction : "mean" or "sum"
        Over samples.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, InvalidValueError

    References
    ----------
    Ma, Pitt, Azizzadenesheli and Anandkumar, TMLR 2024 (conformal operators).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import pointwise_quantile
    >>> r = np.linspace(-1, 1, 101)[:, None, None] * np.ones(8)
    >>> losses = [float(pointwise_quantile(w * np.ones_like(r), residuals=r, alpha=0.2)) for w in (0.6, 0.8, 1.0)]
    >>> int(np.argmin(losses))
    1
    """
    factor = checked_fields(widths, residuals, reduction)
    if not 0 < alpha < 1:
        raise InvalidValueError(f"alpha is {alpha:g}; expected a share between 0 and 1")
    xp, q = namespace(widths, residuals), 1 - alpha
    size = xp.abs(residuals)
    scale = size.max(axis=0)
    scale, over = xp.where(scale > 0, scale, 1), size > widths
    share = factor / (2 * math.prod(widths.shape[1:]))
    up, down = share / alpha, share / q  # q / (q (1 - q)) with 1 - q = alpha, which 1 - q is without digits
    if up > float(np.finfo(widths.dtype).max) ** 0.5:
        raise InvalidValueError(f"alpha is {alpha:g}; expected a share whose inverse stays within {widths.dtype}")
    slopes = xp.where(over, widths.dtype.type(-up), widths.dtype.type(down))
    return ((widths - size) / scale * slopes).sum(), (slopes / scale).astype(widths.dtype, copy=False)
