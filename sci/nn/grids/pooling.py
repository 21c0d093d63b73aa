"""Means and maxima over windows of cells."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.grids.window import Lengths, Padding, Window, per_axis, window
from sci.nn.ops.checks import require_single_or_double

__all__ = ["average_pool", "max_pool"]


def _window(name: str, x: Array, taps: Any, stride: Any, padding: Any) -> Window:
    """Return the windows of a pool, each with a cell of the grid in it."""
    require_single_or_double(x, name)
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            f"{name} of x {tuple(x.shape)}; expected (batch, channels, *grid) with a grid of one to three axes"
        )
    axes = x.ndim - 2
    counts = per_axis(taps, axes, f"{name}: window")
    w = window(name, x.shape[2:], counts, counts if stride is None else stride, 1, padding)
    left = [(n - k) % s for n, k, s in zip(w.padded, w.taps, w.stride)]
    if not isinstance(padding, str) and any(left):
        raise ShapeError(
            f"{name}: windows of {w.taps} cells, {w.stride} apart, leave {tuple(left)} cells of the grid of {w.grid} "
            "out; expected windows that meet its end: give padding='same', or crop the grid"
        )
    if any(b >= k for b, k in zip(w.before, w.taps)) or any(
        (m - 1) * s - b >= n for m, s, b, n in zip(w.out, w.stride, w.before, w.grid)
    ):
        raise InvalidValueError(f"{name}: padding={padding!r} makes windows of {w.taps} without a cell; pad less")
    return w


def _meetings(w: Window, axis: int) -> list[tuple[slice, slice]]:
    """Return for each tap of an axis the outputs that see the grid by it, and the cells that they see."""
    n, m, s, before = w.grid[axis], w.out[axis], w.stride[axis], w.before[axis]
    found = []
    for t in range(w.taps[axis]):
        first, last = max(0, -((t - before) // s)), min(m, (n - 1 + before - t) // s + 1)
        start = first * s + t - before
        found.append((slice(first, max(first, last)), slice(start, start + max(0, last - first) * s, s)))
    return found


def _sums(x: Array, w: Window) -> Array:
    """Return the sums over windows, axis by axis."""
    xp = namespace(x)
    for axis in range(len(w.grid)):
        if w.taps[axis] == w.stride[axis] == 1:
            continue
        lead = (slice(None),) * (axis + 2)
        out = xp.zeros((*x.shape[: axis + 2], w.out[axis], *x.shape[axis + 3 :]), x.dtype)
        for into, cells in _meetings(w, axis):
            out[(*lead, into)] += x[(*lead, cells)]
        x = out
    return x


def _spread_sums(dout: Array, w: Window) -> Array:
    """Return the adjoint of `_sums`."""
    xp = namespace(dout)
    for axis in reversed(range(len(w.grid))):
        if w.taps[axis] == w.stride[axis] == 1:
            continue
        lead = (slice(None),) * (axis + 2)
        dx = xp.zeros((*dout.shape[: axis + 2], w.grid[axis], *dout.shape[axis + 3 :]), dout.dtype)
        for outputs, cells in _meetings(w, axis):
            dx[(*lead, cells)] += dout[(*lead, outputs)]
        dout = dx
    return dout


@functools.lru_cache(maxsize=256)
def _counts(w: Window) -> tuple[np.ndarray, ...]:
    """Return the cells of the grid in each window, for each axis."""
    found = []
    for axis, m in enumerate(w.out):
        count = np.zeros(m)
        for outputs, _ in _meetings(w, axis):
            count[outputs] += 1
        found.append(count)
    return tuple(found)


def _divided(x: Array, w: Window) -> Array:
    """Return `x` (batch, channels, *out) over the number of cells of each window."""
    xp = namespace(x)
    if not any(w.before) and not any(w.after):
        return x * x.dtype.type(1 / np.prod(w.taps))
    for axis, count in enumerate(_counts(w)):
        x = x * xp.array((1 / count).tolist(), x.dtype).reshape(-1, *(1,) * (len(w.out) - 1 - axis))
    return x


def _average_pool_vjp(dout: Array, w: Window) -> tuple[Array]:
    """Return the gradient for x: the cells' shares of the means that they are in."""
    return (_spread_sums(_divided(dout, w), w),)


