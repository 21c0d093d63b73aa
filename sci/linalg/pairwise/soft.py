"""Sums over points weighted by the exponential of their distance, for optimal transport and kernel estimates."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, ArrayLike, namespace
from sci.distributed import Comm, agreed
from sci.errors import InvalidValueError
from sci.kernels import get_kernel, use_compiled
from sci.linalg.pairwise.points import FILE, PackedPoints, blocks, launch_over, prepared

__all__ = ["log_sum_exp", "weighted_sum"]

_COLUMNS = 4
"""Columns of values that `weighted_sum` takes in one pass."""


@collective_entry
def log_sum_exp(
    x: ArrayLike | PackedPoints, y: ArrayLike, heights: ArrayLike, rate: float, *, comm: Comm = None
) -> Array:
    """Return log sum_j exp(h_j - rate |x_i - y_j|^2): a soft minimum over the points of `y`.

    Parameters
    ----------
    x : (n, d) float32 or float64, or PackedPoints
    y : (m, d), of the dtype of `x`
    heights : (m,)
        h_j; minus infinity leaves a point out.
    rate : float
        Positive, in the inverse unit of the squared distance.
    comm : mpi4py communicator, optional
        As for `nearest`.

    Returns
    -------
    (n,) of the dtype
        Minus infinity where every point is left out.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank.

    Notes
    -----
    The largest exponent is taken out of the sum, so that no rate is too large. About 2 d + 25 flops a pair.
    Collective over `comm`; then equal to the serial result up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import log_sum_exp
    >>> float(log_sum_exp([[0.0]], [[0.0], [1.0]], [0.0, 0.0], 1e4)[0])
    0.0
    """
    packed, _, (y, h), ring = prepared("log_sum_exp", comm, x, y, of_y={"heights": heights}, rate=rate)
    x, xp, n = packed.array, namespace(y), len(packed)
    rate = _positive("rate", rate)
    largest, total = xp.full(n, -np.finfo(x.dtype).max, x.dtype), xp.zeros(n, x.dtype)
    kernel = get_kernel(FILE, "log_sum_exp", x.dtype)

    def reduce(start: int, y: Array, h: Array) -> None:
        if use_compiled(kernel, x):
            launch_over(kernel, packed, y, h[:, 0], largest, total, n, len(y), x.shape[1], rate)
        else:
            log_sum_exp_reference(x, y, h[:, 0], largest, total, rate)

    ring([y, h[:, None]], reduce)
    with np.errstate(divide="ignore"):
        return largest + xp.log(total)


def log_sum_exp_reference(x: Array, y: Array, h: Array, largest: Array, total: Array, rate: float) -> None:
    """Reference of the kernel `log_sum_exp` in array calls."""
    xp = namespace(x)
    for rows, squared in blocks(x, y):
        exponents = h[None, :] - x.dtype.type(rate) * squared
        top = xp.maximum(largest[rows], exponents.max(axis=1))
        total[rows] = total[rows] * xp.exp(largest[rows] - top) + xp.exp(exponents - top[:, None]).sum(axis=1)
        largest[rows] = top


@collective_entry
def weighted_sum(
    x: ArrayLike | PackedPoints,
    y: ArrayLike,
    values: ArrayLike,
    heights: ArrayLike,
    rate: float,
    shifts: ArrayLike,
    *,
    comm: Comm = None,
) -> Array:
    """Return sum_j exp(h_j - rate |x_i - y_j|^2 - u_i) v_j.

    Parameters
    ----------
    x : (n, d) float32 or float64, or PackedPoints
    y : (m, d), of the dtype of `x`
    values : (m, c)
        v_j.
    heights : (m,)
        h_j; minus infinity leaves a point out.
    rate : float
        Positive, in the inverse unit of the squared distance.
    shifts : (n,)
        u_i. With those that `log_sum_exp` returns, the weights of each x add up to one.
    comm : mpi4py communicator, optional
        As for `nearest`.

    Returns
    -------
    (n, c) of the dtype

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank; also where an exponential overflows.

    Notes
    -----
    About 2 d + 30 flops a pair for every four columns. Collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import log_sum_exp, weighted_sum
    >>> x, y, h = np.zeros((1, 1)), np.array([[1.0], [-1.0]]), np.log([1.0, 3.0])
    >>> weighted_sum(x, y, y, h, 2.0, log_sum_exp(x, y, h, 2.0))
    array([[-0.5]])
    """
    of_y = {"heights": heights, "values": values}
    packed, (u,), (y, h, v), ring = prepared("weighted_sum", comm, x, y, of_x={"shifts": shifts}, of_y=of_y, rate=rate)
    x, xp, n, rate = packed.array, namespace(y), len(packed), _positive("rate", rate)
    columns = v.shape[1]
    packs = -(-columns // _COLUMNS)
    v = xp.concatenate([v, xp.zeros((len(v), packs * _COLUMNS - columns), x.dtype)], axis=1)
    out = xp.zeros((packs, n, _COLUMNS), x.dtype)
    kernel = get_kernel(FILE, "weighted_sum", x.dtype)

    def reduce(start: int, y: Array, h: Array, v: Array) -> None:
        for p in range(packs):
            part = xp.ascontiguousarray(v[:, p * _COLUMNS : (p + 1) * _COLUMNS])
            if use_compiled(kernel, x):
                launch_over(kernel, packed, y, h[:, 0], u, part, out[p], n, len(y), x.shape[1], rate)
            else:
                weighted_sum_reference(x, y, h[:, 0], u, part, out[p], rate)

    ring([y, h[:, None], v], reduce)
    result = xp.ascontiguousarray(xp.moveaxis(out, 0, 1).reshape(n, packs * _COLUMNS)[:, :columns])
    with agreed(comm, "weighted_sum"):
        if not bool(xp.isfinite(result).all()):
            raise InvalidValueError("exp(h - rate r - u) overflows; pass the result of log_sum_exp as shifts")
    return result


def weighted_sum_reference(x: Array, y: Array, h: Array, u: Array, v: Array, out: Array, rate: float) -> None:
    """Reference of the kernel `weighted_sum` in array calls."""
    xp = namespace(x)
    for rows, squared in blocks(x, y):
        out[rows] += xp.exp(h[None, :] - x.dtype.type(rate) * squared - u[rows, None]) @ v


def _positive(name: str, value: Any) -> float:
    """Return a positive finite number.

    Raises
    ------
    InvalidValueError
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{name} is {value!r}; expected a positive number") from error
    if not 0 < number < np.inf:
        raise InvalidValueError(f"{name} is {value!r}; expected a positive finite number")
    return number
