"""Completion: scattered, noisy and incomplete entries to a tensor or a continuous field with error bars."""

from sci.completion.axes import Axis
from sci.completion.observations import Observations, observe

__all__ = ["Axis", "Observations", "observe"]
