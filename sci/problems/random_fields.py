"""Random fields, the only generators of the library: Gaussian fields by series, and fields interpolated from noise.

Every function draws from a `numpy.random.Generator` that the caller gives, so that the seed decides the field:

| function | grid | the field |
|---|---|---|
| `neumann_random_field` | square | covariance (-Laplace + tau^2)^-alpha, zero normal derivative |
| `periodic_random_field` | square | the same covariance on the torus |
| `cosine_random_field` | any | a short cosine series: one function of the unit box at every resolution |
| `interpolated_random_field` | cube | normal numbers on a few knots, interpolated smoothly |
| `multiscale_random_fields` | cubes | a sum of noise at every octave of widths |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import fft

from sci.errors import InvalidValueError

__all__ = [
    "cosine_random_field",
    "interpolated_random_field",
    "multiscale_random_fields",
    "neumann_random_field",
    "periodic_random_field",
    "require_parameters",
    "sample_generator",
]


def sample_generator(seed: int, index: int) -> np.random.Generator:
    """Return the generator of sample `index`: the same on any number of ranks, independent between samples.

    Parameters
    ----------
    seed : int
        Of the set.
    index : int
        Of the sample.

    Returns
    -------
    np.random.Generator

    Examples
    --------
    >>> bool(sample_generator(3, 1).normal() == sample_generator(3, 1).normal())
    True
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def neumann_random_field(size: int, rng: np.random.Generator, *, alpha: float = 2.0, tau: float = 3.0) -> np.ndarray:
    r"""Draw a field on the unit square with zero normal derivative on its border and zero mean.

    a(x) = sum_k sqrt(lambda_k) xi_k phi_k(x), with sqrt(lambda_k) = tau^(alpha-1) (pi^2 |k|^2 + tau^2)^(-alpha/2),
    xi_k standard normal and phi_k the orthonormal cosines.

    Parameters
    ----------
    size : int
        Cells along each axis, at least 2.
    rng : numpy.random.Generator
        `sample_generator(seed, i)` for sample i of a set.
    alpha, tau : float
        Smoothness and inverse length, both positive.

    Returns
    -------
    ndarray (size, size)
        Values at the cell centers (i + 1/2) / size, float64.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Z. Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", ICLR 2021, section 5.2.

    Examples
    --------
    >>> field = neumann_random_field(32, sample_generator(0, 0))
    >>> field.shape, bool(abs(field.mean()) < 1e-12)
    ((32, 32), True)
    """
    require_parameters(size, alpha=alpha, tau=tau)
    root = _covariance_root(np.arange(size), np.pi, size, alpha, tau)
    field: np.ndarray = fft.idctn(root * rng.standard_normal((size, size)), norm="ortho")
    return field


def periodic_random_field(size: int, rng: np.random.Generator, *, alpha: float = 2.5, tau: float = 7.0) -> np.ndarray:
    r"""Draw a periodic field on the unit torus with zero mean.

    w(x) = sum_k sqrt(lambda_k) xi_k exp(2 pi i k x), with sqrt(lambda_k) = sqrt(2) tau^(alpha-1)
    (4 pi^2 |k|^2 + tau^2)^(-alpha/2): the real part of a sum over complex standard normal xi_k.

    Parameters
    ----------
    size : int
        Points along each axis, at least 2.
    rng : numpy.random.Generator
    alpha, tau : float
        Smoothness and inverse length, both positive.

    Returns
    -------
    ndarray (size, size)
        Values at i / size, float64.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Z. Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", ICLR 2021, section 5.3:
    w0 from N(0, 7^(3/2) (-Laplace + 49 I)^-2.5).

    Examples
    --------
    >>> field = periodic_random_field(32, sample_generator(0, 0))
    >>> field.shape, bool(abs(field.mean()) < 1e-12)
    ((32, 32), True)
    """
    require_parameters(size, alpha=alpha, tau=tau)
    root = _covariance_root(fft.fftfreq(size, 1.0 / size), 2.0 * np.pi, np.sqrt(2.0), alpha, tau)
    noise = rng.standard_normal((2, size, size))
    field: np.ndarray = fft.ifft2(root * (noise[0] + 1j * noise[1]), norm="forward").real
    return field


def _covariance_root(k: np.ndarray, unit: float, scale: float, alpha: float, tau: float) -> np.ndarray:
    """Return scale tau^(alpha - 1) (unit^2 |k|^2 + tau^2)^(-alpha / 2) for all pairs of wavenumbers, 0 for k = 0."""
    eigenvalues = unit**2 * (k[:, None] ** 2 + k**2) + tau**2
    root: np.ndarray = scale * tau ** (alpha - 1.0) * eigenvalues ** (-0.5 * alpha)
    root[0, 0] = 0.0
    return root


