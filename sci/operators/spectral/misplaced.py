"""Spectral convolutions to another grid as neuraloperator 2.0.0 makes them, for models that were trained there.

That library cuts or pads the spectrum at its end. Along all axes but the last, where the negative wavenumbers stand at
the end, these become others or are lost. A model that was trained so has learned around it, and gives its outputs only
so.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.nn import op
from sci.operators.spectral.modes import column_weights, kept_modes
from sci.operators.spectral.transform import synthesize_modes, transform_modes
from sci.operators.spectral.weights import WeightFormat

__all__ = ["misplaced_convolution"]


def _convolution_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `misplaced_convolution`."""
    mixing, form, kept, source, names = residuals
    xp, grid = namespace(dout), dout.shape[2:]
    placed = (*grid[:-1], min(kept[-1], grid[-1] // 2 + 1))
    dplaced = transform_modes(dout, placed) * _counts(grid, placed, dout)
    dmixed, here = xp.zeros((*kept, *dplaced.shape[-2:]), dplaced.dtype), _places(source, grid, kept, xp)
    dmixed[here[0]] = dplaced[here[1]]
    dspectrum, gradients = form.mix_vjp(dmixed, mixing)
    dx = synthesize_modes(dspectrum / _counts(source, kept, dout), source)
    dbias = dout.sum(axis=tuple(range(2, dout.ndim))).sum(axis=0)
    return (dx, dbias, *(gradients[name] for name in names))


@op(vjp=_convolution_vjp)
def misplaced_convolution(
    x: Array,
    bias: Array,
    *weights: Array,
    names: tuple[str, ...],
    form: WeightFormat,
    layer: int = 0,
    grid: tuple[int, ...],
) -> tuple[Array, Any]:
    """Return the convolution on another grid, wavenumber k along all axes but the last at place k mod N of M places.

    Parameters
    ----------
    x, bias, *weights, names, form, layer, grid
        As in `spectral_convolution`.
    """
    source, xp = x.shape[2:], namespace(x)
    kept = kept_modes((*form.modes[:-1], 2 * form.modes[-1] - 1), source)
    mixed, residuals = form.mix(transform_modes(x, kept), dict(zip(names, weights)), layer)
    placed = (*grid[:-1], min(kept[-1], grid[-1] // 2 + 1))
    spectrum, here = xp.zeros((*placed, *mixed.shape[-2:]), mixed.dtype), _places(source, grid, kept, xp)
    spectrum[here[1]] = mixed[here[0]]
    y = synthesize_modes(spectrum, grid) + bias.reshape(-1, *(1,) * len(grid))
    return y, (residuals, form, kept, source, names)


def _places(source: tuple[int, ...], grid: tuple[int, ...], kept: tuple[int, ...], xp: ModuleType) -> list[Any]:
    """Return the indices of the kept wavenumbers that have a place on `grid`, and of their places, -(M // 2) first."""
    taken, put = [], []
    for n, m, k in zip(source[:-1], grid[:-1], kept[:-1]):
        place = (np.arange(k) - k // 2) % n
        inside = np.flatnonzero(place < m)
        taken.append(inside)
        put.append((place[inside] + m // 2) % m)
    columns = np.arange(min(kept[-1], grid[-1] // 2 + 1))
    return [tuple(map(xp.asarray, np.ix_(*axes, columns))) for axes in (taken, put)]


def _counts(grid: tuple[int, ...], kept: tuple[int, ...], like: Array) -> Array:
    xp = namespace(like)
    weights = math.prod(grid) * column_weights(grid, kept, np.float64)
    return xp.asarray(weights).astype(like.dtype)[:, None, None]
