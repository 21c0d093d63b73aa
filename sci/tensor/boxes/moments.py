"""Chebyshev moments of weighted points on a grid of boxes."""

from __future__ import annotations

import numpy as np

from sci import chebyshev
from sci.backend import Array, namespace, to_device
from sci.kernels import get_kernel, launch, use_compiled
from sci.tensor.boxes.grid import BoxGrid, local_coordinates

__all__ = ["MOMENT_DEGREES", "box_moments", "merge_moments"]

MOMENT_DEGREES = (7, 15, 23)
"""Degrees of moments that the kernel is compiled for: whole vectors of coefficients."""


def box_moments(points: Array, weights: Array, grid: BoxGrid, degree: int, slabs: slice = slice(None)) -> Array:
    """Return the moments M_b[i, j, k] = sum over the points of box b of w T_i(x) T_j(y) T_k(z).

    Parameters
    ----------
    points : (n, 3) float64
        Inside the domain of `grid`.
    weights : (n,) float64
    grid : BoxGrid
    degree : int
        One of `MOMENT_DEGREES`.
    slabs : slice
        Boxes along the first axis that are wanted. Their moments do not depend on the choice, to the last bit.

    Returns
    -------
    (n1 p, n2 p, n3 p) float64
        In the layout of `BoxExpansion.coefficients`, whose evaluation this is the adjoint of; n1 boxes are wanted.
    """
    xp = namespace(points, weights)
    p = degree + 1
    order, offsets = grid.sort(points)
    first, last, _ = slabs.indices(grid.counts[0])
    each = grid.counts[1] * grid.counts[2]
    offsets = offsets[first * each : max(first, last) * each + 1]
    order = order[int(offsets[0]) : int(offsets[-1])]
    offsets = offsets - offsets[0]
    counts = (max(0, last - first), *grid.counts[1:])
    x, y, z = (
        xp.ascontiguousarray(chebyshev.vandermonde(u, degree)) for u in local_coordinates(points[order], grid)[1]
    )
    x *= weights[order][:, None]
    kernel = get_kernel("particles/boxes.cu", "box_moments", np.float64, p)
    if not use_compiled(kernel, points):
        return box_moments_reference(x, y, z, offsets, counts)
    moments, boxes = xp.zeros(tuple(c * p for c in counts)), len(offsets) - 1
    if boxes:
        launch(kernel, boxes, x, y, z, offsets, moments, boxes, *counts[1:])
    return moments


def box_moments_reference(x: Array, y: Array, z: Array, offsets: Array, counts: tuple[int, int, int]) -> Array:
    """Reference of the kernel `box_moments`: one matrix product a box."""
    p = x.shape[1]
    moments = namespace(x).zeros(tuple(n for c in counts for n in (c, p)))
    for box in range(len(offsets) - 1):
        inside = slice(int(offsets[box]), int(offsets[box + 1]))
        yz = (y[inside, :, None] * z[inside, None, :]).reshape(-1, p * p)
        b1, b2, b3 = np.unravel_index(box, counts)
        moments[b1, :, b2, :, b3, :] = (x[inside].T @ yz).reshape(p, p, p)
    return moments.reshape(tuple(c * p for c in counts))


def merge_moments(moments: Array, grid: BoxGrid, counts: tuple[int, int, int]) -> Array:
    """Return the moments on the coarser grid of `counts` boxes, which divide those of `grid`.

    Exact: a polynomial over a box is one over each part of it. Cost: one small matrix product an axis.
    """
    xp = namespace(moments)
    for axis, (fine, coarse) in enumerate(zip(grid.counts, counts)):
        factor, p = fine // coarse, moments.shape[axis] // fine
        if factor == 1:
            continue
        parts = (np.arange(factor)[:, None] + (chebyshev.nodes(p - 1) + 1) / 2) * (2 / factor) - 1
        values = chebyshev.vandermonde(parts.ravel(), p - 1).reshape(factor, p, p)
        weights = chebyshev.values_to_coefficients(values, axis=1).reshape(factor * p, p)
        before, after = moments.shape[:axis], moments.shape[axis + 1 :]
        if axis == 2:
            moments = moments.reshape(-1, factor * p) @ to_device(weights, xp)
        else:
            stacked = moments.reshape(int(np.prod(before)) * coarse, factor * p, -1)
            moments = xp.matmul(to_device(weights.T, xp), stacked)
        moments = moments.reshape(*before, coarse * p, *after)
    return moments
