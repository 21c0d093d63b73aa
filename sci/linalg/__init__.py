"""Linear algebra that several rooms share: reductions over pairs of points, Lanczos' iteration and its quadratures."""

from sci.linalg.lanczos import condition_of, lanczos, ritz_vectors
from sci.linalg.pairwise.neighbors import nearest, nearest_k, steepest
from sci.linalg.pairwise.points import PackedPoints
from sci.linalg.pairwise.soft import log_sum_exp, weighted_sum
from sci.linalg.quadrature import SpectralDensity, TraceEstimate, log_determinant, spectral_density, trace_of_function

__all__ = [
    "PackedPoints",
    "SpectralDensity",
    "TraceEstimate",
    "condition_of",
    "lanczos",
    "log_determinant",
    "log_sum_exp",
    "nearest",
    "nearest_k",
    "ritz_vectors",
    "spectral_density",
    "steepest",
    "trace_of_function",
    "weighted_sum",
]
