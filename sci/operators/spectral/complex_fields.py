"""Spectral convolutions of complex fields, whose real and imaginary parts are stacked along the batch.

The stack (2 batch, channel, *grid) is real, so that every real layer acts on both parts at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from sci.backend import Array, namespace
from sci.nn import op
from sci.operators.spectral.weights import WeightFormat

__all__ = ["complex_spectral_convolution", "joined", "stacked", "times_i"]


def _stacked_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    return (_joined(dout),)


@op(vjp=_stacked_vjp)
def stacked(x: Array) -> tuple[Array, Any]:
    """Return the real and the imaginary part of a complex field (batch, ...), stacked: (2 batch, ...)."""
    return _stacked(x), None


def _joined_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    return (_stacked(dout),)


@op(vjp=_joined_vjp)
def joined(x: Array) -> tuple[Array, Any]:
    """Return the complex field of stacked parts: the inverse of `stacked`."""
    return _joined(x), None


def _times_i_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    half = len(dout) // 2
    return (namespace(dout).concatenate([dout[half:], -dout[:half]]),)


@op(vjp=_times_i_vjp)
def times_i(x: Array) -> tuple[Array, Any]:
    """Return i times a stacked field."""
    half = len(x) // 2
    return namespace(x).concatenate([-x[half:], x[:half]]), None


def _stacked(x: Array) -> Array:
    return namespace(x).concatenate([x.real, x.imag])


def _joined(x: Array) -> Array:
    half = len(x) // 2
    return x[:half] + 1j * x[half:]


def _convolution_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `complex_spectral_convolution`.

    With F the transform and P the number of points of a grid: dY = P F(dout), and dx is the field of dX / P.
    """
    mixing, form, (taken, put), source, names = residuals
    dspectrum, gradients = form.mix_vjp(_analysis(_joined(dout), put) * math.prod(dout.shape[2:]), mixing)
    dx = _stacked(_synthesis(dspectrum / math.prod(source), taken, source))
    half = len(dout) // 2
    dbias = dout[:half].sum(axis=tuple(range(2, dout.ndim))).sum(axis=0)
    return (dx.astype(dout.dtype, copy=False), dbias, *(gradients[name] for name in names))


@op(vjp=_convolution_vjp)
def complex_spectral_convolution(
    x: Array,
    bias: Array,
    *weights: Array,
    names: tuple[str, ...],
    form: WeightFormat,
    layer: int = 0,
    grid: Sequence[int] | None = None,
    exact: bool = True,
) -> tuple[Array, Any]:
    """Return y[b, o] = bias[o] + the field of Y[b, o, k] = sum_i X[b, i, k] W[i, o, k], X the transform of complex x.

    Parameters
    ----------
    x : (2 batch, in, *grid) float array
        Real parts, then imaginary parts.
    bias : (out,) array
        Real.
    *weights, names, form, layer, grid
        As in `spectral_convolution`; `form.modes` are wavenumbers of both signs along every axis.
    exact : bool
        False as in neuraloperator 2.0.0: along the last axis it takes the first wavenumbers of a spectrum that it
        shifted, -(N // 2) and those after, and writes them to 0 and those after; on one axis it shifts nothing.
    """
    source, target = tuple(x.shape[2:]), tuple(grid or x.shape[2:])
    kept = tuple(map(min, form.modes, source, target))
    places = _places(source, kept, exact, -(source[-1] // 2)), _places(target, kept, exact, 0)
    mixed, residuals = form.mix(_analysis(_joined(x), places[0]), dict(zip(names, weights)), layer)
    y = _stacked(_synthesis(mixed, places[1], target))
    y[: len(y) // 2] += bias.reshape(-1, *(1,) * len(target))
    return y, (residuals, form, places, source, names)


def _places(grid: Sequence[int], kept: Sequence[int], exact: bool, first: int) -> list[np.ndarray]:
    """Return the places of the kept wavenumbers in the FFT of each axis; the last start at `first` if not exact."""
    starts = [-(k // 2) for k in kept]
    if not exact:
        starts[-1] = first if len(grid) > 1 else 0
    return [(start + np.arange(k)) % n for start, k, n in zip(starts, kept, grid)]


def _analysis(z: Array, places: Sequence[np.ndarray]) -> Array:
    """Return Fourier coefficients (*kept, batch, channel) of complex fields (batch, channel, *grid)."""
    xp, dim = namespace(z), len(places)
    for axis in range(dim - 1, -1, -1):
        z = _fft(z).fft(z, axis=2 + axis, norm="forward").take(xp.asarray(places[axis]), axis=2 + axis)
    return xp.ascontiguousarray(xp.moveaxis(z, (0, 1), (dim, dim + 1)))


def _synthesis(modes: Array, places: Sequence[np.ndarray], grid: Sequence[int]) -> Array:
    """Return the complex fields (batch, channel, *grid) of coefficients (*kept, batch, channel)."""
    xp, dim = namespace(modes), len(grid)
    z = xp.moveaxis(modes, (dim, dim + 1), (0, 1))
    for axis, n in enumerate(grid):
        spectrum = xp.zeros((*z.shape[: 2 + axis], n, *z.shape[3 + axis :]), z.dtype)
        spectrum[(slice(None),) * (2 + axis) + (xp.asarray(places[axis]),)] = z
        z = _fft(z).ifft(spectrum, axis=2 + axis, norm="forward")
    return z


def _fft(like: Array) -> Any:
    """Return the FFTs for an array: SciPy's keep single precision with every NumPy."""
    xp: ModuleType = namespace(like)
    return scipy.fft if xp is np else xp.fft
