"""Laws of large deformations that are objective by construction: Hencky's strain from F = V R, and the law of a cell.

Tensors are plane, (..., 2, 2); the deformation is plane strain, F_zz = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np

from sci.applications.homogenization.laws import Composite, IsotropicLaw
from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, namespace, require_finite
from sci.errors import InvalidValueError, ShapeError
from sci.linalg import symmetric_function
from sci.nn.groups.linear_group import left_polar

__all__ = [
    "FiniteStrainLaw",
    "InfinitesimalLaw",
    "ObjectiveLaw",
    "StressLaw",
    "hencky_strain",
    "objectivity_error",
    "stress_of",
]

StressLaw = Callable[[Array], Any]
"""From strains (b, 3) to stresses (b, 3), components xx, yy, xy: a law of small strains, such as that of a cell."""

Frame = Literal["spatial", "material"]


class FiniteStrainLaw(Protocol):
    """A map from deformation gradients to Kirchhoff stresses.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import LinearElastic, ObjectiveLaw, stress_of
    >>> law = ObjectiveLaw(stress_of(LinearElastic(bulk=2.0, shear=1.0)))
    >>> law.kirchhoff(np.eye(2))
    array([[0., 0.],
           [0., 0.]])
    """

    def kirchhoff(self, gradients: ArrayLike) -> Array:
        """Return tau = (det F) sigma (..., 2, 2) of deformation gradients F (..., 2, 2)."""


@entry
def stress_of(law: IsotropicLaw) -> StressLaw:
    """Return the stresses of a phase as a function of strains (b, 3), for `ObjectiveLaw` and `InfinitesimalLaw`.

    Parameters
    ----------
    law : IsotropicLaw

    Returns
    -------
    callable

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import LinearElastic, stress_of
    >>> stress_of(LinearElastic(bulk=2.0, shear=1.0))(np.array([[0.0, 0.0, 0.01]]))
    array([[0.  , 0.  , 0.02]])
    """
    point = Composite(np.zeros((1, 1), dtype=np.int64), (law,))
    return lambda strains: point.stress(strains[..., None, None])[..., 0, 0]


@entry
def hencky_strain(gradients: ArrayLike, frame: Frame = "spatial") -> Array:
    """Return the logarithmic strain of deformations F = V R = R U: log V in space, log U in the material.

    Parameters
    ----------
    gradients : (..., 2, 2) float32 or float64
        F, with a positive determinant.
    frame : "spatial" or "material"

    Returns
    -------
    (..., 2, 2)
        Symmetric; log V = R log U R'. A rotation before or after changes neither eigenvalue.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError names the first F that is singular or turns the material inside out.

    References
    ----------
    H. Hencky, Z. Techn. Phys. 9, 215, 1928. P. Neff, B. Eidel and R. Martin, Arch. Rational Mech. Anal. 222, 507, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import hencky_strain
    >>> hencky_strain(np.array([[0.0, -1.0], [np.e, 0.0]])).round(12) + 0  # e along x, then a quarter turn
    array([[0., 0.],
           [0., 1.]])
    """
    logarithm, rotation = _log_and_rotation(_deformations(gradients))
    return logarithm if frame == "spatial" else rotation.swapaxes(-1, -2) @ logarithm @ rotation


def _log_and_rotation(gradients: Array) -> tuple[Array, Array]:
    """Return log V and R of F = V R."""
    stretch, rotation = left_polar(gradients)
    return symmetric_function(stretch, "log"), rotation


def _deformations(gradients: ArrayLike) -> Array:
    single = getattr(gradients, "dtype", None) == np.float32
    found = as_finite(gradients, "gradients", dtype=np.float32 if single else np.float64)
    if found.ndim < 2 or tuple(found.shape[-2:]) != (2, 2):
        raise ShapeError(f"gradients have shape {tuple(found.shape)}; expected (..., 2, 2)")
    return found


class _Stresses:
    """The measures of stress that follow from Kirchhoff's."""

    def kirchhoff(self, gradients: ArrayLike) -> Array:
        raise NotImplementedError

    def cauchy(self, gradients: ArrayLike) -> Array:
        """Return sigma = tau / det F (..., 2, 2), the force on an area of space.

        Parameters
        ----------
        gradients : (..., 2, 2) array

        Returns
        -------
        (..., 2, 2) array

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        tau = self.kirchhoff(gradients)
        return tau / namespace(tau).linalg.det(_deformations(gradients))[..., None, None]

    def first_piola(self, gradients: ArrayLike) -> Array:
        """Return P = tau F^-T (..., 2, 2), the force on an area of the material.

        Parameters
        ----------
        gradients : (..., 2, 2) array

        Returns
        -------
        (..., 2, 2) array
        """
        tau = self.kirchhoff(gradients)
        return tau @ namespace(tau).linalg.inv(_deformations(gradients)).swapaxes(-1, -2)


@entry
class ObjectiveLaw(_Stresses):
    """A law of small strains g made one of large deformations: tau(F) = R g(log U) R' of F = R U.

    A rotation Q of space takes F to Q F, which leaves U as it is and R becomes Q R: tau(Q F) = Q tau(F) Q' for any g,
    a learned one as well. For an isotropic g it is g(log V), and has an energy if g has.

    Parameters
    ----------
    law : callable
        `law(strains)` of (b, 3) returns stresses (b, 3), components xx, yy, xy (tensorial): `stress_of` of a phase, or
        the homogenized stress of a cell, `lambda e: operator.predict(e).mean_stress` of an `EquiNO`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import InfinitesimalLaw, LinearElastic, ObjectiveLaw, stress_of
    >>> law, turn = stress_of(LinearElastic(bulk=2.0, shear=1.0)), np.array([[0.0, -1.0], [1.0, 0.0]])
    >>> ObjectiveLaw(law).kirchhoff(turn)
    array([[0., 0.],
           [0., 0.]])
    >>> InfinitesimalLaw(law).kirchhoff(turn).round(3)
    array([[-4.667,  0.   ],
           [ 0.   , -4.667]])
    """

    def __init__(self, law: Callable[[Array], Any]) -> None:
        self.law = law

    def __repr__(self) -> str:
        return f"ObjectiveLaw({_name(self.law)} of Hencky's strain)"

    def kirchhoff(self, gradients: ArrayLike) -> Array:
        """Return tau = R g(log U) R' (..., 2, 2).

        Parameters
        ----------
        gradients : (..., 2, 2) array
            F, with a positive determinant.

        Returns
        -------
        (..., 2, 2) array

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        logarithm, rotation = _log_and_rotation(_deformations(gradients))
        turned = rotation.swapaxes(-1, -2)
        return rotation @ _applied(self.law, turned @ logarithm @ rotation) @ turned


