"""Sums and means over axes as ops."""

from __future__ import annotations

import math
from typing import Any

from sci.backend import Array, namespace
from sci.errors import ShapeError
from sci.nn.core.op import op
from sci.nn.core.operand import variable_method
from sci.nn.ops.checks import normalized_axes

__all__ = ["mean", "sum"]

Axes = int | tuple[int, ...] | None


def _kept(x: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a reduction of `x` that keeps its axes."""
    return tuple(1 if k in axes else n for k, n in enumerate(x.shape))


def _sum_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    shape, kept = residuals
    share = dout.reshape(kept)
    return (namespace(share).broadcast_to(share, shape),)


@variable_method("sum")
@op(vjp=_sum_vjp, jvp="linear")
def sum(x: Array, *, axis: Axes = None, keepdims: bool = False) -> tuple[Array, Any]:
    """Return the sum over `axis`, or over everything.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    axis : int, sequence of int, or None
        The axes to sum over; all for None.
    keepdims : bool
        Keep the reduced axes with length 1.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        For an axis that the array does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import sum
    >>> sum(np.ones((2, 3)), axis=1)
    array([3., 3.])
    """
    axes = normalized_axes(axis, x.ndim, "sum")
    return x.sum(axis=None if axis is None else axes, keepdims=keepdims), (x.shape, _kept(x, axes))


def _mean_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    shape, kept = residuals
    share = dout.reshape(kept) * (math.prod(kept) / math.prod(shape) if math.prod(shape) else 1.0)
    return (namespace(share).broadcast_to(share, shape),)


@variable_method("mean")
@op(vjp=_mean_vjp, jvp="linear")
def mean(x: Array, *, axis: Axes = None, keepdims: bool = False) -> tuple[Array, Any]:
    """Return the mean over `axis`, or over everything.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    axis : int, sequence of int, or None
        The axes to average over; all for None.
    keepdims : bool
        Keep the reduced axes with length 1.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        For an axis that the array does not have.
    ShapeError
        For the mean of no entries.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import mean
    >>> mean(np.array([[1.0, 3.0]]), axis=1, keepdims=True)
    array([[2.]])
    """
    axes = normalized_axes(axis, x.ndim, "mean")
    kept = _kept(x, axes)
    if math.prod(kept) and not x.size:
        raise ShapeError(
            f"mean over the axes {axes} of an array of shape {tuple(x.shape)}; expected entries to average"
        )
    return x.mean(axis=None if axis is None else axes, keepdims=keepdims), (x.shape, kept)
