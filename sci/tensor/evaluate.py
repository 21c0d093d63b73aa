"""Evaluation of Chebyshev-Tucker expansions at scattered points and on tensor grids, on plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.chebyshev import Interval, differentiate, vandermonde
from sci.errors import InvalidValueError, ShapeError
from sci.tensor.modes import mode_products

__all__ = [
    "Box",
    "clip_to_box",
    "clip_to_interval",
    "evaluate_grid",
    "evaluate_points_reference",
    "gradient_points_reference",
]

Box: TypeAlias = tuple[Interval, Interval, Interval]

BLOCK_ENTRIES = 2**21
"""Entries of the largest intermediate array of one block of points: 16 MB in float64."""


def clip_to_interval(x: Array, interval: Interval, axis: int) -> Array:
    """Return coordinates along `axis`, with those that rounding put outside the interval moved onto its ends.

    Raises
    ------
    InvalidValueError
        If one lies outside by more than 1e-12 of the half width plus eight roundings of the coordinate.
    """
    xp = namespace(x)
    low, high = interval
    slack = 0.5e-12 * (high - low) + 8.0 * np.finfo(np.float64).eps * max(abs(low), abs(high))
    outside = (x < low - slack) | (x > high + slack)
    if bool(outside.any()):
        first = int(xp.argmax(outside))
        raise InvalidValueError(
            f"{int(outside.sum())} of {len(x)} coordinates along axis {axis} lie outside the domain [{low}, {high}], "
            f"the first {float(x[first]):.6g} at index {first}; a Chebyshev series means nothing there: drop the "
            "points or build on a larger domain"
        )
    return xp.clip(x, low, high)


def clip_to_box(points: Array, domain: Box) -> Array:
    """Return points, (n, 3), moved onto the faces of the domain where rounding put them outside, or raise."""
    xp = namespace(points)
    return xp.stack([clip_to_interval(points[:, axis], domain[axis], axis) for axis in range(3)], axis=1)


def _blocks(core: Array, factors: Sequence[Array], n_points: int) -> list[slice]:
    rows = core.size // core.shape[0] + max(int(f.shape[0]) for f in factors)
    step = max(1, BLOCK_ENTRIES // rows)
    return [slice(start, start + step) for start in range(0, n_points, step)]


def _basis(factor: Array, points: Array, domain: Interval) -> Array:
    return vandermonde(points, factor.shape[0] - 1, domain) @ factor


def evaluate_points_reference(core: Array, factors: Sequence[Array], domain: Box, points: Array) -> Array:
    """Evaluate f(x) = sum core_ijk a_i(x_1) b_j(x_2) c_k(x_3) at scattered points.

    Parameters
    ----------
    core : (r_1, r_2, r_3)
    factors : three (degree_l + 1, r_l)
        Chebyshev coefficients of the functions a_i, b_j, c_k in their columns.
    domain : three (float, float)
    points : (n, 3) float64
        Inside the domain; not checked here.

    Returns
    -------
    (n,) array

    Notes
    -----
    2 r_1 r_2 r_3 + 2 sum (degree_l + 1) r_l flops a point, most of them in one matrix product a block of points.
    Blocks keep the intermediate arrays near 16 MB whatever n is.
    """
    xp = namespace(core, *factors, points)
    first, second, third = _axes_by_rank(core)
    flat = xp.ascontiguousarray(xp.transpose(core, (first, second, third))).reshape(core.shape[first], -1)
    result = xp.empty(len(points), dtype=xp.result_type(core, points))
    for part in _blocks(flat, factors, len(points)):
        a, b, c = (_basis(factors[axis], points[part, axis], domain[axis]) for axis in (first, second, third))
        partial = (a @ flat).reshape(len(a), b.shape[1], c.shape[1])
        result[part] = (xp.matmul(b[:, None, :], partial)[:, 0, :] * c).sum(axis=1)
    return result


def gradient_points_reference(core: Array, factors: Sequence[Array], domain: Box, points: Array) -> Array:
    """Evaluate the gradient of a Chebyshev-Tucker expansion at scattered points, (n, 3).

    Parameters are those of `evaluate_points_reference`. The derivative of each series is taken on its coefficients.

    Notes
    -----
    Two products with the core a point: 4 r_1 r_2 r_3 flops.
    """
    xp = namespace(core, *factors, points)
    order = _axes_by_rank(core)
    flat = xp.ascontiguousarray(xp.transpose(core, order)).reshape(core.shape[order[0]], -1)
    slopes = [differentiate(f, 0, interval) for f, interval in zip(factors, domain)]
    result = xp.empty((len(points), 3), dtype=xp.result_type(core, points))
    for part in _blocks(flat, factors, len(points)):
        a, b, c = (_basis(factors[axis], points[part, axis], domain[axis]) for axis in order)
        da, db, dc = (_basis(slopes[axis], points[part, axis], domain[axis]) for axis in order)
        shape = (len(a), b.shape[1], c.shape[1])
        partial = (a @ flat).reshape(shape)
        along = xp.matmul(b[:, None, :], partial)[:, 0, :]
        result[part, order[2]] = (along * dc).sum(axis=1)
        result[part, order[1]] = (xp.matmul(db[:, None, :], partial)[:, 0, :] * c).sum(axis=1)
        partial = (da @ flat).reshape(shape)
        result[part, order[0]] = (xp.matmul(b[:, None, :], partial)[:, 0, :] * c).sum(axis=1)
    return result


def _axes_by_rank(core: Array) -> tuple[int, int, int]:
    """Order the axes with the largest rank first: its contraction leaves the smallest intermediate array."""
    first, second, third = sorted(range(3), key=lambda axis: -core.shape[axis])
    return first, second, third


def evaluate_grid(
    core: Array, factors: Sequence[Array], domain: Box, axes: Sequence[Array], out: Array | None = None
) -> Array:
    """Evaluate on the tensor grid x cross y cross z, (n_1, n_2, n_3), by matrix products in the cheapest order."""
    xp = namespace(core, *factors, *axes)
    shape = tuple(len(x) for x in axes)
    dtype = xp.result_type(core, *factors, *axes)
    if out is not None and (out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous):
        raise ShapeError(
            f"out has shape {tuple(out.shape)} and dtype {out.dtype}; expected a C-contiguous {shape} array of {dtype}"
        )
    bases = [_basis(f, x, interval) for f, x, interval in zip(factors, axes, domain)]
    return mode_products(core, bases, out)
