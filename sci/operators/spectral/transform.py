"""The truncated Fourier transform of real fields on any grid, as matrix products, and its inverse.

Of a field on N_1 x ... x N_d points only the wavenumbers of a small box are wanted, so that products with cached
matrices of cosines and sines cost less than fast transforms whose spectrum is thrown away, work for any N, and leave
no array of the size of a half spectrum behind. On the CPU all matrices are real: along the last axis a row of values
gives its cosine and sine sums; along the others the sums over cosines and sines of |k| serve both signs of k. On a
device kernels make the products, with complex waves along the others, and write and read the spectrum mode by mode.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace, to_device
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.tensor.contraction.products import mode_product, row_product

__all__ = [
    "check_field",
    "check_modes",
    "column_weights",
    "kept_modes",
    "synthesize",
    "synthesize_modes",
    "synthesize_rows",
    "transform",
    "transform_modes",
    "wavenumbers",
    "weight_window",
]


def check_modes(n_modes: Sequence[int]) -> tuple[int, ...]:
    """Return `n_modes` as a tuple of 1 to 3 positive integers.

    Raises
    ------
    InvalidValueError
    """
    counts = tuple(n_modes) if isinstance(n_modes, Sequence) else (n_modes,)
    if not 1 <= len(counts) <= 3 or any(not isinstance(m, int | np.integer) or m < 1 for m in counts):
        raise InvalidValueError(f"n_modes is {n_modes!r}; expected 1 to 3 positive integers, one for each grid axis")
    return tuple(int(m) for m in counts)


def check_field(x: Array, channels: int, dim: int) -> None:
    """Raise unless `x` is (batch, channels, *grid) of float32 or float64 with `dim` grid axes.

    Raises
    ------
    ShapeError, DTypeError
    """
    dtype = getattr(x, "dtype", None)
    if dtype not in (np.float32, np.float64):
        raise DTypeError(f"the field is {dtype or type(x).__name__}; expected an array of float32 or float64")
    if x.ndim != dim + 2 or x.shape[1] != channels or 0 in x.shape:
        raise ShapeError(
            f"the field has shape {tuple(x.shape)}; expected (batch, {channels}, *grid) with {dim} grid axes"
        )


def kept_modes(n_modes: Sequence[int], *grids: Sequence[int]) -> tuple[int, ...]:
    """Return how many wavenumbers are kept along each axis: total counts, and columns of the half spectrum last.

    m_j = min(n_modes_j, N_j) along the leading axes and min(n_modes_d // 2 + 1, N_d // 2 + 1) along the last, for the
    smallest of the grids.
    """
    shapes = [*zip(*grids)]
    leading = [min(m, *sizes) for m, sizes in zip(n_modes[:-1], shapes)]
    return (*leading, min(n_modes[-1] // 2 + 1, *(n // 2 + 1 for n in shapes[-1])))


def wavenumbers(kept: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Return the wavenumbers along each axis: -(m // 2) ... m - m // 2 - 1, and 0 ... K - 1 along the last.

    Even m keeps -m/2 and drops +m/2; odd m is symmetric.
    """
    return (*(np.arange(m) - m // 2 for m in kept[:-1]), np.arange(kept[-1]))


def weight_window(stored: Sequence[int], kept: Sequence[int]) -> tuple[slice, ...]:
    """Return the part of weights for `stored` modes that acts on `kept` ones: about the center, on the last from 0."""
    leading = [slice(s // 2 - k // 2, s // 2 - k // 2 + k) for s, k in zip(stored[:-1], kept[:-1])]
    return (*leading, slice(0, kept[-1]))


def column_weights(grid: Sequence[int], kept: Sequence[int], dtype: Any) -> np.ndarray:
    """Return c_k, how often a column of the half spectrum counts in a real field: 1 for k = 0 and N/2, 2 otherwise."""
    weights = np.full(kept[-1], 2, dtype)
    weights[0] = 1
    if kept[-1] - 1 == grid[-1] / 2:
        weights[-1] = 1
    return weights


@functools.lru_cache(maxsize=256)
def _circle(n: int, rows: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of 2 pi k j / n for k < rows, j < n, exact at multiples of a quarter turn."""
    steps = np.outer(np.arange(rows), np.arange(n)) % n
    angle = 2 * math.pi * np.arange(n) / n
    cosine, sine = np.cos(angle), np.sin(angle)
    quarters = 4 * np.arange(n)
    cosine[quarters % (2 * n) == n] = 0
    sine[quarters % (2 * n) == 0] = 0
    return cosine[steps].astype(dtype), sine[steps].astype(dtype)


@functools.lru_cache(maxsize=256)
def _matrix(kind: str, n: int, modes: int, dtype: str, xp: ModuleType, device: int) -> Array:
    """Return one of the matrices, made once for each size, dtype and device.

    "analysis" (N, 2K): columns cos/N, -sin/N in turn. "synthesis" (2K, N): rows c cos, -c sin in turn.
    "fold" (2q+1, N) with q = modes // 2: rows cos/N of 0..q, then sin/N of 1..q. "unfold" (N, 2q+1): the same, times N.
    "waves" (N, modes): exp(2 pi i k n / N) for the k of `wavenumbers`; "counted waves": the same over N.
    """
    if kind in ("analysis", "synthesis"):
        cosine, sine = _circle(n, modes, dtype)
        rows = np.stack([cosine, -sine], axis=1).reshape(2 * modes, n)
        weights = np.repeat(column_weights((n,), (modes,), dtype), 2)
        rows = rows.T / n if kind == "analysis" else rows * weights[:, None]
    elif kind.endswith("waves"):
        cosine, sine = _circle(n, n, dtype)
        rows = (cosine + 1j * sine)[:, (np.arange(modes) - modes // 2) % n]
        rows, dtype = rows / n if kind.startswith("counted") else rows, np.result_type(dtype, np.complex64).name
    else:
        cosine, sine = _circle(n, modes // 2 + 1, dtype)
        rows = np.concatenate([cosine, sine[1:]])
        rows = rows / n if kind == "fold" else rows.T
    return to_device(np.ascontiguousarray(rows.astype(dtype)), xp)


def _cached(kind: str, n: int, modes: int, like: Array) -> Array:
    xp = namespace(like)
    device = 0 if xp is np else int(xp.cuda.Device().id)
    return _matrix(kind, n, modes, np.dtype(like.dtype).name, xp, device)


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
    Cost: 4 K_d flops a value, and less for the other axes. Largest array made: 2 K_d / N_d of `x`.
    """
    dim, xp = len(kept), namespace(x)
    grid, lead = x.shape[-dim:], x.shape[:-dim]
    z = xp.ascontiguousarray(x).reshape(-1, grid[-1]) @ _cached("analysis", grid[-1], kept[-1], x)
    tail = 2 * kept[-1]
    for axis in range(dim - 2, -1, -1):
        n, m = grid[axis], kept[axis]
        sums = xp.matmul(_cached("fold", n, m, x), z.reshape(-1, n, tail))
        z = _both_signs(sums, m, xp).reshape(-1)
        tail *= m
    return z.reshape(-1).view(_complex(x)).reshape(*lead, *kept)


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
    return out.view(sums.dtype)


def _fold_signs(z: Array, xp: ModuleType) -> Array:
    """Return what cos of 0..q and sin of 1..q are multiplied with so that they give sum_k z[k] exp(i k .)."""
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
    real = np.dtype(np.float32 if spectrum.dtype == np.complex64 else np.float64)
    z = xp.ascontiguousarray(spectrum)
    rows = int(np.prod(lead, dtype=int))
    for axis in range(dim - 1):
        n, m = grid[axis], kept[axis]
        folded = _fold_signs(z.reshape(rows, m, -1), xp).view(real)
        z = xp.matmul(_cached("unfold", n, m, folded), folded).view(spectrum.dtype)
        rows *= n
    z = z.reshape(rows, kept[-1]).view(real)
    return (z @ _cached("synthesis", grid[-1], kept[-1], z)).reshape(*lead, *grid)


def transform_modes(x: Array, kept: Sequence[int]) -> Array:
    """Return `transform` of a field (batch, channel, *grid), mode by mode: (*kept, batch, channel), contiguous.

    Notes
    -----
    On a device the field is read once; what is written is 2 K_d / N_d of it, then the truncated spectrum.
    """
    dim, xp = len(kept), namespace(x)
    if not is_device_array(x) or dim == 1:
        return xp.ascontiguousarray(xp.moveaxis(transform(x, kept), (0, 1), (dim, dim + 1)))
    grid, fields = x.shape[2:], x.shape[0] * x.shape[1]
    z = row_product(xp.ascontiguousarray(x).reshape(-1, grid[-1]), _cached("analysis", grid[-1], kept[-1], x))
    z, tail = z.view(_complex(x)), kept[-1]
    for axis in range(dim - 2, -1, -1):
        n, m = grid[axis], kept[axis]
        batch = z.size // (n * tail)
        out = xp.empty((batch * m * tail,), z.dtype)
        # The last product, over the first axis, leaves the modes first and batch and channel last.
        to = (1, tail * fields, fields) if axis == 0 else (m * tail, tail, 1)
        parts = ((0, 1, m), (n * tail, tail, 1), to)
        mode_product(_cached("counted waves", n, m, x), z, out, (batch, m, n, tail), parts, (True, False))
        z, tail = out, tail * m
    return z.reshape(*kept, *x.shape[:2])


def synthesize_rows(spectrum: Array, grid: Sequence[int]) -> tuple[Array, Array]:
    """Return what is left to do of `synthesize_modes`: rows z (batch, channel, rows, 2 K) and waves (2 K, N_d).

    The field is the product of both. A spectrum of a device, of 2 or 3 axes.
    """
    dim, xp = len(grid), namespace(spectrum)
    kept, (batch, channels) = spectrum.shape[:dim], spectrum.shape[dim:]
    fields, rows = batch * channels, batch * channels
    real = np.dtype(np.float32 if spectrum.dtype == np.complex64 else np.float64)
    z = xp.ascontiguousarray(spectrum)
    for axis in range(dim - 1):
        n, m, tail = grid[axis], kept[axis], int(np.prod(kept[axis + 1 :], dtype=int))
        out = xp.empty((rows * n * tail,), spectrum.dtype)
        lies = (1, tail * fields, fields) if axis == 0 else (m * tail, tail, 1)
        waves = _cached("waves", n, m, z.view(real))
        mode_product(waves, z, out, (rows, n, m, tail), ((0, m, 1), lies, (n * tail, tail, 1)))
        z, rows = out, rows * n
    z = z.view(real)
    return z.reshape(batch, channels, -1, 2 * kept[-1]), _cached("synthesis", grid[-1], kept[-1], z)


def synthesize_modes(spectrum: Array, grid: Sequence[int]) -> Array:
    """Return `synthesize` of coefficients (*kept, batch, channel): the field (batch, channel, *grid)."""
    dim, xp = len(grid), namespace(spectrum)
    if not is_device_array(spectrum) or dim == 1:
        return synthesize(xp.moveaxis(spectrum, (dim, dim + 1), (0, 1)), grid)
    z, waves = synthesize_rows(spectrum, grid)
    return row_product(z.reshape(-1, z.shape[-1]), waves).reshape(*z.shape[:2], *grid)
