"""Gaussian random fields with the covariance (-Laplace + tau^2)^-alpha, by cosine or Fourier series."""

from __future__ import annotations

import numpy as np
from scipy import fft

from sci.errors import InvalidValueError

__all__ = ["neumann_random_field", "periodic_random_field", "require_parameters", "sample_generator"]


def sample_generator(seed: int, index: int) -> np.random.Generator:
    """Return the generator of sample `index`: the same on any number of ranks, independent between samples."""
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
    k = np.arange(size)
    eigenvalues = np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2
    coefficients = size * tau ** (alpha - 1.0) * eigenvalues ** (-0.5 * alpha) * rng.standard_normal((size, size))
    coefficients[0, 0] = 0.0
    field: np.ndarray = fft.idctn(coefficients, norm="ortho")
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
    """
    require_parameters(size, alpha=alpha, tau=tau)
    k = fft.fftfreq(size, 1.0 / size)
    eigenvalues = 4.0 * np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2
    root = np.sqrt(2.0) * tau ** (alpha - 1.0) * eigenvalues ** (-0.5 * alpha)
    root[0, 0] = 0.0
    noise = rng.standard_normal((2, size, size))
    field: np.ndarray = fft.ifft2(root * (noise[0] + 1j * noise[1]), norm="forward").real
    return field


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
