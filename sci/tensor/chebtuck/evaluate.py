"""Evaluation of Chebyshev-Tucker expansions at scattered points and on tensor grids, on plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, is_device_array, namespace, to_device
from sci.chebyshev import Interval, differentiate, vandermonde
from sci.errors import InvalidValueError, ShapeError
from sci.kernels import Kernel, block_size, get_kernel, launch, use_compiled
from sci.tensor.formats.modes import mode_products

__all__ = [
    "Box",
    "clip_to_box",
    "clip_to_interval",
    "evaluate_grid",
    "evaluate_points",
    "evaluate_points_reference",
    "gradient_points",
    "gradient_points_reference",
]

Box: TypeAlias = tuple[Interval, Interval, Interval]

BLOCK_ENTRIES = 2**21
"""Entries of the largest intermediate array of one block of points: 16 MB in float64."""
HOST_CHUNK, DEVICE_CHUNK = 2**10, 2**17
"""Points whose tables of basis functions are made at once: on the host they stay in the second or third cache."""
HOST_GROUP = 4
"""Tiles of points that take a panel of the core at once, as in the kernel."""
PANEL_ROWS = {("float64", False): 3, ("float32", False): 4, ("float64", True): 8, ("float32", True): 8}
"""Columns of a matrix that a pass of the kernel takes at once, by dtype and device: sums that fit the registers."""


def clip_to_interval(x: ArrayLike, interval: Interval, axis: int) -> Array:
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


def clip_to_box(points: ArrayLike, domain: Box) -> Array:
    """Return points, (n, 3), moved onto the faces of the domain where rounding put them outside, or raise."""
    xp = namespace(points)
    return xp.stack([clip_to_interval(points[:, axis], domain[axis], axis) for axis in range(3)], axis=1)


def _blocks(core: Array, factors: Sequence[Array], n_points: int) -> list[slice]:
    rows = core.size // core.shape[0] + max(int(f.shape[0]) for f in factors)
    step = max(1, BLOCK_ENTRIES // rows)
    return [slice(start, start + step) for start in range(0, n_points, step)]


def _basis(factor: Array, points: ArrayLike, domain: Interval) -> Array:
    return vandermonde(points, factor.shape[0] - 1, domain) @ factor


def evaluate_points(core: Array, factors: Sequence[Array], domain: Box, points: ArrayLike) -> Array:
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
    2 r_1 r_2 r_3 + 2 sum (degree_l + 1) r_l flops a point, in a compiled kernel; without a compiler as
    `evaluate_points_reference`.
    """
    compiled = _Compiled.of(core, factors, points)
    if compiled is None:
        return evaluate_points_reference(core, factors, domain, points)
    out = namespace(points).empty((len(points), 1), dtype=compiled.dtype)
    compiled.run(core, factors, domain, points, [(_axes_by_rank(core)[::-1], out)])
    return out[:, 0]


def gradient_points(core: Array, factors: Sequence[Array], domain: Box, points: ArrayLike) -> Array:
    """Evaluate value and gradient of a Chebyshev-Tucker expansion at scattered points, (n, 4).

    Parameters are those of `evaluate_points`. The derivative of each series is taken on its coefficients.

    Notes
    -----
    Two products with the core a point: 4 r_1 r_2 r_3 flops.
    """
    xp = namespace(core, *factors, points)
    compiled = _Compiled.of(core, factors, points)
    if compiled is None:
        value = evaluate_points_reference(core, factors, domain, points)
        return xp.concatenate([value[:, None], gradient_points_reference(core, factors, domain, points)], axis=1)
    large, middle, small = _axes_by_rank(core)
    first, second = (xp.empty((len(points), 3), dtype=compiled.dtype) for _ in range(2))
    compiled.run(core, factors, domain, points, [((small, middle, large), first), ((small, large, middle), second)])
    out = xp.empty((len(points), 4), dtype=compiled.dtype)
    out[:, 0] = first[:, 0]
    for axis, found in ((small, first[:, 1]), (middle, first[:, 2]), (large, second[:, 2])):
        out[:, 1 + axis] = found
    return out


