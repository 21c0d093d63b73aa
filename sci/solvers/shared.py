"""The Poisson operator and multigrid on boxes of a grid, one for each rank, and conjugate gradients over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.distributed import abort_on_error, agree, allreduce_max, allreduce_sum, block
from sci.distributed.communicators import Comm
from sci.errors import InvalidValueError, ShapeError
from sci.solvers.krylov.cg import CONSISTENT, SolveResult, inconsistent
from sci.solvers.krylov.pipelined import PaddedCycle, Space, iterate
from sci.solvers.multigrid import coarsening
from sci.solvers.multigrid.coarsening import FLUID, NEUMANN, Coefficients
from sci.solvers.multigrid.vcycle import KINDS, Level, can_halve, check_dense, dense_inverse, make_levels, v_cycle
from sci.solvers.poisson.boundary import as_spacing, parse_walls
from sci.solvers.poisson.grid import Layout
from sci.solvers.poisson.operator import assemble, face_weights
from sci.solvers.poisson.stencil import Stencil
from sci.solvers.shared_components import SharedComponents, shared_components
from sci.solvers.shared_levels import Gather, Halo, SharedLevel, interior_and_shell, local_layout, refined

__all__ = ["SharedMultigrid", "SharedPoisson", "shared_cg"]

GATHERED = 4096
"""A level of at most this many cells is gathered by all ranks."""


class SharedPoisson:
    """The Poisson operator on a grid of three axes that is cut into boxes.

    The boxes are those of a coarse grid, so that pairs of cells stay together on all shared levels; the grid is
    extended by closed or Dirichlet cells, as its high walls are, to a multiple of 2^levels, but for periodic axes.

    Parameters
    ----------
    grid_shape : (3,) int
        Any lengths.
    comm : mpi4py communicator, optional
    spacing, boundary, mean : as for PoissonOperator
    levels : int, optional
        Levels that are shared; by default those of more than 4096 cells, at least one, as far as the lengths of
        periodic axes can be halved.

    Raises
    ------
    ShapeError, InvalidValueError, DecompositionError
        On every rank.

    Notes
    -----
    Collective. `slices` says which cells of the grid are this rank's; then `set_mask` takes their mask and
    coefficients, and finds the parts of the fluid that touch no Dirichlet face, whose constants are in the kernel.
    """

    def __init__(
        self,
        grid_shape: tuple[int, ...],
        comm: Comm = None,
        *,
        spacing: float | Sequence[float] = 1.0,
        boundary: Any = "dirichlet",
        mean: str = "harmonic",
        levels: int | None = None,
    ) -> None:
        problem: Exception | None = None
        try:
            if len(grid_shape) != 3:
                raise ShapeError(f"grid_shape is {tuple(grid_shape)}; expected 3 lengths")
            self.walls = parse_walls(boundary, 3)
            self.spacing, self.grid_shape = as_spacing(spacing, 3), tuple(grid_shape)
            self.periodic = tuple(low == "periodic" for low, _ in self.walls)
            self.n_levels = self._shared_levels(levels)
            if mean not in ("harmonic", "arithmetic"):
                raise InvalidValueError(f"mean is {mean!r}; expected 'harmonic' or 'arithmetic'")
        except Exception as error:
            problem = error
        agree(comm, problem)
        self.comm, self.mean, self.weight = comm, mean, 1.0 / self.spacing[0] ** 2
        self.coarse = block(self.lengths(self.n_levels), comm, halo=1)
        self.decomposition = refined(self.coarse, self.n_levels)
        self.layout = local_layout(self.decomposition)
        self.halo = Halo(self.decomposition, self.periodic)
        self.wall_kinds = tuple((KINDS[low], KINDS[high]) for low, high in self.walls)
        self.components: SharedComponents | None = None

    def _shared_levels(self, levels: int | None) -> int:
        wrapping = [n for n, wraps in zip(self.grid_shape, self.periodic) if wraps]
        possible = next(k for k in range(64) if any(n % 2 ** (k + 1) for n in wrapping) or k == 40)
        if possible < (levels or 1):
            raise InvalidValueError(
                f"periodic axes have lengths {wrapping}; expected multiples of {2 ** (levels or 1)}, as cells stay "
                "together in pairs on shared levels"
            )
        return levels or min(possible, max(1, sum(self._cells(k) > GATHERED for k in range(40))))

    def lengths(self, level: int) -> tuple[int, ...]:
        """Return the lengths of the whole grid at a level."""
        return tuple(-(-n // 2**level) for n in self.grid_shape)

    def _cells(self, level: int) -> int:
        return prod(self.lengths(level))

    @property
    def slices(self) -> tuple[slice, ...]:
        """This rank's cells in the whole grid; what the extension adds is not among them."""
        return tuple(slice(s.start, min(s.stop, n)) for s, n in zip(self.decomposition.slices, self.grid_shape))

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Shape of this rank's part of the grid."""
        return tuple(max(0, s.stop - s.start) for s in self.slices)

    def set_mask(self, mask: Array, insulating: Array | None = None, coefficient: Array | None = None) -> None:
        """Set this rank's fluid cells, which of the others have a Neumann surface, and the coefficient.

        Parameters
        ----------
        mask, insulating : (*local_shape) bool array
        coefficient : (*local_shape) array, optional
            Positive; on all ranks or on none.
        """
        xp = namespace(mask)
        problem: Exception | None = None
        for array in (mask, insulating, coefficient):
            if array is not None and tuple(array.shape) != self.local_shape:
                problem = ShapeError(f"the mask has shape {tuple(array.shape)}; expected {self.local_shape}")
        if problem is None and coefficient is not None and not bool((coefficient[mask] > 0).all()):
            problem = InvalidValueError("coefficient is not positive in all fluid cells; expected c > 0")
        agree(self.comm, problem)
        _on_all_or_none(self, "a coefficient", coefficient)
        own = tuple(slice(0, n) for n in self.local_shape)
        kind = xp.zeros(self.decomposition.local_shape, dtype=np.int8)
        kind[own] = 2 * mask.astype(np.int8) + (0 if insulating is None else insulating & ~mask)
        part = self.decomposition.local_start, self.grid_shape
        self.kind = coarsening.padded_kind(self.layout, kind, self.wall_kinds, self.halo.fill, part)
        padded = None
        if coefficient is not None:
            padded = xp.ones(self.layout.padded_shape)
            self.cells(padded)[...] = coefficient
            self.halo.fill(padded)
        self._set_stencil(padded)

    def _set_stencil(self, coefficient: Array | None) -> None:
        xp, inner = namespace(self.kind), self.layout.box_key
        links, diagonal, dirichlet = assemble(
            self.layout, face_weights(self.kind, coefficient, self.spacing, self.mean)
        )
        if coefficient is None and len(set(self.spacing)) == 1:
            d, self.unit = xp.rint(diagonal / self.weight).astype(np.int8), self.weight
            self.stencil = Stencil(self.layout, self.layout.spread(d), None, self.weight)
            self.dirichlet: Array | None = None
        else:
            self.stencil = Stencil(self.layout, self.layout.spread(diagonal), links, 1.0)
            self.dirichlet = self.layout.spread(dirichlet)
            self.unit = float(allreduce_max(np.array([float(diagonal.max(initial=0.0))]), self.comm)[0])
        conditions = {name for pair in self.walls for name in pair}
        closed = bool((self.kind[inner] == NEUMANN).any()) or conditions != {"dirichlet"}
        self.components = None
        if bool(allreduce_sum(np.array([int(closed)]), self.comm)[0]):
            fluid = self.kind == FLUID
            self.components = shared_components(fluid, dirichlet > 0, self.halo.fill, self.comm)

    def equation(self, dtype: Any) -> Coefficients:
        """Return the finest equation of multigrid, in the unit that keeps it near one."""
        s = self.stencil
        if s.links is None or self.dirichlet is None:
            return Coefficients(self.layout, self.kind, s.d, None, None)
        d, links, dirichlet = ((a / self.unit).astype(dtype) for a in (s.d, s.links, self.dirichlet))
        return Coefficients(self.layout, self.kind, d, links, dirichlet)

    def spread(self, local: Array) -> Array:
        """Return this rank's part of a grid array as a padded array."""
        padded = self.layout.zeros(namespace(local), np.float64)
        padded[tuple(slice(1, n + 1) for n in self.local_shape)] = local
        return padded

    def cells(self, padded: Array) -> Array:
        """Return this rank's part of the grid in a padded array."""
        return padded[tuple(slice(1, n + 1) for n in self.local_shape)]

    def space(self) -> Space:
        """Return what conjugate gradients need: a curvature that overlaps the halo, and sums over the ranks."""
        inner, shell = interior_and_shell(self.layout.lengths)

        def curvature(u: Array) -> float:
            parts: list[float] = []
            self.halo.during(u, lambda: parts.append(self.stencil.curvature(u, inner)) if inner else None)
            parts += [self.stencil.curvature(u, box) for box in shell]
            return sum(parts)

        def total(value: float) -> float:
            return float(allreduce_sum(np.array([value]), self.comm, checked=True)[0])

        def project(padded: Array) -> None:
            assert self.components is not None
            self.components.project(padded[self.layout.box_key])

        return Space(self.stencil, curvature, self.halo.fill, total, None if self.components is None else project)


