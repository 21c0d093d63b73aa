"""What algebraic multigrid takes: a sparse matrix and its near null space, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from sci.backend import as_finite, is_device_array, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError, with_article
from sci.linalg.sparse.products import diagonal_of
from sci.linalg.sparse.rows import SparseRows

__all__ = ["checked_matrix", "checked_vectors", "is_symmetric"]

ROUNDING = 1e-12
"""Difference of A and its transpose, relative to the entries of a row, that is rounding of assembly."""


def checked_matrix(matrix: Any, symmetric: bool | None) -> tuple[SparseRows, int, bool]:
    """Return a SciPy sparse matrix as rows, the size of its blocks, and whether it is symmetric.

    Raises
    ------
    DTypeError, ShapeError, InvalidValueError
        See `AlgebraicMultigrid`.
    """
    if not sparse.issparse(matrix):
        raise DTypeError(
            f"matrix is {with_article(type(matrix).__name__)}; expected a scipy.sparse matrix, such as "
            "scipy.sparse.csr_array(matrix), or A.to_scipy() of a PoissonOperator"
        )
    if matrix.dtype.kind not in "biuf":
        raise DTypeError(f"matrix has dtype {matrix.dtype}; expected real numbers")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ShapeError(f"matrix has shape {matrix.shape}; expected a square matrix of at least one row")
    block = matrix.blocksize[0] if matrix.format == "bsr" and matrix.blocksize[0] == matrix.blocksize[1] else 1
    rows = SparseRows.of(matrix)
    if not np.isfinite(rows.values).all():
        where = np.searchsorted(rows.starts, np.flatnonzero(~np.isfinite(rows.values))[0], side="right") - 1
        raise InvalidValueError(f"matrix has NaN or Inf in row {where}")
    diagonal = diagonal_of(rows)
    wrong = np.flatnonzero(diagonal <= 0)
    if len(wrong):
        raise InvalidValueError(
            f"matrix has the diagonal entry {diagonal[wrong[0]]:g} in row {wrong[0]}, and {len(wrong)} rows like it; "
            "expected a positive diagonal (leave out rows of zeros; an indefinite matrix needs minres or gmres)"
        )
    found = symmetric if symmetric is False else is_symmetric(rows)
    if symmetric and not found:
        raise InvalidValueError("matrix is not symmetric; pass symmetric=None, and solve by bicgstab or gmres")
    return rows, int(block), found


def is_symmetric(A: SparseRows) -> bool:
    """Return True if A and its transpose give the same product with a random vector, to rounding."""
    unit = float(np.abs(A.values).max(initial=1e-300))
    matrix = A.with_values(A.values / unit).to_scipy()
    v = np.random.default_rng(0).uniform(0.5, 1.5, A.width)
    size = abs(matrix) @ v
    return bool((np.abs(matrix @ v - matrix.T @ v) <= ROUNDING * size).all())


def checked_vectors(near_nullspace: Any, n: int, block: int) -> np.ndarray:
    """Return the near null space as (n, k) array, each vector with a largest entry of 1; constants for None.

    Raises
    ------
    DTypeError, ShapeError, InvalidValueError
    """
    if near_nullspace is None:
        return np.kron(np.ones((n // block, 1)), np.eye(block))
    given = as_finite(to_host(near_nullspace) if is_device_array(near_nullspace) else near_nullspace, "near_nullspace")
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2 or len(given) != n or not 1 <= given.shape[1] <= 16:
        raise ShapeError(
            f"near_nullspace has shape {tuple(given.shape)}; expected ({n},) or ({n}, k) with at most 16 vectors, one "
            "row for each row of the matrix"
        )
    largest = np.abs(given).max(axis=0)
    if not largest.all():
        raise InvalidValueError(f"vector {int(np.argmin(largest))} of near_nullspace is zero; leave it out")
    found: np.ndarray = given / largest
    return found
