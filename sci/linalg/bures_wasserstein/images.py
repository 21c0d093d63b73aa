"""The map from matrices P to M^(-1/2) P^p M^(-1/2) that a metric M and a power p add to the plain geometry."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from sci.backend import Array, ArrayLike, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen
from sci.linalg.symmetric.functions import FUNCTIONS
from sci.linalg.symmetric.matrices import (
    as_symmetric,
    require_positive,
    require_representable,
    symmetrized,
    transposed,
)

__all__ = ["Images", "Point"]


@dataclass(frozen=True)
class Point:
    """Matrices P, their decomposition where the map needs it, and their images.

    Parameters
    ----------
    matrix : (..., n, n)
    own : SymmetricEigen or None
        Of P; None where P is its own image.
    image : (..., n, n)
    eigen : SymmetricEigen
        Of the image.
    """

    matrix: Array
    own: SymmetricEigen | None
    image: Array
    eigen: SymmetricEigen


class Images:
    """The map, its derivative, and the inverses of both.

    Parameters
    ----------
    metric : (n, n), optional
    power : float

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """

    def __init__(self, metric: ArrayLike | None, power: float) -> None:
        if not isfinite(power) or power == 0:
            raise InvalidValueError(f"power is {power}; expected a number other than 0, 1 for no deformation")
        self._power = power
        self._roots: tuple[Array, Array] | None = None
        if metric is not None:
            checked = as_symmetric(metric, "metric")
            if checked.ndim != 2:
                raise ShapeError(f"metric has shape {tuple(checked.shape)}; expected one matrix (n, n)")
            eigen = symmetric_eigen(checked)
            require_positive(eigen.values, "metric", definite=True)
            self._roots = eigen.function("sqrt"), eigen.function("inverse_sqrt")

    @property
    def order(self) -> int | None:
        """Order of the metric."""
        return None if self._roots is None else len(self._roots[0])

    @property
    def plain(self) -> bool:
        """Whether matrices are their own images."""
        return self._roots is None and self._power == 1

    def point(self, matrices: ArrayLike, name: str) -> Point:
        """Check matrices and decompose their images."""
        matrix = as_symmetric(matrices, name)
        if self._roots is not None:
            namespace(matrix, *self._roots)
            if matrix.shape[-1] != self.order:
                raise ShapeError(
                    f"{name} are of order {matrix.shape[-1]} and the metric of {self.order}; expected one order"
                )
        own = symmetric_eigen(matrix)
        require_positive(own.values, name, definite=True)
        if self.plain:
            return Point(matrix, None, matrix, own)
        image = matrix
        if self._power != 1:
            image = own.function("power", self._power)
        if self._roots is not None:
            image = symmetrized(self._framed(image, inverse=True))
        require_representable(image, f"the image of {name}", own.values)
        eigen = symmetric_eigen(image)
        require_positive(eigen.values, f"{name} to the power, in the metric", definite=True)
        return Point(matrix, own, image, eigen)

    def pair(self, p: ArrayLike, q: ArrayLike) -> tuple[Point, Point, Array]:
        """Check two arguments; return both, and the difference of their images."""
        start, end = self.point(p, "p"), self.point(q, "q")
        _same(start.matrix, end.matrix, "q")
        difference = end.matrix - start.matrix
        if self._power != 1 and start.own is not None and end.own is not None:
            # U_Q' (Q^p - P^p) U_P is U_Q' (Q - P) U_P times divided differences, and keeps the digits of Q - P.
            xp = namespace(difference)
            a, b = end.own.values[..., :, None], start.own.values[..., None, :]
            ratios = FUNCTIONS["power"].difference(xp, xp.maximum(a, b), xp.minimum(a, b), self._power)
            inner = transposed(end.own.vectors) @ difference @ start.own.vectors * ratios
            difference = symmetrized(end.own.vectors @ inner @ transposed(start.own.vectors))
        if self._roots is not None:
            difference = self._framed(difference, inverse=True)
        return start, end, difference

    def at(self, p: ArrayLike, **vectors: ArrayLike) -> tuple[Point, list[Array]]:
        """Check a point and tangent vectors at it."""
        start = self.point(p, "p")
        found = []
        for name, vector in vectors.items():
            checked = as_symmetric(vector, name)
            _same(start.matrix, checked, name)
            found.append(checked)
        return start, found

    def _framed(self, matrices: Array, *, inverse: bool) -> Array:
        """Return M^(1/2) A M^(1/2), or M^(-1/2) A M^(-1/2)."""
        if self._roots is None:
            return matrices
        root = self._roots[inverse].astype(matrices.dtype)
        return root @ matrices @ root

    def pushed(self, start: Point, v: Array) -> Array:
        """Return the derivative of the map to images, in the direction v."""
        if self._power != 1 and start.own is not None:
            v = _derivative(start.own, v, self._power)
        return self._framed(v, inverse=True)

    def pulled(self, start: Point, v: Array) -> Array:
        """Return the inverse of that derivative."""
        v = symmetrized(self._framed(v, inverse=False))
        if self._power != 1 and start.own is not None:
            powers = SymmetricEigen(start.own.values**self._power, start.own.vectors)
            v = _derivative(powers, v, 1 / self._power)
        return v

    def back(self, images: Array, what: str) -> Array:
        """Return the matrices of images."""
        matrices = symmetrized(self._framed(images, inverse=False))
        if self._power != 1:
            eigen = symmetric_eigen(matrices)
            require_positive(eigen.values, f"the result of {what}", definite=True)
            matrices = eigen.function("power", 1 / self._power)
        return matrices


def _derivative(eigen: SymmetricEigen, v: Array, exponent: float) -> Array:
    """Return the derivative of a power in the direction v, which is its own adjoint."""
    shape = np.broadcast_shapes(eigen.vectors.shape, v.shape)
    xp = namespace(v)
    whole = SymmetricEigen(
        xp.ascontiguousarray(xp.broadcast_to(eigen.values, shape[:-1])),
        xp.ascontiguousarray(xp.broadcast_to(eigen.vectors, shape)),
    )
    return whole.function_vjp(xp.ascontiguousarray(xp.broadcast_to(v, shape)), "power", exponent)


def _same(p: Array, other: Array, name: str) -> None:
    """Refuse an argument that does not belong with p.

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError
    """
    namespace(p, other)
    if p.dtype != other.dtype:
        raise DTypeError(f"p is {p.dtype} and {name} is {other.dtype}; convert one of them")
    try:
        fits = p.shape[-1] == other.shape[-1] and bool(np.broadcast_shapes(p.shape, other.shape))
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"p has shape {tuple(p.shape)} and {name} {tuple(other.shape)}; expected matrices of one order, and "
            "leading axes that broadcast"
        )
