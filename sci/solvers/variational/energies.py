"""Energy densities: the p-Laplacian, minimal surfaces, the phase field, and ions in solution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, as_finite, is_device_array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.solvers.variational.densities import Derivative, Points

__all__ = ["DoubleWell", "IonGas", "MinimalSurface", "PLaplacian"]

PIECE = 1 << 14
"""Cells of an ion gas that are evaluated at once on a host."""


@entry
class PLaplacian:
    """The energy density of the p-Laplacian, L = (|grad u|^2 + e^2)^(p/2) / p.

    Its Euler-Lagrange equation is -div((|grad u|^2 + e^2)^((p - 2)/2) grad u) = f.

    Parameters
    ----------
    exponent : float
        p, from 1.1 to 20.
    regularization : float
        e, positive, in units of grad u: where gradients are much smaller, the equation is a linear one. Its energy
        differs from that of e = 0 by at most e^p / p per volume for p <= 2.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Huang, Li and Liu, J. Sci. Comput. 32, 343 (2007), for descent in a metric of frozen coefficients.

    Examples
    --------
    >>> from sci.solvers import PLaplacian
    >>> PLaplacian(4.0)
    PLaplacian(exponent=4, regularization=0.001)
    """

    def __init__(self, exponent: float, *, regularization: float = 1e-3) -> None:
        if not 1.1 <= exponent <= 20:
            raise InvalidValueError(f"exponent is {exponent}; expected 1.1 to 20")
        if not 0 < regularization < math.inf:
            raise InvalidValueError(f"regularization is {regularization}; expected a positive number")
        self.exponent, self.regularization = float(exponent), float(regularization)

    def _square(self, p: Array) -> Array:
        return (p * p).sum(axis=0) + self.regularization**2

    def density(self, x: Points, u: Array, p: Array | None) -> Array:
        """Return L."""
        assert p is not None
        return self._square(p) ** (self.exponent / 2) / self.exponent

    def derivative(self, x: Points, u: Array, p: Array | None) -> Derivative:
        """Return dL/du and dL/dp."""
        assert p is not None
        return namespace(u).zeros_like(u), self._square(p) ** (self.exponent / 2 - 1) * p

    def hessian(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Derivative:
        """Return the derivative of `derivative` along (v, q)."""
        assert p is not None
        assert q is not None
        s = self._square(p)
        along = (self.exponent - 2) * (p * q).sum(axis=0) / s
        return namespace(u).zeros_like(u), s ** (self.exponent / 2 - 1) * (q + along * p)

    def remainder(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Array:
        """Return L(p + q) - L(p) - dL/dp . q without cancellation."""
        assert p is not None
        assert q is not None
        s = self._square(p)
        half, linear, square = self.exponent / 2, 2 * (p * q).sum(axis=0) / s, (q * q).sum(axis=0) / s
        return s**half / self.exponent * (_power_remainder(linear + square, half) + half * square)

    def __repr__(self) -> str:
        return f"PLaplacian(exponent={self.exponent:g}, regularization={self.regularization:g})"


@entry
class MinimalSurface:
    """The area of a graph, L = sqrt(1 + |grad u|^2).

    Examples
    --------
    >>> from sci.solvers import MinimalSurface
    >>> MinimalSurface()
    MinimalSurface()
    """

    def density(self, x: Points, u: Array, p: Array | None) -> Array:
        """Return L."""
        assert p is not None
        return namespace(u).sqrt(1 + (p * p).sum(axis=0))

    def derivative(self, x: Points, u: Array, p: Array | None) -> Derivative:
        """Return dL/du and dL/dp."""
        assert p is not None
        return namespace(u).zeros_like(u), p / self.density(x, u, p)

    def hessian(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Derivative:
        """Return the derivative of `derivative` along (v, q)."""
        assert p is not None
        assert q is not None
        area = self.density(x, u, p)
        return namespace(u).zeros_like(u), (q - (p * q).sum(axis=0) / area**2 * p) / area

    def remainder(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Array:
        """Return L(p + q) - L(p) - dL/dp . q without cancellation."""
        assert p is not None
        assert q is not None
        area = self.density(x, u, p)
        slope = (p * q).sum(axis=0) / area
        # |q|^2 - slope^2, as the sum of squares that it is: |q x p|^2 / area^2 and |q|^2 / area^2.
        cross = sum((p[a] * q[b] - p[b] * q[a]) ** 2 for a in range(len(p)) for b in range(a))
        after, tangent = self.density(x, u, p + q), area + slope
        smooth = ((q * q).sum(axis=0) + cross) / area**2 / (after + abs(tangent))
        return namespace(u).where(tangent > 0, smooth, after - tangent)

    def __repr__(self) -> str:
        return "MinimalSurface()"


@entry
class DoubleWell:
    """The potential of a phase field, L = w (u^2 - 1)^2 / 4, with minima at -1 and 1.

    With `diffusion=e` and w = 1/e it is the energy of Modica and Mortola, whose minimizers are Allen-Cahn interfaces
    tanh(x / (e sqrt 2)). It is not convex: w (u^4 + 1) / 4 is, and -w u^2 / 2 is the concave rest.

    Parameters
    ----------
    strength : float
        w, positive.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Eyre, MRS Proceedings 529, 39 (1998), for the convex splitting.

    Examples
    --------
    >>> from sci.solvers import DoubleWell
    >>> DoubleWell(20.0)
    DoubleWell(strength=20)
    """

    local = True

    def __init__(self, strength: float) -> None:
        if not 0 < strength < math.inf:
            raise InvalidValueError(f"strength is {strength}; expected a positive number")
        self.strength = float(strength)

    def density(self, x: Points, u: Array, p: Array | None) -> Array:
        """Return L."""
        return self.strength / 4 * (u * u - 1) ** 2

    def derivative(self, x: Points, u: Array, p: Array | None) -> Derivative:
        """Return dL/du and None."""
        return self.strength * u * (u * u - 1), None

    def hessian(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Derivative:
        """Return the derivative of `derivative` along v."""
        return self.strength * (3 * u * u - 1) * v, None

    def convex_hessian(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Derivative:
        """Return that of the convex part, w (u^4 + 1) / 4."""
        return self.strength * 3 * u * u * v, None

    def remainder(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Array:
        """Return L(u + v) - L(u) - dL/du v, a polynomial in v."""
        return self.strength * v * v * ((3 * u * u - 1) / 2 + u * v + v * v / 4)

    def __repr__(self) -> str:
        return f"DoubleWell(strength={self.strength:g})"


@entry
class IonGas:
    """Mobile ions in a potential u in units of kT/e, L = k^2 sum n_j (exp(-z_j (u + w)) - 1) / sum n_j z_j^2.

    For ions of valences 1 and -1 it is k^2 (cosh(u + w) - 1), the density of the Poisson-Boltzmann equation
    -div(c grad u) + k^2 sinh(u + w) = f; for small potentials any ions have k^2 (u + w)^2 / 2.

    Parameters
    ----------
    strength : (*grid) array_like
        k^2 of each cell of this rank, zero where ions do not enter: for lengths in angstrom and c the relative
        permittivity, 4 pi l sum n_j z_j^2 with the Bjerrum length l of the vacuum and numbers n_j per cubic angstrom.
    shift : (*grid) array_like or float
        w, the known part of the potential.
    valences : sequence of int
        z_j.
    numbers : sequence of float, optional
        Relative numbers n_j of the ions; 1 by default. The ions are neutral: sum n_j z_j = 0.

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    Potentials so large that the exponential overflows have an infinite energy, which a line search steps back from.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import IonGas
    >>> IonGas(np.ones((4, 4)))
    IonGas(valences (1, -1), 16 of 16 cells)
    """

    local = True

    def __init__(
        self,
        strength: Any,
        shift: Any = 0.0,
        *,
        valences: Sequence[int] = (1, -1),
        numbers: Sequence[float] | None = None,
    ) -> None:
        self.valences = tuple(int(z) for z in valences)
        given = (1.0,) * len(self.valences) if numbers is None else tuple(float(n) for n in numbers)
        if len(given) != len(self.valences) or not given or not _all_positive(given) or 0 in self.valences:
            raise InvalidValueError(
                f"valences are {self.valences} and numbers {given}; expected as many positive numbers as valences, "
                "none of which is zero"
            )
        charge = sum(n * z for n, z in zip(given, self.valences))
        total = sum(n * z * z for n, z in zip(given, self.valences))
        if abs(charge) > 1e-9 * total:
            raise InvalidValueError(
                f"the ions have the net charge {charge:g} for numbers {given}; expected neutral ions"
            )
        self.numbers = tuple(n / total for n in given)
        self.strength: Array = as_finite(strength, "strength")
        xp = namespace(self.strength)
        if bool((self.strength < 0).any()):
            raise InvalidValueError("strength holds negative values; expected zero or more in every cell")
        self.shift: Any
        if not hasattr(shift, "shape"):
            self.shift = float(shift)
            if not math.isfinite(self.shift):
                raise InvalidValueError(f"shift is {shift}; expected a finite number, or one for each cell")
        else:
            self.shift = as_finite(shift, "shift")
            if tuple(self.shift.shape) != tuple(self.strength.shape):
                raise ShapeError(
                    f"shift has shape {tuple(self.shift.shape)}; expected {tuple(self.strength.shape)}, as strength"
                )
        self._places: Array = xp.flatnonzero(self.strength.reshape(-1) > 0)
        self._held: Array = self.strength.reshape(-1)[self._places]
        self._varies = hasattr(shift, "shape")
        self._offset: Any = self.shift.reshape(-1)[self._places] if self._varies else self.shift

    def _sum(self, term: Any, u: Array, *others: Array) -> Array:
        """Return k^2 times the sum over the ions of n term(z, u + w, *others), in pieces that caches hold."""
        for array in (u, *others):
            if tuple(array.shape) != tuple(self.strength.shape):
                raise ShapeError(f"u has shape {tuple(u.shape)}; expected {tuple(self.strength.shape)}, as strength")
        result = namespace(u).zeros(u.size)
        flat = [a.reshape(-1) for a in (u, *others)]
        piece = len(self._places) if is_device_array(u) else PIECE
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(self._places), max(1, piece)):
                part = slice(start, start + piece)
                places = self._places[part]
                y, *rest = (a[places] for a in flat)
                y += self._offset[part] if self._varies else self._offset
                total = sum(n * term(z, y, *rest) for n, z in zip(self.numbers, self.valences))
                result[places] = self._held[part] * total
        return result.reshape(u.shape)

    def density(self, x: Points, u: Array, p: Array | None) -> Array:
        """Return L."""
        # Neutral ions: sum n z y is zero, and keeps small potentials from cancelling.
        return self._sum(lambda z, y: _exponential_remainder(-z * y), u)

    def derivative(self, x: Points, u: Array, p: Array | None) -> Derivative:
        """Return dL/du and None."""
        # Neutral ions: sum n z is zero, and keeps small potentials from being lost beside 1.
        return self._sum(lambda z, y: -z * namespace(u).expm1(-z * y), u), None

    def hessian(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Derivative:
        """Return the derivative of `derivative` along v."""
        return self._sum(lambda z, y: z * z * namespace(u).exp(-z * y), u) * v, None

    def remainder(self, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Array:
        """Return L(u + v) - L(u) - dL/du v without cancellation."""
        return self._sum(lambda z, y, step: namespace(u).exp(-z * y) * _exponential_remainder(-z * step), u, v)

    def __repr__(self) -> str:
        return f"IonGas(valences {self.valences}, {len(self._held)} of {self.strength.size} cells)"


def _all_positive(numbers: Sequence[float]) -> bool:
    """Return True for numbers above zero that are not infinite; False if one is NaN."""
    return all(0 < n < math.inf for n in numbers)


def _exponential_remainder(y: Array) -> Array:
    """Return exp(y) - 1 - y, to 1e-14 of itself."""
    xp, small = namespace(y), abs(y) < 0.1
    inside, series = xp.where(small, y, 0.0), 0.0 * y
    for k in range(11, 1, -1):
        series = series * inside + 1 / math.factorial(k)
    return xp.where(small, series * inside * inside, xp.expm1(y) - y)


def _power_remainder(y: Array, power: float) -> Array:
    """Return (1 + y)^power - 1 - power y without cancellation, for y >= -1."""
    xp, small, series, factor = namespace(y), abs(y) < 0.02, 0.0 * y, 1.0
    inside = xp.where(small, y, 0.0)
    coefficients = []
    for k in range(1, 10):
        factor *= (power - k + 1) / k
        coefficients.append(factor)
    for coefficient in reversed(coefficients[1:]):
        series = series * inside + coefficient
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        plain = xp.expm1(power * xp.log1p(xp.maximum(y, -1.0))) - power * y
    return xp.where(small, series * inside * inside, plain)
