"""Solvers of symmetric positive definite systems: the Poisson operator, conjugate gradients, preconditioners."""

from sci.solvers.dcdm.iteration import DirectionLog, conjugate_directions, line_search_loss, line_search_loss_vjp
from sci.solvers.dcdm.network import DirectionNetwork, train_direction_network
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.learned.solver import DeepConjugateDirection
from sci.solvers.multigrid.vcycle import Multigrid
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.preconditioners.fast_poisson import FastPoisson
from sci.solvers.preconditioners.incomplete_cholesky import IncompleteCholesky
from sci.solvers.preconditioners.jacobi import Jacobi

__all__ = [
    "DeepConjugateDirection",
    "DirectionLog",
    "DirectionNetwork",
    "FastPoisson",
    "IncompleteCholesky",
    "Jacobi",
    "Multigrid",
    "PoissonOperator",
    "SolveResult",
    "cg",
    "conjugate_directions",
    "line_search_loss",
    "line_search_loss_vjp",
    "train_direction_network",
]
