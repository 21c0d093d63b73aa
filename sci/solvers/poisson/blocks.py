"""The cells of a grid that each rank holds, on one level and on all levels that the ranks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace
from sci.distributed import GridDecomposition, agreed, allreduce_max, allreduce_sum, block
from sci.distributed.collectives import gather_flat
from sci.distributed.communicators import Comm, channel_of
from sci.errors import InvalidValueError, ShapeError
from sci.solvers.poisson.boundary import parse_boundary
from sci.solvers.poisson.grid import Box, Layout
from sci.solvers.poisson.halo import Halo, interior_and_shell

__all__ = ["Blocks", "Gather", "Grid", "block_slices"]

GATHERED = 4096
"""A level of at most this many cells is gathered by all ranks."""
Call: TypeAlias = Callable[[], object]


@dataclass(frozen=True, eq=False)
class Grid:
    """One level of a grid: this rank's cells, how their halo is filled, and sums over the ranks.

    On one process the box is the whole grid, the halo wraps round periodic axes, and sums are the values themselves.

    Parameters
    ----------
    layout : Layout
    lengths : (int, int, int)
        Of the whole grid.
    start : (int, int, int)
        First cell of this rank's box.
    halo : Halo, optional
        None on one process, and for a box whose halo is set with its cells.
    comm : mpi4py communicator, optional
    """

    layout: Layout
    lengths: tuple[int, int, int]
    start: tuple[int, int, int] = (0, 0, 0)
    halo: Halo | None = None
    comm: Comm = None

    @classmethod
    def whole(cls, grid_shape: tuple[int, ...], periodic: tuple[bool, ...]) -> Grid:
        """Return the grid of one process."""
        layout = Layout(grid_shape, periodic)
        return cls(layout, layout.lengths)

    @property
    def coarser(self) -> Grid:
        """The next level on one process."""
        return Grid.whole(self.layout.halved.grid_shape, self.layout.periodic)

    def fill(self, padded: Array) -> Array:
        """Bring the halo of a padded array up to date, in place; collective."""
        return self.layout.wrap(padded) if self.halo is None else self.halo.fill(padded)

    def overlapped(self, read: Array, over: Callable[[Box | None], Call]) -> Call:
        """Return a callable that updates the halo of `read` and works on all cells; collective.

        Parameters
        ----------
        read : padded array
            Whose neighbors the work reads.
        over : callable
            Returns the work on one box, None for all cells. On ranks the inner cells come first, during the exchange.
        """
        halo = self.halo
        if halo is None:
            work, wraps = over(None), any(self.layout.periodic)
            return (lambda: (self.layout.wrap(read), work())) if wraps else work
        inner, shell = interior_and_shell(self.layout.lengths)
        inside: Call = (lambda: None) if inner is None else over(inner)
        outside = [over(box) for box in shell]

        def run() -> None:
            halo.during(read, inside)
            for work in outside:
                work()

        return run

    def total(self, value: float) -> float:
        """Return the sum of a number over the ranks; collective."""
        return value if self.comm is None else float(allreduce_sum(np.array([value]), self.comm, checked=True)[0])

    def totals(self, values: Array) -> Array:
        """Return the sums of an array over the ranks; collective."""
        return values if self.comm is None else allreduce_sum(values, self.comm, checked=True)

    def largest(self, value: float) -> float:
        """Return the maximum of a number over the ranks; collective."""
        return value if self.comm is None else float(allreduce_max(np.array([value]), self.comm, checked=True)[0])


class Gather:
    """All-gather of one level: joins the boxes on every rank, and cuts this rank's box out again.

    Parameters
    ----------
    coarse : GridDecomposition
        Boxes of the coarse grid.
    times : int
        The level is 2^times finer.
    layout : Layout
        Of this rank's box.
    whole : Layout
        Of the whole grid, which the boxes may extend.
    """

    def __init__(self, coarse: GridDecomposition, times: int, layout: Layout, whole: Layout) -> None:
        self._channel, self.layout, self.whole_layout = channel_of(coarse.comm), layout, whole
        boxes = [coarse.box(rank) for rank in range(coarse.size)]
        self._boxes = [tuple(tuple(2**times * n for n in numbers) for numbers in box) for box in boxes]
        self.start, self.local_shape = self._boxes[coarse.rank]

    def whole(self, padded: Array) -> Array:
        """Return the cells of all ranks as one grid; collective, counted as `gather_level` in the traffic."""
        xp, lengths = namespace(padded), self.whole_layout.grid_shape
        own = xp.ascontiguousarray(padded[self.layout.box_view]).reshape(-1)
        counts = np.array([prod(shape) for _, shape in self._boxes])
        flat = own if self._channel is None else gather_flat(self._channel, own, counts, "gather_level")
        grid = xp.zeros(lengths, dtype=padded.dtype)
        for (start, shape), end in zip(self._boxes, np.cumsum(counts).tolist()):
            box = grid[tuple(slice(a, a + n) for a, n in zip(start, shape))]
            cells = flat[end - prod(shape) : end].reshape(shape)
            box[...] = cells[tuple(slice(0, n) for n in box.shape)]
        return grid

    def joined(self, padded: Array) -> Array:
        """Return the cells of all ranks as a padded array of the whole grid, its halo wrapped; collective."""
        return self.whole_layout.wrap(self.whole_layout.spread(self.whole(padded)))

    def cut(self, whole: Array, padded: Array) -> Array:
        """Copy this rank's box with its halo from a padded array of the whole grid into one of the box."""
        sizes = [min(n, m - a) + 2 for n, m, a in zip(self.local_shape, self.whole_layout.grid_shape, self.start)]
        source = whole[self.whole_layout.halo_view]
        target = padded[self.layout.halo_view]
        target[tuple(slice(0, n) for n in sizes)] = source[tuple(slice(a, a + n) for a, n in zip(self.start, sizes))]
        return padded


