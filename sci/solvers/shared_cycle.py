"""The learned V-cycle on boxes of a grid, one for each rank."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import allreduce_sum
from sci.errors import InvalidValueError
from sci.solvers.learned.kernels import bound
from sci.solvers.learned.levels import COARSEST, lost_part, pair_mean
from sci.solvers.learned.model import CycleModel
from sci.solvers.learned.setup import Equation, coarser_equation, finest_equation, lift_shares, make_grid, smooths_twice
from sci.solvers.learned.stages import Grid
from sci.solvers.learned.vcycle import Call, Levels, passes_down, passes_up
from sci.solvers.poisson.blocks import Grid as Boxes
from sci.solvers.poisson.faces import FLUID, NEUMANN
from sci.solvers.poisson.grid import Box, rows_per_block
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["SharedLearnedCycle"]


class SharedLearnedCycle:
    """The learned V-cycle over the ranks, for `cg(A, b, M=...)`.

    Levels are cut into boxes down to one that every rank gathers and goes on with as one process does: the first of at
    most 4096 cells, or with one cell along an axis. Every cell is computed as `LearnedMultigrid` computes it on the
    whole grid.

    Parameters
    ----------
    A : PoissonOperator
        On ranks; of Dirichlet and Neumann walls.
    model : CycleModel, optional
        The pretrained one by default.

    Raises
    ------
    InvalidValueError
        On every rank, if an axis of A is periodic, or A is not on ranks.

    Notes
    -----
    Collective. With m steps on a level before its coarse correction, a cycle fills the layers of a box 2 m + 1 times,
    and once more on all levels but the first: those of f before the first two steps, of u before each other step and
    the residual, while cells are computed that do not read them; of the residual before its restriction, and of the
    correction. See `sci.solvers.iteration_traffic`.

    The setup fills one layer of all that a network sees, the 27 cells around each, and of all links; two sums over the
    ranks give the unit of the equation and tell whether the steps on the given grid are done twice.
    """

    def __init__(self, A: PoissonOperator, model: CycleModel | None = None) -> None:
        if any(A.periodic):
            raise InvalidValueError(
                "the learned cycle takes Dirichlet and Neumann walls, and an axis of A is periodic; use Multigrid(A)"
            )
        blocks = A.blocks
        if blocks is None:
            raise InvalidValueError("A is not spread over ranks; expected LearnedMultigrid(A)")
        self.shape, self._blocks = A.shape, blocks
        parameters = (model or CycleModel.pretrained()).parameters
        self.A, self.cycle_dtype, self._parameters = A, np.dtype(np.float32), parameters
        self._depth = next(
            k
            for k in range(blocks.n_levels + 1)
            if k == blocks.n_levels or prod(blocks.lengths(k)) <= COARSEST or 1 in blocks.lengths(k)
        )
        self._boxes = blocks.grids[: self._depth + 1]
        self._gather = blocks.gather(self._depth)
        self._walls = [(low == "dirichlet", high == "dirichlet") for low, high in A.boundary]
        kind = A.layout.cells(A.kind)
        counted = (kind == FLUID, kind == NEUMANN, A.layout.cells(A.stencil.d))
        sums = allreduce_sum(np.array([float(array.sum(dtype=np.float64)) for array in counted]), A.comm)
        size, bodies = int(sums[0]), bool(sums[1] > 0)
        unit = A.stencil.weight if A.stencil.links is None else float(sums[2]) / (2 * 3 * size)
        self.scale = 1.0 / unit
        equation = self._make_grids(unit, lambda fixed: smooths_twice(fixed, A.grid_shape, size, bodies))
        closed = self._closed(kind == NEUMANN) if bodies or not all(map(all, self._walls)) else []
        self._gathered = Levels(
            self._joined(equation),
            parameters,
            lambda fixed: equation.depth == 0 and smooths_twice(float(fixed.sum()), A.grid_shape, size, bodies),
            self._joined_cells(closed[-1]) if closed else None,
            self._walls,
        )
        self._grids.append(self._landing())
        for level in range(self._depth if closed else 0):
            lift_shares(self._grids[level], self._grids[level + 1].layout, self._lost(level + 1, closed[level + 1]))
        self._steps: list[Call] = []
        self.result = self._program(0)
        """Padded result of the cycle."""

    @property
    def source(self) -> Array:
        """Padded right-hand side of the cycle, `scale` times a residual."""
        return self._grids[0].f

    @property
    def exchanges(self) -> list[int]:
        """Halo exchanges of a cycle on each shared level."""
        return [2 * len(g.damping) + 1 + (level > 0) for level, g in enumerate(self._grids[:-1])]

    @property
    def gathered_cells(self) -> int:
        """Numbers that this rank sends to each other one in the all-gather of a cycle."""
        return prod(self._gather.local_shape)

    energy = None
    step = None

    @contextmanager
    def workspace(self) -> Iterator[SharedLearnedCycle]:
        """Lend the cycle, which has one set of arrays, for the time of a `with` block."""
        yield self

    def matvec(self, r: Array) -> Array:
        """Return M r for a grid array of this rank; collective."""
        size = self.A.grid.largest(float(abs(r).max(initial=0.0)))
        if size == 0:
            return r * 0
        self.A.layout.cells(self.source)[...] = r * (self.A.mask / size)
        self.run()
        return self.A.layout.cells(self.result).astype(r.dtype) * (size * self.scale)

    def run(self, descended: bool = False) -> None:
        """Run the cycle from `source` to `result`; collective."""
        for step in self._steps:
            step()

    def _make_grids(self, unit: float, twice: Callable[[float], bool]) -> Equation:
        """Make the shared levels; return the equation of the next one, whose layers are zero."""
        A, self._grids = self.A, list[Grid]()
        A.grid.fill(A.stencil.d)
        fluid, dirichlet = None, None
        if not A.constant:
            fluid, dirichlet = A.kind == FLUID, A.grid.fill(A.layout.spread(A.dirichlet))
        equation = finest_equation(A.stencil, unit, fluid, dirichlet)
        if not equation.variable:
            A.grid.fill(equation.d)
        for boxes in self._boxes[: self._depth]:
            grid = make_grid(equation, self._parameters)
            boxes.fill(grid.jacobi)
            self._grids.append(grid)
            equation = coarser_equation(equation)
            if equation.depth == 1:
                fixed = np.array([float(equation.fixed.sum())])
                grid.damping *= 2 if twice(float(allreduce_sum(fixed, A.comm)[0])) else 1
            if equation.depth < self._depth:
                for array in (equation.d, equation.fixed, equation.fraction, equation.links):
                    self._boxes[equation.depth].fill(array)
        return equation

    def _joined(self, e: Equation) -> Equation:
        """Return an equation over the whole grid from those of the boxes."""
        layout = self._gather.whole_layout

        def join(array: Array) -> Array:
            return layout.spread(self._gather.whole(array))

        if e.counts is not None:
            return replace(e, layout=layout, d=join(e.d), counts=join(e.counts))
        d, fixed, fraction = (join(array) for array in (e.d, e.fixed, e.fraction))
        links = namespace(e.d).stack([join(link) for link in e.links])
        return Equation(layout, e.depth, True, d, fixed, fraction, links, None)

    def _joined_cells(self, cells: Array) -> Array:
        """Return an array over the whole gathered grid from those over the boxes without what extends the grid."""
        padded = self._boxes[-1].layout.zeros(namespace(cells), cells.dtype)
        padded[tuple(slice(1, n + 1) for n in cells.shape)] = cells
        return self._gather.whole(padded)

    def _closed(self, insulated: Array) -> list[Array]:
        """Return which part of each cell is a Neumann body on all levels."""
        closed = [insulated.astype(np.float32)]
        for _ in range(self._depth):
            closed.append(functools.reduce(pair_mean, (-3, -2, -1), closed[-1]))
        return closed

    def _lost(self, level: int, closed: Array) -> Array:
        """Return what an interpolation loses in the cells of a level, with layers."""
        boxes, d = self._boxes[level], self._grids[level].d
        unknown = d[tuple(slice(1, n + 1) for n in closed.shape)] > 0
        # What lies beyond a side that is no wall comes from the neighbor.
        sides = zip(self._walls, boxes.start, closed.shape, boxes.lengths)
        walls = [(low and a == 0, high and a + n == m) for (low, high), a, n, m in sides]
        lost = boxes.layout.zeros(namespace(d), np.float32)
        lost[tuple(slice(0, n + 2) for n in closed.shape)] = lost_part(unknown.astype(np.float32), closed, walls)
        return boxes.fill(lost)

    def _landing(self) -> Grid:
        """Return this rank's box of the gathered level, which the level above restricts to and interpolates from."""
        top, layout = self._gathered.grids[0], self._boxes[-1].layout
        xp = namespace(top.f)
        d, jacobi = (self._gather.cut(array, layout.zeros(xp, array.dtype)) for array in (top.d, top.jacobi))
        chunk, blocks = rows_per_block(layout.whole(), top.f)
        box, f = layout.box_array(xp), layout.zeros(xp, np.float32)
        return replace(top, layout=layout, d=d, jacobi=jacobi, f=f, box=box, chunk=chunk, blocks=blocks)

    def _program(self, depth: int) -> Array:
        """Append what a cycle does from level `depth` down; return the array that will hold its result."""
        g = self._grids[depth]
        if depth == self._depth:
            self._steps.append(self._solve_gathered)
            return g.u
        boxes, below = self._boxes[depth], self._grids[depth + 1]
        sweep = functools.partial(_overlapped, g, boxes)
        down, u, spare = passes_down(g, below, sweep, boxes.fill)
        self._steps += down
        coarse = self._program(depth + 1)
        fill = self._boxes[depth + 1].fill if depth + 1 < self._depth else None
        up, result = passes_up(g, below, coarse, u, spare, sweep, fill)
        self._steps += up
        return result

    def _solve_gathered(self) -> None:
        """Gather the right-hand side, go through the rest of the cycle, and keep this rank's box with its layers."""
        top, landing = self._gathered.grids[0], self._grids[-1]
        top.layout.cells(top.f)[...] = self._gather.whole(landing.f)
        self._gathered.cycle()
        self._gather.cut(self._gathered.result, landing.u)


def _overlapped(g: Grid, boxes: Boxes, name: str, read: Array, arguments: tuple[Array, ...], numbers: Any = ()) -> Call:
    """Return a callable that runs a kernel over a box, over the inner cells while the halo of `read` is exchanged."""

    def over(box: Box | None) -> Call:
        assert box is not None
        chunk, blocks = rows_per_block(box, g.f)
        ends = (g.layout.box_array(namespace(g.f), box), *g.layout.padded_shape[1:], chunk)
        return bound(name, g.variable, blocks, *arguments, *ends, *numbers)

    return boxes.overlapped(read, over)
