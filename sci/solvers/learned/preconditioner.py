"""Multigrid with a learned V-cycle: a preconditioner in single precision, with one setup per operator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError, SciError
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.learned.model import CycleModel
from sci.solvers.learned.setup import finest_equation, smooths_twice
from sci.solvers.learned.stages import Step
from sci.solvers.learned.vcycle import Levels
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["LearnedMultigrid"]


class LearnedMultigrid:
    """Approximate inverse M of a Poisson operator: one learned V-cycle, symmetric and positive definite.

    Because M is symmetric, conjugate gradients preconditioned by it already make each direction A-orthogonal to all
    earlier ones. The setup evaluates a small network once per cell; further right-hand sides cost their iterations
    alone.

    Parameters
    ----------
    A : PoissonOperator
        Two or three axes, any lengths, Dirichlet and Neumann walls and bodies.
    model : CycleModel, optional
        The pretrained one by default.

    Raises
    ------
    DTypeError
        If A is no PoissonOperator, or `model` no CycleModel.
    InvalidValueError
        If an axis of A is periodic.

    Notes
    -----
    The cycle runs in float32. On one thread of a host each half of it goes through memory once per level
    (`sci.solvers.learned.stages`): about 33 bytes per unknown on the finest level, which holds 12. Otherwise it reads
    or writes 71 and holds 17. All coarser levels together add a quarter, and hold 6.

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
        if not isinstance(A, PoissonOperator):
            raise DTypeError(f"LearnedMultigrid needs a PoissonOperator, got {type(A).__name__}; use cg without it")
        if model is not None and not isinstance(model, CycleModel):
            raise DTypeError(f"model is a {type(model).__name__}; expected a CycleModel, for example sci.io.load(path)")
        if A.blocks is not None:
            raise InvalidValueError("A is spread over ranks; expected SharedLearnedCycle(A)")
        if any(A.periodic):
            raise InvalidValueError(
                "LearnedMultigrid needs Dirichlet or Neumann walls, and an axis of A is periodic; use Multigrid(A)"
            )
        self.model = CycleModel.pretrained() if model is None else model
        self.A, self._idle = A, threading.Lock()
        self.shape = A.shape
        self.xp: ModuleType = A.xp
        unit, fluid, dirichlet = A.stencil.weight, None, None
        if not A.constant:
            unit = float(A.diagonal.sum()) / (2 * A.ndim * A.size)
            fluid, dirichlet = A.layout.spread(A.mask), A.layout.spread(A.dirichlet)
        self.scale = 1.0 / unit
        """What a residual is multiplied by for `source`: the cycle's operator has weights near one."""
        insulated = A.neumann_body
        bodies = bool(insulated.any())
        walls = [(True, True)] * (3 - A.ndim) + [(low == "dirichlet", high == "dirichlet") for low, high in A.boundary]
        lossy = bodies or not all(low and high for low, high in walls)
        closed = insulated.reshape(A.layout.lengths).astype(np.float32) if lossy else None
        self._levels = Levels(
            finest_equation(A.stencil, unit, fluid, dirichlet),
            self.model.parameters,
            lambda fixed: smooths_twice(float(fixed.sum()), A.layout.lengths, A.size, bodies),
            closed,
            walls,
        )

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
    def source(self) -> Array:
        """Padded right-hand side of the cycle, `scale` times a residual."""
        return self._levels.grids[0].f

    @property
    def result(self) -> Array:
        """Padded result of the cycle."""
        return self._levels.result

    @property
    def nbytes(self) -> int:
        """Bytes that the cycle holds, the faces of the finest level, which are the operator's, included."""
        return self._levels.nbytes

    @contextmanager
    def workspace(self) -> Iterator[LearnedMultigrid]:
        """Lend the cycle, which has one set of arrays, for the time of a `with` block.

        Raises
        ------
        SciError
            If another thread has it.
        """
        if not self._idle.acquire(blocking=False):
            raise SciError("the learned cycle is in use by another thread; expected one for each thread")
        try:
            yield self
        finally:
            self._idle.release()

    def run(self, descended: bool = False) -> float | None:
        """Turn `source` into `result`; return their product where it is known.

        Where it has `descended`, `step` has done the first stage.
        """
        return self._levels.cycle(descended)

    @property
    def energy(self) -> float | None:
        """The last result u times the operator in the units of the cycle times u, where it is known."""
        return None if self._levels.product is None else float(self._levels.product[1])

    @cached_property
    def step(self) -> Step | None:
        """A step of conjugate gradients that goes down as well, on one thread of a host and without links."""
        return self._levels.step(self.A.stencil.weight)

    def matvec(self, r: Array) -> Array:
        """Return M r for a grid array or a flat array, in its dtype."""
        A = self.A
        on_grid = tuple(r.shape) == A.grid_shape
        grid = r if on_grid else A.expand(r)
        size = float(self.xp.abs(grid).max())
        if size == 0:
            return r * 0
        with self.workspace():
            A.layout.cells(self.source)[...] = grid * (A.mask / size)
            self.run()
            z = A.layout.cells(self.result).astype(r.dtype) * (size * self.scale)
        return z if on_grid else A.compress(z).reshape(r.shape)

    __call__ = __matmul__ = matvec

    def __repr__(self) -> str:
        grid = " x ".join(map(str, self.A.grid_shape))
        return f"LearnedMultigrid({grid} cells, {len(self._levels.grids)} levels, {self.nbytes / 1e6:.3g} MB, float32)"
