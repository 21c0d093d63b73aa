"""Fields on finer or coarser grids: nearest, linear, cubic, area, adaptive and spectral, axis by axis."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.grids.window import Lengths, per_axis
from sci.nn.ops.checks import require_single_or_double

__all__ = ["cells_read", "resample", "resample_part"]

_Taps = tuple[np.ndarray, np.ndarray]
"""Cells (taps, m) that each output of an axis reads, and their weights (taps, m)."""


def _nearest(n: int, m: int) -> _Taps:
    return np.minimum((2 * np.arange(m) + 1) * n // (2 * m), n - 1)[None], np.ones((1, m))


def _linear(n: int, m: int, align_corners: bool) -> _Taps:
    i = np.arange(m)
    at = i * ((n - 1) / max(m - 1, 1)) if align_corners else np.clip((i + 0.5) * n / m - 0.5, 0, n - 1)
    low = np.minimum(at.astype(np.int64), max(n - 2, 0))
    part = at - low
    return np.stack([low, np.minimum(low + 1, n - 1)]), np.stack([1 - part, part])


def _area(n: int, m: int) -> _Taps:
    """Return the overlaps of the cells: output i covers i n ... (i + 1) n in units of 1 / m cells."""
    i = np.arange(m)
    first, last = i * n // m, -(-((i + 1) * n) // m)
    cells = first + np.arange(int((last - first).max()))[:, None]
    overlap = np.minimum((cells + 1) * m, (i + 1) * n) - np.maximum(cells * m, i * n)
    return np.minimum(cells, n - 1), np.maximum(overlap, 0) / n


def _adaptive(n: int, m: int) -> _Taps:
    """Return equal shares of the cells floor(i n / m) ... ceil((i + 1) n / m) - 1, which neighbors may share."""
    i = np.arange(m)
    first, last = i * n // m, -(-((i + 1) * n) // m)
    cells = first + np.arange(int((last - first).max()))[:, None]
    return np.minimum(cells, n - 1), np.where(cells < last, 1 / (last - first), 0.0)


def _cubic(n: int, m: int) -> _Taps:
    """Return the four weights of Keys' convolution with a = -3/4; beyond the ends stand the outermost cells."""
    at = (np.arange(m) + 0.5) * n / m - 0.5
    low = np.floor(at).astype(np.int64)
    t = np.abs(at - low - np.arange(-1, 3)[:, None])
    near, far = (1.25 * t - 2.25) * t * t + 1, -0.75 * (((t - 5) * t + 8) * t - 4)
    return np.clip(low + np.arange(-1, 3)[:, None], 0, n - 1), np.where(t <= 1, near, far)


@functools.lru_cache(maxsize=256)
def _taps(n: int, m: int, method: str, align_corners: bool, adjoint: bool) -> _Taps:
    """Return the taps from n cells to m, or of their adjoint from m to n; those without weight repeat another."""
    made = {"nearest": _nearest, "area": _area, "adaptive": _adaptive, "cubic": _cubic}
    index, weight = made[method](n, m) if method in made else _linear(n, m, align_corners)
    if adjoint:
        index, weight = _transposed(index, weight, n)
    spare = np.take_along_axis(index, np.argmax(weight != 0, axis=0)[None], axis=0)
    index = np.where(weight != 0, index, spare)
    index.flags.writeable = weight.flags.writeable = False
    return index, weight


def _transposed(index: np.ndarray, weight: np.ndarray, n: int) -> _Taps:
    """Return the taps of the adjoint: for each of n cells the outputs that read it."""
    outputs = np.broadcast_to(np.arange(index.shape[1]), index.shape)
    used = weight != 0
    cells, outputs, weights = index[used], outputs[used], weight[used]
    order = np.lexsort((outputs, cells))
    cells, outputs, weights = cells[order], outputs[order], weights[order]
    place = np.arange(len(cells)) - np.searchsorted(cells, cells)
    shape = (int(place.max()) + 1, n)
    into, by = np.zeros(shape, np.int64), np.zeros(shape)
    into[place, cells], by[place, cells] = outputs, weights
    return into, by


