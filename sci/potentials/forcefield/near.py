"""The long range of the few sources next to a point, where a sum is to leave them out altogether."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from sci.backend import Array, ArrayLike, namespace, to_device, to_host
from sci.potentials.forcefield.images import cell_images, nearest_images, reduced_cell, wrapped, wrapped_fractions
from sci.potentials.radial.kernels import GaussianSum

__all__ = ["near_long_range"]


def near_long_range(
    points: Array, positions: Array, charges: Array, cell: ArrayLike | None, smooth: GaussianSum, apart: float
) -> tuple[Array, Array]:
    """Return rows of points, and the sums of q [L(r) - L(0)] and its gradient over sources within `apart` of each.

    Parameters
    ----------
    points, positions, charges : (m, 3), (n, 3), (n,) float64
    cell : (3, 3) float64, optional
        At least twice as high as `apart`; the nearest image counts.
    smooth : GaussianSum
        L, the long range. A short range that takes a near source for the point itself, -L(0) q, and a long range of
        all sources add up to this.
    apart : float, angstrom

    Returns
    -------
    rows : (k,) int64
    sums : (k, 4) float64
    """
    xp = namespace(points)
    here, there, numbers = to_host(points), to_host(positions), np.arange(len(positions))
    if cell is not None:
        periods = reduced_cell(to_host(cell))
        margin = apart * np.linalg.norm(np.linalg.inv(periods), axis=0)
        here = wrapped(here, periods)[1]
        there, numbers = cell_images(wrapped_fractions(there, periods), periods, margin)
    found = cKDTree(here).sparse_distance_matrix(cKDTree(there), apart, output_type="coo_matrix")
    row, source = (to_device(np.asarray(index, dtype=np.int64), xp) for index in (found.row, numbers[found.col]))
    vectors = points[row] - positions[source]
    if cell is not None:
        vectors = nearest_images(vectors, to_host(cell))
    r2, q = (vectors * vectors).sum(axis=1), charges[source]
    value, slope = xp.zeros(len(row)), xp.zeros(len(row))
    for t, w in zip(smooth.exponents.tolist(), smooth.weights.tolist()):
        value += w * xp.expm1(-t * t * r2)
        slope -= 2 * w * t * t * xp.exp(-t * t * r2)
    columns = [q * value, *((q * slope * vectors[:, axis]) for axis in range(3))]
    rows, inverse = xp.unique(row, return_inverse=True)
    return rows, xp.stack([xp.bincount(inverse, weights=c, minlength=len(rows)) for c in columns], axis=1)
