"""Isotropic constitutive laws of small strains in plane strain, with their tangents.

A field of symmetric tensors is an array (..., 3, n, m) of the components xx, yy and xy (tensorial shear). The deviator
and its norm are those of the three-dimensional tensor with zero zz, xz and yz strain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError, ShapeError

__all__ = ["SHEAR", "Composite", "IsotropicLaw", "LinearElastic", "Saturating", "frobenius"]

SHEAR = np.array([1.0, 1.0, 2.0])[:, None, None]
"""How often each component (xx, yy, xy) stands in a product of plane tensors."""
_IDENTITY = np.array([1.0, 1.0, 0.0])[:, None, None]


class IsotropicLaw(Protocol):
    """sigma = K tr(e) I + s(|dev e|) dev e.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import LinearElastic
    >>> secant, slope = LinearElastic(bulk=2.0, shear=1.0).secant(np.array([0.1, 0.2]))
    >>> secant
    array([2., 2.])
    """

    bulk: float

    def secant(self, norm: Array) -> tuple[Array, Array]:
        """Return s and (ds / d|dev e|) / |dev e| for norms |dev e| of any shape."""


@dataclass(frozen=True)
class LinearElastic:
    """Hooke's law, sigma = K tr(e) I + 2 G dev e.

    Parameters
    ----------
    bulk, shear : float
        K and G, positive, in units of stress.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.applications import LinearElastic
    >>> LinearElastic(bulk=4.345e4, shear=2.992e4)
    LinearElastic(bulk=43450.0, shear=29920.0)
    """

    bulk: float
    shear: float

    def __post_init__(self) -> None:
        _require_positive(bulk=self.bulk, shear=self.shear)

    def secant(self, norm: Array) -> tuple[Array, Array]:
        """Return the constant 2 G and its slope, zero."""
        return 2.0 * self.shear + 0.0 * norm, 0.0 * norm


@dataclass(frozen=True)
class Saturating:
    """A nonlinear law whose shear stress saturates, sigma = K tr(e) I + a dev e / (b + |dev e|).

    Parameters
    ----------
    bulk, limit, softness : float
        K, a (the largest norm of the deviatoric stress) and b, positive.

    Raises
    ------
    InvalidValueError

    References
    ----------
    H. Eivazi et al., "EquiNO: A Physics-Informed Neural Operator for Multiscale Simulations", J. Comput. Phys. 2026:
    the matrix there has K = 4.78e3, a = 50, b = 0.06 (MPa).

    Examples
    --------
    >>> from sci.applications import Saturating
    >>> Saturating(bulk=4.78e3, limit=50.0, softness=0.06)
    Saturating(bulk=4780.0, limit=50.0, softness=0.06)
    """

    bulk: float
    limit: float
    softness: float

    def __post_init__(self) -> None:
        _require_positive(bulk=self.bulk, limit=self.limit, softness=self.softness)

    def secant(self, norm: Array) -> tuple[Array, Array]:
        """Return a / (b + x) and its slope over x, which is not needed at x = 0 and set to zero there."""
        xp = namespace(norm)
        secant = self.limit / (self.softness + norm)
        slope = -secant / (self.softness + norm)
        return secant, xp.where(norm > 0.0, slope / xp.where(norm > 0.0, norm, 1.0), 0.0)


@dataclass(frozen=True, repr=False)
class Composite:
    """A pixel image of phases, each with its law.

    Parameters
    ----------
    phase : array of int (n, m)
        Index of the law of each pixel.
    laws : sequence of IsotropicLaw

    Raises
    ------
    ShapeError, InvalidValueError
        If the image is not two-dimensional, or names a law that is missing.

    Examples
    --------
    >>> layers = Composite(np.array([[0, 1]] * 3), (LinearElastic(2.0, 1.0), LinearElastic(11.0, 7.0)))
    >>> layers.stress(np.full((3, 3, 2), 0.01))[2]
    array([[0.02, 0.14],
           [0.02, 0.14],
           [0.02, 0.14]])
    """

    phase: Array
    laws: Sequence[IsotropicLaw]

    def __post_init__(self) -> None:
        if self.phase.ndim != 2 or self.phase.dtype.kind not in "iub":
            raise ShapeError(f"phase is {self.phase.dtype} of shape {self.phase.shape}; expected integers (n, m)")
        low, high = int(self.phase.min()), int(self.phase.max())
        if low < 0 or high >= len(self.laws):
            raise InvalidValueError(f"phase holds {low} to {high}, but there are {len(self.laws)} laws")

    def __repr__(self) -> str:
        """Return the pixels and the laws of the phases."""
        n, m = self.phase.shape
        return f"Composite({n} x {m} pixels, {', '.join(map(repr, self.laws))})"

    def stress(self, strain: Array) -> Array:
        """Return the stress of a strain field (..., 3, n, m)."""
        bulk, secant, _, deviator, trace = self._at(strain)
        return secant * deviator + bulk * trace * to_device(_IDENTITY, namespace(strain))

    def tangent(self, strain: Array, direction: Array) -> Array:
        """Return the derivative of the stress at `strain` in a direction; the tangent is symmetric.

        d sigma = K tr(d) I + s dev d + (s' / |dev e|) (dev e : dev d) dev e.
        """
        bulk, secant, slope, deviator, _ = self._at(strain)
        trace, change = _split(direction)
        # The zz components of the two deviators are minus a third of the traces.
        zz = (strain[..., :1, :, :] + strain[..., 1:2, :, :]) * trace / 9.0
        inner = (frobenius(deviator, change) + zz[..., 0, :, :])[..., None, :, :]
        identity = to_device(_IDENTITY, namespace(strain))
        return secant * change + slope * inner * deviator + bulk * trace * identity

    def _at(self, strain: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return bulk modulus, secant, its slope, the deviator and the trace."""
        xp = namespace(strain)
        trace, deviator = _split(strain)
        norm = xp.sqrt(frobenius(deviator, deviator) + trace[..., 0, :, :] ** 2 / 9.0)[..., None, :, :]
        bulk, secant, slope = 0.0 * norm[:1], 0.0 * norm, 0.0 * norm
        for index, law in enumerate(self.laws):
            here = self.phase == index
            s, t = law.secant(norm)
            bulk, secant, slope = xp.where(here, law.bulk, bulk), xp.where(here, s, secant), xp.where(here, t, slope)
        return bulk, secant, slope, deviator, trace


def frobenius(a: Array, b: Array) -> Array:
    """Return a : b, the sum over all four components of the plane tensors, at each point.

    Parameters
    ----------
    a : (3, *grid) array
        Components xx, yy, xy.
    b : (3, *grid) array
        Components xx, yy, xy.

    Returns
    -------
    (*grid) array
        The product at each point, in the product of the units.
    """
    return (to_device(SHEAR, namespace(a)) * a * b).sum(axis=-3)


def _split(tensor: Array) -> tuple[Array, Array]:
    """Return the trace (..., 1, n, m) and the in-plane components of the three-dimensional deviator."""
    trace = tensor[..., :1, :, :] + tensor[..., 1:2, :, :]
    return trace, tensor - trace / 3.0 * to_device(_IDENTITY, namespace(tensor))


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not 0.0 < value < np.inf:
            raise InvalidValueError(f"{name} is {value}; expected a positive finite number")
