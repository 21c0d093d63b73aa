"""Spread charges onto a periodic grid, and gather potential and gradient from it: kernels and their references."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, ArrayLike, is_device_array, namespace, to_device
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.potentials.mesh.window import LANES, spline_taps

__all__ = ["gather_fields", "spread_charges"]

SOURCE = "particles/mesh.cu"
PART = 16_384
MOST_COPIES = 4
"""Charges of a part on the host, and parts at most: each has a grid of its own, so that threads change no sum."""


def spread_charges(
    positions: Array, charges: Array, inverse: ArrayLike, shape: tuple[int, int, int], order: int, dtype: Any
) -> Array:
    """Return the charges on a periodic grid, spread by B-splines.

    Parameters
    ----------
    positions : (n, 3) float64
        Anywhere.
    charges : (n,) float64
    inverse : (3, 3) float64
        Inverse of the cell; on the host.
    shape : (n1, n2, n3)
        At least 8 points along each axis.
    order : int
        Points along an axis that a charge touches, 5 to 8.
    dtype : float32 or float64

    Returns
    -------
    (n1, n2, n3) array of `dtype`
        A view of rows that are 8 points longer. The sum is that of the charges.
    """
    xp, (n1, n2, n3) = namespace(positions), shape
    taps, inverse = (to_device(a, xp) for a in (spline_taps(order).astype(dtype), np.ravel(inverse)))
    kernel = get_kernel(SOURCE, "spread_charges", dtype, order)
    n = len(charges)
    if is_device_array(positions):
        copies, parts = 1, -(-n // block_size(positions))
    else:
        copies = parts = min(MOST_COPIES, 1 + n // PART)
    grids = xp.zeros((copies, n1, n2, n3 + LANES), dtype=dtype)
    if use_compiled(kernel, positions):
        launch(kernel, parts, positions, charges, inverse, taps, grids, n, n1, n2, n3 + LANES, copies, parts)
    else:
        _spread_reference(positions, charges, inverse, taps, grids[0])
    grid = grids[0]
    for other in grids[1:]:
        grid += other
    grid[:, :, :LANES] += grid[:, :, n3:]
    return grid[:, :, :n3]


def gather_fields(positions: Array, inverse: ArrayLike, values: Array, order: int) -> Array:
    """Return potential and gradient at charges, by B-splines of values on a periodic grid.

    Parameters
    ----------
    positions : (n, 3) float64
    inverse : (3, 3) float64
        Inverse of the cell; on the host.
    values : (n1, n2, n3) float32 or float64
    order : int
        Points along an axis that a charge touches, 5 to 8.

    Returns
    -------
    (n, 4) float64
        The interpolant and its gradient by x, y and z.
    """
    xp, (n1, n2, n3), dtype = namespace(positions), values.shape, values.dtype
    taps, inverse = (to_device(a, xp) for a in (spline_taps(order).astype(dtype), np.ravel(inverse)))
    grid = xp.empty((n1, n2, n3 + LANES), dtype=dtype)
    grid[:, :, :n3] = values
    grid[:, :, n3:] = values[:, :, :LANES]
    out = xp.empty((len(positions), 4))
    kernel = get_kernel(SOURCE, "gather_fields", dtype, order)
    if use_compiled(kernel, positions):
        blocks = -(-len(positions) // block_size(positions))
        launch(kernel, blocks, positions, inverse, taps, grid, out, len(positions), n1, n2, n3 + LANES)
    else:
        _gather_reference(positions, inverse, taps, grid, out)
    return out


def _weights(positions: Array, inverse: Array, taps: Array, shape: tuple[int, ...]) -> tuple[list[Array], ...]:
    """Return for each axis the points (n, P) that charges touch, their weights, and the slopes of these."""
    xp, order = namespace(positions), len(taps)
    fractions = positions @ inverse.reshape(3, 3)
    fractions = fractions - xp.floor(fractions)
    points, weights, slopes = [], [], []
    powers = np.arange(order)
    for axis, n in enumerate(shape):
        u = fractions[:, axis] * n
        below = xp.minimum(xp.floor(u), n - 1)
        t = (u - below - 0.5).astype(taps.dtype)[:, None]
        points.append((below[:, None].astype(np.int64) + xp.arange(order) - (order - 1)) % n)
        columns = taps[:, :order]
        weights.append((t ** xp.asarray(powers, dtype=taps.dtype)) @ columns)
        slopes.append((t ** xp.asarray(powers[:-1], dtype=taps.dtype)) @ (columns[1:] * xp.asarray(powers[1:, None])))
    return points, weights, [s.astype(taps.dtype) for s in slopes]


def _spread_reference(positions: Array, charges: Array, inverse: Array, taps: Array, grid: Array) -> None:
    """Reference of the kernel `spread_charges`: in array calls over all charges."""
    n1, n2, row = grid.shape
    (x, y, z), (wx, wy, wz), _ = _weights(positions, inverse, taps, (n1, n2, row - LANES))
    parts = (charges.astype(grid.dtype)[:, None] * wx)[:, :, None, None] * wy[:, None, :, None] * wz[:, None, None, :]
    namespace(positions).add.at(grid, (x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]), parts)


def _gather_reference(positions: Array, inverse: Array, taps: Array, grid: Array, out: Array) -> None:
    """Reference of the kernel `gather_fields`: in array calls over all charges."""
    xp, shape = namespace(positions), (grid.shape[0], grid.shape[1], grid.shape[2] - LANES)
    (x, y, z), w, s = _weights(positions, inverse, taps, shape)
    near = grid[x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]]
    out[:, 0] = xp.einsum("iabc,ia,ib,ic->i", near, *w)
    slopes = [
        n * xp.einsum("iabc,ia,ib,ic->i", near, *(s[b] if a == b else w[b] for b in range(3)))
        for a, n in enumerate(shape)
    ]
    out[:, 1:] = xp.stack(slopes, axis=1) @ inverse.reshape(3, 3).T
