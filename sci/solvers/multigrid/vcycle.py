"""Geometric multigrid: one symmetric V-cycle as a preconditioner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.errors import DTypeError, InvalidValueError
from sci.solvers.multigrid import coarsening
from sci.solvers.multigrid.coarsening import Coefficients
from sci.solvers.multigrid.fused import LevelArrays, ascend, descend, in_one_pass
from sci.solvers.multigrid.smoothers import Call, first_sweep, half_sweep, residual
from sci.solvers.multigrid.transfer import prolong, restrict
from sci.solvers.poisson.grid import Layout
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Multigrid"]

COARSEST = 128
"""Cells of a grid that is small enough for its dense inverse."""
LARGEST_DENSE = 4096
KINDS = {"dirichlet": coarsening.DIRICHLET, "neumann": coarsening.NEUMANN, "periodic": coarsening.NEUMANN}


@dataclass(frozen=True, eq=False)
class Level(LevelArrays):
    """One grid of the hierarchy with its equation, what interpolates to it, and room for the cycle.

    Parameters
    ----------
    coarse : Level or None
        The next level.
    """

    coarse: Level | None

    @cached_property
    def one_pass(self) -> bool:
        """Whether the stages of the cycle go through memory once, each in one kernel."""
        return in_one_pass(self)

    @cached_property
    def _stages(self) -> dict[int, tuple[Call, Call, Array]]:
        return {}

    def _stage(self, count: int) -> tuple[Call, Call, Array]:
        """Return the stages before and after the coarse correction, and where the latter leaves f'u and u'A u."""
        if count not in self._stages:
            below = self._below
            down = descend(self, count, below.layout, below.d, below.f, self._factor)
            self._stages[count] = (down, *ascend(self, count, below.layout, below.u))
        return self._stages[count]

    def prepare(self, count: int) -> None:
        """Make what stages of `count` half sweeps need, so that it is not the first cycle that takes the time."""
        if self.one_pass:
            self._stage(count)

    def descend(self, count: int) -> None:
        """Do `count` half sweeps from u = 0 and set the right-hand side of the next level from the residual."""
        if self.one_pass:
            self._stage(count)[0]()
            return
        self.start()
        self.relax(count - 1)
        self.coarsen()

    def ascend(self, count: int) -> float | None:
        """Add the correction of the next level and do `count` half sweeps; return the sum of f u where it is known."""
        if self.one_pass:
            _, up, products = self._stage(count)
            up()
            return float(products[0])
        self.correct()
        self.relax(count)
        return None

    def energy(self, count: int) -> float | None:
        """Return u'A u after `ascend`, where it is known."""
        return float(self._stage(count)[2][1]) if self.coarse is not None and self.one_pass else None

    @property
    def _below(self) -> Level:
        assert self.coarse is not None
        return self.coarse

    @property
    def _factor(self) -> float:
        return 4.0 / (4 if self.layout.flat else 8)

    @cached_property
    def t(self) -> Array:
        """Padded room for the residual."""
        return self.layout.zeros(namespace(self.u), self.u.dtype)

    @cached_property
    def middle(self) -> Array:
        """Room for the restriction."""
        shape = (*self._below.layout.padded_shape[:2], self.layout.padded_shape[2])
        return namespace(self.u).zeros(shape, dtype=self.u.dtype)

    def fill(self, array: Array) -> None:
        """Bring the layers around the grid up to date."""
        self.layout.wrap(array)

    @cached_property
    def _sweeps(self) -> list[Call]:
        parts = (self.layout, self.u, self.f, self.d, self.links)
        return [half_sweep(*parts, color, self.where, self.layout.whole()) for color in (0, 1)]

    @cached_property
    def start(self) -> Call:
        """Relaxes the first color from u = 0."""
        return first_sweep(self.layout, self.u, self.f, self.d, 0, self.where, self.layout.whole())

    @cached_property
    def _transfers(self) -> tuple[Call, Call, Call]:
        fine, coarse, whole = self.layout, self._below, self.layout.whole()
        rest = residual(fine, self.u, self.f, self.d, self.links, self.share, self.t, self.where, whole)
        down = restrict(fine, coarse.layout, self.t, self.middle, coarse.d, coarse.f, coarse.where, self._factor)
        up = prolong(fine, coarse.layout, self.u, coarse.u, self.d, self.share, self.where)
        return rest, down, up

    def sweep(self, color: int) -> None:
        """Relax the cells of one color."""
        self.fill(self.u)
        self._sweeps[color]()

    def relax(self, count: int) -> None:
        """Do `count` half sweeps, of the second color first."""
        for k in range(count):
            self.sweep((k + 1) % 2)

    def coarsen(self) -> None:
        """Set the right-hand side of the next level from the residual of this one."""
        self.fill(self.u)
        self._transfers[0]()
        self.fill(self.t)
        self._transfers[1]()

    def correct(self) -> None:
        """Add the correction of the next level."""
        self._below.fill(self._below.u)
        self._transfers[2]()