@dataclass(frozen=True)
class _Compiled:
    """The dtype of a call and its panels' width."""

    dtype: Any
    rows: int

    @classmethod
    def of(cls, core: Array, factors: Sequence[Array], points: ArrayLike) -> _Compiled | None:
        """Return the launch plan of the kernels for these arrays, or None where the references serve."""
        xp = namespace(core, *factors, points)
        dtype = xp.result_type(core, *factors, points)
        rows = PANEL_ROWS.get((str(dtype), is_device_array(points)))
        if rows is None or len(points) == 0:
            return None
        found = cls(dtype, rows)
        kernels = (found._kernel("chebtuck_basis"), found._kernel("chebtuck_points", False))
        return found if all(use_compiled(kernel, points) for kernel in kernels) else None

    def _kernel(self, name: str, *flags: bool) -> Kernel:
        return get_kernel("particles/chebtuck_points.cu", name, self.dtype, self.rows, *flags)

    def run(
        self,
        core: Array,
        factors: Sequence[Array],
        domain: Box,
        points: ArrayLike,
        outputs: Sequence[tuple[tuple[int, int, int], Array]],
    ) -> None:
        """Fill each output, (n, 1) or (n, 3), by a contraction in its order of axes, the slopes along the first two."""
        xp = namespace(points)
        slopes = [outputs[0][1].shape[1] == 3] * 3
        columns = [
            xp.concatenate([f, _padded(differentiate(f, 0, interval), len(f))], axis=1) if slope else f
            for f, interval, slope in zip(factors, domain, slopes)
        ]
        panels = [self._panels(c) for c in columns]
        cores = [self._panels(xp.transpose(core, axes).reshape(-1, core.shape[axes[2]]).T) for axes, _ in outputs]
        geometry = to_device(np.array([[a, b - a] for a, b in domain]).ravel().astype(self.dtype), xp)
        points = xp.ascontiguousarray(points.astype(self.dtype, copy=False))
        chunk = DEVICE_CHUNK if is_device_array(points) else HOST_CHUNK
        tables = self._workspace(panels, min(chunk, len(points)), xp)
        for start in range(0, len(points), chunk):
            part = points[start : start + chunk]
            for axis, panel in enumerate(panels):
                self._tabulate(part, geometry, panel, axis, tables[3], tables[axis])
            for packed, (axes, out) in zip(cores, outputs):
                self._contract(core.shape, packed, tables, axes, out[start : start + chunk])

    def _panels(self, matrix: Array) -> Array:
        """Return (n, columns) as panels of `rows` columns, (panels, n, rows), the last padded by zeros."""
        xp, (n, columns) = namespace(matrix), matrix.shape
        count = -(-columns // self.rows)
        padded = xp.zeros((n, count * self.rows), dtype=self.dtype)
        padded[:, :columns] = matrix
        return xp.ascontiguousarray(padded.reshape(n, count, self.rows).transpose(1, 0, 2))

    def _workspace(self, panels: Sequence[Array], n: int, xp: Any) -> list[Array]:
        """Return the tables of three axes for n points, and one for Chebyshev polynomials, of uninitialized memory.

        Tables are (tiles, columns, block), one tile after the other, so that a tile lies together in cache.
        """
        block = block_size(panels[0])
        columns = [*(len(p) * self.rows for p in panels), max(p.shape[1] for p in panels)]
        return [xp.empty((-(-n // block), count, block), dtype=self.dtype) for count in columns]

    def _tabulate(
        self, points: ArrayLike, geometry: Array, panels: Array, axis: int, polynomials: Array, table: Array
    ) -> None:
        """Fill `table` with the functions of `axis` at the points."""
        n, (count, terms, _) = len(points), panels.shape
        kernel, tiles = self._kernel("chebtuck_basis"), -(-n // block_size(points))
        launch(kernel, tiles, points, geometry, panels, polynomials, table, n, terms, count, axis)

    def _contract(
        self, shape: Sequence[int], core: Array, tables: Sequence[Array], axes: tuple[int, int, int], out: Array
    ) -> None:
        n, block = len(out), block_size(out)
        blocks = -(-n // (block if is_device_array(out) else HOST_GROUP * block))
        kernel = self._kernel("chebtuck_points", out.shape[1] == 3)
        a, b, c = (tables[axis] for axis in axes)
        ranks = [shape[axis] for axis in axes]
        launch(kernel, blocks, core, a, b, c, out, n, *ranks, a.shape[1], b.shape[1], c.shape[1])


def _padded(matrix: Array, n: int) -> Array:
    """Return `matrix` with zero rows below, n of them in all."""
    xp = namespace(matrix)
    result = xp.zeros((n, matrix.shape[1]), dtype=matrix.dtype)
    result[: len(matrix)] = matrix
    return result


@entry
def evaluate_points_reference(core: Array, factors: Sequence[Array], domain: Box, points: ArrayLike) -> Array:
    """Reference of `evaluate_points` in array calls: one matrix product with the core a block of points.

    Blocks keep the intermediate arrays near 16 MB each, two at a time, whatever n is.

    Parameters
    ----------
    core : (r1, r2, r3) array
        Of the Tucker form.
    factors : sequence of 3 arrays
        Chebyshev coefficients of the bases, (degree + 1, r) each.
    domain : (float, float)
        Ends of the interval, ascending.
    points : (n, 3) array
        Inside the box.

    Returns
    -------
    (n,) array
        Values at the points.
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


@entry
def gradient_points_reference(core: Array, factors: Sequence[Array], domain: Box, points: ArrayLike) -> Array:
    """Return the gradient alone, (n, 3), in array calls: two products with the core.

    Parameters
    ----------
    core : (r1, r2, r3) array
        Of the Tucker form.
    factors : sequence of 3 arrays
        Chebyshev coefficients of the bases, (degree + 1, r) each.
    domain : (float, float)
        Ends of the interval, ascending.
    points : (n, 3) array
        Inside the box.

    Returns
    -------
    (n, 3) array
        Derivatives along x, y and z, over the units of `points`.
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
