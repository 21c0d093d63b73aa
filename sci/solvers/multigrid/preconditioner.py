"""Geometric multigrid: one symmetric V-cycle as a preconditioner."""

from __future__ import annotations

from collections import deque
from copy import copy
from math import prod
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.distributed import agreed
from sci.errors import DTypeError, InvalidValueError
from sci.solvers.krylov.preconditioner import PaddedPreconditioner
from sci.solvers.multigrid.cycle import MultigridCycle
from sci.solvers.multigrid.hierarchy import Hierarchy, can_halve_down
from sci.solvers.multigrid.trial import is_easy, is_served
from sci.solvers.network.cycle import NetworkCycle
from sci.solvers.network.hierarchy import NetworkHierarchy
from sci.solvers.network.numbers import PLAIN
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Multigrid"]


@collective_entry
class Multigrid(PaddedPreconditioner):
    """Approximate inverse of a Poisson operator: one V-cycle, symmetric and positive definite.

    Parameters
    ----------
    A : PoissonOperator
    smoothing : int
        Sweeps of red-black Gauss-Seidel before and after each coarse correction: V(1,1) or V(2,2). The order of the
        colors is reversed after it, which makes the cycle symmetric.
    coarse : "auto", "averaged", "network" or "rediscretized"
        How coarse operators are made. "averaged": from the mean of the off-diagonal entries through each face, the
        fastest iteration, for constant and smooth coefficients. "network": as resistors in series and in parallel, with
        several unknowns in a coarse cell that a wall or a weak link cuts, for jumps of the coefficient, stretched
        cells, thin closed passages, and periodic axes of any length. "auto": averaged, unless a trial of eight
        iterations, or a length that cannot be halved, asks for the network. "rediscretized": Poisson operators of
        coarse masks (fluid where half of the cells of the finest grid are), for constant coefficients and cubic cells.
    wall_corrected : bool
        Whether averaged and rediscretized coarse operators know how far the zero of a Dirichlet wall or body is from
        their cells. A network always does.
    dtype : float32 or float64, optional
        Of the cycle. By default float32, which loses no iteration inside of float64 conjugate gradients and halves the
        memory; float64 in a network with conductances of a ratio over 1e5, or of long chains.

    Attributes
    ----------
    coarse : str
        The kind that was made.

    Raises
    ------
    DTypeError, InvalidValueError

    Notes
    -----
    Averaged coarse grids are half as long along each axis, rounded up, down to 128 cells or less, where the inverse is
    dense. Transfers are trilinear interpolation and its transpose, scaled at Neumann surfaces to keep constants. A
    periodic axis is halved while its length is even.

    With float32, n cells in space and constant coefficients: 5 n bytes for all levels, and 12 n + 1 MB for the arrays
    of each thread. Memory traffic per cycle V(v, v): 23 bytes a cell on a host, whatever v, as each stage is one pass
    (`sci.solvers.multigrid.fused`); on devices and ranks (8/7)(52 v + 35), 26 a sweep, with 8/7 for the coarse grids.

    A network keeps the padded arrays on its finest level. Its coarser levels are sparse matrices with Jacobi steps at
    the roots of a Chebyshev polynomial; they have 13 to 33 % of the unknowns of the finest one together, or 66 to 92 %
    where one axis is coarsened alone. Its setup runs on the host, in compiled kernels. On ranks, each holds all levels
    of a network but the finest, and a cycle sums their right-hand side once.

    On ranks, averaged levels down to one of at most 4096 cells are distributed; every rank gathers that one and goes on
    alike.
    Messages of a cycle V(v, v) and rank: 4 v + 1 halo exchanges on each distributed level and one more on each but the
    first, each one message to each neighbor, and one all-gather: see `sci.solvers.iteration_traffic`.

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

    numbers = PLAIN
    """How networks are coarsened."""

    def __init__(
        self,
        A: PoissonOperator,
        *,
        smoothing: int = 2,
        coarse: str = "auto",
        wall_corrected: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(A)
        with agreed(A.comm, "Multigrid") as agreement:
            if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
                raise DTypeError(f"dtype is {dtype}; expected float32 or float64")
            if smoothing not in (1, 2, 3, 4):
                raise InvalidValueError(f"smoothing is {smoothing}; expected 1 to 4 sweeps")
            if coarse not in ("auto", "averaged", "network", "rediscretized"):
                raise InvalidValueError(
                    f"coarse is {coarse!r}; expected 'auto', 'averaged', 'network' or 'rediscretized'"
                )
            if coarse == "rediscretized" and not A.constant:
                raise InvalidValueError("coarse='rediscretized' needs constant coefficients and cubic cells")
            if coarse == "rediscretized" and A.blocks is not None:
                raise InvalidValueError(
                    "coarse='rediscretized' works on one process; expected coarse='averaged' on ranks"
                )
            named = None if dtype is None else np.dtype(dtype).name
            agreement.same(smoothing=smoothing, coarse=coarse, wall_corrected=wall_corrected, dtype=named)
        self.smoothing, self.coarse = smoothing, coarse
        self._wall_corrected, self._dtype, self._cycle_bytes = wall_corrected, dtype, 0
        halves = coarse != "auto" or can_halve_down(A)
        if coarse == "auto":
            self.coarse = "averaged" if halves else "network"
        self._make()
        if coarse == "auto" and halves and not is_easy(A) and not is_served(self):
            self.coarse = "network"
            self._make()

    def _make(self) -> None:
        """Set the hierarchy and the first cycle."""
        self.hierarchy: Hierarchy | NetworkHierarchy
        if self.coarse == "network":
            self.hierarchy = NetworkHierarchy(self.A, self._dtype, 2 * self.smoothing, self.numbers)
        else:
            dtype = np.float32 if self._dtype is None else self._dtype
            self.hierarchy = Hierarchy(self.A, self.coarse == "averaged", self._wall_corrected, dtype)
        self.cycle_dtype = np.dtype(self.hierarchy.dtype)
        first = self.new_cycle()
        self._cycle_bytes = first.nbytes
        self._idle.clear()
        self._idle.append(first)

    def with_reaction(self, A: PoissonOperator) -> Multigrid:
        """Return the preconditioner of an operator that `PoissonOperator.with_reaction` made of this one's; collective.

        The off-diagonal entries of all levels are shared, so that it costs a few passes over the cells.

        Parameters
        ----------
        A : PoissonOperator

        Returns
        -------
        Multigrid

        Raises
        ------
        InvalidValueError
            If A has other cells, or either operator has no reaction.
        """
        mine = self.A
        if A.kind is not mine.kind or A.unreacted is None or A.unreacted is not mine.unreacted:
            raise InvalidValueError(
                "the operator does not share the cells of that of the preconditioner; expected one that its "
                "with_reaction returned, where both have a reaction: otherwise make Multigrid(A)"
            )
        other = copy(self)
        other.A, other._idle = A, deque()
        if isinstance(self.hierarchy, NetworkHierarchy):
            other._make()
        else:
            other.hierarchy = self.hierarchy.with_reaction(A)
        return other

    def new_cycle(self) -> MultigridCycle | NetworkCycle:
        """Return a V-cycle with arrays of its own."""
        if isinstance(self.hierarchy, NetworkHierarchy):
            return NetworkCycle(self.hierarchy, 1 / self.A.unit)
        return MultigridCycle(self.hierarchy, self.smoothing, 1 / self.A.unit)

    @property
    def exchanges(self) -> list[int]:
        """Halo exchanges of a cycle on each distributed level."""
        levels = 0 if self.A.blocks is None else self.A.blocks.n_levels
        if self.coarse == "network":
            return [4 * self.smoothing][:levels]
        return [4 * self.smoothing + 1 + (level > 0) for level in range(levels)]

    @property
    def summed_numbers(self) -> int:
        """Numbers that a cycle sums over the ranks: the right-hand side of the first coarse level of a network."""
        if isinstance(self.hierarchy, Hierarchy) or self.A.comm is None:
            return 0
        return self.hierarchy.levels[0].size

    @property
    def gathered_cells(self) -> int:
        """Numbers that this rank sends to each other one in the all-gather of a cycle."""
        gather = self.hierarchy.gather if isinstance(self.hierarchy, Hierarchy) else None
        return 0 if gather is None else int(prod(gather.local_shape))

    @property
    def nbytes(self) -> int:
        """Bytes of the hierarchy and of one cycle's arrays."""
        return self.hierarchy.nbytes + self._cycle_bytes

    def __repr__(self) -> str:
        v, levels = self.smoothing, self.hierarchy.n_levels
        kind = f"V({v},{v}), {self.coarse}, {levels} levels, {self.cycle_dtype}"
        return f"Multigrid({kind}, {self.nbytes} bytes, {self.A!r})"
