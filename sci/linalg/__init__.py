"""Linear algebra that several rooms share: pairs of points, small symmetric matrices, Gram matrices, Lanczos, scans and
Gaussian processes as state space."""

from sci.linalg.bures_wasserstein.barycenter import Barycenter
from sci.linalg.bures_wasserstein.geometry import BuresWasserstein
from sci.linalg.bures_wasserstein.transport import TransportedVectors
from sci.linalg.extremes import Extremes, extreme_eigenvalues, tridiagonal_of
from sci.linalg.gram import WoodburySolver, gram_matrix
from sci.linalg.lanczos import lanczos, ritz_vectors
from sci.linalg.pairwise.neighbors import nearest, nearest_k, steepest
from sci.linalg.pairwise.points import PackedPoints
from sci.linalg.pairwise.soft import log_sum_exp, weighted_sum
from sci.linalg.quadrature import LanczosQuadrature, SpectralDensity, TraceEstimate
from sci.linalg.scan import associative_scan
from sci.linalg.state_space.kalman import Smoothed, log_evidence, smooth
from sci.linalg.state_space.matern import MaternChain, matern_chain
from sci.linalg.state_space.parallel import smooth_by_scan
from sci.linalg.stochastic import (
    lanczos_quadrature,
    log_determinant,
    random_signs,
    spectral_density,
    trace_of_function,
)
from sci.linalg.symmetric.anisotropy import fractional_anisotropy
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen, symmetric_function
from sci.linalg.symmetric.lyapunov import lyapunov
from sci.linalg.symmetric.polar import polar

__all__ = [
    "Barycenter",
    "BuresWasserstein",
    "Extremes",
    "LanczosQuadrature",
    "MaternChain",
    "PackedPoints",
    "Smoothed",
    "SpectralDensity",
    "SymmetricEigen",
    "TraceEstimate",
    "TransportedVectors",
    "WoodburySolver",
    "associative_scan",
    "extreme_eigenvalues",
    "fractional_anisotropy",
    "gram_matrix",
    "lanczos",
    "lanczos_quadrature",
    "log_determinant",
    "log_evidence",
    "log_sum_exp",
    "lyapunov",
    "matern_chain",
    "nearest",
    "nearest_k",
    "polar",
    "random_signs",
    "ritz_vectors",
    "smooth",
    "smooth_by_scan",
    "spectral_density",
    "steepest",
    "symmetric_eigen",
    "symmetric_function",
    "trace_of_function",
    "tridiagonal_of",
    "weighted_sum",
]
