"""Outliers and bulk of a curvature matrix from its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of
from sci.errors import InvalidValueError
from sci.linalg import SpectralDensity, TraceEstimate, lanczos, spectral_density, trace_of_function
from sci.linalg.lanczos import eigen_of_tridiagonal

__all__ = ["BulkLaw", "CurvatureSpectrum", "curvature_spectrum", "leading_pairs"]

BulkLaw: TypeAlias = Literal["wishart", "wigner"]
"""Marchenko and Pastur's law for matrices without negative eigenvalues, or the semicircle."""


@entry
@dataclass(frozen=True, eq=False)
class CurvatureSpectrum:
    """The largest eigenvalues of a curvature matrix, and the moments and density of the rest.

    Parameters
    ----------
    leading : (k,) array
        Largest eigenvalues, descending; one that is repeated is found once.
    residuals : (k,) array
        |G u - value u| of their vectors u: an eigenvalue lies within that of each.
    rest, rest_of_square : TraceEstimate
        Sums of all other eigenvalues, and of their squares.
    density : SpectralDensity
        Of all eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import curvature_spectrum
    >>> diagonal = np.concatenate([[50.0], np.linspace(1.0, 2.0, 999)])
    >>> found = curvature_spectrum(lambda v: diagonal * v, 1000, leading=1)
    >>> found
    CurvatureSpectrum(1,000 eigenvalues, largest 50, bulk of mean 1.5 and deviation 0.289)
    """

    leading: np.ndarray
    residuals: np.ndarray
    rest: TraceEstimate
    rest_of_square: TraceEstimate
    density: SpectralDensity

    def __repr__(self) -> str:
        values = ", ".join(f"{value:.4g}" for value in self.leading)
        mean, deviation = self._moments(self.rest.value, self.rest_of_square.value)
        return (
            f"CurvatureSpectrum({self.density.size:,} eigenvalues, largest {values}, bulk of mean {mean:.3g} and "
            f"deviation {deviation:.3g})"
        )

    @property
    def trace(self) -> float:
        """The sum of all eigenvalues."""
        return float(self.leading.sum() + self.rest.value)

    @property
    def trace_of_square(self) -> float:
        """The sum of the squares of all eigenvalues."""
        return float((self.leading**2).sum() + self.rest_of_square.value)

    def bulk_edge(self, law: BulkLaw = "wishart") -> tuple[float, float]:
        """Return the upper end of the law that has mean and deviation of all eigenvalues but the leading ones.

        Parameters
        ----------
        law : {"wishart", "wigner"}
            Mean (1 + deviation / mean)^2, or mean + 2 deviations.

        Returns
        -------
        (float, float)
            The end, and its standard error.

        Raises
        ------
        InvalidValueError
            For the first law and a mean that is not positive.

        Notes
        -----
        The spectrum of a network is not one of these laws: eigenvalues above the edge say that there is structure, not
        where noise ends. Raise `leading` until the edge stays.
        """
        moments = np.array([self.rest.value, self.rest_of_square.value])
        errors = np.array([self.rest.standard_error, self.rest_of_square.standard_error])
        edge = self._edge(law, *moments)
        moved = [self._edge(law, *(moments + shift)) - edge for shift in np.diag(errors)]
        return edge, float(np.hypot(moved[0], moved[1]))

    def _moments(self, total: float, squares: float) -> tuple[float, float]:
        """Return mean and deviation of the rest."""
        count = max(self.density.size - len(self.leading), 1)
        mean = total / count
        return mean, float(np.sqrt(max(squares / count - mean**2, 0.0)))

    def _edge(self, law: BulkLaw, total: float, squares: float) -> float:
        mean, deviation = self._moments(total, squares)
        if law == "wigner":
            return mean + 2 * deviation
        if not mean > 0:
            raise InvalidValueError(f"a bulk of mean {mean:.3g}; expected a positive one, or law='wigner'")
        return float(mean * (1 + deviation / mean) ** 2)


@entry
def curvature_spectrum(
    product: Callable[[Array], Array],
    size: int,
    *,
    leading: int = 5,
    steps: int = 40,
    probes: int = 10,
    seed: int = 0,
    device: Device = "cpu",
) -> CurvatureSpectrum:
    """Find the largest eigenvalues of a symmetric matrix, and estimate the moments and density of the rest.

    Parameters
    ----------
    product : callable
        Multiplies a vector (size,) by the matrix; `GaussNewton`, for example. If it is collective, all ranks call this
        with the same arguments.
    size : int
    leading : int
        Eigenvalues that count as outliers, at most `steps`.
    steps : int
        Of Lanczos' iteration, at most `size`.
    probes : int
        Random vectors for moments and density. One can be off by half; ten are within a few percent.
    seed : int
    device : {"cpu", "cuda"}
        Where the vectors lie.

    Returns
    -------
    CurvatureSpectrum

    Raises
    ------
    InvalidValueError

    Notes
    -----
    steps + leading + probes (steps + 4) products, and `steps` vectors. Outliers are taken out before the moments are
    estimated, which else would be mostly theirs, and so would be the error.

    References
    ----------
    Ghorbani, Krishnan and Xiao, ICML 2019; Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import curvature_spectrum
    >>> diagonal = np.concatenate([[50.0, 20.0], np.linspace(1.0, 2.0, 998)])
    >>> found = curvature_spectrum(lambda v: diagonal * v, 1000, leading=2)
    >>> found.leading.round(8), round(found.trace)
    (array([50., 20.]), 1567)
    """
    if probes < 2:
        raise InvalidValueError(f"{probes} probes; expected 2 or more, for the error of what they estimate")
    values, vectors, residuals = leading_pairs(product, size, leading, steps=min(steps, size), seed=seed, device=device)

    def deflated(v: Array) -> Array:
        w = product(v - vectors.T @ (vectors @ v))
        return w - vectors.T @ (vectors @ w)

    few = {"probes": probes, "steps": min(2, size), "seed": seed}
    first = trace_of_function(deflated, size, lambda x: x, device=device, **few)
    second = trace_of_function(deflated, size, lambda x: x * x, device=device, **few)
    density = spectral_density(product, size, probes=probes, steps=min(steps, size), seed=seed, device=device)
    return CurvatureSpectrum(values, residuals, first, second, density)


def leading_pairs(
    product: Callable[[Array], Array], size: int, count: int, *, steps: int, seed: int = 0, device: Device = "cpu"
) -> tuple[np.ndarray, Array, np.ndarray]:
    """Return the largest eigenvalues, descending, their vectors as rows, and |G u - value u| of each.

    Parameters
    ----------
    product : callable
    size, count, steps, seed : int
        Length of vectors, number of eigenvalues, of Lanczos' steps, and of the start.
    device : {"cpu", "cuda"}
    """
    if not 1 <= count <= steps:
        raise InvalidValueError(f"{count} leading eigenvalues in {steps} steps; expected from 1 to the steps")
    xp = namespace_of(device)
    start = product(xp.asarray(np.random.default_rng(seed).normal(size=size)))
    basis, alpha, beta = lanczos(product, size, steps, start=start)
    assert basis is not None
    values, small = eigen_of_tridiagonal(alpha, beta)
    order = np.argsort(-values)[:count]
    vectors = namespace(basis).asarray(small[:, order].T) @ basis
    residuals = [float(xp.linalg.norm(product(u) - value * u)) for u, value in zip(vectors, values[order])]
    return values[order], vectors, np.array(residuals)
