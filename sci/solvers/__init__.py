"""Solvers of elliptic problems: the Poisson operator, conjugate gradients, preconditioners, minima of energies."""

from sci.solvers.algebraic.operator import SparseOperator
from sci.solvers.algebraic.preconditioner import AlgebraicMultigrid
from sci.solvers.dcdm.iteration import DirectionLog, conjugate_directions, line_search_loss
from sci.solvers.dcdm.solver import DeepConjugateDirection
from sci.solvers.dcdm.training_set import RitzSamples, ritz_right_hand_sides
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.krylov.protocols import LinearOperator, Preconditioner
from sci.solvers.krylov.spectrum import Spectrum, spectrum
from sci.solvers.krylov.traffic import iteration_traffic
from sci.solvers.learned.model import CycleModel
from sci.solvers.learned.preconditioner import LearnedMultigrid
from sci.solvers.methods.bicgstab import bicgstab
from sci.solvers.methods.block import block_cg
from sci.solvers.methods.flexible import fcg
from sci.solvers.methods.gmres import fgmres, gmres
from sci.solvers.methods.minres import minres
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.poisson.blocks import block_slices
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.preconditioners.deflation import Deflation, subdomain_vectors
from sci.solvers.preconditioners.fast_poisson import FastPoisson
from sci.solvers.preconditioners.incomplete_cholesky import IncompleteCholesky
from sci.solvers.preconditioners.jacobi import Jacobi
from sci.solvers.preconditioners.lowest import lowest_eigenvectors
from sci.solvers.variational.barron import RidgeNetwork, barron_norm, fourier_modes, ridge_sample
from sci.solvers.variational.densities import EnergyDensity
from sci.solvers.variational.energies import DoubleWell, IonGas, MinimalSurface, PLaplacian
from sci.solvers.variational.energy import Energy
from sci.solvers.variational.fourier import TorusDescent, torus_descent
from sci.solvers.variational.minimize import Minimum, minimize_energy

__all__ = [
    "AlgebraicMultigrid",
    "CycleModel",
    "DeepConjugateDirection",
    "Deflation",
    "DirectionLog",
    "DoubleWell",
    "Energy",
    "EnergyDensity",
    "FastPoisson",
    "IncompleteCholesky",
    "IonGas",
    "Jacobi",
    "LearnedMultigrid",
    "LinearOperator",
    "MinimalSurface",
    "Minimum",
    "Multigrid",
    "PLaplacian",
    "PoissonOperator",
    "Preconditioner",
    "RidgeNetwork",
    "RitzSamples",
    "SolveResult",
    "SparseOperator",
    "Spectrum",
    "TorusDescent",
    "barron_norm",
    "bicgstab",
    "block_cg",
    "block_slices",
    "cg",
    "conjugate_directions",
    "fcg",
    "fgmres",
    "fourier_modes",
    "gmres",
    "iteration_traffic",
    "line_search_loss",
    "lowest_eigenvectors",
    "minimize_energy",
    "minres",
    "ridge_sample",
    "ritz_right_hand_sides",
    "spectrum",
    "subdomain_vectors",
    "torus_descent",
]
