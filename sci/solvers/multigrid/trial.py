"""A few iterations of a preconditioned solve, which tell whether the preconditioner serves its operator."""

from __future__ import annotations

from math import prod

from sci.backend import Array
from sci.errors import ConvergenceError
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.cg import cg
from sci.solvers.krylov.preconditioner import PaddedPreconditioner
from sci.solvers.multigrid.hierarchy import COARSEST
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.poisson.probes import cell_signs

__all__ = ["is_easy", "is_served", "probe"]

STEPS = 8
REACHED = 1e-6
"""Relative residual that a good cycle reaches in these steps; it needs about ten to 1e-8."""


def is_easy(A: PoissonOperator) -> bool:
    """Return True where cells twice as wide serve without a trial: constant operators, Dirichlet bodies; collective."""
    return A.constant and A.grid.total(float(A.neumann_body.any())) == 0


def probe(A: PoissonOperator) -> Array:
    """Return a right-hand side (n,) with rough and smooth parts, that depends on the cells alone; collective."""
    return A.project(A.compress(A.mask * 1.0) + cell_signs(A, 0, 0))


def is_served(M: PaddedPreconditioner) -> bool:
    """Return True if a few steps of conjugate gradients with M come as far as with a good one; collective.

    On one process a grid of one level is never served by its inverse in single precision, to which weak links are
    nothing, as no right-hand side shows all of them.
    """
    if M.A.blocks is None and prod(M.A.grid_shape) <= COARSEST and not M.A.constant:
        return False
    try:
        # In units of A, so that x stays near one.
        result = cg(M.A, probe(M.A) * (power_of_two(M.A.unit) / 16), M=M, rtol=REACHED, maxiter=STEPS)
    except ConvergenceError:
        return False
    return result.converged
