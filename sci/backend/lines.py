"""Arrays that start where a line of the cache does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import Array, namespace

__all__ = ["aligned", "aligned_zeros"]

LINE = 64
"""Bytes of a line of the cache, and of the widest vectors."""


def aligned(shape: tuple[int, ...], like: Array) -> Array:
    """Return an empty array that starts, on the host, at a whole vector: one that lies across two is read twice.

    Parameters
    ----------
    shape : tuple of int
    like : array
        Gives the namespace and the dtype.

    Returns
    -------
    array
    """
    xp = namespace(like)
    return xp.empty(shape, like.dtype) if xp is not np else _cut(np.empty, shape, like.dtype)


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros on the host that start at a whole vector.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray
    """
    return _cut(np.zeros, shape, np.dtype(dtype))


def _cut(make: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size, step = math.prod(shape), LINE // dtype.itemsize
    raw: np.ndarray = make(size + step, dtype)
    start = -raw.ctypes.data // dtype.itemsize % step
    return raw[start : start + size].reshape(shape)
