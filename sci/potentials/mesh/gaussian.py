"""Ewald's split of 1/r for a mesh: erf(alpha r) / r on the grid, the rest by pairs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev as series
from scipy.special import erf

from sci import chebyshev
from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["GaussianSplit"]

DEGREE = 48
"""Degree at which erf(x) / x is resolved to rounding for alpha r_c up to `MOST_REACH`."""
LEAST_REACH, MOST_REACH = 1.0, 6.0


@entry
@dataclass(frozen=True)
class GaussianSplit:
    r"""1/r = erf(alpha r) / r + erfc(alpha r) / r, the second part cut off, the modes of the first beyond `k_max` too.

    The interface is that of `ProlateSplit`; the long range has the modes 4 pi g(k) / k^2, g(k) = exp(-k^2 / (4
    alpha^2)).

    Parameters
    ----------
    alpha : float
        1/angstrom; alpha times the cutoff lies from 1 to 6.
    cutoff : float
        Radius beyond which there are no pairs, angstrom.
    k_max : float
        Largest wave number, 1/angstrom.

    Raises
    ------
    InvalidValueError

    References
    ----------
    J. Kolafa and J. W. Perram, Mol. Simul. 9 (1992) 351, for the errors.

    Examples
    --------
    >>> from sci.potentials.mesh.gaussian import GaussianSplit
    >>> split = GaussianSplit(0.4, 8.0, 2.4)
    >>> round(float(split.transform(0.8)), 6)
    0.367879
    """

    alpha: float
    cutoff: float
    k_max: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("alpha", "cutoff", "k_max"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected a positive number")
        if not LEAST_REACH <= self.alpha * self.cutoff <= MOST_REACH:
            raise InvalidValueError(
                f"alpha times cutoff is {self.alpha * self.cutoff:g}; expected {LEAST_REACH:g} to {MOST_REACH:g}"
            )

    @property
    def shape(self) -> float:
        """What the split looks like in units of `k_max`: twice that over alpha."""
        return 2 * self.k_max / self.alpha

    @classmethod
    def of_shape(cls, shape: float) -> GaussianSplit:
        """Return the split of a shape with `k_max` 1, and any cutoff.

        Parameters
        ----------
        shape : float

        Returns
        -------
        GaussianSplit
        """
        alpha = 2 / shape
        return cls(alpha, LEAST_REACH / alpha, 1.0)

    @property
    def far(self) -> float:
        """Distance from which B is 1/r to rounding, angstrom."""
        return MOST_REACH / self.alpha

    @property
    def at_zero(self) -> float:
        """B(0), e/angstrom: what a charge would feel of itself."""
        return 2 * self.alpha / math.sqrt(math.pi)

    @property
    def background(self) -> float:
        """The constant of a neutralizing background over total charge and volume, angstrom^2."""
        return -math.pi / self.alpha**2

    def force_error(self, strength: float) -> float:
        """Return the error of a force that the split makes, root mean square: pairs cut off, and modes.

        Parameters
        ----------
        strength : float
            sum q^2 / sqrt(n V), see `ChargeSizes`.

        Returns
        -------
        float, e^2/angstrom^2
        """
        pairs = 2 * math.exp(-((self.alpha * self.cutoff) ** 2)) / math.sqrt(self.cutoff)
        modes = self.alpha * math.sqrt(8 / self.k_max) * math.exp(-((self.k_max / (2 * self.alpha)) ** 2))
        return strength * math.hypot(pairs, modes)

    @classmethod
    def of_error(cls, cutoff: float, strength: float, error: float) -> GaussianSplit | None:
        """Return the split of this cutoff whose `force_error` is `error`; None if no exponent reaches it.

        Parameters
        ----------
        cutoff, strength, error : float

        Returns
        -------
        GaussianSplit or None
        """
        part = error / (math.sqrt(2) * strength)
        reach = math.sqrt(max(math.log(2 / (math.sqrt(cutoff) * part)), LEAST_REACH))
        if reach > MOST_REACH:
            return None
        alpha, half = reach / cutoff, 1.0
        for _ in range(40):  # half = k_max / (2 alpha)
            half = math.sqrt(max(math.log(alpha * math.sqrt(4 / (alpha * half)) / part), LEAST_REACH))
        return cls(alpha, cutoff, 2 * alpha * half)

    def potential(self, r: np.ndarray | float) -> np.ndarray:
        """Return B at distances r, e/angstrom.

        Parameters
        ----------
        r : array or float
            Angstrom, from 0.

        Returns
        -------
        array of its shape
        """
        return _smeared(self.alpha * self.cutoff, np.asarray(r, dtype=float) / self.cutoff) / self.cutoff

    def polynomials(self, degree: int) -> tuple[np.ndarray, np.ndarray]:
        """Return B and G = -2 dB / d(r^2) as Chebyshev series in u = 2 (r / cutoff)^2 - 1, cut after a degree.

        Parameters
        ----------
        degree : int
            At least 1.

        Returns
        -------
        b, g : (degree + 1,) float64
            Of 1/angstrom and 1/angstrom^3.
        """
        near = _near(self.alpha * self.cutoff)
        b = near / self.cutoff
        g = series.chebder(near) * (-4 / self.cutoff**3)
        return b[: degree + 1].copy(), g[: degree + 1].copy()

    def transform(self, k: np.ndarray | float) -> np.ndarray:
        """Return g at wave numbers k: 1 at 0, and 0 beyond `k_max`."""
        k = np.asarray(k, dtype=float)
        found: np.ndarray = np.where(np.abs(k) <= self.k_max, np.exp(-(k**2) / (4 * self.alpha**2)), 0.0)
        return found

    def transform_slope(self, k: np.ndarray | float) -> np.ndarray:
        """Return dg / dk, angstrom."""
        found: np.ndarray = -np.asarray(k, dtype=float) / (2 * self.alpha**2) * self.transform(k)
        return found


@functools.lru_cache(maxsize=64)
def _near(reach: float) -> np.ndarray:
    """Return the series of erf(reach x) / x in 2 x^2 - 1."""
    values = _smeared(reach, np.sqrt((1 + chebyshev.nodes(DEGREE)) / 2))
    found: np.ndarray = chebyshev.values_to_coefficients(values)
    return found


def _smeared(reach: float, x: np.ndarray) -> np.ndarray:
    """Return erf(reach x) / x."""
    apart = x > 0
    safe = np.where(apart, x, 1.0)
    found: np.ndarray = np.where(apart, erf(reach * safe) / safe, 2 * reach / math.sqrt(math.pi))
    return found
