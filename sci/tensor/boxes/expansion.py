"""Piecewise Chebyshev expansions on a grid of boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci import chebyshev
from sci.backend import Array, namespace, to_device
from sci.kernels import get_kernel, launch, use_compiled
from sci.tensor.boxes.grid import BoxGrid, Tiles, local_coordinates

__all__ = ["BOX_DEGREES", "BoxExpansion", "axis_coefficients"]

BOX_DEGREES = (5, 7, 9, 11, 13, 15, 17)
"""Degrees of box expansions that the evaluation is compiled for."""


@dataclass(frozen=True)
class BoxExpansion:
    """A function that is, in each box of a grid, a Chebyshev series of one degree along every axis.

    Parameters
    ----------
    coefficients : (n1 p, n2 p, n3 p) float64
        Entry [b1 p + i, b2 p + j, b3 p + k] is that of T_i T_j T_k in box (b1, b2, b3); p = degree + 1.
    grid : BoxGrid
    """

    coefficients: Array
    grid: BoxGrid

    def __repr__(self) -> str:
        return f"BoxExpansion(counts={self.grid.counts}, degree={self.degree}, {self.coefficients.nbytes} bytes)"

    @property
    def degree(self) -> int:
        """Degree along every axis."""
        return int(self.coefficients.shape[0]) // self.grid.counts[0] - 1

    @classmethod
    def of_chebtuck(cls, core: Array, factors: tuple[Array, ...], grid: BoxGrid, degree: int) -> BoxExpansion:
        """Re-expand a Chebyshev-Tucker function over the boxes of `grid`, by interpolation at `degree` + 1 nodes.

        Cost: three matrix products, 2 (n p)^3 r flops for the largest.
        """
        xp = namespace(core)
        result = core
        for axis in (2, 1, 0):
            local = axis_coefficients(factors[axis], grid, axis, degree)
            result = xp.moveaxis(xp.tensordot(local, result, axes=(1, axis)), 0, axis)
        return cls(xp.ascontiguousarray(result), grid)

    def evaluate_into(self, out: Array, points: Array, tiles: Tiles) -> None:
        """Set out[i] to f(points[i]), or to f and its gradient where `out` is (m, 4)."""
        gradient = out.shape[1] == 4
        kernel = get_kernel("particles/boxes.cu", "evaluate_boxes", np.float64, self.degree + 1, gradient)
        if not use_compiled(kernel, points):
            out[:] = evaluate_boxes_reference(self, points, gradient)
            return
        geometry = to_device(self.grid.geometry, namespace(points))
        launch(
            kernel,
            len(tiles.box),
            *(self.coefficients, geometry, points, tiles.order, tiles.start, tiles.box, out),
            *(len(tiles.box), *self.grid.counts[1:]),
        )


def axis_coefficients(factor: Array, grid: BoxGrid, axis: int, degree: int) -> Array:
    """Return the columns of `factor`, Chebyshev series on one axis of the domain, re-expanded over the boxes.

    Parameters
    ----------
    factor : (m, r) float64
    grid : BoxGrid
    axis : int
    degree : int

    Returns
    -------
    (counts[axis] (degree + 1), r) float64
        The coefficients over each box in turn, by interpolation at `degree` + 1 nodes.
    """
    edges, nodes = grid.edges(axis), (chebyshev.nodes(degree) + 1) / 2
    x = edges[:-1, None] + np.diff(edges)[:, None] * nodes
    values = to_device(x.ravel(), namespace(factor))
    rows = chebyshev.vandermonde(values, factor.shape[0] - 1, grid.domain[axis]) @ factor
    local = chebyshev.values_to_coefficients(rows.reshape(len(x), degree + 1, -1), axis=1)
    return local.reshape(len(x) * (degree + 1), -1)


def evaluate_boxes_reference(expansion: BoxExpansion, points: Array, gradient: bool) -> Array:
    """Reference of the kernel `evaluate_boxes`: in array calls over blocks of points."""
    xp = namespace(points)
    p, grid = expansion.degree + 1, expansion.grid
    boxed = expansion.coefficients.reshape(*(n for c in grid.counts for n in (c, p)))
    out = xp.empty((len(points), 4 if gradient else 1))
    slope = to_device(chebyshev.differentiation_matrix(p - 1), xp)
    for start in range(0, len(points), 4096):
        chosen = slice(start, start + 4096)
        cells, local = local_coordinates(points[chosen], grid)
        blocks = boxed.transpose(0, 2, 4, 1, 3, 5)[cells[0], cells[1], cells[2]]
        values = [chebyshev.vandermonde(x, p - 1) for x in local]
        out[chosen, 0] = xp.einsum("nijk,ni,nj,nk->n", blocks, *values, optimize=True)
        for axis in range(3 if gradient else 0):
            chain = [v[:, :-1] @ slope if a == axis else v for a, v in enumerate(values)]
            scale = 2 * grid.geometry[3 + axis]
            out[chosen, 1 + axis] = scale * xp.einsum("nijk,ni,nj,nk->n", blocks, *chain, optimize=True)
    return out
