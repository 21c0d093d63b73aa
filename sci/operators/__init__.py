"""Neural operators: spectral convolutions, FNO and TFNO, multi-grid patches."""

from sci.operators.config import FNOConfig
from sci.operators.convolution import SpectralConv
from sci.operators.fno import FNO, TFNO
from sci.operators.interop import from_neuraloperator
from sci.operators.learning import Recipe, TrainedOperator, train_operator
from sci.operators.patches import MultigridPatches
from sci.operators.weights import WeightFormat

__all__ = [
    "FNO",
    "TFNO",
    "FNOConfig",
    "MultigridPatches",
    "Recipe",
    "SpectralConv",
    "TrainedOperator",
    "WeightFormat",
    "from_neuraloperator",
    "train_operator",
]
