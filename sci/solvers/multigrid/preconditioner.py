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
from sci.solvers.multigrid.hierarchy import Hierarchy
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
    coarse : "averaged" or "rediscretized"
        How coarse operators are made: from the mean of the off-diagonal entries through each face, which also follows
        thin bodies and varying coefficients, by default; or as Poisson operators of coarse masks (fluid where half of
        the cells of the finest grid are), for constant coefficients and cubic cells: a little faster an iteration, and
        slower on thin or porous bodies.
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

    With float32, n cells in space and constant coefficients: 8 n bytes for all levels, and 10 n for the arrays of each
    thread. Memory traffic per cycle V(v, v), with 8/7 for the coarse grids: (8/7)(52 v + 35) bytes a cell, 26 a sweep;
    or (8/7) 32 with one thread of a host, where each stage is one pass (`sci.solvers.multigrid.fused`), whatever v;
    the limit is bandwidth.

    On ranks, levels down to one of at most 4096 cells are distributed; every rank gathers that one and goes on alike.
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

    def __init__(
        self,
        A: PoissonOperator,
        *,
        smoothing: int = 2,
        coarse: str = "averaged",
        wall_corrected: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(A)
        with agreed(A.comm, "Multigrid") as agreement:
            self.cycle_dtype = np.dtype(dtype)
            if self.cycle_dtype not in (np.float32, np.float64):
                raise DTypeError(f"dtype is {dtype}; expected float32 or float64")
            if smoothing not in (1, 2, 3, 4):
                raise InvalidValueError(f"smoothing is {smoothing}; expected 1 to 4 sweeps")
            if coarse not in ("rediscretized", "averaged"):
                raise InvalidValueError(f"coarse is {coarse!r}; expected 'rediscretized' or 'averaged'")
            if coarse == "rediscretized" and not A.constant:
                raise InvalidValueError("coarse='rediscretized' needs constant coefficients and cubic cells")
            if coarse == "rediscretized" and A.blocks is not None:
                raise InvalidValueError(
                    "coarse='rediscretized' works on one process; expected coarse='averaged' on ranks"
                )
            agreement.same(smoothing=smoothing, coarse=coarse, wall_corrected=wall_corrected, dtype=self.cycle_dtype)
        self.smoothing = smoothing
        self.hierarchy = Hierarchy(A, coarse == "averaged", wall_corrected, self.cycle_dtype)
        first = self.new_cycle()
        self._cycle_bytes = first.nbytes
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
        other.hierarchy = self.hierarchy.with_reaction(A)
        return other

    def new_cycle(self) -> MultigridCycle:
        """Return a V-cycle with arrays of its own."""
        return MultigridCycle(self.hierarchy, self.smoothing, 1 / self.A.unit)

    @property
    def exchanges(self) -> list[int]:
        """Halo exchanges of a cycle on each distributed level."""
        levels = 0 if self.A.blocks is None else self.A.blocks.n_levels
        return [4 * self.smoothing + 1 + (level > 0) for level in range(levels)]

    @property
    def gathered_cells(self) -> int:
        """Numbers that this rank sends to each other one in the all-gather of a cycle."""
        return 0 if self.hierarchy.gather is None else int(prod(self.hierarchy.gather.local_shape))

    @property
    def nbytes(self) -> int:
        """Bytes of the hierarchy and of one cycle's arrays."""
        return self.hierarchy.nbytes + self._cycle_bytes

    def __repr__(self) -> str:
        levels = len(self.hierarchy.levels) + len(self.hierarchy.gathered)
        v = self.smoothing
        return f"Multigrid(V({v},{v}), {levels} levels, {self.cycle_dtype}, {self.nbytes} bytes, {self.A!r})"
