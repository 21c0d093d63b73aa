"""Completion: scattered, noisy and incomplete entries to a tensor or a continuous field with error bars."""

from sci.completion.axes import Axis
from sci.completion.functional.components import Components, masked_components
from sci.completion.functional.fit import functional_cp
from sci.completion.functional.model import FunctionalCP
from sci.completion.functional.posterior import FunctionalFactor
from sci.completion.functional.prediction import Prediction
from sci.completion.observations import Observations, observe

__all__ = [
    "Axis",
    "Components",
    "FunctionalCP",
    "FunctionalFactor",
    "Observations",
    "Prediction",
    "functional_cp",
    "masked_components",
    "observe",
]
