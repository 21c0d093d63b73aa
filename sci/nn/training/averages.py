"""Other parameters than the last ones: exponential averages, and those of the best epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sci.backend import Array
from sci.errors import ConvergenceError, InvalidValueError

__all__ = ["add_to_average", "averaged", "is_best", "is_over"]


def add_to_average(average: Mapping[str, Array], parameters: Mapping[str, Array], decay: float) -> None:
    """Set e <- decay e + (1 - decay) w in place."""
    for name, w in parameters.items():
        e = average[name]
        e *= decay
        e += (1 - decay) * w


def averaged(average: Mapping[str, Array], decay: float, steps: int) -> dict[str, Array]:
    """Return e / (1 - decay^steps): the weighted mean of the parameters after each step, without a bias to 0."""
    scale = 1 / -np.expm1(steps * np.log(decay)) if steps else 0.0
    return {name: e * e.real.dtype.type(scale) for name, e in average.items()}


def is_best(values: Sequence[float], name: str) -> bool:
    """Whether the last of the values is below all before it.

    Raises
    ------
    ConvergenceError
        If it is NaN.
    """
    *before, last = values
    if np.isnan(last):
        raise ConvergenceError(f"the metric {name!r} is NaN in epoch {len(values)}; expected a number to compare")
    return not before or last < min(before)


def is_over(values: Sequence[float], patience: int | None) -> bool:
    """Whether the smallest value is `patience` epochs old, or older."""
    return patience is not None and bool(values) and len(values) - 1 - int(np.argmin(values)) >= patience


def require_metric(found: Mapping[str, float], monitor: str) -> None:
    """Raise InvalidValueError if `evaluate` did not return the metric to watch."""
    if monitor not in found:
        names = ", ".join(sorted(found)) or "nothing"
        raise InvalidValueError(f"monitor is {monitor!r}, and evaluate returned {names}; expected one of its names")
