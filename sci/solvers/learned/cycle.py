"""The learned V-cycle: the arrays of each level, its Jacobi steps and transfers, and their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.learned.hierarchy import Hierarchy
from sci.solvers.learned.kernels import bound
from sci.solvers.learned.level import Level
from sci.solvers.learned.stages import CgStep, ascend, descend, in_one_pass, planes
from sci.solvers.poisson.grid import Box

__all__ = ["LearnedCycle", "Stages"]

Call: TypeAlias = Callable[[], object]


class Stages:
    """The arrays u and f of one level in a V-cycle, and its stages around the coarse correction.

    Parameters
    ----------
    level : Level
    below : Stages, optional
        Of the next level; None on the last one.
    energies : bool
        Whether `ascend` in one pass computes u'A u.
    """

    def __init__(self, level: Level, below: Stages | None, energies: bool = False) -> None:
        self.level, self.below, self.f = level, below, level.zeros()
        self._room = self.f.nbytes
        self.products: Array | None = None
        """f'u and u'A u after `ascend`, if they are known."""
        if below is None:
            self.u = level.zeros()
        elif in_one_pass(level):
            self.planes = planes(level)
            self._room = self.planes.nbytes
            self.descend = descend(level, self.planes, self.f, below.level, below.f)
            up = ascend(level, self.planes, self.f, below.level, below.u, energies)
            self.ascend, self.u, self.products = up
        else:
            self._in_several_passes(below)
            self._room = 2 * self.f.nbytes

    def _in_several_passes(self, below: Stages) -> None:
        """Bind one kernel after the other; u alternates between two arrays."""
        level, u, other = self.level, self.level.zeros(), self.level.zeros()
        xp, fill, operator = namespace(level.d), self.level.grid.fill, (level.d, level.given_offdiag)
        p1, p2 = level.layout.padded_shape[1:]
        c1, c2 = below.level.layout.padded_shape[1:]
        weights = (level.interpolation, level.strides)

        down = [self._sweep("jacobi_from_zero", self.f, (self.f, level.jacobi, *operator, u), level.damping[:2])]
        for a in level.damping[2:]:
            down.append(self._sweep("jacobi_step", u, (u, self.f, level.jacobi, *operator, other), (a,)))
            u, other = other, u
        down.append(self._sweep("residual", u, (u, self.f, level.transfer, *operator, other)))
        rows = xp.zeros((*below.level.layout.padded_shape[:2], p2), np.float32)
        blocks, (box, _, _, chunk) = below.level.ends()
        rest = other
        down.append(lambda: fill(rest))
        down.append(bound("restrict_rows", True, blocks, other, rows, *weights, box, p1, p2, c1, chunk))
        coarse = (rows, below.level.jacobi, below.f, *weights, box, c1, c2, p2, chunk, level.correction_scale)
        down.append(bound("restrict_ends", True, blocks, *coarse))

        blocks, (box, _, _, chunk) = level.ends()
        transfer = (below.u, level.transfer, *weights, box, p1, p2, c1, c2, chunk)
        up: list[Call] = [lambda: below.level.grid.fill(below.u), bound("prolong_add", True, blocks, u, *transfer)]
        for a in level.damping[::-1]:
            up.append(self._sweep("jacobi_step", u, (u, self.f, level.jacobi, *operator, other), (a,)))
            u, other = other, u
        self.descend, self.ascend, self.u = _sequence(down), _sequence(up), u

    def _sweep(self, name: str, read: Array, arguments: tuple[Array, ...], numbers: tuple[Any, ...] = ()) -> Call:
        """Return a callable that runs a kernel over all cells; on ranks, while the halo of `read` is exchanged."""

        def over(box: Box | None) -> Call:
            blocks, ends = self.level.ends(box)
            return bound(name, self.level.variable, blocks, *arguments, *ends, *numbers)

        return self.level.grid.overlapped(read, over)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return int(self.f.nbytes + self._room)


def _sequence(calls: list[Call]) -> Call:
    def run() -> None:
        for call in calls:
            call()

    return run


class LearnedCycle:
    """One learned V-cycle with its arrays: a `Cycle` of conjugate gradients.

    Parameters
    ----------
    hierarchy : Hierarchy
    weight : float
        Of the faces of the operator, where it has no offdiag.
    """

    def __init__(self, hierarchy: Hierarchy, weight: float) -> None:
        self._hierarchy, self.scale = hierarchy, 1 / hierarchy.unit
        self._gathered, self._levels = _chain(hierarchy.gathered), _chain(hierarchy.levels)
        self.step: CgStep | None = None
        """A step of conjugate gradients that does the first stage as well, on one thread of a host without offdiag."""
        top = self._levels[0]
        if top.products is not None and not top.level.variable:
            below = top.below
            assert below is not None
            self.step = CgStep(top.level, below.level, top.planes, top.f, below.f, weight)

    @property
    def source(self) -> Array:
        """Padded right-hand side."""
        return self._levels[0].f

    @property
    def result(self) -> Array:
        """Padded result."""
        return self._levels[0].u

    @property
    def energy(self) -> float | None:
        """The last result u times the operator in the units of the cycle times u, if it is known."""
        products = self._levels[0].products
        return None if products is None else float(products[1])

    def run(self, descended: bool = False) -> float | None:
        """Run the cycle from `source` to `result`; return their dot product if it is known. Collective.

        With `descended`, `step` has done the first stage.
        """
        if self._gathered:
            _v_cycle(self._levels, self._solve_gathered, descended)
        else:
            _v_cycle(self._levels, lambda: self._solve(self._levels[-1]), descended)
        products = self._levels[0].products
        return None if products is None else float(products[0])

    def _solve(self, last: Stages) -> None:
        """Solve the equation of the last level with its dense inverse."""
        h = self._hierarchy
        last.u.reshape(-1)[h.unknowns] = h.inverse @ last.f.reshape(-1)[h.unknowns]

    def _solve_gathered(self) -> None:
        """Gather the right-hand side, go through the rest of the cycle, and keep this rank's box with its halo."""
        top, own, gather = self._gathered[0], self._levels[-1], self._hierarchy.gather
        assert gather is not None
        top.level.layout.cells(top.f)[...] = gather.whole(own.f)
        _v_cycle(self._gathered, lambda: self._solve(self._gathered[-1]))
        gather.cut(top.u, own.u)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(stages.nbytes for stages in (*self._levels, *self._gathered))


def _chain(levels: list[Level]) -> list[Stages]:
    chain: list[Stages] = []
    for depth, level in reversed(list(enumerate(levels))):
        chain.insert(0, Stages(level, chain[0] if chain else None, energies=depth == 0))
    return chain


def _v_cycle(levels: list[Stages], solve: Call, descended: bool = False) -> None:
    for stages in levels[int(descended) : -1]:
        stages.descend()
    solve()
    for stages in reversed(levels[:-1]):
        stages.ascend()
