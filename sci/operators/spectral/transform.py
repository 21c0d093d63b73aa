"""The truncated Fourier transform of real fields on any grid, and its inverse.

Of a field on N_1 x ... x N_d points only the wavenumbers of a small box are wanted. For few of them, products with
cached matrices of cosines and sines cost less than fast transforms whose spectrum is thrown away, work for any N, and
leave no array of the size of a half spectrum behind; for many, FFTs cost less (`sci.operators.spectral.fast` has the
rule). On the CPU all matrices are real: along the last axis a row of values gives its cosine and sine sums; along the
others the sums over cosines and sines of |k| serve both signs of k. On a device kernels make the products, with complex
waves along the others, and write and read the spectrum mode by mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.errors import ShapeError
from sci.operators.spectral.fast import (
    complex_analysis,
    complex_synthesis,
    product_is_faster,
    real_analysis,
    real_synthesis,
)
from sci.operators.spectral.waves import wave_matrix
from sci.tensor.contraction.products import mode_product, row_product

__all__ = [
    "field_of_rows",
    "synthesize",
    "synthesize_lines",
    "synthesize_modes",
    "synthesize_rows",
    "transform",
    "transform_modes",
]


def transform(x: Array, kept: Sequence[int]) -> Array:
    """Return the kept part of the Fourier transform of a real field, over its last d axes.

    X[k] = 1/(N_1 ... N_d) sum_n x[n] exp(-2 pi i sum_j k_j n_j / N_j) for the k of `wavenumbers(kept)`.

    Parameters
    ----------
    x : (..., N_1, ..., N_d) float32 or float64
    kept : sequence of d int
        From `kept_modes`.

    Returns
    -------
    (..., *kept) complex

    Notes
    -----
    Each axis by a matrix product or by FFT, whichever `product_is_faster` says. A product costs 4 K_d flops a value and
    makes an array of 2 K_d / N_d of `x`, an FFT one of the size of `x`.
    """
    dim, xp = len(kept), namespace(x)
    grid, lead = x.shape[-dim:], x.shape[:-dim]
    source = xp.ascontiguousarray(x).reshape(-1, grid[-1])
    if product_is_faster(grid[-1], kept[-1], len(source), like=x):
        z = (source @ wave_matrix("analysis", grid[-1], kept[-1], x)).view(_complex(x))
    else:
        z = real_analysis(source, kept[-1])
    tail = kept[-1]
    for axis in range(dim - 2, -1, -1):
        n, m = grid[axis], kept[axis]
        z = z.reshape(-1, n, tail)
        if product_is_faster(n, m, len(z), tail=tail, like=x):
            z = _both_signs(xp.matmul(wave_matrix("fold", n, m, x), z.view(x.dtype)), m, xp)
        else:
            z = complex_analysis(z, m)
        tail *= m
    return z.reshape(*lead, *kept)


def _complex(x: Array) -> np.dtype[Any]:
    return np.dtype(np.complex64 if x.dtype == np.float32 else np.complex128)


def _both_signs(sums: Array, m: int, xp: ModuleType) -> Array:
    """Turn sums over cos of 0..q and sin of 1..q (., 2q+1, interleaved) into those over exp(-i k) for m values of k."""
    q = m // 2
    p = m - q - 1
    z = sums.view(_complex(sums))
    even, odd = z[:, : q + 1], 1j * z[:, q + 1 :]
    out = xp.empty((z.shape[0], m, z.shape[2]), z.dtype)
    out[:, q] = even[:, 0]
    out[:, :q] = (even[:, 1:] + odd)[:, ::-1]
    out[:, q + 1 :] = even[:, 1 : p + 1] - odd[:, :p]
    return out


def _fold_signs(z: Array, xp: ModuleType) -> Array:
    """Return the coefficients of cos of 0..q and sin of 1..q in sum_k z[k] exp(i k .)."""
    m = z.shape[1]
    q = m // 2
    p = m - q - 1
    out = xp.empty((z.shape[0], 2 * q + 1, z.shape[2]), z.dtype)
    negative, positive = z[:, :q][:, ::-1], z[:, q + 1 :]
    out[:, 0] = z[:, q]
    out[:, 1 : q + 1] = negative
    out[:, 1 : p + 1] += positive
    out[:, q + 1 :] = -negative
    out[:, q + 1 : q + 1 + p] += positive
    out[:, q + 1 :] *= 1j
    return out


def synthesize(spectrum: Array, grid: Sequence[int]) -> Array:
    """Return the real field on `grid` whose kept Fourier coefficients are given.

    y[n] = sum_k c_k Re(Y[k] exp(2 pi i sum_j k_j n_j / N_j)), with c_k from `column_weights`. In the planes k_d = 0 and
    N_d/2 that is the Hermitian part of Y: what a complex inverse over the leading axes, followed by a real one that
    drops the imaginary part of those planes, gives.

    Parameters
    ----------
    spectrum : (..., *kept) complex
    grid : sequence of d int

    Returns
    -------
    (..., *grid) float32 or float64
    """
    dim, xp = len(grid), namespace(spectrum)
    kept, lead = spectrum.shape[-dim:], spectrum.shape[:-dim]
    if any(k > n for k, n in zip(kept[:-1], grid)) or kept[-1] > grid[-1] // 2 + 1:
        raise ShapeError(f"{kept} coefficients do not fit on a grid of {tuple(grid)} points")
    real = spectrum.real
    z = xp.ascontiguousarray(spectrum)
    rows = int(np.prod(lead, dtype=int))
    for axis in range(dim - 1):
        n, m = grid[axis], kept[axis]
        z = z.reshape(rows, m, -1)
        if product_is_faster(n, m, rows, tail=z.shape[2], like=real):
            folded = _fold_signs(z, xp).view(real.dtype)
            z = xp.matmul(wave_matrix("unfold", n, m, folded), folded).view(spectrum.dtype)
        else:
            z = complex_synthesis(z, n)
        rows *= n
    z = z.reshape(rows, kept[-1])
    if product_is_faster(grid[-1], kept[-1], rows, like=real):
        z = z.view(real.dtype)
        return (z @ wave_matrix("synthesis", grid[-1], kept[-1], z)).reshape(*lead, *grid)
    return real_synthesis(z, grid[-1]).reshape(*lead, *grid)


def transform_modes(x: Array, kept: Sequence[int]) -> Array:
    """Return `transform` of a field (batch, channel, *grid), mode by mode: (*kept, batch, channel), contiguous.

    Notes
    -----
    On a device the field is read once; 2 K_d / N_d of it is written, then the truncated spectrum.
    """
    dim, xp = len(kept), namespace(x)
    if not is_device_array(x) or dim == 1:
        return xp.ascontiguousarray(xp.moveaxis(transform(x, kept), (0, 1), (dim, dim + 1)))
    grid, fields = x.shape[2:], x.shape[0] * x.shape[1]
    z = row_product(xp.ascontiguousarray(x).reshape(-1, grid[-1]), wave_matrix("analysis", grid[-1], kept[-1], x))
    z, tail = z.view(_complex(x)), kept[-1]
    for axis in range(dim - 2, -1, -1):
        n, m = grid[axis], kept[axis]
        batch = z.size // (n * tail)
        out = xp.empty((batch * m * tail,), z.dtype)
        # The last product, over the first axis, leaves the modes first and batch and channel last.
        to = (1, tail * fields, fields) if axis == 0 else (m * tail, tail, 1)
        parts = ((0, 1, m), (n * tail, tail, 1), to)
        mode_product(wave_matrix("counted waves", n, m, x), z, out, (batch, m, n, tail), parts, (True, False))
        z, tail = out, tail * m
    return z.reshape(*kept, *x.shape[:2])


def synthesize_rows(spectrum: Array, grid: Sequence[int]) -> tuple[Array, Array]:
    """Return the factors of the field: rows z (batch, channel, rows, 2 K) and waves (2 K, N_d).

    The field is the product of both, the last step of `synthesize_modes`. For a spectrum of 2 or 3 axes on a device.
    """
    dim, xp = len(grid), namespace(spectrum)
    kept, (batch, channels) = spectrum.shape[:dim], spectrum.shape[dim:]
    n, m, tail, fields = grid[0], kept[0], int(np.prod(kept[1:], dtype=int)), batch * channels
    out = xp.empty((batch, channels, n, *kept[1:]), spectrum.dtype)
    waves = wave_matrix("waves", n, m, spectrum.real)
    lies = ((0, m, 1), (1, tail * fields, fields), (n * tail, tail, 1))
    mode_product(waves, xp.ascontiguousarray(spectrum), out, (fields, n, m, tail), lies)
    return synthesize_lines(out, grid)


def synthesize_lines(z: Array, grid: Sequence[int]) -> tuple[Array, Array]:
    """Return the factors that `synthesize_rows` does, of (batch, channel, N_1, *kept[1:]): all but the first axis."""
    dim, xp, kept = len(grid), namespace(z), z.shape[3:]
    batch, channels, rows = z.shape[0], z.shape[1], z.shape[0] * z.shape[1] * grid[0]
    for axis in range(1, dim - 1):
        n, m, tail = grid[axis], kept[axis - 1], int(np.prod(kept[axis:], dtype=int))
        out = xp.empty((rows * n * tail,), z.dtype)
        waves = wave_matrix("waves", n, m, z.real)
        mode_product(waves, z, out, (rows, n, m, tail), ((0, m, 1), (m * tail, tail, 1), (n * tail, tail, 1)))
        z, rows = out, rows * n
    z = z.view(np.dtype(np.float32 if z.dtype == np.complex64 else np.float64))
    return z.reshape(batch, channels, -1, 2 * kept[-1]), wave_matrix("synthesis", grid[-1], kept[-1], z)


def synthesize_modes(spectrum: Array, grid: Sequence[int]) -> Array:
    """Return `synthesize` of coefficients (*kept, batch, channel): the field (batch, channel, *grid)."""
    dim, xp = len(grid), namespace(spectrum)
    if not is_device_array(spectrum) or dim == 1:
        return synthesize(xp.moveaxis(spectrum, (dim, dim + 1), (0, 1)), grid)
    return field_of_rows(synthesize_rows(spectrum, grid), grid)


def field_of_rows(factors: tuple[Array, Array], grid: Sequence[int], added: Array | None = None) -> Array:
    """Return the field (batch, channel, *grid) whose factors `synthesize_rows` found; added to a field in place."""
    z, waves = factors
    out = None if added is None else added.reshape(-1, grid[-1])
    return row_product(z.reshape(-1, z.shape[-1]), waves, out).reshape(*z.shape[:2], *grid)
