"""Orthonormal transforms along axes: cosines where an axis has ends, Hartley's where it is periodic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft

__all__ = ["forward", "inverse"]


def forward(x: np.ndarray, axes: Sequence[int], periodic: Sequence[int] = ()) -> np.ndarray:
    """Return orthonormal coefficients along `axes`, low frequencies first.

    The axes in `periodic` have Hartley's transform, h_k = sum_j (cos + sin)(2 pi j k / n) x_j / sqrt(n), in the order
    0, 1, n - 1, 2, n - 2, ...; the others have the cosine transform (DCT-II). float32 stays float32.
    """
    cosines = [axis for axis in axes if axis not in periodic]
    x = scipy.fft.dctn(x, axes=cosines, norm="ortho") if cosines else x
    for axis in axes:
        x = _hartley(x, axis) if axis in periodic else x
    return x


def inverse(c: np.ndarray, axes: Sequence[int], periodic: Sequence[int] = ()) -> np.ndarray:
    """Return the values whose coefficients `forward` returns."""
    cosines = [axis for axis in axes if axis not in periodic]
    for axis in axes:
        c = _inverse_hartley(c, axis) if axis in periodic else c
    return np.asarray(scipy.fft.idctn(c, axes=cosines, norm="ortho") if cosines else c)


def _along(axis: int, ndim: int, part: slice | int) -> tuple[slice | int, ...]:
    return tuple(part if k == axis else slice(None) for k in range(ndim))


def _hartley(x: np.ndarray, axis: int) -> np.ndarray:
    n = x.shape[axis]
    waves = scipy.fft.rfft(x, axis=axis, norm="ortho")
    out = np.empty(x.shape, waves.real.dtype)
    at = [_along(axis, x.ndim, part) for part in (slice(0, 1), slice(1, n, 2), slice(2, n, 2))]
    out[at[0]] = waves.real[at[0]]
    upper = waves[_along(axis, x.ndim, slice(1, n // 2 + 1))]
    lower = waves[_along(axis, x.ndim, slice(1, (n + 1) // 2))]
    out[at[1]] = upper.real - upper.imag
    out[at[2]] = lower.real + lower.imag
    return out


def _inverse_hartley(h: np.ndarray, axis: int) -> np.ndarray:
    n = h.shape[axis]
    shape = (*h.shape[:axis], n // 2 + 1, *h.shape[axis + 1 :])
    waves = np.zeros(shape, np.complex64 if h.dtype == np.float32 else np.complex128)
    waves[_along(axis, h.ndim, slice(0, 1))] = h[_along(axis, h.ndim, slice(0, 1))]
    first, second = h[_along(axis, h.ndim, slice(1, n, 2))], h[_along(axis, h.ndim, slice(2, n, 2))]
    both = (n - 1) // 2
    inner = _along(axis, h.ndim, slice(0, both))
    at = _along(axis, h.ndim, slice(1, both + 1))
    waves.real[at] = (first[inner] + second) / 2
    waves.imag[at] = (second - first[inner]) / 2
    if n % 2 == 0:
        last = _along(axis, h.ndim, slice(n // 2, None))
        waves.real[last] = h[_along(axis, h.ndim, slice(n - 1, n))]
    return np.asarray(scipy.fft.irfft(waves, n, axis=axis, norm="ortho"))
