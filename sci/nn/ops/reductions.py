"""Sums and means over axes as ops."""

from __future__ import annotations

import math
from typing import Any

from sci.backend import Array, namespace
from sci.nn.core.op import op
from sci.nn.core.tape import variable_method

__all__ = ["mean", "sum"]

Axes = int | tuple[int, ...] | None


def _kept(x: Array, axis: Axes) -> tuple[int, ...]:
    """The shape of a reduction of `x` that keeps its axes."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    reduced = {a % x.ndim for a in axes}
    return tuple(1 if k in reduced else n for k, n in enumerate(x.shape))


def _sum_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    shape, kept = residuals
    share = dout.reshape(kept)
    return (namespace(share).broadcast_to(share, shape),)


@variable_method("sum")
@op(vjp=_sum_vjp)
def sum(x: Array, *, axis: Axes = None, keepdims: bool = False) -> tuple[Array, Any]:
    """Return the sum over `axis`, or over everything."""
    return x.sum(axis=axis, keepdims=keepdims), (x.shape, _kept(x, axis))


def _mean_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    shape, kept = residuals
    share = dout.reshape(kept) * (math.prod(kept) / math.prod(shape))
    return (namespace(share).broadcast_to(share, shape),)


@variable_method("mean")
@op(vjp=_mean_vjp)
def mean(x: Array, *, axis: Axes = None, keepdims: bool = False) -> tuple[Array, Any]:
    """Return the mean over `axis`, or over everything."""
    return x.mean(axis=axis, keepdims=keepdims), (x.shape, _kept(x, axis))
