"""Named arrays as one vector of real numbers, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, namespace

__all__ = ["Kinds", "kinds_of", "packed", "real_view", "unpacked"]

Kinds: TypeAlias = dict[str, tuple[tuple[int, ...], Any]]
"""Shape and dtype of each array."""


def real_view(array: Array) -> Array:
    """Return a C-contiguous array as one axis of real numbers, without a copy."""
    flat = array.reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def kinds_of(arrays: Mapping[str, Array]) -> Kinds:
    """Return shape and dtype of each array."""
    return {name: (tuple(array.shape), array.dtype) for name, array in arrays.items()}


def packed(arrays: Mapping[str, Array]) -> Array:
    """Return the real numbers of all arrays one after the other, in the widest of their precisions."""
    parts = [real_view(namespace(array).ascontiguousarray(array)) for array in arrays.values()]
    dtype = np.result_type(*(part.dtype for part in parts))
    return namespace(*parts).concatenate([part.astype(dtype, copy=False) for part in parts])


def unpacked(vector: Array, kinds: Kinds) -> dict[str, Array]:
    """Return the arrays of a vector that `packed` made; views of it where the precision is theirs."""
    found, start = {}, 0
    for name, (shape, dtype) in kinds.items():
        whole = np.dtype(dtype)
        stop = start + math.prod(shape) * (2 if whole.kind == "c" else 1)
        real = np.empty(0, whole).real.dtype
        found[name] = vector[start:stop].astype(real, copy=False).view(whole).reshape(shape)
        start = stop
    return found
