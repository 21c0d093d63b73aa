"""Solvers of symmetric positive definite systems: the Poisson operator, conjugate gradients, preconditioners."""

from sci.solvers.deep import DeepConjugateDirection
from sci.solvers.direction_network import DirectionNetwork, train_direction_network
from sci.solvers.directions import DirectionLog, conjugate_directions, line_search_loss, line_search_loss_vjp
from sci.solvers.fast_poisson import FastPoisson
from sci.solvers.incomplete import IncompleteCholesky
from sci.solvers.jacobi import Jacobi
from sci.solvers.krylov import SolveResult, cg
from sci.solvers.multigrid import Multigrid
from sci.solvers.operator import PoissonOperator
from sci.solvers.reaction_field import ReactionField, reaction_field

__all__ = [
    "DeepConjugateDirection",
    "DirectionLog",
    "DirectionNetwork",
    "FastPoisson",
    "IncompleteCholesky",
    "Jacobi",
    "Multigrid",
    "PoissonOperator",
    "ReactionField",
    "SolveResult",
    "cg",
    "conjugate_directions",
    "line_search_loss",
    "line_search_loss_vjp",
    "reaction_field",
    "train_direction_network",
]