@entry
class InfinitesimalLaw(_Stresses):
    """A law of small strains taken as it is: tau(F) = g((F + F') / 2 - I). It is not objective: a rotation strains it.

    For comparison with `ObjectiveLaw`, from which it differs by the square of the deformation.

    Parameters
    ----------
    law : callable
        As for `ObjectiveLaw`.

    Examples
    --------
    >>> from sci.applications import InfinitesimalLaw, LinearElastic, stress_of
    >>> InfinitesimalLaw(stress_of(LinearElastic(bulk=2.0, shear=1.0)))
    InfinitesimalLaw(<lambda> of (F + F') / 2 - I)
    """

    def __init__(self, law: Callable[[Array], Any]) -> None:
        self.law = law

    def __repr__(self) -> str:
        return f"InfinitesimalLaw({_name(self.law)} of (F + F') / 2 - I)"

    def kirchhoff(self, gradients: ArrayLike) -> Array:
        """Return tau = g((F + F') / 2 - I) (..., 2, 2).

        Parameters
        ----------
        gradients : (..., 2, 2) array
            F, with a positive determinant.

        Returns
        -------
        (..., 2, 2) array

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        found = _deformations(gradients)
        _log_and_rotation(found)  # refuses what is no deformation
        eye = namespace(found).eye(2, dtype=found.dtype)
        return _applied(self.law, (found + found.swapaxes(-1, -2)) / 2 - eye)


@entry
def objectivity_error(law: FiniteStrainLaw, gradients: ArrayLike, angles: ArrayLike) -> float:
    """Return the largest |tau(Q F) - Q tau(F) Q'| over rotations Q, over the largest |tau(F)|: 0 for an objective law.

    Parameters
    ----------
    law : ObjectiveLaw, InfinitesimalLaw, or another with `kirchhoff`
    gradients : (b, 2, 2) array
    angles : (r,) array
        Of the rotations, in radians.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError where every stress is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import LinearElastic, ObjectiveLaw, objectivity_error, stress_of
    >>> law = ObjectiveLaw(stress_of(LinearElastic(bulk=2.0, shear=1.0)))
    >>> objectivity_error(law, np.array([[[1.1, 0.2], [0.0, 0.9]]]), np.linspace(0, 6, 5)) < 1e-14
    True
    """
    found = as_finite(gradients, "gradients", shape=(None, 2, 2))
    turns = as_finite(angles, "angles", shape=(None,), xp=namespace(found))
    xp = namespace(found, turns)
    stress = law.kirchhoff(found)
    size = float(abs(stress).max()) if stress.size else 0.0
    if not size > 0:
        raise InvalidValueError(f"the stresses of {len(found)} gradients are all zero; expected a deformation")
    rows = xp.stack([xp.stack([xp.cos(turns), -xp.sin(turns)], -1), xp.stack([xp.sin(turns), xp.cos(turns)], -1)], -2)
    q = rows[:, None]
    moved = law.kirchhoff((q @ found).reshape(-1, 2, 2)).reshape(len(turns), len(found), 2, 2)
    return float(abs(moved - q @ stress @ q.swapaxes(-1, -2)).max(initial=0.0)) / size


def _applied(law: StressLaw, strain: Array) -> Array:
    """Return the stress tensors of strain tensors (..., 2, 2) by a law of components."""
    xp = namespace(strain)
    flat = strain.reshape(-1, 2, 2)
    components = xp.stack([flat[:, 0, 0], flat[:, 1, 1], (flat[:, 0, 1] + flat[:, 1, 0]) / 2], axis=1)
    found = law(components)
    if tuple(getattr(found, "shape", ())) != tuple(components.shape):
        raise ShapeError(
            f"the law returned shape {tuple(getattr(found, 'shape', ()))} for strains {tuple(components.shape)}; "
            "expected stresses (b, 3)"
        )
    require_finite(found, "the stresses that the law returned")
    out = xp.stack([xp.stack([found[:, 0], found[:, 2]], 1), xp.stack([found[:, 2], found[:, 1]], 1)], 1)
    return out.reshape(strain.shape)


def _name(law: Any) -> str:
    return str(getattr(law, "__name__", type(law).__name__))
