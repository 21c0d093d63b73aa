"""Multigrid with a learned V-cycle: a preconditioner in single precision, with one setup per operator."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array
from sci.distributed import agreed
from sci.errors import DTypeError, with_article
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.krylov.preconditioner import PaddedPreconditioner
from sci.solvers.krylov.protocols import Cycle
from sci.solvers.learned.cycle import LearnedCycle
from sci.solvers.learned.hierarchy import Hierarchy
from sci.solvers.learned.model import CycleModel
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.multigrid.trial import is_easy, is_served
from sci.solvers.network.numbers import NetworkNumbers, numbers_of
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["LearnedMultigrid"]


class _LearnedNetwork(Multigrid):
    """Multigrid whose networks are coarsened by learned numbers."""

    def __init__(self, A: PoissonOperator, numbers: NetworkNumbers, coarse: str) -> None:
        self.numbers = numbers
        super().__init__(A, coarse=coarse)


@collective_entry
class LearnedMultigrid(PaddedPreconditioner):
    """Approximate inverse M of a Poisson operator: one learned V-cycle, symmetric and positive definite.

    Because M is symmetric, conjugate gradients preconditioned by it already make each direction A-orthogonal to all
    earlier ones. The setup evaluates a small network once per cell; further right-hand sides cost their iterations
    alone.

    Parameters
    ----------
    A : PoissonOperator
        Two or three axes, any lengths, on one process or on ranks.
    model : CycleModel, optional
        The pretrained one by default.

    Raises
    ------
    DTypeError
        If A is no PoissonOperator, or `model` no CycleModel.

    Attributes
    ----------
    instead : Multigrid or None
        What is used in place of the cycle of cells twice as wide, where that does not serve.

    Notes
    -----
    One of two cycles is used.

    - "halved": coarse cells are twice as wide, and a small network sets the weights of each cell. It was trained on
      Dirichlet and Neumann walls and bodies, and serves constant and smooth coefficients.
    - "network": `Multigrid(A, coarse="network")` with learned numbers for its coarse operators, which were trained on
      jumps of the coefficient, layers, lognormal fields, stretched cells, narrow passages, pores, and periodic axes. It
      is used where a trial of eight iterations with the first cycle, made for operators with a coefficient, stretched
      cells or Neumann bodies, does not come as far as with a good one.

    With a reaction or a periodic axis, multigrid chooses between this network and averages ("averaged").

    The cycle runs in float32. On one thread of a host each half of it goes through memory once per level
    (`sci.solvers.learned.stages`): about 33 bytes per unknown on the finest level, which holds 12. Otherwise it reads
    or writes 71 and holds 17. All coarser levels together add a quarter, and hold 6.

    On ranks, levels are distributed down to one that every rank gathers and goes on with alike: the first of at most
    4096 cells, or with one cell along an axis. With m steps on a level before its coarse correction, a cycle exchanges
    2 m + 1 halos there, and one more on all levels but the first: those of f before the first two steps, and of u
    before each other step and the residual, while cells are computed that do not read them; of the residual before its
    restriction, and of the correction. See `sci.solvers.iteration_traffic`. The constructor is collective.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import LearnedMultigrid, PoissonOperator, cg
    >>> A = PoissonOperator(np.ones((32, 32, 32), dtype=bool))
    >>> b = np.ones((32, 32, 32))
    >>> M = LearnedMultigrid(A)
    >>> cg(A, b, M=M, rtol=1e-8).iterations <= 8
    True
    >>> M.solve(b).converged
    True
    """

    def __init__(self, A: PoissonOperator, model: CycleModel | None = None) -> None:
        super().__init__(A)
        if model is not None and not isinstance(model, CycleModel):
            raise DTypeError(
                f"model is {with_article(type(model).__name__)}; expected a CycleModel, for example sci.io.load(path)"
            )
        self.model = CycleModel.pretrained() if model is None else model
        with agreed(A.comm, "LearnedMultigrid") as agreement:
            agreement.same(model=self.model.parameters)
        self.instead: Multigrid | None = None
        if A.reaction is not None or any(A.periodic):
            self._replace("auto")
            return
        self.cycle_dtype = np.dtype(np.float32)
        self.hierarchy: Hierarchy | None = Hierarchy(A, self.model.parameters)
        first = LearnedCycle(self.hierarchy, A.weight)
        self._cycle_bytes = first.nbytes
        self._idle.append(first)
        if not is_easy(A) and not is_served(self):
            self._replace("network")

    @property
    def coarse(self) -> str:
        """How coarse operators are made."""
        return "halved" if self.instead is None else self.instead.coarse

    def _replace(self, coarse: str) -> None:
        """Let multigrid with a learned network take the place of the cycle of cells twice as wide."""
        numbers = numbers_of(self.model.parameters)
        self.instead, self.hierarchy, self._cycle_bytes = _LearnedNetwork(self.A, numbers, coarse), None, 0
        self.cycle_dtype = self.instead.cycle_dtype
        self._idle.clear()

    def new_cycle(self) -> Cycle:
        """Return a V-cycle with arrays of its own."""
        if self.hierarchy is None:
            assert self.instead is not None
            return self.instead.new_cycle()
        return LearnedCycle(self.hierarchy, self.A.weight)

    def solve(
        self,
        b: Any,
        x0: Any = None,
        *,
        rtol: float = 1e-8,
        atol: float = 0.0,
        maxiter: int | None = None,
        callback: Callable[[Array], object] | None = None,
    ) -> SolveResult:
        """Solve A x = b by conjugate gradients with this preconditioner; arguments and errors are those of `cg`."""
        return cg(self.A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=self, callback=callback)

    @property
    def exchanges(self) -> list[int]:
        """Halo exchanges of a cycle on each distributed level."""
        if self.instead is not None:
            return self.instead.exchanges
        hierarchy = self._learned
        distributed = hierarchy.levels[:-1] if hierarchy.gathered else []
        return [2 * len(level.damping) + 1 + (depth > 0) for depth, level in enumerate(distributed)]

    @property
    def gathered_cells(self) -> int:
        """Numbers that this rank sends to each other one in the all-gather of a cycle."""
        if self.instead is not None:
            return self.instead.gathered_cells
        gather = self._learned.gather
        return 0 if gather is None else int(prod(gather.local_shape))

    @property
    def summed_numbers(self) -> int:
        """Numbers that a cycle sums over the ranks."""
        return 0 if self.instead is None else self.instead.summed_numbers

    @property
    def _learned(self) -> Hierarchy:
        assert self.hierarchy is not None
        return self.hierarchy

    @property
    def nbytes(self) -> int:
        """Bytes of the levels and of one cycle's arrays, the faces of the finest level included."""
        return self.instead.nbytes if self.instead is not None else self._learned.nbytes + self._cycle_bytes

    def __repr__(self) -> str:
        if self.instead is not None:
            learned = "learned network" if self.coarse == "network" else "nothing learned"
            return f"LearnedMultigrid({learned}: {self.instead!r})"
        hierarchy = self._learned
        levels = max(0, len(hierarchy.levels) - bool(hierarchy.gathered)) + len(hierarchy.gathered)
        return f"LearnedMultigrid({levels} levels, float32, {self.nbytes} bytes, {self.A!r})"
