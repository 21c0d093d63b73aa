"""Neural operators: spectral convolutions, FNO and TFNO, multi-grid patches."""

from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, TFNO
from sci.operators.interop.convert import from_neuraloperator
from sci.operators.interop.options import neuraloperator_state
from sci.operators.patches.windows import MultigridPatches
from sci.operators.spectral.convolution import SpectralConv
from sci.operators.spectral.weights import WeightFormat
from sci.operators.training import Recipe, TrainedOperator, train_operator

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
    "neuraloperator_state",
    "train_operator",
]
