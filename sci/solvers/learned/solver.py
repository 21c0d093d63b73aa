"""The learned solver that one uses: conjugate gradients with the learned V-cycle, and the model that ships."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError
from sci.nn import Model
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.learned.parameters import Parameters, check_parameters, initial_parameters
from sci.solvers.learned.preconditioner import LearnedCycle
from sci.solvers.learned.training import train_cycle
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.poisson.stencil import Stencil
from sci.solvers.shared import SharedPoisson, shared_cg
from sci.solvers.shared_cycle import SharedLearnedCycle

__all__ = ["DeepConjugateDirection"]

SHIPPED = Path(__file__).parent / "learned_cycle.h5"
"""Written by `sci solve train -o sci/solvers/learned/learned_cycle.h5 --sizes 32 64`."""


class DeepConjugateDirection:
    """Solver of Poisson problems whose directions come from a learned multigrid cycle.

    The cycle is linear in the residual, symmetric and positive definite by construction, so its directions, made
    A-orthogonal to the last one, are those of preconditioned conjugate gradients: orthogonalizing against more of them
    would change nothing.

    Parameters
    ----------
    parameters : dict of arrays
        265 numbers, of `sci.solvers.learned.training.train_cycle`; they serve every mask, size and mix of boundaries.

    Notes
    -----
    The network is evaluated once for a mask, when the operator first comes; the last operator's cycle is kept, so that
    further right-hand sides cost their iterations alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import DeepConjugateDirection, PoissonOperator, cg
    >>> A = PoissonOperator(np.ones((32, 32, 32), dtype=bool))
    >>> b = np.ones((32, 32, 32))
    >>> solver = DeepConjugateDirection.load()
    >>> solver.solve(A, b).iterations <= 8
    True
    >>> cg(A, b, M=solver.preconditioner(A), rtol=1e-8).converged
    True
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = check_parameters(parameters)
        self._last: tuple[Stencil, LearnedCycle | SharedLearnedCycle] | None = None

    @classmethod
    def untrained(cls) -> DeepConjugateDirection:
        """Return the solver before any training: linear transfer and Chebyshev-like weights, for comparison."""
        return cls(initial_parameters())

    @classmethod
    def train(cls, **settings: Any) -> DeepConjugateDirection:
        """Return a newly trained solver; the settings are those of `train_cycle`."""
        return cls(train_cycle(**settings))

    @classmethod
    def load(cls, path: str | Path | None = None) -> DeepConjugateDirection:
        """Return the solver that ships with the library, or one from a file that `sci.io.save` wrote.

        Raises
        ------
        FileFormatError, InvalidValueError, ShapeError
        """
        # Only sci.io opens files, and it stands below this room, so it is found by name at the time of the call.
        found = pkgutil.resolve_name("sci.io:load")(SHIPPED if path is None else path)
        if not isinstance(found, cls):
            raise InvalidValueError(f"{path} holds a {type(found).__name__}; expected a model of `sci solve train`")
        return found

    @classmethod
    def from_model(cls, model: Model) -> DeepConjugateDirection:
        """Return the solver that a file holds.

        Raises
        ------
        InvalidValueError, ShapeError
            If the model is of another class, or its arrays do not fit.
        """
        if model.name != cls.__name__:
            raise InvalidValueError(f"the model is a {model.name}; expected a {cls.__name__}")
        return cls(model.parameters)

    def to_model(self) -> Model:
        """Return what a file holds of the solver."""
        return Model(type(self).__name__, {}, self.parameters)

    def preconditioner(self, A: PoissonOperator | SharedPoisson) -> LearnedCycle | SharedLearnedCycle:
        """Return the cycle for an operator, to be used as `cg(A, b, M=...)`; the last one is kept.

        For a `SharedPoisson` it is one for `shared_cg(A, b, M=...)`, and the call is collective.

        Raises
        ------
        DTypeError, InvalidValueError
            If A is no PoissonOperator, or one of its axes is periodic.
        """
        if not isinstance(A, (PoissonOperator, SharedPoisson)):
            raise DTypeError(f"the learned cycle takes a PoissonOperator, got {type(A).__name__}; use cg")
        # A shared operator may be given another mask, and has another stencil then.
        if self._last is None or self._last[0] is not getattr(A, "stencil", None):
            cycle: LearnedCycle | SharedLearnedCycle
            if isinstance(A, SharedPoisson):
                cycle = SharedLearnedCycle(A, self.parameters)
            else:
                cycle = LearnedCycle(A, self.parameters)
            self._last = A.stencil, cycle
        return self._last[1]

    def solve(
        self,
        A: PoissonOperator | SharedPoisson,
        b: Any,
        x0: Any = None,
        *,
        rtol: float = 1e-8,
        atol: float = 0.0,
        maxiter: int | None = None,
        callback: Callable[[Array], object] | None = None,
    ) -> SolveResult:
        """Solve A x = b; arguments and errors are those of `cg`, or of `shared_cg` on boxes of a grid over ranks.

        Returns
        -------
        SolveResult
            `seconds` without the setup of the cycle.
        """
        if isinstance(A, SharedPoisson):
            limit = {} if maxiter is None else {"maxiter": maxiter}
            M = self.preconditioner(A)
            return shared_cg(A, b, x0, M=M, rtol=rtol, atol=atol, callback=callback, **limit)
        return cg(A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=self.preconditioner(A), callback=callback)
