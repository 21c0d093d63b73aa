"""Truncated transforms of one axis by FFT, and the rule that chooses between FFT and matrix product.

A product costs 4 K flops a value for K columns, an FFT a few nanoseconds a value whatever K is. So products win for few
modes, FFTs for many, and the products' matrices never grow beyond a few MiB.
"""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from sci.backend import Array, is_device_array, namespace

__all__ = ["complex_analysis", "complex_synthesis", "product_is_faster", "real_analysis", "real_synthesis"]

_DEVICE_COLUMNS = 64
"""Columns up to which a product is the choice on a device, whose matrix products outrun its memory."""


def product_is_faster(n: int, modes: int, rows: int, *, tail: int = 0, like: Array) -> bool:
    """Return True if a matrix product along an axis costs less than an FFT.

    Parameters
    ----------
    n : int
        Points along the axis.
    modes : int
        Columns of the half spectrum along the last axis; wavenumbers of both signs along another one.
    rows : int
        Transforms that are made at once.
    tail : int
        0 along the last axis; along another one the complex numbers that lie behind it.
    like : array
        Its dtype and device count.

    Notes
    -----
    Measured on one core of an AMD EPYC with OpenBLAS and SciPy's FFT, for 32 to 65,536 points: within 10 % of the
    better of the two but for a few sizes. The product wins up to 28 to 43 columns, growing with log N; up to half of
    that where few rows share a matrix that is larger than the cache; and up to 6 times as many where N is prime.

    Examples
    --------
    >>> import numpy as np
    >>> [product_is_faster(65536, k, 256, like=np.zeros(1, np.float32)) for k in (16, 1024)]
    [True, False]
    """
    if is_device_array(like):
        return modes <= _DEVICE_COLUMNS
    slower = _fft_slowdown(n)
    if tail:
        limit = (2.7 * math.log2(n) + 16 * (tail >= 16)) * max(1.0, slower / 1.6)
        return modes <= max(limit, 16)
    limit = max(28.0, 2.7 * math.log2(n)) * slower
    if like.dtype.itemsize == 8:
        limit *= 0.85
    few = 0.3 if rows == 1 else min(n / 1500 / rows, 22 / rows, n / 8192, 1.5)
    return modes <= limit / (1 + few)


@functools.lru_cache(maxsize=1024)
def _fft_slowdown(n: int) -> float:
    """Return the cost of an FFT of `n` points over that of a power of two: 1 for small factors, about 6 for primes."""
    direct = _factor_cost(n)
    longer = int(scipy.fft.next_fast_len(2 * n - 1))
    convolved = 3 * longer / n * _factor_cost(longer)  # Bluestein's algorithm
    return max(1.0, min(direct, convolved) / (2 * math.log2(max(n, 2))))


def _factor_cost(n: int) -> float:
    """Return the sum of the prime factors of `n`, those above 5 a tenth dearer: operations a point of an FFT."""
    total, factor = 0.0, 2
    while factor * factor <= n:
        while n % factor == 0:
            total, n = total + factor * (1.1 if factor > 5 else 1), n // factor
        factor += 1
    return total + (n * (1.1 if n > 5 else 1) if n > 1 else 0)


def _fft(like: Array) -> Any:
    """Return the FFTs for an array: SciPy's keep float32 with every NumPy."""
    xp: ModuleType = namespace(like)
    return scipy.fft if xp is np else xp.fft


def real_analysis(x: Array, columns: int) -> Array:
    """Return the first `columns` Fourier coefficients of rows x (rows, n), divided by n."""
    return namespace(x).ascontiguousarray(_fft(x).rfft(x, axis=-1, norm="forward")[:, :columns])


def real_synthesis(z: Array, n: int) -> Array:
    """Return the rows (rows, n) whose first Fourier coefficients are z (rows, columns)."""
    return _fft(z).irfft(z, n=n, axis=-1, norm="forward")


def complex_analysis(z: Array, modes: int) -> Array:
    """Return the coefficients -(m // 2) ... m - m // 2 - 1 along the middle axis of z (rows, n, tail), divided by n."""
    spectrum, n, low = _fft(z).fft(z, axis=1, norm="forward"), z.shape[1], modes // 2
    return namespace(z).concatenate([spectrum[:, n - low :], spectrum[:, : modes - low]], axis=1)


def complex_synthesis(z: Array, n: int) -> Array:
    """Return sum_k z[k] exp(2 pi i k j / n) for coefficients z (rows, m, tail), -(m // 2) first: (rows, n, tail)."""
    modes, low = z.shape[1], z.shape[1] // 2
    spectrum = namespace(z).zeros((z.shape[0], n, z.shape[2]), z.dtype)
    spectrum[:, : modes - low] = z[:, low:]
    spectrum[:, n - low :] = z[:, :low]
    return _fft(z).ifft(spectrum, axis=1, norm="forward")