class Multigrid:
    """Approximate inverse of a Poisson operator: one V-cycle, symmetric and positive definite.

    Parameters
    ----------
    A : PoissonOperator
    smoothing : int
        Sweeps of red-black Gauss-Seidel before and after each coarse correction: V(1,1) or V(2,2). The order of the
        colors is reversed after it, which makes the cycle symmetric.
    coarse : "averaged" or "rediscretized"
        How coarse operators are made: from the mean of the links through each face, which also follows thin bodies and
        varying coefficients, by default; or as Poisson operators of coarse masks (fluid where half of the cells of the
        finest grid are), for constant coefficients and cubic cells: a little faster an iteration, and slower on thin or
        porous bodies.
    wall_corrected : bool
        Whether coarse operators know how far the zero of a Dirichlet wall or body is from their cells.
    dtype : float32 or float64
        Of the cycle; a float32 cycle inside of float64 conjugate gradients loses no iteration, and halves the memory.

    Raises
    ------
    DTypeError, InvalidValueError

    Notes
    -----
    Coarse grids are half as long along each axis, rounded up, down to 128 cells or less, where the inverse is dense.
    Transfers are trilinear interpolation and its transpose, scaled at Neumann surfaces to keep constants. A periodic
    axis is halved while its length is even.

    With float32, n cells and constant coefficients: 12 n bytes for the cycle on the finest grid and about 4 n for the
    others. Memory traffic per cycle V(v, v), with 8/7 for the coarse grids: (8/7)(52 v + 35) bytes a cell, 26 a sweep;
    or (8/7) 32 with one thread of a host, where each stage is one pass (`sci.solvers.multigrid.fused`), whatever v;
    the limit is bandwidth. Not reentrant: an instance holds the arrays that a cycle works in.

    References
    ----------
    Trottenberg, Oosterlee and Schueller, Multigrid (2001), chapters 2 and 5; Tatebe, The multigrid preconditioned
    conjugate gradient method (1993), for the conditions under which the cycle is a preconditioner.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import Multigrid, PoissonOperator, cg
    >>> A = PoissonOperator(np.ones((32, 32, 32), dtype=bool))
    >>> cg(A, np.ones((32, 32, 32)), M=Multigrid(A), rtol=1e-8).iterations <= 8
    True
    """

    takes_grids = True

    def __init__(
        self,
        A: PoissonOperator,
        *,
        smoothing: int = 2,
        coarse: str = "averaged",
        wall_corrected: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        if not isinstance(A, PoissonOperator):
            raise DTypeError(f"Multigrid takes a PoissonOperator, got {type(A).__name__}")
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise DTypeError(f"dtype is {dtype}; expected float32 or float64")
        if smoothing not in (1, 2, 3, 4):
            raise InvalidValueError(f"smoothing is {smoothing}; expected 1 to 4 sweeps")
        if coarse not in ("rediscretized", "averaged"):
            raise InvalidValueError(f"coarse is {coarse!r}; expected 'rediscretized' or 'averaged'")
        if coarse == "rediscretized" and not A.constant:
            raise InvalidValueError("coarse='rediscretized' needs constant coefficients and cubic cells")
        self.A, self.shape, self.smoothing = A, A.shape, smoothing
        averaged = coarse == "averaged"
        self.scale, equations = _hierarchy(A, averaged, wall_corrected, self.dtype)
        self.levels = make_levels(equations, self.dtype)
        self.coarsest = to_device(dense_inverse(equations[-1]).astype(self.dtype), A.xp)
        self.unknowns = A.xp.flatnonzero(equations[-1].d > 0)
        for level in self.levels[:-1]:
            level.prepare(2 * smoothing)

    def matvec(self, r: Array) -> Array:
        """Return the cycle's approximation of the inverse times r, a grid array or a flat one."""
        flat = tuple(r.shape) != self.A.grid_shape
        grid = self.A.scatter(r) if flat else r
        top = self.levels[0]
        top.layout.cells(top.f)[...] = grid * self.A.mask * self.scale
        self.cycle()
        u: Array = top.layout.cells(top.u).astype(r.dtype)
        return self.A.gather(u).reshape(r.shape) if flat else u

    __call__ = __matmul__ = matvec

    @property
    def source(self) -> Array:
        """Padded right-hand side of the cycle, `scale` times a residual."""
        return self.levels[0].f

    @property
    def result(self) -> Array:
        """Padded result of the cycle."""
        return self.levels[0].u

    def cycle(self) -> float | None:
        """Run the cycle from `source` to `result`; return their product where it is known."""
        return v_cycle(self.levels[0], self.smoothing, self.solve_coarsest)

    @property
    def energy(self) -> float | None:
        """The last result u times the operator in the units of the cycle times u, where it is known."""
        return self.levels[0].energy(2 * self.smoothing)

    def solve_coarsest(self, level: Level) -> None:
        """Solve the equation of the last level with its dense inverse."""
        level.u.reshape(-1)[self.unknowns] = self.coarsest @ level.f.reshape(-1)[self.unknowns]

    @property
    def nbytes(self) -> int:
        """Bytes that the hierarchy holds."""
        arrays = [a for level in self.levels for a in vars(level).values() if hasattr(a, "nbytes")]
        return int(sum(a.nbytes for a in arrays) + self.coarsest.nbytes)


def v_cycle(level: Level, smoothing: int, solve_coarsest: Callable[[Level], None]) -> float | None:
    """Run the cycle from `level` down: from its `f` to its `u`; return the sum of f u where it is known."""
    if level.coarse is None:
        solve_coarsest(level)
        return None
    level.descend(2 * smoothing)
    v_cycle(level.coarse, smoothing, solve_coarsest)
    return level.ascend(2 * smoothing)


def _hierarchy(A: PoissonOperator, averaged: bool, corrected: bool, dtype: Any) -> tuple[float, list[Coefficients]]:
    """Return what residuals are multiplied by for the finest level, and the equations of all levels."""
    walls = ((coarsening.NEUMANN,) * 2,) * (3 - A.ndim) + tuple((KINDS[low], KINDS[high]) for low, high in A.walls)
    kind = coarsening.padded_kind(A.layout, A.kind[A.interior], walls, A.layout.wrap)
    scale, equation = _finest(A, kind, dtype)
    equations = [equation]
    fraction = None if averaged else (kind == coarsening.FLUID).astype(np.float32)
    while can_halve(equation.layout):
        level = len(equations)
        new = equation.layout.halved
        if fraction is not None:
            fraction = coarsening.coarse_fraction(equation.layout, fraction)
        least = 0.1 if averaged else 0.5
        kind = coarsening.coarse_kind(equation.layout, kind, walls, least, new.wrap, fraction=fraction)
        factors = [coarsening.wall_factors(n, level) if corrected else (1.0, 1.0) for n in A.layout.lengths]
        if averaged:
            ratio = coarsening.wall_ratio(level) if corrected else 1.0
            equation = coarsening.average(equation, kind, ratio, dtype, new.wrap)
        else:
            body = coarsening.body_factor(level) if corrected else 1.0
            equation = coarsening.rediscretize(new, kind, factors, body, dtype)
        equations.append(equation)
    check_dense(equation.layout, A.grid_shape)
    return scale, equations


def _finest(A: PoissonOperator, kind: Array, dtype: Any) -> tuple[float, Coefficients]:
    """Return the finest equation in a unit that keeps it near one, and that unit's inverse."""
    if A.stencil.links is None:
        return 1 / A.weight, Coefficients(A.layout, kind, A.stencil.d, None, None)
    unit = float(A.diagonal.max())
    d, wall = (A.layout.spread(a / unit, dtype) for a in (A.diagonal, A.dirichlet))
    return 1 / unit, Coefficients(A.layout, kind, d, (A.stencil.links / unit).astype(dtype), wall)


def can_halve(layout: Layout) -> bool:
    """Tell whether a level is too large for a dense inverse, and may be coarsened."""
    large = int(np.prod(layout.lengths)) > COARSEST
    return large and not any(p and n % 2 for p, n in zip(layout.periodic, layout.grid_shape))


def check_dense(layout: Layout, grid_shape: tuple[int, ...]) -> None:
    """Refuse a last level that is too large for a dense inverse."""
    if int(np.prod(layout.lengths)) > LARGEST_DENSE:
        raise InvalidValueError(
            f"the grid {grid_shape} can be halved only to {layout.lengths}, as a periodic axis has odd "
            "length there; expected lengths of periodic axes that are divisible by a higher power of two"
        )


def make_levels(equations: Sequence[Coefficients], dtype: Any) -> list[Level]:
    """Return the levels of a hierarchy of equations, finest first."""
    levels: list[Level] = []
    for equation, below in zip(reversed(equations), (None, *reversed(equations[1:]))):
        layout, xp = equation.layout, namespace(equation.d)
        share = None if below is None else coarsening.interpolation_shares(layout, equation.kind, below.kind, dtype)
        u, f = (layout.zeros(xp, dtype) for _ in range(2))
        parts = (equation.d, equation.links, share, layout.box_array(xp))
        levels.insert(0, Level(layout, u, f, *parts, levels[0] if levels else None))
    return levels


def dense_inverse(equation: Coefficients) -> np.ndarray:
    """Return the inverse over the unknowns of a small level, the pseudo-inverse where it is singular."""
    layout = equation.layout
    d = to_host(equation.d).astype(np.float64)
    number = np.full(layout.padded_shape, -1)
    number.reshape(-1)[np.flatnonzero(d > 0)] = np.arange(int((d > 0).sum()))
    number = layout.wrap(number)
    matrix = np.diag(d[d > 0])
    links = None if equation.links is None else to_host(equation.links).astype(np.float64)
    inner = layout.box_key
    for axis in range(3):
        if layout.flat and axis == 0:
            continue
        before = list(inner)
        before[axis] = slice(0, layout.lengths[axis])
        here, there = number[inner], number[tuple(before)]
        weight = np.ones(here.shape) if links is None else links[axis][inner]
        both = (here >= 0) & (there >= 0) & (here != there)
        np.add.at(matrix, (here[both], there[both]), -weight[both])
        np.add.at(matrix, (there[both], here[both]), -weight[both])
    values, vectors = np.linalg.eigh(matrix)
    if values.size == 0:
        return matrix
    good = values > 1e-6 * values.max()
    inverse: np.ndarray = (vectors[:, good] / values[good]) @ vectors[:, good].T
    return inverse
