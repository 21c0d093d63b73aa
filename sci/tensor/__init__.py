"""Tensor formats: CP, Tucker, tensor train and Chebyshev-Tucker, and the decompositions between them."""

from sci.tensor.chebtuck.evaluate import evaluate_points_reference, gradient_points_reference
from sci.tensor.chebtuck.function import ChebTuck
from sci.tensor.contraction.planner import ContractionPlan, plan_contraction
from sci.tensor.decompose.als import cp_als, hooi
from sci.tensor.decompose.hosvd import hosvd, rhosvd
from sci.tensor.formats.cp import CP
from sci.tensor.formats.protocol import TensorFormat
from sci.tensor.formats.tensor_train import TensorTrain
from sci.tensor.formats.tucker import Tucker

__all__ = [
    "CP",
    "ChebTuck",
    "ContractionPlan",
    "TensorFormat",
    "TensorTrain",
    "Tucker",
    "cp_als",
    "evaluate_points_reference",
    "gradient_points_reference",
    "hooi",
    "hosvd",
    "plan_contraction",
    "rhosvd",
]
