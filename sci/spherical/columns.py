"""Products of functions on the sphere from columns of coefficients: at points of a grid, or by Fourier coefficients."""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from sci.backend import Array, device_number, namespace, to_device
from sci.spherical.grids import SphereGrid
from sci.spherical.harmonics import harmonics
from sci.spherical.legendre import legendre_functions
from sci.spherical.wigner import points_and_weights

__all__ = ["fourier_product", "quadrature_size", "sampled_product"]

Degrees = tuple[int, int, int]


def _grid(degrees: Degrees) -> SphereGrid:
    """Return the smallest grid that integrates products of three harmonics of these degrees."""
    total = sum(degrees)
    return SphereGrid(total // 2 + 1, total + 1)


def quadrature_size(degrees: Degrees) -> int:
    """Return the points of the grid of `sampled_product`."""
    return math.prod(_grid(degrees).shape)


def sampled_product(x: Array, y: Array, degrees: Degrees) -> Array:
    """Return the product of columns (coefficients, n): values at points, multiplied, and integrated."""
    xp = namespace(x, y)
    of_x, of_y, back = _values(degrees, np.dtype(x.dtype).name, xp, device_number(x))
    values = xp.matmul(of_x, x)
    values *= xp.matmul(of_y, y)
    return xp.matmul(back, values)


@functools.lru_cache(maxsize=16)
def _values(degrees: Degrees, dtype: str, xp: ModuleType, device: int) -> tuple[Array, Array, Array]:
    """Return harmonics at the points for both factors, and the matrix that integrates against those of the result."""
    points, weights = points_and_weights(_grid(degrees))
    of_x, of_y, of_z = (harmonics(points, degree, False) for degree in degrees)
    matrices = (of_x, of_y, (weights[:, None] * of_z).T.copy())
    of_x, of_y, back = (to_device(matrix.astype(dtype), xp) for matrix in matrices)
    return of_x, of_y, back


def fourier_product(x: Array, y: Array, degrees: Degrees) -> Array:
    """Return the product of columns (coefficients, n): a convolution of Fourier coefficients in both angles, by FFT.

    A function continues to colatitudes from pi to 2 pi by f(2 pi - theta, phi + pi) = f(theta, phi), and is there a
    sum of exp(i u theta + i m phi) with |u|, |m| up to its degree. Steps: coefficients of harmonics to those, for each
    m a small matrix; the values on a grid that holds the product, and back; for each m the integrals of exp(i u theta)
    against the harmonics of the result.
    """
    xp, fft = namespace(x, y), _fft(x)
    in_u, in_m = (fft.next_fast_len(n) if fft is scipy.fft else n for n in _lengths(degrees))
    forward = [_tables(degree, "forward", in_u, np.dtype(x.dtype).name, xp, device_number(x)) for degree in degrees[:2]]
    values = None
    for columns, degree, tables in zip((x, y), degrees, forward):
        plane = _plane(columns, degree, tables, in_u, in_m // 2 + 1)
        waves = fft.ifft(plane, axis=1, norm="forward")
        factor = fft.irfft(waves, n=in_m, axis=0, norm="forward")
        values = factor if values is None else values * factor
    product = fft.fft(fft.rfft(values, axis=0, norm="forward"), axis=1, norm="forward")
    back = _tables(degrees[2], "back", in_u, np.dtype(x.dtype).name, xp, device_number(x), sum(degrees[:2]))
    out = xp.empty(((degrees[2] + 1) ** 2, x.shape[1]), x.dtype)
    for m, matrix in enumerate(back):
        places = np.array([ell * ell + ell for ell in range(m, degrees[2] + 1)])
        found = xp.matmul(matrix, product[m]) * (math.sqrt(2) if m else 1)
        out[xp.asarray(places + m)] = found.real
        if m:
            out[xp.asarray(places - m)] = -found.imag
    return out


def _lengths(degrees: Degrees) -> tuple[int, int]:
    """Return points along both angles: those that hold the product, and orders of it that alias only unused ones."""
    l1, l2, l3 = degrees
    return 2 * (l1 + l2) + 1, max(l1 + l2 + l3, 2 * l1, 2 * l2, 2 * l3) + 1


def _plane(columns: Array, degree: int, tables: list[Array], in_u: int, in_m: int) -> Array:
    """Return the coefficients of exp(i m phi + i u theta) for m >= 0: (in_m, in_u, n) complex."""
    xp = namespace(columns)
    plane = xp.zeros((in_m, in_u, columns.shape[1]), tables[0].dtype)
    for m, matrix in enumerate(tables):
        places = np.array([ell * ell + ell for ell in range(m, degree + 1)])
        some = columns[xp.asarray(places)] if m == 0 else (
            columns[xp.asarray(places + m)] - 1j * columns[xp.asarray(places - m)]
        ) * (1 / math.sqrt(2))  # fmt: skip
        plane[m] = xp.matmul(matrix, some.astype(plane.dtype, copy=False))
    return plane


@functools.lru_cache(maxsize=32)
def _tables(
    degree: int, direction: str, in_u: int, dtype: str, xp: ModuleType, device: int, most: int = 0
) -> list[Array]:
    """Return for each order m the matrix from degrees l >= m to u (forward), or from u, |u| <= most, to l (back)."""
    n = 2 * degree + 1
    theta = 2 * np.pi * np.arange(n) / n
    beyond = theta > np.pi
    polar = legendre_functions(np.where(beyond, 2 * np.pi - theta, theta), degree + 1)
    kind = np.complex64 if dtype == "float32" else np.complex128
    found = []
    for m, rows in enumerate(polar):
        sign = (-1.0) ** m  # the one of Condon and Shortley, which real harmonics do not have
        values = rows[m:] * sign * np.where(beyond & (m % 2 == 1), -1, 1)
        waves = np.fft.fft(values, axis=1, norm="forward")  # of u = 0 ... degree, -degree ... -1
        u = np.fft.fftfreq(n, 1 / n).round().astype(int)
        if direction == "forward":
            matrix = np.zeros((in_u, len(values)), complex)
            matrix[u] = waves.T
        else:
            matrix = np.zeros((len(values), in_u), complex)
            v = np.arange(-most, most + 1)
            matrix[:, v] = 2 * np.pi * waves @ _sine_integrals(np.add.outer(u, v))
        found.append(to_device(matrix.astype(kind), xp))
    return found


def _sine_integrals(k: np.ndarray) -> np.ndarray:
    """Return int exp(i k theta) sin(theta) over 0 ... pi: 2 / (1 - k^2) for even k, i k pi / 2 for k = +-1, else 0."""
    even = np.where(k % 2 == 0, 2 / (1 - np.where(k % 2 == 0, k, 0).astype(float) ** 2), 0)
    return even + np.where(np.abs(k) == 1, 0.5j * np.pi * k, 0)


def _fft(like: Array) -> Any:
    """Return the FFTs for an array: SciPy's keep float32 with every NumPy."""
    xp = namespace(like)
    return scipy.fft if xp is np else xp.fft
