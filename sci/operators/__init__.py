"""Neural operators: spectral convolutions, FNO, TFNO and UNO, on grids and on the sphere, multi-grid patches."""

from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, SFNO, TFNO
from sci.operators.interop.convert import from_neuraloperator
from sci.operators.interop.options import neuraloperator_state
from sci.operators.patches.parallel import patch_loss, predict_patches
from sci.operators.patches.windows import MultigridPatches
from sci.operators.spectral.convolution import SpectralConv
from sci.operators.spectral.weights import WeightFormat
from sci.operators.training.adapt import adapt_operator
from sci.operators.training.config import IncrementalModes, TrainingConfig
from sci.operators.training.data import as_fields, with_transposed
from sci.operators.training.errors import relative_errors
from sci.operators.training.loop import train_operator
from sci.operators.training.trained import TrainedOperator
from sci.operators.uno.config import UNOConfig
from sci.operators.uno.model import UNO

__all__ = [
    "FNO",
    "SFNO",
    "TFNO",
    "UNO",
    "FNOConfig",
    "IncrementalModes",
    "MultigridPatches",
    "SpectralConv",
    "TrainedOperator",
    "TrainingConfig",
    "UNOConfig",
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
