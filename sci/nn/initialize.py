"""Seeded initial values of parameters, the same on every device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace_of, to_device
from sci.errors import DTypeError, InvalidValueError
from sci.nn.core.trees import Tree, named_arrays

__all__ = ["count_parameters", "initial_normal", "initial_uniform"]

Seed = int | np.random.Generator


@entry
def initial_uniform(
    seed: Seed, shape: Sequence[int], fan_in: int, *, dtype: Any = np.float32, device: Device = "cpu"
) -> Array:
    """Return numbers uniform in +-1/sqrt(fan_in), the usual start of a linear layer and its bias.

    Parameters
    ----------
    seed : int or numpy Generator
        Numbers are drawn in float64 on the host, so that dtype and device do not change them but by rounding.
    shape : sequence of int
    fan_in : int
        Number of inputs that each output sums.
    dtype : float dtype
    device : "cpu" or "cuda"

    Returns
    -------
    array of `shape` and `dtype`
        On `device`.

    Raises
    ------
    InvalidValueError, DTypeError

    Examples
    --------
    >>> from sci.nn import initial_uniform
    >>> bool(abs(initial_uniform(0, (8, 4), 4)).max() <= 0.5)
    True
    """
    if fan_in < 1:
        raise InvalidValueError(f"fan_in is {fan_in}; expected a positive number of inputs")
    if np.dtype(dtype).kind != "f":
        raise DTypeError(f"uniform numbers of dtype {np.dtype(dtype)}; expected a real dtype, or use initial_normal")
    bound = 1 / math.sqrt(fan_in)
    values = np.random.default_rng(seed).uniform(-bound, bound, tuple(shape)).astype(dtype)
    return to_device(values, namespace_of(device))


@entry
def initial_normal(
    seed: Seed, shape: Sequence[int], std: float, *, dtype: Any = np.float32, device: Device = "cpu"
) -> Array:
    """Return normal numbers with root mean square modulus `std`; complex ones share it between their two parts.

    Parameters
    ----------
    seed, shape, dtype, device
        As in `initial_uniform`, but `dtype` may be complex.
    std : float
        Root mean square of the modulus.

    Returns
    -------
    array of `shape` and `dtype`
        On `device`.

    Examples
    --------
    >>> from sci.nn import initial_normal
    >>> initial_normal(0, (8, 4), 0.1, dtype="complex64").dtype
    dtype('complex64')
    """
    rng, complex_ = np.random.default_rng(seed), np.dtype(dtype).kind == "c"
    values: np.ndarray = rng.standard_normal((*shape, 2) if complex_ else tuple(shape))
    if complex_:
        values = values.view(np.complex128)[..., 0] / math.sqrt(2)
    return to_device((std * values).astype(dtype), namespace_of(device))


@entry
def count_parameters(parameters: Tree) -> int:
    """Return the number of real numbers in `parameters`; a complex one counts twice.

    Parameters
    ----------
    parameters : dict of arrays, or of dicts and lists of them

    Returns
    -------
    int
        Real numbers in all arrays; a complex one counts twice.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import count_parameters
    >>> count_parameters({"w": np.ones((2, 3)), "z": np.ones(2, complex)})
    10
    """
    return sum(int(p.size) * (2 if p.dtype.kind == "c" else 1) for p in named_arrays(parameters, "parameters").values())