class SharedMultigrid:
    """One V-cycle over the ranks: shared levels cut into boxes, then one that every rank gathers and goes on with.

    Every cell is computed as `Multigrid` computes it on the whole grid, in the same order.

    Parameters
    ----------
    A : SharedPoisson
    smoothing : int
    dtype : float32 or float64

    Notes
    -----
    Collective. Messages of a cycle V(v, v) and rank: 4 v + 1 halo exchanges on each shared level and one more on each
    but the first, each one message to each neighbor, and one all-gather: see
    `sci.solvers.shared_traffic.iteration_traffic`.
    """

    def __init__(self, A: SharedPoisson, *, smoothing: int = 2, dtype: Any = np.float32) -> None:
        self.A, self.smoothing, self.dtype = A, smoothing, np.dtype(dtype)
        self.scale = 1 / A.unit
        equations, halos = self._shared_equations()
        self._gather = Gather(A.coarse, 0, A.coarse.grid_shape)
        self.gathered_cells = prod(A.coarse.local_shape)
        """Numbers that this rank sends to each other one in the all-gather of a cycle."""
        self._gathered = self._gathered_levels(equations[-1])
        levels: list[SharedLevel] = []
        for equation, below, halo in zip(
            reversed(equations), (None, *reversed(equations[1:])), (None, *reversed(halos[:-1]))
        ):
            level = make_levels([equation], self.dtype)[0]
            share = None
            if below is not None:
                share = coarsening.interpolation_shares(equation.layout, equation.kind, below.kind, self.dtype)
            parts = (level.layout, level.u, level.f, level.d, level.links, share, level.where)
            levels.insert(0, SharedLevel(*parts, levels[0] if levels else None, halo))
        self.levels = levels

    @property
    def source(self) -> Array:
        """Padded right-hand side of the cycle, `scale` times a residual."""
        return self.levels[0].f

    @property
    def result(self) -> Array:
        """Padded result of the cycle."""
        return self.levels[0].u

    @property
    def exchanges(self) -> list[int]:
        """Halo exchanges of a cycle on each shared level."""
        return [4 * self.smoothing + 1 + (level > 0) for level in range(self.A.n_levels)]

    def cycle(self) -> None:
        """Run the cycle from `source` to `result`; collective."""
        v_cycle(self.levels[0], self.smoothing, self._solve_gathered)

    def _shared_equations(self) -> tuple[list[Coefficients], list[Halo]]:
        A = self.A
        equations, halos = [A.equation(self.dtype)], [A.halo]
        for level in range(1, A.n_levels + 1):
            fine = equations[-1]
            boxes = refined(A.coarse, A.n_levels - level)
            halos.append(Halo(boxes, A.periodic))
            fill, part = halos[-1].fill, (boxes.local_start, A.lengths(level))
            kind = coarsening.coarse_kind(fine.layout, fine.kind, A.wall_kinds, 0.1, fill, part)
            equations.append(coarsening.average(fine, kind, coarsening.wall_ratio(level), self.dtype, fill))
        return equations, halos

    def _gathered_levels(self, local: Coefficients) -> list[Level]:
        A = self.A
        assert local.links is not None
        assert local.dirichlet is not None
        layout = Layout(A.coarse.grid_shape, A.periodic)
        kind = coarsening.padded_kind(layout, self._gather.whole(local.kind), A.wall_kinds, layout.wrap)
        links = namespace(kind).stack([layout.wrap(layout.spread(self._gather.whole(link))) for link in local.links])
        d, dirichlet = (layout.spread(self._gather.whole(a)) for a in (local.d, local.dirichlet))
        equations = [Coefficients(layout, kind, d, links, dirichlet)]
        while can_halve(equations[-1].layout):
            fine, level = equations[-1], A.n_levels + len(equations)
            wrap = fine.layout.halved.wrap
            kind = coarsening.coarse_kind(fine.layout, fine.kind, A.wall_kinds, 0.1, wrap)
            equations.append(coarsening.average(fine, kind, coarsening.wall_ratio(level), self.dtype, wrap))
        check_dense(equations[-1].layout, A.grid_shape)
        inverse = dense_inverse(equations[-1]).astype(self.dtype)
        self._inverse = to_device(inverse, namespace(kind))
        self._unknowns = to_device(np.flatnonzero(to_host(equations[-1].d) > 0), namespace(kind))
        return make_levels(equations, self.dtype)

    def _solve_dense(self, level: Level) -> None:
        level.u.reshape(-1)[self._unknowns] = self._inverse @ level.f.reshape(-1)[self._unknowns]

    def _solve_gathered(self, level: Level) -> None:
        """Gather the right-hand side, go through the rest of the cycle, and keep this rank's box with its layers."""
        top = self._gathered[0]
        top.layout.cells(top.f)[...] = self._gather.whole(level.f)
        v_cycle(top, self.smoothing, self._solve_dense)
        top.fill(top.u)
        self._gather.cut(top.u, level.u)