def cosine_random_field(shape: Sequence[int], rng: np.random.Generator, *, n_waves: int = 6) -> np.ndarray:
    """Draw a random sum of cosines of at most `n_waves` half waves per axis, amplitudes (1 + |frequency|^2)^(-1/2).

    Parameters
    ----------
    shape : sequence of int
        Cells; the field is the same function of the unit box at every resolution.
    rng : numpy.random.Generator
    n_waves : int
        Half waves along each axis, at least 0.

    Returns
    -------
    ndarray (*shape)
        Values at the cell centers, float64.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> coarse, fine = (cosine_random_field((n, n), np.random.default_rng(0)) for n in (9, 27))
    >>> bool(np.allclose(fine[1::3, 1::3], coarse))
    True
    """
    if n_waves < 0 or not shape or min(shape) < 1:
        raise InvalidValueError(
            f"shape is {tuple(shape)}, n_waves is {n_waves}; expected positive lengths and 0 or more"
        )
    field = rng.normal(size=(n_waves + 1,) * len(shape))
    for frequency in np.ndindex(field.shape):
        field[frequency] /= (1.0 + sum(k * k for k in frequency)) ** 0.5
    for n in shape:
        lines = np.cos(np.pi * np.outer(np.arange(n_waves + 1), (np.arange(n) + 0.5) / n))
        field = np.tensordot(field, lines, axes=([0], [0]))
    return np.asarray(field)


def interpolated_random_field(size: int, rng: np.random.Generator, *, knots: int) -> np.ndarray:
    """Draw normal numbers on knots^3 points and interpolate them smoothly to size^3 cells.

    Parameters
    ----------
    size : int
        Cells along each axis.
    rng : numpy.random.Generator
    knots : int
        Points along each axis, at least 2, the outer ones on the border.

    Returns
    -------
    ndarray (size, size, size)
        float64; between two knots the weight is w^2 (3 - 2 w), so that the slope vanishes at every knot.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> interpolated_random_field(16, np.random.default_rng(0), knots=4).shape
    (16, 16, 16)
    """
    if size < 1 or knots < 2:
        raise InvalidValueError(f"size is {size}, knots is {knots}; expected at least 1 and at least 2")
    field = rng.normal(size=(knots,) * 3)
    t = np.linspace(0, knots - 1, size)
    i = np.minimum(t.astype(int), knots - 2)
    w = (t - i) ** 2 * (3 - 2 * (t - i))
    for axis in range(3):
        shape = tuple(size if a == axis else 1 for a in range(3))
        field = field.take(i, axis) * (1 - w).reshape(shape) + field.take(i + 1, axis) * w.reshape(shape)
    return field


def multiscale_random_fields(size: int, count: int, rng: np.random.Generator, dtype: Any = np.float32) -> np.ndarray:
    """Draw fields on size^3 cells with parts of every width, the amplitudes of the widths drawn for each field.

    Parameters
    ----------
    size, count : int
        Cells along each axis, and number of fields.
    rng : numpy.random.Generator
    dtype : float32 or float64

    Returns
    -------
    ndarray (count, size, size, size)
        White noise on size / 2^k cells, interpolated linearly, summed over the octaves k.

    Examples
    --------
    >>> multiscale_random_fields(8, 2, np.random.default_rng(0)).shape
    (2, 8, 8, 8)
    """
    require_parameters(size, count)
    octaves = int(np.log2(size))
    slope = np.exp(rng.uniform(-1, 2, size=(count, 1)) * np.arange(octaves) / 2)
    amplitudes = (rng.normal(size=(count, octaves)) * slope).astype(dtype)
    total = np.zeros((count, size, size, size), dtype)
    for octave in range(octaves):
        lengths = [-(-size // 2**k) for k in range(octave, -1, -1)]
        part = rng.normal(size=(count, *(lengths[0],) * 3)).astype(dtype)
        for finer in lengths[1:]:
            for axis in (1, 2, 3):
                part = _refined(part, axis, finer)
        total += amplitudes[:, octave, None, None, None] * part
    return total


def _refined(coarse: np.ndarray, axis: int, n: int) -> np.ndarray:
    """Interpolate linearly to cells of half the width, of which the first `n` are kept; zero beyond the ends."""
    source = np.moveaxis(coarse, axis, 0)
    fine = np.repeat(0.75 * source, 2, axis=0)
    fine[2::2] += 0.25 * source[:-1]
    fine[1:-1:2] += 0.25 * source[1:]
    return np.moveaxis(fine[:n], 0, axis)


def require_parameters(size: int, n_samples: int = 0, subsample: int = 1, **positive: float) -> None:
    """Raise `InvalidValueError` for a size below 2, counts below 0 and 1, or a named number that is not positive."""
    if int(size) != size or size < 2:
        raise InvalidValueError(f"size is {size}; expected an integer of at least 2")
    for name, value in positive.items():
        if not 0.0 < value < np.inf:
            raise InvalidValueError(f"{name} is {value}; expected a positive finite number")
    if n_samples < 0 or subsample < 1:
        raise InvalidValueError(
            f"n_samples is {n_samples}, subsample is {subsample}; expected at least 0 and at least 1"
        )
