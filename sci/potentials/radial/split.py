"""The range separation: a sum of Gaussians for the long range, polynomials in r^2 for what is left near by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from sci import chebyshev
from sci.errors import InvalidValueError
from sci.potentials.radial.kernels import GaussianSum, RadialKernel, gaussian_sum

__all__ = ["DEGREES", "Split", "split_kernel", "split_of_gaussians"]

DEGREES = (8, 10, 12, 14, 16, 18, 20, 24, 28, 32)
"""Degrees of the short-range polynomials that the kernels are compiled for."""


@dataclass(frozen=True)
class Split:
    """A kernel K = L + S with L a sum of Gaussians and S(r) = A(u)/r - B(u), zero beyond the cutoff.

    Parameters
    ----------
    kernel : Coulomb or Yukawa
    alpha : float
        Largest exponent of the long range, 1/angstrom.
    cutoff : float
        Radius in angstrom beyond which S is below the tolerance and left out.
    gaussians : GaussianSum
        The long range L.
    a, b : (degree + 1,) float64
        Power coefficients in u = 2 r^2 / cutoff^2 - 1 of A = cosh(kappa r) and B = sinh(kappa r)/r + L.
    """

    kernel: RadialKernel
    alpha: float
    cutoff: float
    gaussians: GaussianSum
    a: np.ndarray
    b: np.ndarray

    @property
    def degree(self) -> int:
        """Degree of the polynomials A and B."""
        return len(self.b) - 1

    @property
    def parameters(self) -> np.ndarray:
        """(cutoff^2, 2/cutoff^2, coincidence^2, L(0)), as the kernels take them."""
        return np.array([self.cutoff**2, 2 / self.cutoff**2, COINCIDENT**2, self.gaussians.at_zero])


ROUNDING = 2e-16
COINCIDENT = 1e-8
"""Distance in angstrom below which a target sits on a source, whose own potential is then left out."""


def _cutoff(kernel: RadialKernel, gaussians: GaussianSum, tol: float, r_max: float) -> float:
    r = np.geomspace(min(0.25 / gaussians.exponents[-1], r_max / 2), r_max, 4000)
    relative = np.abs(kernel(r) - gaussians.of_square(r**2)) * r
    beyond = np.flatnonzero(relative > tol)
    return float(r[min(beyond[-1] + 1, len(r) - 1)]) if len(beyond) else float(r[0])


def _powers(coefficients: np.ndarray) -> np.ndarray:
    powers = cheb2poly(coefficients)  # which drops leading zeros
    return np.pad(powers, (0, len(coefficients) - len(powers)))


def _polynomials(kernel: RadialKernel, gaussians: GaussianSum, cutoff: float, tol: float) -> tuple[np.ndarray, ...]:
    def even(u: np.ndarray) -> np.ndarray:
        return np.cosh(kernel.kappa * cutoff * np.sqrt((u + 1) / 2))

    def smooth(u: np.ndarray) -> np.ndarray:
        r2 = (u + 1) / 2 * cutoff**2
        return gaussians.of_square(r2) + kernel.kappa * np.sinc(1j * kernel.kappa * np.sqrt(r2) / np.pi).real

    for degree in DEGREES:
        u = chebyshev.nodes(degree)
        a, b = (chebyshev.values_to_coefficients(f(u)) for f in (even, smooth))
        # The last coefficients bound the truncated tail of these geometrically decaying series.
        if max(np.abs(a[-2:]).max() / cutoff, np.abs(b[-2:]).max()) < tol / cutoff or degree == DEGREES[-1]:
            return _powers(a), _powers(b)
    raise AssertionError("unreachable")


def split_kernel(kernel: RadialKernel, tol: float, r_max: float, alpha: float) -> Split:
    """Split `kernel` at the exponent `alpha`.

    Parameters
    ----------
    kernel : Coulomb or Yukawa
    tol : float
        Relative tolerance of the potential.
    r_max : float
        Largest distance between a source and a target, angstrom.
    alpha : float
        Largest exponent of the long range, 1/angstrom.

    Raises
    ------
    InvalidValueError
        If `alpha` is not positive, or the screening is so strong (exp(-kappa cutoff) near the rounding over `tol`)
        that the short range would lose its digits.

    Notes
    -----
    Inside the cutoff S is K minus the very L that the long range holds, so the error of the quadrature cancels
    there; beyond it S is below `tol` relative to 1/r.
    """
    if not 0 < alpha < math.inf:
        raise InvalidValueError(f"alpha is {alpha}; expected a positive number (1/angstrom)")
    gaussians = gaussian_sum(kernel, 0.1 * tol, r_max, alpha)
    cutoff = _cutoff(kernel, gaussians, 0.8 * tol, r_max)
    if kernel.kappa * cutoff > math.log(tol / ROUNDING):  # A and B grow like exp(kappa r) and cancel
        raise InvalidValueError(
            f"kappa {kernel.kappa}/angstrom screens over {1 / kernel.kappa:.3g} angstrom, far below the cutoff "
            f"{cutoff:.3g}; pass a larger alpha, or use direct_sum"
        )
    return split_of_gaussians(kernel, alpha, cutoff, gaussians, 0.1 * tol)


def split_of_gaussians(kernel: RadialKernel, alpha: float, cutoff: float, gaussians: GaussianSum, tol: float) -> Split:
    """Return the split whose long range is `gaussians`, with polynomials to `tol` for what is left within `cutoff`."""
    a, b = _polynomials(kernel, gaussians, cutoff, tol)
    return Split(kernel, alpha, cutoff, gaussians, a, b)
