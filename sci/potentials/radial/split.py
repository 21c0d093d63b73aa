"""The range separation: a sum of Gaussians for the long range, a polynomial in r^2 for it near by."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from sci import chebyshev
from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.potentials.radial.kernels import GaussianSum, RadialKernel, gaussian_sum

__all__ = ["COINCIDENT", "DEGREES", "Split", "continuous", "smooth_part", "split_kernel", "split_of_gaussians"]

DEGREES = (8, 10, 12, 14, 16, 18, 20, 24, 28, 32)
"""Degrees of the short-range polynomials that the kernels are compiled for."""


COINCIDENT = 1e-8
"""Distance in angstrom below which a target sits on a source, whose own potential is then left out."""


@entry
@dataclass(frozen=True)
class Split:
    """A kernel K = L + S with L a sum of Gaussians and S(r) = K(r) - B(u), zero beyond the cutoff.

    Parameters
    ----------
    kernel : Coulomb or Yukawa
    alpha : float
        Largest exponent of the long range, 1/angstrom.
    cutoff : float
        Radius in angstrom beyond which S is below the tolerance and left out.
    gaussians : GaussianSum
        The long range L; with weights of zero all of K is short range.
    b : (degree + 1,) float64
        Power coefficients of B = L in u = 2 r^2 / cutoff^2 - 1.

    Examples
    --------
    >>> from sci.potentials import Coulomb, split_kernel
    >>> split_kernel(Coulomb(), 1e-6, 50.0, 0.5).alpha
    0.5
    """

    kernel: RadialKernel
    alpha: float
    cutoff: float
    gaussians: GaussianSum
    b: np.ndarray

    def __repr__(self) -> str:
        return (
            f"Split({self.kernel!r}, alpha={self.alpha:.3g}, cutoff={self.cutoff:.3g}, "
            f"{len(self.gaussians.weights)} Gaussians, degree={self.degree})"
        )

    @property
    def degree(self) -> int:
        """Degree of the polynomial B."""
        return len(self.b) - 1

    @property
    def all_short(self) -> bool:
        """Whether there is no long range."""
        return not self.gaussians.weights.any()

    @property
    def parameters(self) -> np.ndarray:
        """(cutoff^2, 2/cutoff^2, coincidence^2, L(0), kappa), as the kernels take them."""
        numbers = [self.cutoff**2, 2 / self.cutoff**2, COINCIDENT**2, self.gaussians.at_zero, self.kernel.kappa]
        return np.array(numbers)


def _cutoff(kernel: RadialKernel, gaussians: GaussianSum, tol: float, r_max: float) -> float:
    r = np.geomspace(min(0.25 / gaussians.exponents[-1], r_max / 2), r_max, 4000)
    relative = np.abs(kernel(r) - gaussians.of_square(r**2)) * r
    beyond = np.flatnonzero(relative > tol)
    return float(r[min(beyond[-1] + 1, len(r) - 1)]) if len(beyond) else float(r[0])


def _powers(coefficients: np.ndarray) -> np.ndarray:
    powers = cheb2poly(coefficients)  # which drops leading zeros
    return np.pad(powers, (0, len(coefficients) - len(powers)))


def _series(gaussians: GaussianSum, cutoff: float, degree: int) -> np.ndarray:
    r2 = (chebyshev.nodes(degree) + 1) / 2 * cutoff**2
    result: np.ndarray = chebyshev.values_to_coefficients(gaussians.of_square(r2))
    return result


def smooth_part(gaussians: GaussianSum, cutoff: float, degree: int) -> np.ndarray:
    """Return the power coefficients, `degree` + 1, of the interpolant of a sum of Gaussians in 2 r^2 / cutoff^2 - 1."""
    return _powers(_series(gaussians, cutoff, degree))


@entry
def split_kernel(kernel: RadialKernel, tol: float, r_max: float, alpha: float) -> Split:
    """Split `kernel` at the exponent `alpha`, or make all of it short range.

    Parameters
    ----------
    kernel : Coulomb or Yukawa
    tol : float
        Tolerance relative to 1/r. For a screened kernel whose neighbors are d apart, pass tol exp(-kappa d), so that
        the error is small beside what is left of the potential.
    r_max : float
        Largest distance between a source and a target, angstrom.
    alpha : float
        Largest exponent of the long range, 1/angstrom; 0 for a screened kernel that is all short range.

    Returns
    -------
    Split

    Raises
    ------
    InvalidValueError
        If `alpha` is not a positive number, and not 0 with a screened kernel.

    Notes
    -----
    Inside the cutoff S is K minus the very L that the long range holds, so the error of the quadrature cancels
    there; beyond it S is below `tol` relative to 1/r.
    """
    if alpha == 0 and kernel.kappa > 0:
        cutoff = min(r_max, -math.log(0.8 * tol) / kernel.kappa)
        nothing = GaussianSum(np.array([1 / r_max]), np.zeros(1))
        return Split(kernel, 1 / r_max, cutoff, nothing, np.zeros(DEGREES[0] + 1))
    if not 0 < alpha < math.inf:
        raise InvalidValueError(f"alpha is {alpha}; expected a positive number (1/angstrom)")
    gaussians = gaussian_sum(kernel, 0.1 * tol, r_max, alpha)
    cutoff = _cutoff(kernel, gaussians, 0.8 * tol, r_max)
    return split_of_gaussians(kernel, alpha, cutoff, gaussians, 0.1 * tol)


def continuous(split: Split) -> Split:
    """Return the split with B shifted so that S ends at zero, instead of at what the cutoff leaves out.

    A sphere of the cutoff that parts two opposite charges, one within and one without, then makes an error in
    proportion to their distance. Elsewhere the error is that of the charge within the sphere, of the same size.
    """
    b = split.b.copy()
    b[0] += float(split.kernel(np.array(split.cutoff))) - float(b.sum())
    return replace(split, b=b)


def split_of_gaussians(kernel: RadialKernel, alpha: float, cutoff: float, gaussians: GaussianSum, tol: float) -> Split:
    """Return the split whose long range is `gaussians`, with a polynomial to `tol` for it within `cutoff`."""
    for degree in DEGREES:
        series = _series(gaussians, cutoff, degree)
        # The last coefficients bound the truncated tail of this geometrically decaying series.
        if np.abs(series[-2:]).max() < tol / cutoff:
            break
    return Split(kernel, alpha, cutoff, gaussians, _powers(series))
