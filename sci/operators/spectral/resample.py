"""Fields on other grids, and the ways in which the neuraloperator library brings them there."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci import nn
from sci.backend import Array, device_number, namespace, to_device
from sci.nn import op
from sci.operators.spectral.modes import column_weights
from sci.operators.spectral.transform import synthesize, transform

__all__ = ["CONVENTIONS", "cubic_resample", "fourier_resample", "resample"]

CONVENTIONS = ("exact", "neuraloperator")
"""What operators do where neuraloperator 2.0.0 departs from the transform: right, or as that library."""


def resample(x: Any, grid: Sequence[int], conventions: str) -> Any:
    """Return a field (batch, channel, *grid), array or variable, on another grid.

    Parameters
    ----------
    x : (batch, channel, *grid) array or variable
    grid : sequence of int
    conventions : "exact" or "neuraloperator"
        The trigonometric interpolant of a periodic field, on points i / N; or what neuraloperator 2.0.0 does: splines
        through the points with the ends aligned, linear along one axis and cubic along two, and a Fourier series for
        three.
    """
    size = tuple(grid)
    if tuple(x.shape[2:]) == size:
        return x
    if conventions == "exact":
        return nn.resample(x, size=size, method="spectral")
    if len(size) == 1:
        return nn.resample(x, size=size, method="linear", align_corners=True)
    return cubic_resample(x, grid=size) if len(size) == 2 else fourier_resample(x, grid=size)


def _fourier_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    source, kept = residuals
    xp = namespace(dout)
    weights = [
        xp.asarray(math.prod(shape) * column_weights(shape, kept, np.float64)).astype(dout.dtype)
        for shape in (dout.shape[2:], source)
    ]
    return (synthesize(transform(dout, kept) * (weights[0] / weights[1]), source),)


@op(vjp=_fourier_vjp)
def fourier_resample(x: Array, *, grid: tuple[int, ...]) -> tuple[Array, Any]:
    """Return the Fourier series of all modes that both grids hold, on another grid.

    Of half the points' wavenumber, of which an even grid does not tell the sign, the negative one is taken, and twice
    its size along the last axis of a finer grid.

    Parameters
    ----------
    x : (batch, channel, *grid) array
    grid : tuple of int
    """
    least = [min(pair) for pair in zip(x.shape[2:], grid)]
    kept = (*least[:-1], least[-1] // 2 + 1)
    return synthesize(transform(x, kept), grid), (x.shape[2:], kept)


def _cubic_vjp(dout: Array, matrices: Any) -> tuple[Array]:
    for axis, matrix in enumerate(matrices):
        dout = _along(matrix.T, dout, 2 + axis)
    return (dout,)


@op(vjp=_cubic_vjp)
def cubic_resample(x: Array, *, grid: tuple[int, ...]) -> tuple[Array, Any]:
    """Return a field on another grid of the same ends, by cubic convolution along each axis.

    Parameters
    ----------
    x : (batch, channel, *grid) array
    grid : tuple of int

    References
    ----------
    Keys, IEEE Transactions on Acoustics 29, 1153 (1981), with the parameter -3/4 of image libraries.
    """
    xp = namespace(x)
    device = device_number(x)
    matrices = [_matrix(n, m, np.dtype(x.dtype).name, xp, device) for n, m in zip(x.shape[2:], grid)]
    for axis, matrix in enumerate(matrices):
        x = _along(matrix, x, 2 + axis)
    return x, matrices


def _along(matrix: Array, x: Array, axis: int) -> Array:
    xp = namespace(x)
    return xp.moveaxis(xp.matmul(matrix, xp.moveaxis(x, axis, -2)), -2, axis)


@functools.lru_cache(maxsize=64)
def _matrix(n: int, m: int, dtype: str, xp: ModuleType, device: int) -> Array:
    """Return the matrix (m, n) from values at n points to those at m, of a line with the same ends."""
    place = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    first = np.floor(place).astype(int)
    t = place - first
    parts = {-1: _far(1 + t), 0: _near(t), 1: _near(1 - t), 2: _far(2 - t)}
    matrix = np.zeros((m, n))
    for offset, weights in parts.items():
        np.add.at(matrix, (np.arange(m), np.clip(first + offset, 0, n - 1)), weights)
    return to_device(matrix.astype(dtype), xp)


def _near(t: Any) -> Any:
    return (1.25 * t - 2.25) * t * t + 1


def _far(t: Any) -> Any:
    return ((-0.75 * t + 3.75) * t - 6) * t + 3
