"""All levels of the learned V-cycle for a Poisson operator: one builder for one process and for ranks."""

from __future__ import annotations

import functools
from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.solvers.learned.level import Level
from sci.solvers.learned.levels import COARSEST, inactive_fraction, pair_mean
from sci.solvers.learned.parameters import Parameters
from sci.solvers.learned.setup import (
    Equation,
    coarser_equation,
    finest_equation,
    make_level,
    neumann_rescale,
    smooths_twice,
)
from sci.solvers.multigrid.hierarchy import inverse_of_level
from sci.solvers.multigrid.level import Level as OperatorLevel
from sci.solvers.poisson.blocks import Blocks, Gather, Grid
from sci.solvers.poisson.faces import FLUID
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Hierarchy"]


class Hierarchy:
    """The levels of the learned V-cycle, finest first, and the dense inverse of the last one.

    Parameters
    ----------
    A : PoissonOperator
        Without periodic axes.
    parameters : dict of arrays
        Of `sci.solvers.learned.parameters`.

    Attributes
    ----------
    unit : float
        Size of the weights of A: the levels hold A / unit.
    levels : list of Level
        On ranks those that are distributed, with this rank's box of the gathered one at the end.
    gathered : list of Level
        On ranks, the levels that every rank holds whole; empty on one process.
    gather : Gather or None
    inverse : (n, n) array
        Over the unknowns of the last level.
    unknowns : (n,) array
        Their places in the flattened padded array.

    Notes
    -----
    Collective. Each cell of a distributed level is computed as on one process. The setup exchanges one layer of what
    the networks read, the 27 cells around each, and of all off-diagonal entries; two sums over the ranks give the unit
    of the equation and the number of steps on the given grid.
    """

    def __init__(self, A: PoissonOperator, parameters: Parameters) -> None:
        self._A, self._parameters = A, parameters
        self._dirichlet_sum = 0.0
        plane = 3 - A.ndim
        self._walls = [(True, True)] * plane + [(low == "dirichlet", high == "dirichlet") for low, high in A.boundary]
        bodies = bool(A.grid.total(float(A.neumann_body.any())))
        self.unit = A.weight
        if not A.constant:
            mean = A.grid.total(float((A.diagonal / A.unit).sum())) / (2 * A.ndim * A.n_unknowns)
            self.unit = A.unit * mean
        self.gather: Gather | None = None
        self.levels, self.gathered = list[Level](), list[Level]()
        boxes = [A.grid] if A.blocks is None else A.blocks.grids[: _depth(A.blocks) + 1]
        equation = self._finest()
        for grid in boxes[1:]:
            self.levels.append(self._level(equation))
            equation = self._coarser(equation, grid)
        last = self.levels
        if A.blocks is not None:
            self.gather = A.blocks.gather(len(boxes) - 1)
            equation, last = self._joined(equation), self.gathered
        last.append(self._level(equation))
        while prod(equation.layout.lengths) > COARSEST:
            equation = self._coarser(equation, equation.grid.coarser)
            last.append(self._level(equation))
        if smooths_twice(self._dirichlet_sum, A.grid.lengths, A.n_unknowns, bodies):
            first = self.levels or self.gathered
            first[0] = replace(first[0], damping=first[0].damping * 2)
        if self.gather is not None:
            self.levels.append(self._own_box(boxes[-1]))
        if bodies or not all(low and high for low, high in self._walls):
            self._rescale(A.neumann_body.reshape((1,) * plane + A.local_shape).astype(np.float32))
        if self.gather is not None:
            # Whoever cuts the result of the gathered levels sets the halo of this rank's box as well.
            self.levels[-1] = replace(self.levels[-1], grid=replace(boxes[-1], halo=None))
        end = OperatorLevel(last[-1].grid, last[-1].d, last[-1].offdiag, np.float32)
        self.inverse = to_device(inverse_of_level(end).astype(np.float32), A.xp)
        self.unknowns = A.xp.flatnonzero(end.d > 0)

    def _finest(self) -> Equation:
        A = self._A
        A.grid.fill(A.stencil.d)
        fluid, dirichlet = None, None
        if not A.constant:
            fluid, dirichlet = A.kind == FLUID, A.layout.spread(A.dirichlet)
        return finest_equation(A.grid, A.stencil, self.unit, fluid, dirichlet).fill()

    def _level(self, equation: Equation) -> Level:
        level = make_level(equation, self._parameters)
        equation.grid.fill(level.jacobi)
        return level

    def _coarser(self, equation: Equation, grid: Grid) -> Equation:
        coarse = coarser_equation(equation, grid)
        if coarse.depth == 1:
            self._dirichlet_sum = grid.total(float(coarse.dirichlet.sum()))
        return coarse.fill()

    def _joined(self, e: Equation) -> Equation:
        """Return the equation of the whole grid from those of the boxes of all ranks."""
        gather = self.gather
        assert gather is not None
        grid = Grid.whole(gather.whole_layout.grid_shape, self._A.periodic)
        d = gather.joined(e.d)
        if e.counts is not None:
            return replace(e, grid=grid, d=d, counts=gather.joined(e.counts))
        assert e.offdiag is not None
        offdiag = namespace(d).stack([gather.joined(link) for link in e.offdiag])
        return replace(
            e, grid=grid, d=d, dirichlet=gather.joined(e.dirichlet), fraction=gather.joined(e.fraction), offdiag=offdiag
        )

    def _own_box(self, grid: Grid) -> Level:
        """Return this rank's box of the gathered level: the level above restricts to it and interpolates from it."""
        top, gather = self.gathered[0], self.gather
        assert gather is not None
        xp = namespace(top.d)
        d, jacobi = (gather.cut(array, grid.layout.zeros(xp, array.dtype)) for array in (top.d, top.jacobi))
        return replace(top, grid=grid, d=d, jacobi=jacobi)

    def _rescale(self, neumann: Array) -> None:
        """Rescale the transfer weights of all levels; `neumann` is 1 in this rank's cells of Neumann bodies."""
        neumann = self._rescale_chain(self.levels, neumann)
        if self.gather is not None:
            padded = self.gather.layout.zeros(namespace(neumann), neumann.dtype)
            padded[tuple(slice(1, n + 1) for n in neumann.shape)] = neumann
            self._rescale_chain(self.gathered, self.gather.whole(padded).reshape(self.gathered[0].grid.lengths))

    def _rescale_chain(self, levels: list[Level], neumann: Array) -> Array:
        """Rescale a chain of levels; return the Neumann part of the cells of the last one."""
        for level, below in pairwise(levels):
            neumann = functools.reduce(pair_mean, (-3, -2, -1), neumann)
            neumann_rescale(level, below.layout, self._lost(below, neumann))
        return neumann

    def _lost(self, level: Level, neumann: Array) -> Array:
        """Return the part of an interpolation that each cell of a level loses, padded."""
        grid, shape = level.grid, neumann.shape
        unknown = (level.d[tuple(slice(1, n + 1) for n in shape)] > 0).astype(np.float32)
        # Beyond a side that is no wall lie cells of a neighbor.
        sides = zip(self._walls, grid.start, shape, grid.lengths)
        walls = [(low and a == 0, high and a + n == m) for (low, high), a, n, m in sides]
        lost = level.zeros()
        lost[tuple(slice(0, n + 2) for n in shape)] = inactive_fraction(unknown, neumann, walls)
        return grid.fill(lost)

    @property
    def nbytes(self) -> int:
        """Bytes of all levels."""
        return sum(level.nbytes for level in (*self.levels, *self.gathered)) + int(self.inverse.nbytes)


def _depth(blocks: Blocks) -> int:
    """Return the first level that is gathered: one of at most COARSEST cells, or with one cell along an axis."""
    small = (k for k in range(blocks.n_levels) if prod(blocks.lengths(k)) <= COARSEST or 1 in blocks.lengths(k))
    return next(small, blocks.n_levels)
