"""The map between two matrices that distance, logarithm and geodesics share, without the cancellation of traces."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen
from sci.linalg.symmetric.matrices import symmetrized, transposed, units_of

__all__ = ["displacement", "in_basis", "norm", "root_of", "sums_of"]

_PASSES = 1
"""Corrections of a map: each multiplies its relative error by half of the error before."""


def root_of(eigen: SymmetricEigen) -> Array:
    """Return U diag(sqrt x), a factor Y of A = Y Y'."""
    return eigen.vectors * namespace(eigen.values).sqrt(eigen.values)[..., None, :]


def in_basis(eigen: SymmetricEigen, matrices: Array) -> Array:
    """Return U' M U."""
    return transposed(eigen.vectors) @ matrices @ eigen.vectors


def sums_of(eigen: SymmetricEigen) -> Array:
    """Return x_i + x_j."""
    return eigen.values[..., :, None] + eigen.values[..., None, :]


def norm(matrices: Array) -> Array:
    """Return the Frobenius norms (...,) of matrices of any unit."""
    xp, unit = namespace(matrices), units_of(matrices, 2)
    scaled = matrices / unit
    return xp.sqrt((scaled * scaled).sum(axis=(-2, -1))) * unit[..., 0, 0]


def displacement(start: SymmetricEigen, end: SymmetricEigen, difference: Array) -> Array:
    """Return the symmetric L of (I + L) P (I + L) = Q with I + L positive, in the eigenbasis of P.

    Parameters
    ----------
    start, end : SymmetricEigen
        Of P and Q, positive definite.
    difference : (..., n, n)
        Q - P, as exact as it can be had: the relative error of L where P and Q are close is that of the difference.

    Returns
    -------
    (..., n, n)
        U' L U for P = U x U'; exactly symmetric.

    Notes
    -----
    T = I + L is the optimal transport of the normal distribution with covariance P to that with Q. A first L comes from
    factors P = K K', Q = Y Y' and the orthogonal R nearest to Y' K: L K = Y R - K. Its error is absolute, of the size
    of rounding, and would be all of L where P and Q are close. The identity D = Q - P = L P W + W P L with W = I + L/2
    is linear in L for a given W = C C': with B = C' P C, it is B M + M B = C^-1 D C^-T for M = C^-1 L C^-T. Solving it
    makes the error relative.
    """
    xp, n = namespace(start.values), start.values.shape[-1]
    x, k = start.values, root_of(start)
    y, d = root_of(end), in_basis(start, difference)
    # Columns of unit length in the first product keep it in range where P and Q have very different units.
    left, _, right = xp.linalg.svd(transposed(y / units_of(y, 2)) @ (k / units_of(k, 2)))
    lifted = transposed(start.vectors) @ (y @ (left @ right) - k) * xp.sqrt(x)[..., None, :]
    # Column j of L K has the digits of L_ij where x_j is the larger of x_i and x_j.
    first = (lifted + transposed(lifted)) / sums_of(start)
    identity = xp.eye(n, dtype=x.dtype)
    for _ in range(_PASSES):
        middle = symmetric_eigen(identity + symmetrized(first) * 0.5)
        # Exact eigenvalues of I + L/2 lie above 1/2.
        values = xp.sqrt(xp.maximum(middle.values, 0.5))[..., None, :]
        c, inverse = middle.vectors * values, transposed(middle.vectors / values)
        inner = symmetric_eigen(symmetrized(transposed(c) @ (x[..., :, None] * c)))
        turned = in_basis(inner, inverse @ d @ transposed(inverse)) / _positive(sums_of(inner))
        first = symmetrized(c @ (inner.vectors @ turned @ transposed(inner.vectors)) @ transposed(c))
    return first


def _positive(sums: Array) -> Array:
    """Return sums of eigenvalues that are positive but for rounding."""
    xp = namespace(sums)
    largest = abs(sums).max(axis=(-2, -1), keepdims=True)
    return xp.maximum(sums, np.finfo(sums.dtype).eps * largest)
