"""How far symmetric matrices are from a multiple of the identity."""

from __future__ import annotations

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace
from sci.linalg.symmetric.matrices import as_symmetric, units_of

__all__ = ["fractional_anisotropy"]


@entry
def fractional_anisotropy(matrices: ArrayLike) -> Array:
    """Return the fractional anisotropy (n / (n - 1))^(1/2) |A - (tr A / n) I|_F / |A|_F of symmetric matrices.

    Parameters
    ----------
    matrices : (..., n, n) float32 or float64
        Symmetric, n at least 2, as for `symmetric_eigen`.

    Returns
    -------
    (...)
        0 for multiples of the identity (and for zero), 1 for positive semidefinite matrices of rank one.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    References
    ----------
    Basser and Pierpaoli, J. Magn. Reson. B 111, 209 (1996), equation 31, for n = 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import fractional_anisotropy
    >>> fractional_anisotropy([np.eye(3), np.diag([1.0, 0.0, 0.0])]).round(12)
    array([0., 1.])
    """
    found = as_symmetric(matrices, "matrices")
    xp, n = namespace(found), found.shape[-1]
    scaled = found / units_of(found, 2)
    mean = sum(scaled[..., i, i] for i in range(n)) / n
    rest = scaled - mean[..., None, None] * xp.eye(n, dtype=found.dtype)
    squares, whole = ((a * a).sum(axis=(-2, -1)) for a in (rest, scaled))
    return xp.sqrt(squares / xp.where(whole > 0, whole, 1) * (n / max(1, n - 1)))