class Blocks:
    """Boxes of a grid, one for each rank, that keep pairs of cells together on all distributed levels.

    The boxes are those of a coarse grid. At its high ends the grid is extended to a multiple of 2^levels by cells that
    continue the walls, except on periodic axes.

    Parameters
    ----------
    grid_shape : tuple of int
        Two or three lengths.
    comm : mpi4py communicator, optional
    boundary : str or sequence
        As for `PoissonOperator`.
    levels : int, optional
        Distributed levels; by default those of more than 4096 cells, at least one, as far as the lengths of periodic
        axes can be halved.

    Raises
    ------
    ShapeError, InvalidValueError, DecompositionError
        On every rank.

    Notes
    -----
    Collective.
    """

    def __init__(
        self, grid_shape: Sequence[int], comm: Comm = None, *, boundary: Any = "dirichlet", levels: int | None = None
    ) -> None:
        with agreed(comm, "blocks of a grid") as agreement:
            self.grid_shape = tuple(int(n) for n in grid_shape)
            if len(self.grid_shape) not in (2, 3) or min(self.grid_shape) < 1:
                raise ShapeError(f"grid_shape is {self.grid_shape}; expected 2 or 3 positive lengths")
            conditions = parse_boundary(boundary, len(self.grid_shape))
            self.periodic = tuple(low == "periodic" and n > 1 for (low, _), n in zip(conditions, self.grid_shape))
            self.n_levels = self._distributed_levels(levels)
            agreement.same(grid_shape=self.grid_shape, boundary=conditions, levels=levels)
        self.comm = comm
        self.coarse = block(self.lengths(self.n_levels), comm, halo=1)
        self.grids = [self._grid(level) for level in range(self.n_levels + 1)]
        """This rank's box on every level down to the one that is gathered."""

    def _distributed_levels(self, levels: int | None) -> int:
        wrapping = [n for n, wraps in zip(self.grid_shape, self.periodic) if wraps]
        possible = next(k for k in range(64) if any(n % 2 ** (k + 1) for n in wrapping) or k == 40)
        if possible < (levels or 1):
            raise InvalidValueError(
                f"periodic axes have lengths {wrapping}; expected multiples of {2 ** (levels or 1)}, because pairs of "
                "cells stay on one rank on all distributed levels"
            )
        return levels or min(possible, max(1, sum(prod(self.lengths(k)) > GATHERED for k in range(40))))

    def lengths(self, level: int) -> tuple[int, ...]:
        """Return the lengths of the whole grid at a level."""
        return tuple(-(-n // 2**level) for n in self.grid_shape)

    def decomposition(self, level: int = 0) -> GridDecomposition:
        """Return the boxes at a level, extensions included; each rank's box covers the same part of space."""
        coarse, factor = self.coarse, 2 ** (self.n_levels - level)
        grid, shape, start = (
            tuple(factor * n for n in v) for v in (coarse.grid_shape, coarse.local_shape, coarse.local_start)
        )
        halo = (1,) * coarse.ndim
        return GridDecomposition(coarse.comm, coarse.proc_shape, grid, shape, start, halo, coarse.coordinates)

    @property
    def slices(self) -> tuple[slice, ...]:
        """This rank's cells in the whole grid."""
        return self._own(0)

    def _own(self, level: int) -> tuple[slice, ...]:
        own = self.decomposition(level).slices
        return tuple(slice(s.start, min(s.stop, n)) for s, n in zip(own, self.lengths(level)))

    def _grid(self, level: int) -> Grid:
        boxes = self.decomposition(level)
        own = tuple(s.stop - s.start for s in self._own(level))
        layout = Layout(own, (False,) * boxes.ndim, boxes.local_shape)
        plane = 3 - boxes.ndim
        n0, n1, n2 = (1,) * plane + self.lengths(level)
        a0, a1, a2 = (0,) * plane + boxes.local_start
        return Grid(layout, (n0, n1, n2), (a0, a1, a2), Halo(boxes, self.periodic), self.comm)

    def gather(self, level: int) -> Gather:
        """Return the all-gather of a level."""
        whole = Layout(self.lengths(level), self.periodic)
        return Gather(self.coarse, self.n_levels - level, self.grids[level].layout, whole)


@collective_entry
def block_slices(
    grid_shape: Sequence[int], comm: Comm = None, *, boundary: Any = "dirichlet", levels: int | None = None
) -> tuple[slice, ...]:
    """Return the cells of a grid that a `PoissonOperator` keeps on this rank, to read or make only these.

    Parameters
    ----------
    grid_shape : sequence of int
        Two or three lengths of the whole grid.
    comm : mpi4py communicator, optional
    boundary : str or sequence
        As for `PoissonOperator`: periodic axes restrict the boxes.
    levels : int, optional
        As `distributed_levels` of `PoissonOperator`.

    Returns
    -------
    tuple of slice

    Raises
    ------
    ShapeError, InvalidValueError, DecompositionError
        On every rank.

    Notes
    -----
    Collective.

    Examples
    --------
    >>> from sci.solvers import block_slices
    >>> block_slices((8, 9, 10))
    (slice(0, 8, None), slice(0, 9, None), slice(0, 10, None))
    """
    return Blocks(grid_shape, comm, boundary=boundary, levels=levels).slices
