"""Polar decomposition of square matrices into rotation and stretch, the nearest rotation, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace, require_finite
from sci.errors import InvalidValueError
from sci.linalg.symmetric.kernel import compiled_polar, compiled_polar_vjp
from sci.linalg.symmetric.matrices import (
    as_beside,
    as_square,
    first_index,
    flat,
    named,
    require_representable,
    symmetrized,
    transposed,
    units_of,
)

__all__ = ["polar", "polar_vjp"]


@entry
def polar(matrices: ArrayLike, *, proper: bool = False) -> tuple[Array, Array]:
    """Decompose A = R P into an orthogonal matrix and a symmetric stretch.

    Parameters
    ----------
    matrices : (..., n, n) float32 or float64
    proper : bool
        Demand det R = 1: the nearest rotation (Kabsch), not only the nearest orthogonal matrix. Where det A < 0 the
        stretch then has one negative eigenvalue, of the smallest magnitude.

    Returns
    -------
    rotation : (..., n, n)
        R, the orthogonal matrix, or with `proper` the rotation, nearest to A in the Frobenius norm.
    stretch : (..., n, n)
        P = R' A, exactly symmetric; (A' A)^(1/2) unless `proper` meets a negative determinant.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError names the first matrix whose R is not unique: a singular one, or with `proper` one whose two
        smallest singular values, the last with the sign of det A, add up to n eps of the largest or less. With
        `proper`, a matrix of rank n - 1 is right.

    Notes
    -----
    From the singular values A = W S V': R = W V', P = V S V', so that A' A, which would lose half of the digits, is not
    formed. In mechanics R and P = U are rotation and right stretch of the deformation gradient F = R U.

    References
    ----------
    Higham, Functions of Matrices, SIAM 2008, theorems 8.1 and 8.4.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import polar
    >>> rotation, stretch = polar(np.array([[0.0, -2.0], [3.0, 0.0]]))
    >>> rotation.round(12) + 0, stretch.round(12) + 0
    (array([[ 0., -1.],
           [ 1.,  0.]]), array([[3., 0.],
           [0., 2.]]))
    """
    given = as_square(matrices, "matrices", unchecked=True)
    if given.size == 0:
        return given.copy(), given.copy()
    found = compiled_polar(flat(given), proper)
    if found is not None:
        return found[0].reshape(given.shape), found[1].reshape(given.shape)
    return polar_reference(as_square(given, "matrices"), proper)


def polar_reference(found: Array, proper: bool) -> tuple[Array, Array]:
    """Reference of the kernel `polar`, from singular values by LAPACK or cuSOLVER.

    Raises
    ------
    InvalidValueError
        If R is not unique.
    """
    rotation, values, right = _singular(found, proper, "polar")
    return rotation, symmetrized(right * values[..., None, :] @ transposed(right))


@entry
def polar_vjp(
    matrices: ArrayLike, drotation: ArrayLike | None, dstretch: ArrayLike | None, *, proper: bool = False
) -> Array:
    """Return the gradient of a loss with respect to A, given those with respect to R and P of A = R P.

    Parameters
    ----------
    matrices : (..., n, n) float32 or float64
    drotation, dstretch : (..., n, n) or None
        Gradients with respect to R and P; None for zeros.
    proper : bool
        As for `polar`.

    Returns
    -------
    (..., n, n) of the dtype

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        As `polar`; the gradient exists where R is unique.

    Notes
    -----
    With dR = R Omega and P = V diag(s) V', the entries in the basis V follow from M = V' R' dA V: Omega_ij =
    (M_ij - M_ji) / (s_i + s_j), and dP = M - Omega diag(s). Sums of singular values are divided by, never differences,
    so that repeated ones do no harm. Kenney and Laub, SIAM J. Matrix Anal. Appl. 12, 488, 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg.symmetric.polar import polar_vjp
    >>> polar_vjp(2 * np.eye(2), np.array([[0.0, 1.0], [0.0, 0.0]]), None)  # singular values are equal
    array([[ 0.  ,  0.25],
           [-0.25,  0.  ]])
    """
    a = as_square(matrices, "matrices", unchecked=True)
    pairs = ((drotation, "drotation"), (dstretch, "dstretch"))
    given = [None if d is None else as_beside(d, name, a, unchecked=True) for d, name in pairs]
    if a.size == 0:
        return a.copy()
    found = compiled_polar_vjp(
        flat(a), None if given[0] is None else flat(given[0]), None if given[1] is None else flat(given[1]), proper
    )
    if found is not None:
        return found.reshape(a.shape)
    for d, (_, name) in zip(given, pairs):
        if d is not None:
            require_finite(d, name)
    return polar_vjp_reference(as_square(a, "matrices"), given[0], given[1], proper)


def polar_vjp_reference(found: Array, drotation: Array | None, dstretch: Array | None, proper: bool) -> Array:
    """Reference of the kernel `polar_vjp`.

    Raises
    ------
    InvalidValueError
        If R is not unique, or the result overflows.
    """
    xp, n = namespace(found), found.shape[-1]
    rotation, values, right = _singular(found, proper, "gradient of polar")
    unit = units_of(values, 1)[..., None]
    s = values[..., None, :] / unit
    left = rotation @ right
    with np.errstate(all="ignore"):
        of_rotation = 0 if drotation is None else transposed(left) @ drotation @ right / unit
        of_stretch = 0 if dstretch is None else transposed(right) @ symmetrized(dstretch) @ right
        turn = of_rotation - of_stretch * s + xp.zeros_like(found)
        sums = s + transposed(s) + xp.eye(n, dtype=found.dtype) * (s == 0)
        result = left @ (of_stretch + (turn - transposed(turn)) / sums) @ transposed(right)
    require_representable(result, "the gradient of polar", values)
    return result


def _singular(matrices: Array, proper: bool, what: str) -> tuple[Array, Array, Array]:
    """Return R, the eigenvalues of P, by magnitude descending, and its eigenvectors in columns.

    Raises
    ------
    InvalidValueError
        If R is not unique.
    """
    xp, n = namespace(matrices), matrices.shape[-1]
    unit = units_of(matrices, 2)
    left, values, right = xp.linalg.svd(matrices / unit)
    right = transposed(right)
    if proper:
        sign = xp.where(xp.linalg.det(left) * xp.linalg.det(right) < 0, -1, 1).astype(matrices.dtype)[..., None]
        last = xp.arange(n) == n - 1
        values = xp.where(last, values * sign, values)
        left = xp.where(last, left * sign[..., None], left)
    _require_unique(values, unit, proper, what)
    return left @ transposed(right), values * unit[..., 0], right


def _require_unique(values: Any, unit: Any, proper: bool, what: str) -> None:
    """Refuse matrices whose nearest orthogonal matrix, or rotation, is not unique.

    Raises
    ------
    InvalidValueError
    """
    n = values.shape[-1]
    if proper and n == 1:
        return
    gap = values[..., -1] + values[..., -2] if proper else values[..., -1]
    rounding = n * float(np.finfo(values.dtype).eps)
    bad = ~(gap > rounding * values[..., 0])
    if not bool(bad.any()):
        return
    where = first_index(bad)
    size = "the sum of its two smallest singular values, the last signed," if proper else "its smallest singular value"
    low, high = float((gap * unit[..., 0, 0])[where]), float((values * unit[..., 0])[where].max())
    raise InvalidValueError(
        f"{what}: the rotation of {named(where)} is not unique: {size} is {low:.6g}, the largest {high:.6g}; expected "
        f"more than {rounding:.2g} of that"
    )
