"""Convolution channel by channel with a product of filters, one along each axis, in one pass over the fields."""

from __future__ import annotations

from typing import Any

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.kernels import get_kernel, launch, use_compiled
from sci.nn.core.op import op
from sci.nn.grids.convolution import convolve
from sci.nn.grids.correlate import weight_sums
from sci.nn.grids.padded import pad_window
from sci.nn.grids.window import Boundary, window
from sci.nn.ops.checks import require_single_or_double
from sci.tensor.contraction.planner import contract_all

__all__ = ["separable_conv"]

_MOST_TAPS = 64
"""Of the last axis, see the kernel."""


def _filtered(x: Array, filters: tuple[Array, ...], low: tuple[int, ...], periodic: bool) -> Array:
    """Return the sums over taps whose first is `low` cells before the cell."""
    kernel = get_kernel("nn/convolution.cu", "separable", x.dtype)
    if not use_compiled(kernel, x) or filters[-1].shape[1] > _MOST_TAPS:
        return filtered_reference(x, filters, low, periodic)
    xp, missing = namespace(x), 3 - len(filters)
    given = xp.ascontiguousarray(x).reshape(x.shape[0] * x.shape[1], *(1,) * missing, *x.shape[2:])
    one = xp.ones((x.shape[1], 1), x.dtype)
    factors = [one] * missing + [xp.ascontiguousarray(f) for f in filters]
    out = xp.empty(given.shape, x.dtype)
    sizes = (x.shape[1], *given.shape[1:], *(f.shape[1] for f in factors), *(0,) * missing, *low, int(periodic))
    launch(kernel, given.shape[0] * given.shape[1], given, *factors, out, given.shape[0], *sizes)
    return out.reshape(x.shape)


def filtered_reference(x: Array, filters: tuple[Array, ...], low: tuple[int, ...], periodic: bool) -> Array:
    """Reference of the kernel `separable`: one convolution for each axis."""
    axes = len(filters)
    for axis, (f, before) in enumerate(zip(filters, low)):
        taps = [1] * axes
        taps[axis] = f.shape[1]
        margin = [(0, 0)] * axes
        margin[axis] = (before, f.shape[1] - 1 - before)
        x = convolve(
            *(x, f.reshape(-1, 1, *taps)),
            **{"padding": margin, "groups": x.shape[1], "boundary": "periodic" if periodic else "zeros"},
        )
    return x


def _separable_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients for x and for each filter."""
    x, filters, periodic = residuals
    xp, channels, axes = namespace(x), x.shape[1], len(filters)
    flipped = tuple(xp.ascontiguousarray(f[:, ::-1]) for f in filters)
    dx = _filtered(dout, flipped, tuple(f.shape[1] // 2 for f in filters), periodic)
    w = window("separable_conv", x.shape[2:], [f.shape[1] for f in filters], 1, 1, "same").lifted
    lifted = [a.reshape(*a.shape[:2], *(1,) * (3 - axes), *a.shape[2:]) for a in (x, dout)]
    padded, offsets = pad_window(lifted[0], w, periodic)
    dense = weight_sums(padded, offsets, lifted[1], channels).reshape(channels, *(f.shape[1] for f in filters))
    letters = "abc"[:axes]
    found = []
    for axis in range(axes):
        others = [k for k in range(axes) if k != axis]
        terms = ",".join(["z" + letters, *(f"z{letters[k]}" for k in others)])
        found.append(contract_all(f"{terms}->z{letters[axis]}", dense, *(filters[k] for k in others)))
    return dx, *found


@op(vjp=_separable_vjp, jvp="multilinear")
def separable_conv(x: Array, *filters: Array, boundary: Boundary = "zeros") -> tuple[Array, Any]:
    """Convolve each channel with a product of filters, one along each axis.

        out[b, c, i, j] = sum over s, t of f[c, s] g[c, t] x[b, c, i + s - before, j + t - before']

    Parameters
    ----------
    x : (batch, channels, *grid) float32 or float64 array
        A grid of one to three axes.
    *filters : (channels, taps) arrays
        One for each axis of the grid. The grid keeps its size: before = (taps - 1) // 2.
    boundary : {"zeros", "periodic"}
        What lies around the grid.

    Returns
    -------
    (batch, channels, *grid) array or variable
        `convolve` in `channels` groups with the products of the filters as weights.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    One read and one write of the fields, where a convolution for each axis takes one of each for every axis. The
    gradient of the filters goes through that of the products.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import separable_conv
    >>> smooth = np.array([[0.25, 0.5, 0.25]])
    >>> separable_conv(np.ones((1, 1, 3, 4)), smooth, smooth, boundary="periodic")[0, 0, 0]
    array([1., 1., 1., 1.])
    """
    require_single_or_double(x, "separable_conv: x")
    shapes = [tuple(f.shape) for f in filters]
    fits = 3 <= x.ndim <= 5 and len(filters) == x.ndim - 2 and min(x.shape[1:]) > 0
    if not fits or any(len(s) != 2 or s[0] != x.shape[1] or not s[1] for s in shapes):
        raise ShapeError(
            f"separable_conv of x {tuple(x.shape)} with filters {shapes}; expected (batch, channels, *grid) of one to "
            "three axes, and a filter (channels, taps) for each"
        )
    if any(f.dtype != x.dtype for f in filters):
        raise InvalidValueError(
            f"separable_conv of x of {x.dtype} with filters of {[str(f.dtype) for f in filters]}; expected one dtype"
        )
    periodic = boundary == "periodic"
    low = tuple((f.shape[1] - 1) // 2 for f in filters)
    return _filtered(x, filters, low, periodic), (x, filters, periodic)
