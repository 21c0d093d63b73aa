"""Radial kernels as sums of Gaussians, and the split of a kernel into a long and a short range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.backend import ArrayLike
from sci.errors import InvalidValueError

__all__ = ["Coulomb", "GaussianSum", "RadialKernel", "Yukawa", "gaussian_sum"]


@entry
@dataclass(frozen=True)
class Coulomb:
    """The Coulomb kernel K(r) = 1/r.

    Examples
    --------
    >>> from sci.potentials import Coulomb
    >>> float(Coulomb()(2.0))
    0.5
    """

    name: ClassVar[str] = "coulomb"
    kappa: ClassVar[float] = 0.0

    def __call__(self, r: ArrayLike) -> np.ndarray:
        """Return K at the distances `r` > 0."""
        result: np.ndarray = 1.0 / np.asarray(r)
        return result


@entry
@dataclass(frozen=True)
class Yukawa:
    """The Debye-Hueckel kernel K(r) = exp(-kappa r) / r.

    Parameters
    ----------
    kappa : float
        Inverse screening length in 1/angstrom, positive.

    Raises
    ------
    InvalidValueError
        If `kappa` is not a positive number.

    Examples
    --------
    >>> from sci.potentials import Yukawa
    >>> round(float(Yukawa(kappa=0.5)(2.0)), 6)
    0.18394
    """

    kappa: float
    name: ClassVar[str] = "yukawa"

    def __post_init__(self) -> None:
        """Check `kappa`."""
        if not 0 < self.kappa < math.inf:
            raise InvalidValueError(f"kappa is {self.kappa}; expected a positive number (use Coulomb() for kappa = 0)")

    def __call__(self, r: ArrayLike) -> np.ndarray:
        """Return K at the distances `r` > 0."""
        r = np.asarray(r)
        result: np.ndarray = np.exp(-self.kappa * r) / r
        return result


RadialKernel: TypeAlias = Coulomb | Yukawa
"""The kernels that potentials take."""


@entry
@dataclass(frozen=True)
class GaussianSum:
    """The function L(r) = sum_k w_k exp(-t_k^2 r^2).

    Parameters
    ----------
    exponents : (K,) float64
        t_k in 1/angstrom, ascending.
    weights : (K,) float64
        w_k in 1/angstrom.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import GaussianSum
    >>> GaussianSum(np.array([1.0, 2.0]), np.array([0.5, 0.25])).exponents
    array([1., 2.])
    """

    exponents: np.ndarray
    weights: np.ndarray

    def __repr__(self) -> str:
        low, high = self.exponents[0], self.exponents[-1]
        return f"GaussianSum({len(self.weights)} terms, exponents {low:.3g} to {high:.3g}, {self.at_zero:.6g} at 0)"

    def of_square(self, r2: np.ndarray) -> np.ndarray:
        """Return L as a function of r^2, in which it is entire."""
        result: np.ndarray = np.exp(-np.multiply.outer(r2, self.exponents**2)) @ self.weights
        return result

    @property
    def at_zero(self) -> float:
        """L(0), the long-range part of a unit charge at its own place."""
        return float(self.weights.sum())


@entry
def gaussian_sum(kernel: RadialKernel, tol: float, r_max: float, alpha: float) -> GaussianSum:
    r"""Return the Gaussians with exponents up to `alpha` of a quadrature for `kernel`.

    K(r) = (2/sqrt pi) \int_0^inf exp(-t^2 r^2 - kappa^2 / (4 t^2)) dt by the trapezoidal rule in u, with
    t = sinh(u) / r_max for 1/r and t = exp(u) for the screened kernel, whose integrand decays at both ends.

    Parameters
    ----------
    kernel : Coulomb or Yukawa
    tol : float
        Relative error of the whole (untruncated) sum for r <= r_max.
    r_max : float
        Largest distance in angstrom.
    alpha : float
        Largest exponent in 1/angstrom; it is one of the nodes.

    Returns
    -------
    GaussianSum

    Notes
    -----
    The integrand is analytic in the strip |Im u| < pi/4, so a step h leaves a relative error of about
    2 sqrt(2) exp(-pi^2 / (2 h)); a factor 1.7 of safety is added. The number of terms is asinh(alpha r_max) / h.

    References
    ----------
    Benner, Khoromskij, Khoromskaia, Sun, arXiv 2503.01696, section 2; the scaling by `r_max` and the step from
    `tol` are ours.
    """
    step = math.pi**2 / (2 * math.log(1.7 * 2 * math.sqrt(2) / tol))
    scale = 2 / math.sqrt(math.pi)
    if isinstance(kernel, Coulomb):
        top = math.asinh(alpha * r_max)
        count = max(math.ceil(top / step), 1)
        u = top / count * np.arange(count + 1)
        weights = scale * (top / count) / r_max * np.cosh(u)
        weights[0] /= 2
        return GaussianSum(np.sinh(u) / r_max, weights)
    smallest = kernel.kappa / (2 * math.sqrt(math.log(100 / tol)))
    count = max(math.ceil(math.log(max(alpha / smallest, 1.0)) / step), 1)
    exponents = alpha * np.exp(-step * np.arange(count, -1, -1))
    return GaussianSum(exponents, scale * step * exponents * np.exp(-((kernel.kappa / (2 * exponents)) ** 2)))
