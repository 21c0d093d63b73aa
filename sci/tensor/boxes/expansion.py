"""Piecewise Chebyshev expansions on a grid of boxes, and the order in which points are visited box by box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci import chebyshev
from sci.backend import Array, namespace, to_device
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = ["BOX_DEGREES", "MOMENT_DEGREES", "BoxExpansion", "BoxGrid", "Tiles", "box_moments", "merge_moments"]

BOX_DEGREES = (5, 7, 9, 11, 13, 15, 17)
"""Degrees of box expansions that the evaluation is compiled for."""
MOMENT_DEGREES = (7, 15, 23)
"""Degrees of moments that the kernel is compiled for: whole vectors of coefficients."""


@dataclass(frozen=True)
class BoxGrid:
    """A domain cut into counts[0] x counts[1] x counts[2] equal boxes.

    Parameters
    ----------
    domain : ((a1, b1), (a2, b2), (a3, b3))
    counts : (n1, n2, n3)
    """

    domain: tuple[tuple[float, float], ...]
    counts: tuple[int, int, int]

    @property
    def size(self) -> int:
        """Number of boxes."""
        return int(np.prod(self.counts))

    @property
    def geometry(self) -> np.ndarray:
        """Origin and boxes per unit length, six numbers."""
        low, high = np.array(self.domain).T
        return np.concatenate([low, np.array(self.counts) / (high - low)])

    def edges(self, axis: int) -> np.ndarray:
        """Return the counts[axis] + 1 box edges along `axis`."""
        return np.linspace(*self.domain[axis], self.counts[axis] + 1)

    def cells(self, points: Array, refine: int = 1) -> list[Array]:
        """Return the three integer coordinates of `points` (m, 3) on the grid refined `refine` times."""
        xp = namespace(points)
        geometry, result = self.geometry, []
        for axis, count in enumerate(self.counts):
            cell = ((points[:, axis] - geometry[axis]) * (geometry[3 + axis] * refine)).astype(xp.int64)
            result.append(xp.clip(cell, 0, count * refine - 1))
        return result

    def sort(self, points: Array) -> tuple[Array, Array]:
        """Return the order of `points` by boxes, last axis fastest, and the offset of each box in it (size + 1)."""
        xp = namespace(points)
        c1, c2, c3 = self.cells(points)
        box = (c1 * self.counts[1] + c2) * self.counts[2] + c3
        offsets = xp.zeros(self.size + 1, dtype=xp.int64)
        offsets[1:] = xp.cumsum(xp.bincount(box, minlength=self.size))
        return xp.argsort(box), offsets


@dataclass(frozen=True)
class Tiles:
    """Points in an order in which neighbors follow each other, cut into tiles of one box and one thread block.

    Parameters
    ----------
    order : (m,) int64
        Indices of the points.
    start : (tiles + 1,) int64
        Offsets of the tiles in `order`.
    box : (tiles,) int64
        The box of each tile.
    """

    order: Array
    start: Array
    box: Array

    @classmethod
    def of(cls, points: Array, grid: BoxGrid) -> Tiles:
        """Cut `points` (m, 3), all inside the domain of `grid`, into tiles."""
        xp = namespace(points)
        width = block_size(points)
        refine = int(np.clip(round((len(points) / (grid.size * width)) ** (1 / 3)), 1, 32))
        fine = grid.cells(points, refine)
        box = (fine[0] // refine * grid.counts[1] + fine[1] // refine) * grid.counts[2] + fine[2] // refine
        inner = ((fine[0] % refine) * refine + fine[1] % refine) * refine + fine[2] % refine
        order = xp.argsort(box * refine**3 + inner)
        counts = xp.bincount(box, minlength=grid.size)
        tiles = (counts + width - 1) // width
        first = xp.cumsum(counts) - counts
        ends = xp.cumsum(tiles)
        tile = xp.arange(int(ends[-1]))
        tile_box = xp.searchsorted(ends, tile, side="right")  # CuPy repeats by no array of counts
        within = tile - (ends - tiles)[tile_box]
        start = xp.concatenate([first[tile_box] + width * within, xp.asarray([len(points)])])
        return cls(order.astype(xp.int64), start.astype(xp.int64), tile_box.astype(xp.int64))


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
            edges, nodes = grid.edges(axis), (chebyshev.nodes(degree) + 1) / 2
            x = edges[:-1, None] + np.diff(edges)[:, None] * nodes
            values = to_device(x.ravel(), xp)
            rows = chebyshev.vandermonde(values, factors[axis].shape[0] - 1, grid.domain[axis]) @ factors[axis]
            local = chebyshev.values_to_coefficients(rows.reshape(len(x), degree + 1, -1), axis=1)
            local = local.reshape(len(x) * (degree + 1), -1)
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


def _local_coordinates(points: Array, grid: BoxGrid) -> tuple[list[Array], list[Array]]:
    geometry, cells = grid.geometry, grid.cells(points)
    return cells, [
        2 * ((points[:, a] - geometry[a]) * geometry[3 + a] - cells[a].astype(points.dtype)) - 1 for a in range(3)
    ]


def evaluate_boxes_reference(expansion: BoxExpansion, points: Array, gradient: bool) -> Array:
    """Do what the kernel `evaluate_boxes` does, in array calls over blocks of points."""
    xp = namespace(points)
    p, grid = expansion.degree + 1, expansion.grid
    boxed = expansion.coefficients.reshape(*(n for c in grid.counts for n in (c, p)))
    out = xp.empty((len(points), 4 if gradient else 1))
    slope = to_device(chebyshev.differentiation_matrix(p - 1), xp)
    for start in range(0, len(points), 4096):
        chosen = slice(start, start + 4096)
        cells, local = _local_coordinates(points[chosen], grid)
        blocks = boxed.transpose(0, 2, 4, 1, 3, 5)[cells[0], cells[1], cells[2]]
        values = [chebyshev.vandermonde(x, p - 1) for x in local]
        out[chosen, 0] = xp.einsum("nijk,ni,nj,nk->n", blocks, *values, optimize=True)
        for axis in range(3 if gradient else 0):
            chain = [v[:, :-1] @ slope if a == axis else v for a, v in enumerate(values)]
            scale = 2 * grid.geometry[3 + axis]
            out[chosen, 1 + axis] = scale * xp.einsum("nijk,ni,nj,nk->n", blocks, *chain, optimize=True)
    return out


def box_moments(points: Array, weights: Array, grid: BoxGrid, degree: int) -> Array:
    """Return the moments M_b[i, j, k] = sum over the points of box b of w T_i(x) T_j(y) T_k(z).

    Parameters
    ----------
    points : (n, 3) float64
        Inside the domain of `grid`.
    weights : (n,) float64
    grid : BoxGrid
    degree : int
        One of `MOMENT_DEGREES`.

    Returns
    -------
    (n1 p, n2 p, n3 p) float64
        In the layout of `BoxExpansion.coefficients`, whose evaluation this is the adjoint of.
    """
    xp = namespace(points, weights)
    p = degree + 1
    order, offsets = grid.sort(points)
    x, y, z = (
        xp.ascontiguousarray(chebyshev.vandermonde(u, degree)) for u in _local_coordinates(points[order], grid)[1]
    )
    x *= weights[order][:, None]
    kernel = get_kernel("particles/boxes.cu", "box_moments", np.float64, p)
    if not use_compiled(kernel, points):
        return box_moments_reference(x, y, z, offsets, grid)
    moments = xp.zeros(tuple(c * p for c in grid.counts))
    launch(kernel, grid.size, x, y, z, offsets, moments, grid.size, *grid.counts[1:])
    return moments


def box_moments_reference(x: Array, y: Array, z: Array, offsets: Array, grid: BoxGrid) -> Array:
    """Do what the kernel `box_moments` does, one matrix product a box."""
    p = x.shape[1]
    moments = namespace(x).zeros(tuple(n for c in grid.counts for n in (c, p)))
    for box in range(grid.size):
        inside = slice(int(offsets[box]), int(offsets[box + 1]))
        yz = (y[inside, :, None] * z[inside, None, :]).reshape(-1, p * p)
        b1, b2, b3 = np.unravel_index(box, grid.counts)
        moments[b1, :, b2, :, b3, :] = (x[inside].T @ yz).reshape(p, p, p)
    return moments.reshape(tuple(c * p for c in grid.counts))


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
