"""The levels of multigrid for a Poisson operator: one builder for one process and for ranks."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.errors import InvalidValueError
from sci.solvers.multigrid import coarsening
from sci.solvers.multigrid.level import Level
from sci.solvers.poisson.blocks import Gather, Grid
from sci.solvers.poisson.faces import FLUID, padded_kind
from sci.solvers.poisson.grid import Layout
from sci.solvers.poisson.matrix import pseudo_inverse
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["COARSEST", "Hierarchy", "can_halve_down", "finest_level", "inverse_of_level"]

COARSEST = 128
"""Cells of a level that is small enough for its dense inverse."""
LARGEST_DENSE = 4096


class Hierarchy:
    """All levels of a Poisson operator, finest first, and the dense inverse of the last one.

    Parameters
    ----------
    A : PoissonOperator
    averaged : bool
        Coarse operators average the off-diagonal entries of the level before; otherwise they are Poisson operators of
        coarse masks.
    corrected : bool
        Coarse operators know how far the zero of a Dirichlet wall or body is from their cells.
    dtype : float32 or float64

    Attributes
    ----------
    levels : list of Level
        On ranks those that are distributed, with this rank's box of the gathered one at the end.
    gathered : list of Level
        On ranks, the levels that every rank holds whole; empty on one process.
    inverse : (n, n) array
        Over the unknowns of the last level.
    unknowns : (n,) array
        Their places in the flattened padded array.

    Notes
    -----
    Collective. Each cell of a distributed level is computed as on one process.
    """

    def __init__(self, A: PoissonOperator, averaged: bool, corrected: bool, dtype: Any) -> None:
        self._A, self._averaged, self._corrected, self._dtype = A, averaged, corrected, dtype
        self.dtype = np.dtype(dtype)
        self._fraction = None if averaged else (A.kind == FLUID).astype(np.float32)
        self.gather: Gather | None = None
        levels, gathered = [finest_level(A, dtype)], list[Level]()
        if A.blocks is not None:
            for grid in A.blocks.grids[1:]:
                levels.append(self._coarser(levels[-1], grid, len(levels)))
            self.gather = A.blocks.gather(A.blocks.n_levels)
            gathered.append(self._joined(levels[-1]))
        last = gathered or levels
        while can_halve(last[-1].layout):
            depth = len(levels) + len(gathered) - bool(gathered)
            last.append(self._coarser(last[-1], last[-1].grid.coarser, depth))
        _check_dense(last[-1].layout, A.grid_shape)
        self.levels, self.gathered = _linked(levels), _linked(gathered)
        if gathered:
            # Whoever cuts the result of the gathered levels sets the halo of this rank's box as well.
            own = self.levels[-1]
            self.levels[-1] = replace(own, grid=replace(own.grid, halo=None))
        if A.reaction is None:
            self._invert()
        else:
            self._react(A)

    def _invert(self) -> None:
        """Set the dense inverse of the last level."""
        last = (self.gathered or self.levels)[-1]
        self.inverse = to_device(inverse_of_level(last).astype(self._dtype), self._A.xp)
        self.unknowns = self._A.xp.flatnonzero(last.d > 0)

    def _react(self, A: PoissonOperator) -> None:
        """Add the reaction of A to all levels, in place of one that they have."""
        assert A.reaction is not None
        reaction = A.layout.spread(A.reaction / A.unit, self._dtype)
        self.levels, reaction = _reacted(self.levels, reaction)
        if self.gather is not None:
            whole = self.gathered[0].layout.spread(self.gather.whole(reaction))
            self.gathered, _ = _reacted(self.gathered, whole)
        self._invert()

    def with_reaction(self, A: PoissonOperator) -> Hierarchy:
        """Return the hierarchy of an operator that differs in its reaction alone; collective."""
        other = copy(self)
        other._react(A)
        return other

    def _coarser(self, fine: Level, grid: Grid, depth: int) -> Level:
        """Return the next level, `depth` levels below the finest."""
        A, dtype = self._A, self._dtype
        if self._fraction is not None:
            self._fraction = coarsening.coarse_fraction(fine.layout, self._fraction)
        least = 0.1 if self._averaged else 0.5
        kind = coarsening.coarse_kind(fine.layout, grid, fine.kind, A.wall_kinds, least, self._fraction)
        if self._averaged:
            ratio = coarsening.wall_ratio(depth) if self._corrected else 1.0
            return coarsening.average(fine, grid, kind, ratio, dtype)
        factors = [coarsening.wall_factors(n, depth) if self._corrected else (1.0, 1.0) for n in A.layout.lengths]
        body = coarsening.body_factor(depth) if self._corrected else 1.0
        return coarsening.rediscretize(grid, kind, factors, body, dtype)

    def _joined(self, own: Level) -> Level:
        """Return a level of the whole grid from the boxes of all ranks."""
        A, gather = self._A, self.gather
        assert gather is not None
        assert own.offdiag is not None
        grid = Grid.whole(gather.whole_layout.grid_shape, A.periodic)
        kind = padded_kind(grid, gather.whole(own.kind).reshape(grid.layout.lengths), A.wall_kinds)
        offdiag = namespace(kind).stack([gather.joined(link) for link in own.offdiag])
        d, dirichlet = (grid.layout.spread(gather.whole(a)) for a in (own.d, own.dirichlet))
        return Level(grid, d, offdiag, own.dtype, kind=kind, dirichlet=dirichlet)

    @property
    def n_levels(self) -> int:
        """Number of levels; on ranks, that of the gathered one counts twice."""
        return len(self.levels) + len(self.gathered)

    @property
    def nbytes(self) -> int:
        """Bytes of all levels."""
        return int(sum(level.nbytes for level in (*self.levels, *self.gathered)) + self.inverse.nbytes)


def finest_level(A: PoissonOperator, dtype: Any) -> Level:
    """Return the level of an operator itself in its unit, without its reaction."""
    if A.constant:
        return Level(A.grid, A.stencil.d, None, dtype, kind=A.kind)
    given: Array = A.stencil.offdiag
    diagonal = A.diagonal if A.unreacted is None else A.layout.cells(A.unreacted)
    d, dirichlet = (A.layout.spread(a / A.unit, dtype) for a in (diagonal, A.dirichlet))
    return Level(A.grid, d, (given / A.unit).astype(dtype), dtype, kind=A.kind, dirichlet=dirichlet)


def _linked(levels: list[Level]) -> list[Level]:
    """Return levels with the weights of their interpolation, without what only the setup reads."""
    linked = []
    for level, below in zip(levels, [*levels[1:], None]):
        weights = None
        if below is not None:
            weights = coarsening.transfer_weights(level.layout, level.kind, below.kind, level.dtype)
        linked.append(replace(level, weights=weights, kind=None, dirichlet=None))
    return linked


def _reacted(levels: list[Level], reaction: Array) -> tuple[list[Level], Array]:
    """Return levels with the reaction of the first one, padded, in place of theirs, and that of the last one."""
    result: list[Level] = []
    for level in levels:
        if result:
            reaction = coarsening.coarse_reaction(result[-1].layout, level.layout, reaction)
        unreacted = level.d if level.unreacted is None else level.unreacted
        result.append(replace(level, d=unreacted + reaction, unreacted=unreacted))
    return result, reaction


def can_halve(layout: Layout) -> bool:
    """Return True if a level is too large for a dense inverse, and may be coarsened."""
    return prod(layout.lengths) > COARSEST and not any(p and n % 2 for p, n in zip(layout.periodic, layout.grid_shape))


def can_halve_down(A: PoissonOperator) -> bool:
    """Return True if the grid can be halved down to a level that is small enough for a dense inverse."""
    lengths = list(A.grid_shape)
    while prod(lengths) > LARGEST_DENSE:
        if any(wraps and n % 2 for wraps, n in zip(A.periodic, lengths)):
            return False
        lengths = [(n + 1) // 2 for n in lengths]
    return True


def _check_dense(layout: Layout, grid_shape: tuple[int, ...]) -> None:
    if prod(layout.lengths) > LARGEST_DENSE:
        raise InvalidValueError(
            f"the grid {grid_shape} can be halved only to {layout.lengths}, as a periodic axis has odd "
            "length there; expected lengths of periodic axes that are divisible by a higher power of two"
        )


def inverse_of_level(level: Level) -> np.ndarray:
    """Return the inverse over the unknowns of a small level, the pseudo-inverse where it is singular."""
    layout = level.layout
    d = to_host(level.d).astype(np.float64)
    number = np.full(layout.padded_shape, -1)
    number.reshape(-1)[np.flatnonzero(d > 0)] = np.arange(int((d > 0).sum()))
    number = layout.wrap(number)
    matrix = np.diag(d[d > 0])
    offdiag: Array | None = None if level.offdiag is None else to_host(level.offdiag).astype(np.float64)
    inner = layout.box_key
    for axis in range(int(layout.is_2d), 3):
        before = list(inner)
        before[axis] = slice(0, layout.lengths[axis])
        here, there = number[inner], number[tuple(before)]
        weight = np.ones(here.shape) if offdiag is None else offdiag[axis][inner]
        both = (here >= 0) & (there >= 0) & (here != there)
        np.add.at(matrix, (here[both], there[both]), -weight[both])
        np.add.at(matrix, (there[both], here[both]), -weight[both])
    return pseudo_inverse(matrix, 1e-6)
