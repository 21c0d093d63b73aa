"""The map between two matrices that distance, logarithm and geodesics share, without the cancellation of traces."""

from __future__ import annotations

from math import prod

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen
from sci.linalg.symmetric.matrices import symmetrized, transposed, units_of

__all__ = ["FILE", "displacement", "in_basis", "norm", "polar_factors", "root_of", "sums_of"]

FILE = "linalg/barycenter.cu"
"""Source of the kernels."""
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
    lifted_root = y @ _aligning(start, end) - k
    lifted = transposed(start.vectors) @ lifted_root * xp.sqrt(x)[..., None, :]
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


def _aligning(start: SymmetricEigen, end: SymmetricEigen) -> Array:
    """Return the orthogonal R for which Y R is nearest to K, of factors P = K K' and Q = Y Y'."""
    xp = namespace(start.values)
    # Factors in units of their own keep the products in range where P and Q have very different ones.
    first, second = (SymmetricEigen(e.values / units_of(e.values, 1), e.vectors) for e in (start, end))
    b = transposed(root_of(second)) @ root_of(first)
    kernel = get_kernel(FILE, "polar_factor", b.dtype)
    if b.shape[-1] != 3 or not b.size or not use_compiled(kernel, b):
        left, _, right = xp.linalg.svd(b)
        return left @ right
    inverses = [e.vectors / xp.sqrt(e.values)[..., None, :] for e in (first, second)]
    return polar_factors(b, transposed(inverses[1]) @ inverses[0])


def polar_factors(b: Array, c: Array) -> Array:
    """Return the orthogonal polar factors of matrices b (..., 3, 3), given c = b^-T, by scaled Newton iterations."""
    xp, shape = namespace(b), b.shape
    found = xp.empty((prod(shape[:-2]), 9), b.dtype)
    kernel = get_kernel(FILE, "polar_factor", b.dtype)
    flat = (xp.ascontiguousarray(a).reshape(-1, 9) for a in (b, c))
    launch(kernel, -(-len(found) // block_size(b)), *flat, found, len(found))
    return found.reshape(shape)


def _positive(sums: Array) -> Array:
    """Return sums of eigenvalues that are positive but for rounding."""
    xp = namespace(sums)
    largest = abs(sums).max(axis=(-2, -1), keepdims=True)
    return xp.maximum(sums, np.finfo(sums.dtype).eps * largest)
