"""The V-cycle: the arrays of each level, its smoothing and transfers, and their order."""

from __future__ import annotations

from functools import cached_property

from sci.backend import Array, namespace
from sci.solvers.multigrid.fused import FusedStages, in_one_pass
from sci.solvers.multigrid.hierarchy import Hierarchy
from sci.solvers.multigrid.level import Level
from sci.solvers.multigrid.smoothers import Call, first_sweep, half_sweep, residual
from sci.solvers.multigrid.transfer import prolong, restrict
from sci.solvers.poisson.grid import Box

__all__ = ["MultigridCycle", "Stages"]


class Stages:
    """The arrays u and f of one level in a V-cycle, and its stages around the coarse correction.

    Parameters
    ----------
    level : Level
    sweeps : int
        Half-sweeps before and after the correction, an even number.
    below : Stages, optional
        Of the next level; None on the last one.
    """

    def __init__(self, level: Level, sweeps: int, below: Stages | None) -> None:
        self.level, self.layout, self.sweeps = level, level.layout, sweeps
        xp = namespace(level.d)
        self.u, self.f = (self.layout.zeros(xp, level.dtype) for _ in range(2))
        self._below = below
        self._fused: FusedStages | None = None
        if below is not None and in_one_pass(level):
            arrays = (self.u, self.f, below.f, below.u)
            self._fused = FusedStages(level, below.level, *arrays, sweeps, self._factor)

    @property
    def below(self) -> Stages:
        """The stages of the next level."""
        assert self._below is not None
        return self._below

    def descend(self) -> None:
        """Run the half-sweeps from u = 0, red first, and restrict the residual to the next level."""
        if self._fused is not None:
            self._fused.descend()
            return
        self._first()
        for k in range(1, self.sweeps):
            self._half_sweeps[k % 2]()
        self._restrict()

    def ascend(self) -> float | None:
        """Add the correction of the next level and run the half-sweeps, black first; return f'u if it is known."""
        if self._fused is not None:
            self._fused.ascend()
            return self._fused.product
        self.below.level.grid.fill(self.below.u)
        self._prolong()
        for k in range(self.sweeps):
            self._half_sweeps[(k + 1) % 2]()
        return None

    @property
    def energy(self) -> float | None:
        """u'A u after `ascend`, if it is known."""
        return None if self._fused is None else self._fused.energy

    @property
    def _factor(self) -> float:
        return 4.0 / (4 if self.layout.is_2d else 8)

    @cached_property
    def _half_sweeps(self) -> tuple[Call, Call]:
        level = self.level

        def sweep(color: int) -> Call:
            def over(box: Box | None) -> Call:
                where = level.whole if box is None else self.layout.box_array(namespace(self.u), box)
                arrays = (self.layout, self.u, self.f, level.d, level.offdiag)
                return half_sweep(*arrays, color, where, box or self.layout.whole())

            return level.grid.overlapped(self.u, over)

        return sweep(0), sweep(1)

    @cached_property
    def _first(self) -> Call:
        level = self.level
        return first_sweep(self.layout, self.u, self.f, level.d, 0, level.whole, self.layout.whole())

    @cached_property
    def _restrict(self) -> Call:
        level, below, fill = self.level, self.below, self.level.grid.fill
        xp, whole = namespace(self.u), self.layout.whole()
        remaining = self.layout.zeros(xp, level.dtype)
        scratch = xp.zeros((*below.layout.padded_shape[:2], self.layout.padded_shape[2]), dtype=level.dtype)
        subtract = residual(
            self.layout, self.u, self.f, level.d, level.offdiag, level.weights, remaining, level.whole, whole
        )
        coarse = (below.level.d, below.f, below.level.whole, self._factor)
        gather = restrict(self.layout, below.layout, remaining, scratch, *coarse)
        return lambda: (fill(self.u), subtract(), fill(remaining), gather())

    @cached_property
    def _prolong(self) -> Call:
        level, below = self.level, self.below
        return prolong(self.layout, below.layout, self.u, below.u, level.d, level.weights, level.whole)

    @property
    def nbytes(self) -> int:
        """Bytes of u and f, and of the room of stages in one pass."""
        return int(self.u.nbytes + self.f.nbytes + (0 if self._fused is None else self._fused.nbytes))


class MultigridCycle:
    """One V-cycle with its arrays: a `Cycle` of conjugate gradients.

    Parameters
    ----------
    hierarchy : Hierarchy
    smoothing : int
    scale : float
        1 over the unit of the operator.
    """

    step = None

    def __init__(self, hierarchy: Hierarchy, smoothing: int, scale: float) -> None:
        self.scale, self._hierarchy = scale, hierarchy
        self._gathered = _chain(hierarchy.gathered, 2 * smoothing)
        self._levels = _chain(hierarchy.levels, 2 * smoothing)

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
        return self._levels[0].energy

    def run(self, descended: bool = False) -> float | None:
        """Run the cycle from `source` to `result`; return their dot product if it is known. Collective."""
        last = self._levels[-1]
        if not self._gathered:
            return _v_cycle(self._levels, lambda: self._solve(last))
        return _v_cycle(self._levels, self._solve_gathered)

    def _solve(self, last: Stages) -> None:
        """Solve the equation of the last level with its dense inverse."""
        h = self._hierarchy
        last.u.reshape(-1)[h.unknowns] = h.inverse @ last.f.reshape(-1)[h.unknowns]

    def _solve_gathered(self) -> None:
        """Gather the right-hand side, go through the rest of the cycle, and keep this rank's box with its halo."""
        top, own, gather = self._gathered[0], self._levels[-1], self._hierarchy.gather
        assert gather is not None
        top.layout.cells(top.f)[...] = gather.whole(own.f)
        _v_cycle(self._gathered, lambda: self._solve(self._gathered[-1]))
        top.level.grid.fill(top.u)
        gather.cut(top.u, own.u)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(stages.nbytes for stages in (*self._levels, *self._gathered))


def _chain(levels: list[Level], sweeps: int) -> list[Stages]:
    chain: list[Stages] = []
    for level in reversed(levels):
        chain.insert(0, Stages(level, sweeps, chain[0] if chain else None))
    return chain


def _v_cycle(levels: list[Stages], solve: Call) -> float | None:
    for stages in levels[:-1]:
        stages.descend()
    solve()
    product = None
    for stages in reversed(levels[:-1]):
        product = stages.ascend()
    return product