def shared_cg(
    A: SharedPoisson,
    b: Array,
    x0: Array | None = None,
    *,
    M: PaddedCycle | None = None,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int = 1000,
    callback: Callable[[Array], object] | None = None,
) -> SolveResult:
    """Solve A x = b over the ranks; the iterates are those of `cg` on the whole grid, to rounding.

    Parameters
    ----------
    A : SharedPoisson
        With its mask.
    b : (*local_shape) array
        This rank's part of the right-hand side, zero outside of the fluid.
    x0 : (*local_shape) array, optional
        This rank's part of the start; on all ranks or on none.
    M : SharedMultigrid or SharedLearnedCycle, optional
    rtol, atol : float
    maxiter : int
    callback : callable, optional
        Called with this rank's part of x after each iteration.

    Returns
    -------
    SolveResult
        With this rank's part of x.

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError
        On every rank.

    Notes
    -----
    Collective. Three sums over the ranks and one halo exchange an iteration, beside those of M; one more sum where A is
    singular.
    """
    started = time.perf_counter()
    problem: Exception | None = None
    given: list[Array] = []
    try:
        for array, name in ((b, "b"), (x0, "x0")):
            if array is not None:
                given.append(A.spread(as_finite(array, name, shape=A.local_shape)) * (A.kind == FLUID))
    except Exception as error:
        problem = error
    agree(A.comm, problem)
    _on_all_or_none(A, "a start x0", x0)
    space, padded = A.space(), given[0]
    _project_right(A, space, padded)
    with abort_on_error(A.comm):
        size = float(np.sqrt(space.total(A.stencil.dot(padded, padded))))
        target = max(rtol * size, atol)
        x = A.layout.zeros(A.stencil.xp, np.float64) if x0 is None else given[1]
        if x0 is not None and space.project is not None:
            space.project(x)
        seen = None if callback is None else lambda padded: callback(A.cells(padded).copy())
        norms = iterate(space, padded, x, M, size, target, maxiter, seen, from_zero=x0 is None)
        if space.project is not None:
            space.project(x)
    seconds = time.perf_counter() - started
    return SolveResult(A.cells(x).copy(), len(norms) - 1, np.array(norms), norms[-1] <= target, seconds)


def _on_all_or_none(A: SharedPoisson, name: str, value: Array | None) -> None:
    """Refuse what only some ranks give."""
    given = int(allreduce_sum(np.array([int(value is not None)]), A.comm)[0])
    if given not in (0, A.coarse.size):
        raise InvalidValueError(f"{given} of {A.coarse.size} ranks give {name}; expected all or none")


def _project_right(A: SharedPoisson, space: Space, padded: Array) -> None:
    """Remove the kernel from a right-hand side, if the part of it there is rounding."""
    if A.components is None or space.project is None:
        return
    cells = padded[A.layout.box_key]
    total = space.total(float(abs(cells).sum()))
    part = float(abs(A.components.sums(cells)).max()) / total if total > 0 else 0.0
    if part > CONSISTENT:
        raise inconsistent(part)
    space.project(padded)
