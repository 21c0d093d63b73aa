"""Solvers of symmetric positive definite systems: the Poisson operator, conjugate gradients, preconditioners."""

from sci.solvers.krylov import SolveResult, cg
from sci.solvers.operator import PoissonOperator

__all__ = ["PoissonOperator", "SolveResult", "cg"]
