"""Sine, cosine and Fourier transforms along one axis of a grid, which make -d^2/dx^2 diagonal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sci.backend import Array, namespace

__all__ = ["AxisTransform", "axis_transform"]

Transform: TypeAlias = Callable[[Array, int], Array]


@dataclass(frozen=True)
class AxisTransform:
    """The eigenvalues of -d^2/dx^2 on one axis, and the transform to its eigenvectors.

    Parameters
    ----------
    eigenvalues : (n,) float64
    forward, backward : callable
        (grid, axis) -> coefficients along the axis, and back.
    """

    eigenvalues: np.ndarray
    forward: Transform
    backward: Transform


def axis_transform(n: int, walls: tuple[str, str], h: float) -> AxisTransform:
    """Return the transform of n cells of width h between two walls.

    Two Dirichlet walls have the sine transform of type I, two Neumann walls the cosine transform of type II, a periodic
    axis the Fourier transform. For a mixed pair the grid is mirrored at the Neumann wall, which makes it the sine
    transform of an axis twice as long, of which every second coefficient vanishes.

    Notes
    -----
    O(n log n) per line, and one number per eigenvalue.
    """
    k = np.arange(n)
    forward: Transform
    backward: Transform
    if walls == ("periodic", "periodic") and n > 1:
        angle, forward, backward = 2 * np.pi * ((k + 1) // 2) / n, _fourier, _inverse_fourier
    elif walls == ("dirichlet", "dirichlet"):
        angle, forward, backward = np.pi * (k + 1) / (n + 1), _sine, _sine
    elif "dirichlet" not in walls:
        angle, forward, backward = np.pi * k / n, _cosine, _inverse_cosine
    else:
        angle = np.pi * (2 * k + 1) / (2 * n + 1)
        forward, backward = _mixed, _inverse_mixed
        if walls[1] == "dirichlet":
            forward, backward = _mirrored(_mixed, True), _mirrored(_inverse_mixed, False)
    eigenvalues = (2 - 2 * np.cos(angle)) / h**2
    return AxisTransform(eigenvalues, *((_same, _same) if n == 1 else (forward, backward)))


def _part(grid: Array, axis: int, start: int | None, stop: int | None = None, step: int | None = None) -> Array:
    key = [slice(None)] * grid.ndim
    key[axis] = slice(start, stop, step)
    return grid[tuple(key)]


def _along(values: Array, axis: int, ndim: int) -> Array:
    return values.reshape([-1 if a == axis else 1 for a in range(ndim)])


def _same(grid: Array, axis: int) -> Array:
    return grid


def _mirrored(transform: Transform, before: bool) -> Transform:
    """Return a transform of the axis in reverse order, of its input or of its output."""

    def run(grid: Array, axis: int) -> Array:
        if before:
            return transform(_part(grid, axis, None, None, -1), axis)
        return _part(transform(grid, axis), axis, None, None, -1)

    return run


def _sine(grid: Array, axis: int) -> Array:
    """Return the sine transform of type I, its own inverse."""
    xp = namespace(grid)
    if xp is np:
        from scipy import fft

        result: Array = fft.dst(grid, 1, axis=axis, norm="ortho")
        return result
    n = grid.shape[axis]
    zero = _part(grid, axis, 0, 1) * 0
    odd = xp.concatenate([zero, grid, zero, -_part(grid, axis, None, None, -1)], axis=axis)
    return _part(xp.fft.rfft(odd, axis=axis).imag, axis, 1, n + 1) * -((0.5 / (n + 1)) ** 0.5)


def _cosine(grid: Array, axis: int) -> Array:
    """Return the cosine transform of type II."""
    xp, n = namespace(grid), grid.shape[axis]
    if xp is np:
        from scipy import fft

        result: Array = fft.dct(grid, 2, axis=axis, norm="ortho")
        return result
    even = xp.concatenate([grid, _part(grid, axis, None, None, -1)], axis=axis)
    found = _part(xp.fft.rfft(even, axis=axis), axis, 0, n)
    return (found * _along(xp.conj(_phase(xp, n)), axis, grid.ndim)).real * _along(_weights(xp, n) / 2, axis, grid.ndim)


def _inverse_cosine(grid: Array, axis: int) -> Array:
    """Return the cosine transform of type III."""
    xp, n = namespace(grid), grid.shape[axis]
    if xp is np:
        from scipy import fft

        result: Array = fft.idct(grid, 2, axis=axis, norm="ortho")
        return result
    spectrum = grid * _along(_phase(xp, n) * (2 / _weights(xp, n)), axis, grid.ndim)
    return _part(xp.fft.irfft(spectrum, 2 * n, axis=axis), axis, 0, n)


def _phase(xp: Array, n: int) -> Array:
    return xp.exp(0.5j * np.pi / n * xp.arange(n))


def _weights(xp: Array, n: int) -> Array:
    """Return the lengths that make cosines orthonormal."""
    weights = xp.full(n, (2 / n) ** 0.5)
    weights[0] = (1 / n) ** 0.5
    return weights


def _mixed(grid: Array, axis: int) -> Array:
    """Return the transform between a Dirichlet wall at the low end and a Neumann wall at the high end."""
    mirrored = namespace(grid).concatenate([grid, _part(grid, axis, None, None, -1)], axis=axis)
    return _part(_sine(mirrored, axis), axis, 0, None, 2) * 0.5**0.5


def _inverse_mixed(grid: Array, axis: int) -> Array:
    """Return the inverse of `_mixed`."""
    n, xp = grid.shape[axis], namespace(grid)
    shape = list(grid.shape)
    shape[axis] = 2 * n
    coefficients = xp.zeros(shape, dtype=grid.dtype)
    _part(coefficients, axis, 0, None, 2)[...] = grid * 2**0.5
    return _part(_sine(coefficients, axis), axis, 0, n)


def _fourier(grid: Array, axis: int) -> Array:
    """Return the real Fourier transform as n real numbers: the mean, then cosines and sines in turn."""
    xp, n = namespace(grid), grid.shape[axis]
    found = xp.fft.rfft(grid, axis=axis, norm="ortho")
    result = xp.empty(grid.shape)
    _part(result, axis, 0, 1)[...] = _part(found, axis, 0, 1).real
    _part(result, axis, 1, None, 2)[...] = _part(found, axis, 1).real
    _part(result, axis, 2, None, 2)[...] = _part(found, axis, 1, (n + 1) // 2).imag
    return result


def _inverse_fourier(grid: Array, axis: int) -> Array:
    """Return the inverse of `_fourier`."""
    xp, n = namespace(grid), grid.shape[axis]
    shape = list(grid.shape)
    shape[axis] = n // 2 + 1
    spectrum = xp.zeros(shape, dtype=np.complex128)
    _part(spectrum, axis, 0, 1).real[...] = _part(grid, axis, 0, 1)
    _part(spectrum, axis, 1).real[...] = _part(grid, axis, 1, None, 2)
    _part(spectrum, axis, 1, (n + 1) // 2).imag[...] = _part(grid, axis, 2, None, 2)
    return xp.fft.irfft(spectrum, n, axis=axis, norm="ortho")