@op(vjp=_average_pool_vjp, jvp="linear")
def average_pool(
    x: Array, *, window: Lengths = 2, stride: Lengths | None = None, padding: Padding = 0
) -> tuple[Array, Window]:
    """Return the means over windows of cells.

    Parameters
    ----------
    x : (batch, channels, *grid) float32 or float64 array
        A grid of one to three axes.
    window : int, or one for each axis
        Cells of a window; 1 leaves an axis as it is.
    stride : int, or one for each axis, optional
        Cells from one window to the next; as many as in a window without it.
    padding : "same", int, or for each axis an int or (before, after)
        Cells around the grid, which no mean counts. "same" gives ceil(n / stride) windows.

    Returns
    -------
    (batch, channels, *out) array or variable

    Raises
    ------
    ShapeError
        Also for windows that leave the last cells of an axis out, unless padding is "same".
    InvalidValueError
        For no integers, and for windows without a cell of the grid.
    DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import average_pool
    >>> average_pool(np.array([[[1.0, 3.0, 5.0, 9.0]]]))
    array([[[2., 7.]]])
    >>> average_pool(np.array([[[1.0, 3.0, 5.0]]]), padding="same")
    array([[[2., 5.]]])
    """
    w = _window("average_pool", x, window, stride, padding)
    return _divided(_sums(x, w), w), w


def _maxima(x: Array, *, window: Any = 2, stride: Any = None, padding: Any = 0) -> Array:
    """Return the largest cells of windows, axis by axis; NaN counts as largest."""
    xp, w = namespace(x), _window("max_pool", x, window, stride, padding)
    for axis in range(len(w.grid)):
        if w.taps[axis] == w.stride[axis] == 1:
            continue
        lead = (slice(None),) * (axis + 2)
        out = xp.full((*x.shape[: axis + 2], w.out[axis], *x.shape[axis + 3 :]), -np.inf, x.dtype)
        for into, cells in _meetings(w, axis):
            out[(*lead, into)] = xp.maximum(out[(*lead, into)], x[(*lead, cells)])
        x = out
    return x


def _max_pool_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient for x: that of a window goes to its first largest cell, in the order of the memory."""
    x, out, w = residuals
    xp, taken = namespace(x, dout), None
    dx = xp.zeros(x.shape, dout.dtype)
    for along in itertools.product(*(_meetings(w, axis) for axis in range(len(w.grid)))):
        into = (slice(None), slice(None), *(a for a, _ in along))
        cells = (slice(None), slice(None), *(b for _, b in along))
        hit = (x[cells] == out[into]) | xp.isnan(x[cells])
        if taken is None:
            taken = xp.zeros(out.shape, bool)
        hit &= ~taken[into]
        taken[into] |= hit
        dx[cells] += dout[into] * hit
    return (dx,)


@op(vjp=_max_pool_vjp, value=_maxima)
def max_pool(
    x: Array, *, window: Lengths = 2, stride: Lengths | None = None, padding: Padding = 0
) -> tuple[Array, Any]:
    """Return the largest cell of each window.

    Parameters
    ----------
    x : (batch, channels, *grid) float32 or float64 array
        A grid of one to three axes.
    window, stride, padding
        As in `average_pool`; cells around the grid are never the largest.

    Returns
    -------
    (batch, channels, *out) array or variable
        NaN for a window with NaN. The gradient goes to the first of several largest cells.

    Raises
    ------
    ShapeError, InvalidValueError, DTypeError
        As `average_pool`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import max_pool
    >>> max_pool(np.array([[[1.0, 3.0, 9.0, 5.0]]]))
    array([[[3., 9.]]])
    """
    out = _maxima(x, window=window, stride=stride, padding=padding)
    return out, (x, out, _window("max_pool", x, window, stride, padding))
