"""Tensor formats: canonical, Tucker and Chebyshev-Tucker, and the decompositions between them."""

from sci.tensor.canonical import Canonical
from sci.tensor.chebtuck import ChebTuck
from sci.tensor.decompose import hooi, hosvd, rhosvd
from sci.tensor.evaluate import evaluate_points_reference, gradient_points_reference
from sci.tensor.tucker import Tucker

__all__ = [
    "Canonical",
    "ChebTuck",
    "Tucker",
    "evaluate_points_reference",
    "gradient_points_reference",
    "hooi",
    "hosvd",
    "rhosvd",
]
