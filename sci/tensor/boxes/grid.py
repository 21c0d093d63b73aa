"""Grids of boxes, and the order in which points are visited box by box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import block_size

__all__ = ["BoxGrid", "Tiles", "local_coordinates"]


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

    def __repr__(self) -> str:
        return f"Tiles({len(self.order)} points in {len(self.box)} tiles)"

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


def local_coordinates(points: Array, grid: BoxGrid) -> tuple[list[Array], list[Array]]:
    """Return the cell of each point along every axis, and its coordinates in [-1, 1] there."""
    geometry, cells = grid.geometry, grid.cells(points)
    return cells, [
        2 * ((points[:, a] - geometry[a]) * geometry[3 + a] - cells[a].astype(points.dtype)) - 1 for a in range(3)
    ]
