"""The convolutional network of deep conjugate directions: its layers and its start."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array
from sci.nn import (
    add,
    average_pool,
    convolve,
    pointwise_conv,
    relu,
    resample,
)

__all__ = ["BRANCHES", "initial_network", "network"]

CHANNELS = 16
BRANCHES = {64: (4, 6, 4), 128: (6, 10, 6)}
"""Convolutions of the fine, the coarse and the upper branch of the networks for 64^3 and 128^3 cells."""


def network(size: int, parameters: dict[str, Any], x: Any) -> Any:
    """Return the directions (batch, 1, *grid) of residuals (batch, 1, *grid).

    A linear convolution to 16 channels; a fine branch; one level below, reached by averages over 2 x 2 x 2 cells; an
    upper branch that starts from the repeated coarse cells plus the end of the fine branch; a linear map to one
    channel. The branches alternate a convolution with ReLU and one that adds the input of two layers before.

    Parameters
    ----------
    size : 64 or 128
    parameters : dict of arrays or variables
        Of `initial_network`.
    x : (batch, 1, n0, n1, n2) array
        Of even lengths.
    """

    def conv(name: str, value: Any, active: bool = True) -> Any:
        weights = (parameters[f"{name}.weight"], parameters[f"{name}.bias"])
        out = convolve(value, *weights)
        return relu(out) if active else out

    def plus(a: Any, b: Any) -> Any:
        return add(a, b)

    fine, coarse, upper = BRANCHES[size]
    even = conv("fine0", conv("first", x, active=False))
    odd = conv("fine1", even)
    for layer in range(2, fine, 2):
        even = plus(conv(f"fine{layer}", odd), even)
        odd = conv(f"fine{layer + 1}", even)
    low = average_pool(odd)
    for layer in range(0, coarse, 2):
        low = plus(conv(f"coarse{layer + 1}", conv(f"coarse{layer}", low)), low)
    high = plus(resample(low, factor=2), odd)
    for layer in range(0, upper, 2):
        high = plus(conv(f"upper{layer + 1}", conv(f"upper{layer}", high)), high)
    return pointwise_conv(high, parameters["last.weight"], parameters["last.bias"])


def initial_network(size: int, seed: int, dtype: Any) -> dict[str, Array]:
    """Return uniform weights in +-sqrt(6 / (27 (inputs + outputs))), and zero biases."""
    rng = np.random.default_rng(seed)
    names = [f"{branch}{layer}" for branch, n in zip(("fine", "coarse", "upper"), BRANCHES[size]) for layer in range(n)]
    shapes: dict[str, tuple[int, ...]] = {"first": (CHANNELS, 1, 3, 3, 3)}
    shapes |= dict.fromkeys(names, (CHANNELS, CHANNELS, 3, 3, 3)) | {"last": (1, CHANNELS)}
    parameters: dict[str, Array] = {}
    for name, shape in shapes.items():
        bound = (6 / (sum(shape[:2]) * np.prod(shape[2:]))) ** 0.5
        parameters[f"{name}.weight"] = rng.uniform(-bound, bound, shape).astype(dtype)
        parameters[f"{name}.bias"] = np.zeros(shape[0], dtype)
    return parameters
