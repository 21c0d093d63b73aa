"""Linear algebra that several rooms share: pairs of points, small symmetric matrices, Gram matrices, Lanczos."""

from sci.linalg.gram import WoodburySolver, gram_matrix
from sci.linalg.lanczos import condition_of, lanczos, ritz_vectors
from sci.linalg.pairwise.neighbors import nearest, nearest_k, steepest
from sci.linalg.pairwise.points import PackedPoints
from sci.linalg.pairwise.soft import log_sum_exp, weighted_sum
from sci.linalg.quadrature import SpectralDensity, TraceEstimate, log_determinant, spectral_density, trace_of_function
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen, symmetric_function
from sci.linalg.symmetric.lyapunov import lyapunov
from sci.linalg.symmetric.polar import polar

__all__ = [
    "PackedPoints",
    "SpectralDensity",
    "SymmetricEigen",
    "TraceEstimate",
    "WoodburySolver",
    "condition_of",
    "gram_matrix",
    "lanczos",
    "log_determinant",
    "log_sum_exp",
    "lyapunov",
    "nearest",
    "nearest_k",
    "polar",
    "ritz_vectors",
    "spectral_density",
    "steepest",
    "symmetric_eigen",
    "symmetric_function",
    "trace_of_function",
    "weighted_sum",
]
