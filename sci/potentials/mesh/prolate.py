"""The split of 1/r by prolate spheroidal wave functions: no mode beyond c / cutoff, no pair beyond the cutoff."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev as series
from numpy.polynomial import legendre
from scipy.linalg import eigh_tridiagonal

from sci import chebyshev
from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["ProlateSplit"]

LEAST_C, MOST_C = 2.0, 40.0
"""Range of the bandwidth: beyond it the function would fall below rounding."""


@entry
@dataclass(frozen=True)
class ProlateSplit:
    r"""1/r = B(r) + S(r) with B of modes up to k = c / cutoff alone, and S = 0 beyond the cutoff.

    B(r) = (1 / r) \int_0^{r / r_c} psi / \int_0^1 psi for the zeroth prolate spheroidal wave function psi of bandwidth
    c, the function on [-1, 1] whose transform lies in [-c, c] as far as one can; it is its own transform, so that the
    modes of B are 4 pi g(k) / k^2 with g(k) = psi(k r_c / c) / psi(0).

    Parameters
    ----------
    c : float
        Bandwidth, 2 to 40: what the split leaves out falls like exp(-c).
    cutoff : float
        Radius r_c beyond which there are no pairs, angstrom.

    Raises
    ------
    InvalidValueError
        For a bandwidth or cutoff out of range.

    Notes
    -----
    At one error, grid and cutoff together are 10 to 20 % smaller than with Ewald's Gaussian.

    References
    ----------
    D. Slepian and H. O. Pollak, Bell Syst. Tech. J. 40 (1961) 43; C. J. Bouwkamp, J. Math. Phys. 26 (1947) 79, for the
    expansion in Legendre polynomials; J. Liang, L. Lu, S. Jiang and L. Greengard, arXiv:2505.09727, for the split.

    Examples
    --------
    >>> from sci.potentials.mesh.prolate import ProlateSplit
    >>> split = ProlateSplit(12.0, 6.0)
    >>> float(split.potential(6.0)) * 6.0, float(split.transform(0.0)), split.k_max
    (1.0, 1.0, 2.0)
    """

    c: float
    cutoff: float

    def __post_init__(self) -> None:
        """Check the two numbers."""
        if not LEAST_C <= self.c <= MOST_C:
            raise InvalidValueError(f"c is {self.c}; expected a number from {LEAST_C:g} to {MOST_C:g}")
        if not 0 < self.cutoff < math.inf:
            raise InvalidValueError(f"cutoff is {self.cutoff}; expected a positive number (angstrom)")

    @property
    def shape(self) -> float:
        """What the split looks like in units of `k_max`: c."""
        return self.c

    @classmethod
    def of_shape(cls, shape: float) -> ProlateSplit:
        """Return the split of a shape, of the largest one at most, with `k_max` 1.

        Parameters
        ----------
        shape : float

        Returns
        -------
        ProlateSplit
        """
        c = min(shape, MOST_C)
        return cls(c, c)

    @property
    def k_max(self) -> float:
        """The largest wave number, 1/angstrom."""
        return self.c / self.cutoff

    @property
    def far(self) -> float:
        """Distance from which B is 1/r, angstrom."""
        return self.cutoff

    @property
    def at_zero(self) -> float:
        """B(0), e/angstrom: what a charge would feel of itself."""
        wave = _wave(self.c)
        return wave.at_zero / (self.cutoff * wave.mass)

    @property
    def background(self) -> float:
        """The constant of a neutralizing background over total charge and volume, angstrom^2."""
        wave = _wave(self.c)
        return -2 * math.pi * self.cutoff**2 * wave.second / wave.mass

    def force_error(self, strength: float) -> float:
        """Return the error of a force that the split makes, root mean square, for charges of `strength`.

        Parameters
        ----------
        strength : float
            sum q^2 / sqrt(n V), see `ChargeSizes`.

        Returns
        -------
        float, e^2/angstrom^2
        """
        return 4 * strength * math.sqrt(math.pi * self.c / self.cutoff) * math.exp(-self.c)

    @classmethod
    def of_error(cls, cutoff: float, strength: float, error: float) -> ProlateSplit | None:
        """Return the split of this cutoff whose `force_error` is `error`; None if no bandwidth reaches it.

        Parameters
        ----------
        cutoff, strength, error : float

        Returns
        -------
        ProlateSplit or None
        """
        c = LEAST_C
        for _ in range(40):  # c = log(4 D sqrt(pi c / r_c) / error), a contraction
            c = max(LEAST_C, math.log(max(4 * strength * math.sqrt(math.pi * c / cutoff) / error, 1.0)))
        c = math.ceil(10 * c) / 10  # few different ones, whose functions are kept
        return cls(c, cutoff) if c <= MOST_C else None

    def potential(self, r: np.ndarray | float) -> np.ndarray:
        """Return B at distances r up to the cutoff, e/angstrom; beyond it B is 1/r.

        Parameters
        ----------
        r : array or float
            Angstrom, from 0.

        Returns
        -------
        array of its shape
        """
        r = np.asarray(r, dtype=float)
        x = np.minimum(r / self.cutoff, 1.0)
        inside = series.chebval(2 * x * x - 1, _wave(self.c).near) / self.cutoff
        found: np.ndarray = np.where(r < self.cutoff, inside, 1 / np.maximum(r, self.cutoff))
        return found

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
        near = _wave(self.c).near
        b = near / self.cutoff
        g = series.chebder(near) * (-4 / self.cutoff**3)
        return b[: degree + 1].copy(), g[: degree + 1].copy()

    def transform(self, k: np.ndarray | float) -> np.ndarray:
        """Return g at wave numbers k: 1 at 0, and 0 beyond `k_max`."""
        x = np.asarray(k, dtype=float) / self.k_max
        found: np.ndarray = np.where(np.abs(x) <= 1, _wave(self.c).value(np.clip(x, -1, 1)), 0.0)
        return found

    def transform_slope(self, k: np.ndarray | float) -> np.ndarray:
        """Return dg / dk, angstrom."""
        x = np.asarray(k, dtype=float) / self.k_max
        found: np.ndarray = np.where(np.abs(x) <= 1, _wave(self.c).slope(np.clip(x, -1, 1)) / self.k_max, 0.0)
        return found


@dataclass(frozen=True, eq=False)
class _Wave:
    """psi / psi(0) as a Chebyshev series in 2 x^2 - 1 on [0, 1], and what follows from it."""

    even: np.ndarray
    mass: float
    second: float
    near: np.ndarray
    """The series of (1 / x) int_0^x psi / int_0^1 psi."""
    at_zero: float = 1.0

    def __repr__(self) -> str:
        return f"_Wave({len(self.even)} coefficients)"

    def value(self, x: np.ndarray) -> np.ndarray:
        """Return psi / psi(0)."""
        found: np.ndarray = series.chebval(2 * x * x - 1, self.even)
        return found

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Return its derivative."""
        found: np.ndarray = 4 * x * series.chebval(2 * x * x - 1, series.chebder(self.even))
        return found