def _gathered(x: Array, taps: _Taps, axis: int) -> Array:
    """Return the weighted sums of cells of an axis."""
    xp, (index, weight), total = namespace(x), taps, None
    column = (-1, *(1,) * (x.ndim - 1 - axis))
    for cells, factors in zip(to_device(index, xp), to_device(weight.astype(x.dtype), xp)):
        part = x.take(cells, axis=axis)
        if len(index) > 1 or bool((weight != 1).any()):
            part *= factors.reshape(column)
        if total is None:
            total = part
        else:
            total += part
    return total


def _spectral(x: Array, m: int, axis: int, adjoint: bool) -> Array:
    """Return the trigonometric interpolant of a periodic axis at m points, or apply the adjoint of the way back.

    Two modes of the longer axis, of opposite sign, stand for the highest of an even shorter one: on the way up it is
    shared out, on the way down they add up.
    """
    xp, n = namespace(x), x.shape[axis]
    modes, short = xp.fft.rfft(x, axis=axis), min(n, m)
    lead = (slice(None),) * axis
    kept = xp.zeros((*x.shape[:axis], m // 2 + 1, *x.shape[axis + 1 :]), modes.dtype)
    count = short // 2 + 1
    kept[(*lead, slice(0, count))] = modes[(*lead, slice(0, count))]
    if short % 2 == 0 and not adjoint:
        kept[(*lead, short // 2)] *= 0.5 if n < m else 2.0
    out = xp.fft.irfft(kept, m, axis=axis)
    return (out if adjoint else out * (m / n)).astype(x.dtype)


def _along(x: Array, sizes: tuple[int, ...], method: str, align_corners: bool, adjoint: bool) -> Array:
    """Bring the axes of the grid to `sizes`, those that shrink first; or apply the adjoint of the way back."""
    axes = sorted(range(len(sizes)), key=lambda k: (sizes[k] >= x.shape[k + 2], k if sizes[k] < x.shape[k + 2] else -k))
    for k in axes:
        n, m = x.shape[k + 2], sizes[k]
        if n == m:
            continue
        if method == "spectral":
            x = _spectral(x, m, k + 2, adjoint)
        else:
            taps = _taps(m, n, method, align_corners, True) if adjoint else _taps(n, m, method, align_corners, False)
            x = _gathered(x, taps, k + 2)
    return x


def _resample_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient for x."""
    grid, method, align_corners = residuals
    dx = _along(dout, grid, method, align_corners, True)
    return (dx.copy() if dx is dout else dx,)


@op(vjp=_resample_vjp, jvp="linear")
def resample(
    x: Array,
    *,
    factor: float | Sequence[float] | None = None,
    size: Lengths | None = None,
    method: Literal["nearest", "linear", "cubic", "area", "adaptive", "spectral"] = "nearest",
    align_corners: bool = False,
) -> tuple[Array, Any]:
    """Bring fields to a finer or a coarser grid.

    Parameters
    ----------
    x : (batch, channels, *grid) float32 or float64 array
        A grid of one to three axes.
    factor : number, or one for each axis, optional
        New cells over old ones: 2 doubles the cells, 0.5 halves them, 1 leaves an axis as it is.
    size : int, or one for each axis, optional
        The new cells, in place of `factor`.
    method : {"nearest", "linear", "cubic", "area", "adaptive", "spectral"}
        "nearest" takes the cell that holds the center of the new one. "linear" interpolates between the centers of two
        cells along each axis, and is constant beyond the outermost ones; "cubic" is Keys' convolution over four cells
        with a = -3/4, and beyond the ends the outermost cells repeat; neither smooths where the grid gets coarser.
        "area" takes the mean over the new cell, and keeps the integral; "adaptive" takes the mean over all cells that
        the new one meets, floor(i n / m) to ceil((i + 1) n / m) - 1, each in equal part. "spectral" takes the
        trigonometric interpolant of a periodic field, whose points are i / n of the period.
    align_corners : bool
        Of "linear" alone: the values are those at points whose first and last stay where they are, not at centers.

    Returns
    -------
    (batch, channels, *size) array or variable

    Raises
    ------
    InvalidValueError
        Unless one of `factor` and `size` is given and makes whole cells, one or more.
    ShapeError, DTypeError

    Notes
    -----
    A few passes over the larger grid an axis; "spectral" two transforms. The gradient is the exact adjoint, in a fixed
    order of sums. torch's "nearest" takes the cell at floor(i n / m), which differs from this one by half a cell where
    the factor is no integer; its "nearest-exact" is this one.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import resample
    >>> x = np.array([[[0.0, 4.0]]])
    >>> resample(x, factor=2)
    array([[[0., 0., 4., 4.]]])
    >>> resample(x, size=4, method="linear")
    array([[[0., 1., 3., 4.]]])
    >>> resample(x, size=5, method="linear", align_corners=True)
    array([[[0., 1., 2., 3., 4.]]])
    """
    require_single_or_double(x, "resample")
    if not 3 <= x.ndim <= 5 or min(x.shape[2:]) < 1:
        raise ShapeError(
            f"resample of x {tuple(x.shape)}; expected (batch, channels, *grid) with one to three axes of 1 or more"
        )
    if align_corners and method != "linear":
        raise InvalidValueError(f"resample: align_corners with method={method!r}; expected method='linear'")
    sizes = _sizes(x.shape[2:], factor, size)
    out = _along(x, sizes, method, bool(align_corners), False)
    return out, (tuple(x.shape[2:]), method, bool(align_corners))


def cells_read(n: int, m: int, part: slice, method: str) -> slice:
    """Return the cells, of n, that the cells `part`, of m, read of an axis."""
    if n == m:
        return part
    index = _taps(n, m, method, False, False)[0][:, part]
    return slice(int(index.min()), int(index.max()) + 1)


def resample_part(x: Array, grid: Sequence[int], size: Sequence[int], parts: Sequence[slice], method: str) -> Array:
    """Return the cells `parts` of `resample(fields, size=size, method=method)`, bit for bit.

    Parameters
    ----------
    x : (batch, channels, *cells) array
        Of the fields on `grid` the cells that `cells_read` names along each axis.
    grid, size : sequence of int
        Where no axis gets coarser.
    parts : sequence of slice
    method : {"nearest", "linear", "cubic", "area", "adaptive"}

    Returns
    -------
    (batch, channels, *parts) array
    """
    for k in reversed(range(len(size))):  # as `_along`
        if grid[k] != size[k]:
            index, weight = _taps(grid[k], size[k], method, False, False)
            first = cells_read(grid[k], size[k], parts[k], method).start
            x = _gathered(x, (index[:, parts[k]] - first, weight[:, parts[k]]), k + 2)
    return x


def _sizes(grid: tuple[int, ...], factor: Any, size: Any) -> tuple[int, ...]:
    """Return the new lengths."""
    if (factor is None) == (size is None):
        raise InvalidValueError(f"resample: factor={factor!r} and size={size!r}; expected one of the two")
    if size is not None:
        return per_axis(size, len(grid), "resample: size")
    factors = tuple(factor) if isinstance(factor, (tuple, list, np.ndarray)) else (factor,) * len(grid)
    if len(factors) != len(grid):
        raise InvalidValueError(f"resample: factor={factor!r}; expected a number, or one for each of {len(grid)} axes")
    exact = [n * float(f) for n, f in zip(grid, factors)]
    found = tuple(round(m) if np.isfinite(m) else 0 for m in exact)
    if any(m < 1 or abs(m - e) > 1e-9 * m for m, e in zip(found, exact)):
        raise InvalidValueError(
            f"resample: factor={factor!r} of a grid of {grid} makes {tuple(exact)} cells; expected whole cells, 1 or "
            "more: give size"
        )
    return found
