"""The inverse of the coarsest matrix, or its pseudo-inverse where components are singular."""

from __future__ import annotations

import numpy as np
from scipy import linalg

__all__ = ["pseudo_inverse"]


LEAST = 64 * float(np.finfo(np.float64).eps)
"""Pivot for each unknown that is rounding of the products that made the matrix."""


def pseudo_inverse(matrix: np.ndarray, symmetric: bool) -> np.ndarray:
    """Return the inverse of a matrix of diagonal near 1, or for a singular one its pseudo-inverse.

    Parameters
    ----------
    matrix : (n, n) array
        Symmetric and positive semi-definite, or any.
    symmetric : bool

    Returns
    -------
    (n, n) array
        Symmetric for a symmetric matrix.

    Notes
    -----
    Cholesky's factorization with pivots: one below 64 n eps ends it, and the unknowns left are grounded; then the null
    vectors that follow are projected out of both sides, as a large multiple of one would drown the rest in single
    precision. A nonsymmetric matrix is inverted by LU, or by singular values if QR with pivots shows that it is
    singular. The diagonal has to be near 1, as otherwise the pivots of small coefficients look like rounding.
    """
    n = len(matrix)
    least = LEAST * max(1, n)
    found = np.zeros((n, n))
    if symmetric:
        _, order, rank, _ = linalg.lapack.dpstrf(matrix, lower=1, tol=least)
        chosen, others = np.sort(order[:rank] - 1), np.sort(order[rank:] - 1)
        inside = np.ix_(chosen, chosen)
        found[inside] = linalg.cho_solve(linalg.cho_factor(matrix[inside], lower=True), np.eye(rank)) if rank else 0.0
        null = np.zeros((n, n - rank))
        null[others] = np.eye(n - rank)
        null[chosen] = -found[inside] @ matrix[np.ix_(chosen, others)]
        basis = linalg.qr(null, mode="economic")[0] if rank < n else null
        found = found - basis @ (basis.T @ found)
        found = found - (found @ basis) @ basis.T
        half: np.ndarray = (found + found.T) / 2
        return half
    _, triangle, order = linalg.qr(matrix, pivoting=True)
    sizes = np.abs(np.diag(triangle))
    rank = int((sizes > least * max(1.0, sizes.max(initial=0.0))).sum())
    inverse: np.ndarray = linalg.inv(matrix) if rank == n else linalg.pinv(matrix, rtol=least)
    return inverse