@functools.lru_cache(maxsize=64)
def _wave(c: float) -> _Wave:
    """Return psi of bandwidth c from the lowest eigenvector of Bouwkamp's matrix in Legendre polynomials."""
    k = np.arange(0, 2 * int(20 + 1.5 * c), 2, dtype=float)
    diagonal = k * (k + 1) + (2 * k * (k + 1) - 1) / ((2 * k + 3) * (2 * k - 1)) * c * c
    beside = (k + 2) * (k + 1) / ((2 * k + 3) * np.sqrt((2 * k + 1) * (2 * k + 5))) * c * c
    vector = eigh_tridiagonal(diagonal, beside[:-1], select="i", select_range=(0, 0))[1][:, 0]
    psi = np.zeros(int(k[-1]) + 1)
    psi[::2] = vector * np.sqrt(k + 0.5)
    psi /= legendre.legval(0.0, psi)
    total = legendre.legint(psi, lbnd=0)
    mass = float(legendre.legval(1.0, total))
    degree = 24 + int(c)
    x = np.sqrt((1 + chebyshev.nodes(degree)) / 2)
    even = chebyshev.values_to_coefficients(legendre.legval(x, psi))
    near = chebyshev.values_to_coefficients(_divided(total, x) / mass)
    second = float(legendre.legval(1.0, legendre.legint(legendre.legmul([1 / 3, 0, 2 / 3], psi), lbnd=0)))
    return _Wave(even, mass, second, near)


def _divided(total: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the odd series `total` over x; at 0 its slope."""
    apart = x > 0
    found: np.ndarray = np.where(apart, legendre.legval(x, total) / np.where(apart, x, 1.0), 1.0)
    return found
