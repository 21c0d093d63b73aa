"""Neural operators: spectral convolutions, FNO and TFNO, multi-grid patches."""

from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, TFNO
from sci.operators.interop.convert import from_neuraloperator
from sci.operators.interop.options import neuraloperator_state
from sci.operators.patches.parallel import patch_loss, predict_patches
from sci.operators.patches.windows import MultigridPatches
from sci.operators.spectral.convolution import SpectralConv
from sci.operators.spectral.weights import WeightFormat
from sci.operators.training.adapt import adapt_operator
from sci.operators.training.config import TrainingConfig
from sci.operators.training.data import as_fields, with_transposed
from sci.operators.training.errors import relative_errors
from sci.operators.training.loop import train_operator
from sci.operators.training.trained import TrainedOperator

__all__ = [
    "FNO",
    "TFNO",
    "FNOConfig",
    "MultigridPatches",
    "SpectralConv",
    "TrainedOperator",
    "TrainingConfig",
    "WeightFormat",
    "adapt_operator",
    "as_fields",
    "from_neuraloperator",
    "neuraloperator_state",
    "patch_loss",
    "predict_patches",
    "relative_errors",
    "train_operator",
    "with_transposed",
]
