"""What an energy density has to offer, and the remainder of its Taylor polynomial without cancellation."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError

__all__ = ["Derivative", "EnergyDensity", "Points", "checked_pair", "has_hessian", "is_local", "is_split", "remainder"]

Points: TypeAlias = tuple[Array, ...]
"""Coordinates of the cells along each axis, of shapes that broadcast against one another."""
Derivative: TypeAlias = tuple[Array, Array | None]
"""Derivatives by u and by the gradient; None for the latter where a density does not read it."""
PLAIN = 1e-5
"""Change of a density, relative to its size, from which a difference of two values is exact enough."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)


@runtime_checkable
class EnergyDensity(Protocol):
    """The density L(x, u, p) of an energy, with p = grad u, and its derivatives by u and p.

    `density` and `derivative` are all that a density needs. It may also have

    - `hessian(x, u, p, v, q)`: the derivative of (dL/du, dL/dp) along (v, q), for Newton's method;
    - `convex_hessian(x, u, p, v, q)`: that of the convex part alone, for an energy that is not convex;
    - `remainder(x, u, p, v, q)`: L(x, u + v, p + q) - L - dL/du v - dL/dp . q without cancellation;
    - `local = True`: L does not read p. Then p and q are None, dL/dp is returned as None, and the arrays that the
      density holds may be fields on the grid, of the shape of u.

    Notes
    -----
    x is a tuple with the coordinates of the cells along each axis, of shapes that broadcast against u; p an array
    (ndim, *u.shape). Methods return arrays of the shapes of u and of p. Without `remainder` changes of the energy are
    integrals of the derivative, by four-point Gauss quadrature, wherever values would cancel.

    Examples
    --------
    The energy of -laplace u + u^3 = f:

    >>> import numpy as np
    >>> from sci.solvers import Energy, EnergyDensity, PoissonOperator, minimize_energy
    >>> class Cubic:
    ...     local = True
    ...     def density(self, x, u, p):
    ...         return u**4 / 4
    ...     def derivative(self, x, u, p):
    ...         return u**3, None
    ...     def hessian(self, x, u, p, v, q):
    ...         return 3 * u**2 * v, None
    >>> isinstance(Cubic(), EnergyDensity)
    True
    >>> A = PoissonOperator(np.ones((8, 8), dtype=bool), 1 / 9)
    >>> found = minimize_energy(Energy(A, Cubic(), f=np.full((8, 8), 9.0), diffusion=1.0))
    >>> bool(abs(A @ found.u + found.u**3 - 9).max() < 1e-5)
    True
    """

    def density(self, x: Points, u: Array, p: Array | None) -> Array:
        """Return L in each cell."""

    def derivative(self, x: Points, u: Array, p: Array | None) -> Derivative:
        """Return dL/du, of the shape of u, and dL/dp, of the shape of p."""


def is_local(density: EnergyDensity) -> bool:
    """Return True for a density that does not read the gradient."""
    return bool(getattr(density, "local", False))


def has_hessian(density: EnergyDensity) -> bool:
    """Return True for a density with second derivatives."""
    return callable(getattr(density, "hessian", None))


def is_split(density: EnergyDensity) -> bool:
    """Return True for a density that declares itself not convex, by the Hessian of its convex part."""
    return callable(getattr(density, "convex_hessian", None))


def checked_pair(pair: Any, u: Array, p: Array | None, name: str) -> Derivative:
    """Return the pair of derivatives of a density; refuse what has other shapes.

    Raises
    ------
    ShapeError, InvalidValueError
    """
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise InvalidValueError(f"{name} returned {type(pair).__name__}; expected the pair (by u, by the gradient)")
    by_u, by_p = pair
    xp = namespace(u)
    if p is None:
        if by_p is not None:
            raise InvalidValueError(f"{name} of a local density returned a second array; expected None")
        return checked_values(by_u, u, name), None
    if by_p is None:
        raise InvalidValueError(f"{name} returned None for the derivative by the gradient; expected {tuple(p.shape)}")
    by_p = xp.asarray(by_p)
    if tuple(by_p.shape) != tuple(p.shape):
        raise ShapeError(f"{name} returned shape {tuple(by_p.shape)} by the gradient; expected {tuple(p.shape)}")
    return checked_values(by_u, u, name), by_p


def checked_values(values: Any, u: Array, name: str) -> Array:
    """Return the values of a density on cells; one number stands for all of them.

    Raises
    ------
    ShapeError
    """
    xp = namespace(u)
    result = xp.asarray(values)
    if result.ndim == 0:
        return xp.full(u.shape, float(result))
    if tuple(result.shape) != tuple(u.shape):
        raise ShapeError(f"{name} returned shape {tuple(result.shape)}; expected that of the cells, {tuple(u.shape)}")
    return result


def remainder(density: EnergyDensity, x: Points, u: Array, p: Array | None, v: Array, q: Array | None) -> Array:
    """Return L(x, u + v, p + q) - L(x, u, p) - dL/du v - dL/dp . q in each cell, without cancellation.

    The density's own `remainder` if it has one. Otherwise the difference of values where L changes by more than 1e-5 of
    its size, and elsewhere the integral over 0 < t < 1 of (dL(t) - dL(0)) . (v, q).
    """
    own = getattr(density, "remainder", None)
    if callable(own):
        return checked_values(own(x, u, p, v, q), u, "remainder")

    def along(t: float) -> Array:
        there = density.derivative(x, u + t * v, None if p is None or q is None else p + t * q)
        by_u, by_p = checked_pair(there, u, p, "derivative")
        return by_u * v if by_p is None else by_u * v + (by_p * q).sum(axis=0)

    xp = namespace(u)
    first = along(0.0)
    small = sum(0.5 * w * (along(0.5 + 0.5 * t) - first) for t, w in zip(NODES.tolist(), WEIGHTS.tolist()))
    before = checked_values(density.density(x, u, p), u, "density")
    after = checked_values(density.density(x, u + v, None if p is None or q is None else p + q), u, "density")
    plain = (after - before) - first
    exact = abs(plain) > PLAIN * (abs(after) + abs(before) + abs(first))
    return xp.where(exact | ~xp.isfinite(after), plain, small)
