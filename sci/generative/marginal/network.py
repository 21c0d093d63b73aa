"""The two networks of a marginalization model: residual perceptrons of partly known variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.backend import Array, Device, namespace
from sci.nn import initial_uniform, linear, silu

__all__ = ["encode", "first_layer", "initial_network", "network", "trunk"]


def initial_network(
    rng: np.random.Generator,
    inputs: int,
    fan_in: int,
    hidden: int,
    layers: int,
    outputs: int,
    dtype: Any,
    device: Device,
) -> dict[str, Array]:
    """Return parameters "in", "in_bias", "w0", "b0", ... and a head of zeros.

    Parameters
    ----------
    rng : numpy Generator
    inputs, fan_in : int
        Length of the input, and how many of its entries are 1 at most.
    hidden, layers, outputs : int
    dtype : float dtype
    device : "cpu" or "cuda"
    """

    def drawn(shape: tuple[int, ...], count: int) -> Array:
        return initial_uniform(rng, shape, count, dtype=dtype, device=device)

    found = {"in": drawn((hidden, inputs), fan_in), "in_bias": drawn((hidden,), fan_in)}
    for k in range(layers):
        found[f"w{k}"], found[f"b{k}"] = drawn((hidden, hidden), hidden), drawn((hidden,), hidden)
    zero = 0 * drawn((outputs, hidden), hidden)
    return {**found, "head": zero, "head_bias": zero[:, 0].copy()}


def encode(x: Array, known: Array, n_values: int, dtype: Any) -> Array:
    """Return the variables as ones in rows of zeros, (n, D K): nothing where a variable is not known.

    Parameters
    ----------
    x : (n, D) integer array
    known : (n, D) bool array
    n_values : int
        K.
    dtype : float dtype
    """
    xp = namespace(x)
    hot = (x[..., None] == xp.arange(n_values)) & known[..., None]
    return hot.reshape(len(x), x.shape[1] * n_values).astype(dtype)


def first_layer(parameters: Mapping[str, Any], encoded: Any) -> Any:
    """Return the hidden units before their first activation, (n, hidden)."""
    return linear(encoded, parameters["in"], parameters["in_bias"])


def trunk(parameters: Mapping[str, Any], hidden: Any) -> Any:
    """Return the last hidden layer from what `first_layer` returns: h <- h + silu(W h + b)."""
    h = silu(hidden)
    for k in range(sum(name[0] == "w" for name in parameters)):
        h = h + silu(linear(h, parameters[f"w{k}"], parameters[f"b{k}"]))
    return h


def network(parameters: Mapping[str, Any], encoded: Any) -> Any:
    """Return the outputs for encoded variables, (n, outputs); arrays or variables."""
    h = trunk(parameters, first_layer(parameters, encoded))
    return linear(h, parameters["head"], parameters["head_bias"])
