"""Red-black Gauss-Seidel and the residual on one level of multigrid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from sci.backend import Array
from sci.kernels import bind, get_kernel, use_compiled
from sci.solvers.multigrid.level import inverse_diagonal
from sci.solvers.poisson.grid import Box, Layout, box_key, rows_per_block
from sci.solvers.poisson.stencil import around

__all__ = ["Call", "first_sweep", "half_sweep", "residual"]

Call: TypeAlias = Callable[[], object]
"""A kernel bound to its arguments once, to be run many times."""

SOURCE = "grid/multigrid.cu"


def half_sweep(
    layout: Layout, u: Array, f: Array, d: Array, offdiag: Array | None, color: int, box_array: Array, box: Box
) -> Call:
    """Return a callable that sets u = (f + sum of link x neighbor) / d in one color: i + j + k + color even.

    Parameters
    ----------
    layout : Layout
    u, f, d : padded array
        Zero outside of the unknowns; d may be int8.
    offdiag : (3, *padded) array or None
    color : int
    box_array, box
        The box to work on, as an array on the device and as integers.
    """
    kernel = get_kernel(SOURCE, "half_sweep", u.dtype, d.dtype, offdiag is not None)
    if not use_compiled(kernel, u):
        return partial(half_sweep_reference, u, f, d, offdiag, box_array, color)
    chunk, blocks = rows_per_block(box, u)
    return bind(
        kernel, blocks, u, u, f, d, given_offdiag(offdiag, u), box_array, *layout.padded_shape[1:], chunk, color
    )


def first_sweep(layout: Layout, u: Array, f: Array, d: Array, color: int, box_array: Array, box: Box) -> Call:
    """Return a callable that sets u = f / d in one color and 0 in the other: the first half-sweep from u = 0."""
    kernel = get_kernel(SOURCE, "first_sweep", u.dtype, d.dtype)
    if not use_compiled(kernel, u):
        return partial(first_sweep_reference, u, f, d, box_array, color)
    chunk, blocks = rows_per_block(box, u)
    return bind(kernel, blocks, u, f, d, box_array, *layout.padded_shape[1:], chunk, color)


def residual(
    layout: Layout,
    u: Array,
    f: Array,
    d: Array,
    offdiag: Array | None,
    weights: Array | None,
    t: Array,
    box_array: Array,
    box: Box,
) -> Call:
    """Return a callable that sets t = weights (f - d u + sum of link x neighbor), with weights 1 where None."""
    kernel = get_kernel(SOURCE, "residual", u.dtype, d.dtype, offdiag is not None)
    if not use_compiled(kernel, u):
        return partial(residual_reference, u, f, d, offdiag, weights, t, box_array)
    chunk, blocks = rows_per_block(box, u)
    arguments = (box_array, *layout.padded_shape[1:], chunk, int(weights is not None))
    return bind(kernel, blocks, u, f, d, given_offdiag(offdiag, u), t if weights is None else weights, t, *arguments)


def given_offdiag(offdiag: Array | None, u: Array) -> Array:
    """Return the off-diagonal entries, or the placeholder of kernels that read none."""
    return u.reshape(-1)[:3].reshape(3, 1, 1, 1) if offdiag is None else offdiag


def _color_of(d: Array, box_array: Array, color: int) -> Array:
    """Return ones in the cells of one color of a box, zeros in the others, like `d` in shape."""
    i, j, k = (int(v) for v in box_array[:3])
    on = d == d
    on[...] = False
    for a in (0, 1):
        for b in (0, 1):
            on[a::2, b::2, (a + b + i + j + k + color) % 2 :: 2] = True
    return on


def half_sweep_reference(u: Array, f: Array, d: Array, offdiag: Array | None, box_array: Array, color: int) -> None:
    """Reference of the kernel `half_sweep` in array calls."""
    key = box_key(box_array)
    value = (f[key] + around(u, offdiag, box_array)) * inverse_diagonal(d[key], u.dtype)
    on = _color_of(d[key], box_array, color)
    u[key] = on * value + ~on * u[key]


def first_sweep_reference(u: Array, f: Array, d: Array, box_array: Array, color: int) -> None:
    """Reference of the kernel `first_sweep` in array calls."""
    key = box_key(box_array)
    u[key] = _color_of(d[key], box_array, color) * f[key] * inverse_diagonal(d[key], u.dtype)


def residual_reference(
    u: Array, f: Array, d: Array, offdiag: Array | None, weights: Array | None, t: Array, box_array: Array
) -> None:
    """Reference of the kernel `residual` in array calls."""
    key = box_key(box_array)
    value = (d[key] > 0) * (f[key] - d[key] * u[key] + around(u, offdiag, box_array))
    t[key] = value if weights is None else value * weights[key]
