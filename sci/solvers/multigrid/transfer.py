"""Trilinear interpolation between two levels of multigrid, and its transpose."""

from __future__ import annotations

from functools import partial

from sci.backend import Array
from sci.kernels import bind, get_kernel, use_compiled
from sci.solvers.multigrid.smoothers import SOURCE, Call
from sci.solvers.poisson.grid import Layout, rows_per_block

__all__ = ["prolong", "restrict"]


def restrict(
    fine: Layout, coarse: Layout, t: Array, scratch: Array, d: Array, f: Array, box_array: Array, factor: float
) -> Call:
    """Return a callable that sets f = factor x transpose of the interpolation of t, where d > 0.

    Parameters
    ----------
    fine, coarse : Layout
        `coarse` is `fine.halved`, or on ranks a box of it.
    t : padded fine array
    scratch : (c0, c1, p2) array
        Scratch for the sums over the first two axes.
    d, f : padded coarse array
    box_array : (7,) int64 array
        The box of all coarse cells.
    factor : float
    """
    planes, lines = (get_kernel(SOURCE, f"restrict_{part}", t.dtype) for part in ("rows", "ends"))
    if not (use_compiled(planes, t) and use_compiled(lines, t)):
        return partial(restrict_reference, fine, coarse, t, d, f, factor)
    chunk, blocks = rows_per_block(coarse.whole(), t)
    _, p1, p2 = fine.padded_shape
    _, c1, c2 = coarse.padded_shape
    first = bind(planes, blocks, t, scratch, box_array, p1, p2, c1, chunk, int(fine.is_2d))
    second = bind(lines, blocks, scratch, d, f, box_array, c1, c2, p2, chunk, factor)
    return lambda: (first(), second())


def prolong(
    fine: Layout, coarse: Layout, u: Array, e: Array, d: Array, weights: Array | None, box_array: Array
) -> Call:
    """Return a callable that adds weights x interpolation of e to u, where d > 0, with weights 1 where None.

    `box_array` is the box of all fine cells.
    """
    kernel = get_kernel(SOURCE, "prolong", u.dtype, d.dtype)
    if not use_compiled(kernel, u):
        return partial(prolong_reference, fine, coarse, u, e, d, weights)
    chunk, blocks = rows_per_block(fine.whole(), u)
    flags = (int(weights is not None), int(fine.is_2d))
    arguments = (box_array, *fine.padded_shape[1:], *coarse.padded_shape[1:], chunk, *flags)
    return bind(kernel, blocks, u, e, d, u if weights is None else weights, *arguments)


def _axes(fine: Layout) -> tuple[int, ...]:
    return (1, 2) if fine.is_2d else (0, 1, 2)


def restrict_reference(fine: Layout, coarse: Layout, t: Array, d: Array, f: Array, factor: float) -> None:
    """Reference of the kernels `restrict_rows` and `restrict_ends` in array calls."""
    for axis in _axes(fine):
        n = coarse.lengths[axis]
        parts = [t[(slice(None),) * axis + (slice(k, k + 2 * n - 1, 2),)] for k in range(4)]
        t = 0.25 * (parts[0] + parts[3]) + 0.75 * (parts[1] + parts[2])
    if fine.is_2d:
        t = t[1:2]
    inner = coarse.box_key
    f[inner] = (d[inner] > 0) * (factor * t)


def prolong_reference(fine: Layout, coarse: Layout, u: Array, e: Array, d: Array, weights: Array | None) -> None:
    """Reference of the kernel `prolong` in array calls."""
    for axis in _axes(fine):
        n = coarse.lengths[axis]
        before, here, after = (e[(slice(None),) * axis + (slice(k, k + n),)] for k in range(3))
        wide = here.repeat(2, axis=axis)
        wide[(slice(None),) * axis + (slice(0, None, 2),)] = 0.75 * here + 0.25 * before
        wide[(slice(None),) * axis + (slice(1, None, 2),)] = 0.75 * here + 0.25 * after
        e = wide
    if fine.is_2d:
        e = e[1:2]
    key = tuple(slice(1, 1 + n) for n in e.shape)
    u[key] += (d[key] > 0) * (e if weights is None else e * weights[key])
