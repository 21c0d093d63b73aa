"""Completion: scattered, noisy and incomplete entries to a tensor or a continuous field with error bars."""

from sci.completion.alternating.cp import complete_cp
from sci.completion.alternating.tensor import CompletedTensor
from sci.completion.alternating.tucker import complete_tucker
from sci.completion.axes import Axis
from sci.completion.functional.components import Components, masked_components
from sci.completion.functional.fit import functional_cp
from sci.completion.functional.model import FunctionalCP
from sci.completion.functional.posterior import FunctionalFactor
from sci.completion.functional.prediction import Prediction
from sci.completion.functional.tucker import FunctionalTucker
from sci.completion.functional.tucker_fit import functional_tucker
from sci.completion.neural.augment import augmented_cells, augmented_completion
from sci.completion.neural.influence import entity_importance, last_layer_influence
from sci.completion.neural.network import NeuralCompletion, neural_completion
from sci.completion.observations import Observations, observe

__all__ = [
    "Axis",
    "CompletedTensor",
    "Components",
    "FunctionalCP",
    "FunctionalFactor",
    "FunctionalTucker",
    "NeuralCompletion",
    "Observations",
    "Prediction",
    "augmented_cells",
    "augmented_completion",
    "complete_cp",
    "complete_tucker",
    "entity_importance",
    "functional_cp",
    "functional_tucker",
    "last_layer_influence",
    "masked_components",
    "neural_completion",
    "observe",
]
