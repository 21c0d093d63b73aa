"""Prolongation of smoothed aggregation: a local basis of the near null space on each aggregate, smoothed."""

from __future__ import annotations

import numpy as np

from sci.kernels import block_size, launch, use_compiled
from sci.linalg.lanczos import eigen_of_tridiagonal, lanczos
from sci.linalg.sparse.products import multiply_rows, transpose
from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.aggregation import aggregation_kernel, indicator

__all__ = ["largest_eigenvalue", "local_bases", "smoothed", "smoothing_matrix", "tentative"]

DEPENDENT = 1e-8
"""A vector of the near null space depends on those before it where less than this part of it is left."""


def tentative(groups: np.ndarray, count: int, vectors: np.ndarray) -> tuple[SparseRows, np.ndarray, np.ndarray]:
    """Return T with orthonormal columns, the coarse vectors with T coarse = vectors, and where coarse nodes start.

    Parameters
    ----------
    groups : (n,) int32 array
        Aggregate of each row, -1 for none.
    count : int
    vectors : (n, k) array
        Near null space.

    Returns
    -------
    T : SparseRows
        Vectors that depend on others over an aggregate have no column.
    coarse : (n_coarse, k) array
    node_starts : (count + 1,) int64 array
    """
    members = transpose(indicator(groups, count))
    q, r, kept = local_bases(members, vectors)
    number = (np.cumsum(kept.reshape(-1)) - 1).reshape(kept.shape)
    node_starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    if vectors.shape[1] == 1 and kept.all() and (groups >= 0).all():
        starts = np.arange(len(groups) + 1)
        return SparseRows(starts, groups, q.reshape(-1), count), r.reshape(count, 1), node_starts
    chosen = kept[groups] & (groups >= 0)[:, None]
    starts = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int64)
    columns = number[groups][chosen].astype(np.int32)
    return SparseRows(starts, columns, q[chosen], int(node_starts[-1])), r[kept], node_starts


def local_bases(members: SparseRows, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Q and R of the rows of `vectors` in each group, and which columns of Q are kept.

    Parameters
    ----------
    members : SparseRows
        The rows of a group are the columns of its row.
    vectors : (n, k) array

    Returns
    -------
    q : (n, k) array
    r : (groups, k, k) array
    kept : (groups, k) bool array
        False for a column that depends on those before.
    """
    (n, k), groups = vectors.shape, len(members.starts) - 1
    q, r, kept = np.zeros((n, k)), np.zeros((groups, k, k)), np.zeros((groups, k), np.int8)
    rows, kernel = members.columns.astype(np.int64), aggregation_kernel("local_bases", np.float64)
    if use_compiled(kernel, q):
        arrays = (members.starts, rows, np.ascontiguousarray(vectors), q, r, kept)
        launch(kernel, min(groups, 1024), *arrays, groups, k, DEPENDENT)
    else:
        for g in range(groups):
            inside = rows[members.starts[g] : members.starts[g + 1]]
            q[inside], r[g], kept[g] = _basis(vectors[inside])
    return q, r, kept.astype(bool)


def _basis(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference of the kernel for one group: Gram-Schmidt, done twice."""
    q, k = vectors.copy(), vectors.shape[1]
    r, kept = np.zeros((k, k)), np.zeros(k, np.int8)
    for c in range(k):
        for _ in range(2):
            for p in range(c):
                dot = q[:, p] @ q[:, c]
                q[:, c] -= dot * q[:, p]
                r[p, c] += dot
        size = np.linalg.norm(q[:, c])
        kept[c] = size > DEPENDENT * np.linalg.norm(vectors[:, c])
        q[:, c] *= 1 / size if kept[c] else 0.0
        r[c, c] = size * kept[c]
    return q, r, kept


def smoothing_matrix(A: SparseRows, strong: np.ndarray, b: np.ndarray, factor: float) -> SparseRows:
    """Return I - factor F / total: F has the strong entries of A, and F b = A b; total_i is the sum of |f_ij|."""
    n, diagonal = len(A.starts) - 1, A.columns == np.repeat(np.arange(len(A.starts) - 1), np.diff(A.starts))
    counts = np.add.reduceat((strong > 0) | diagonal, A.starts[:-1], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    columns, values = np.empty(starts[-1], np.int32), np.empty(starts[-1])
    kernel = aggregation_kernel("smoothing_rows", np.float64)
    if use_compiled(kernel, values):
        arrays = (A.starts, A.columns, A.values, strong, b, starts, columns, values)
        launch(kernel, -(-n // block_size(values)), *arrays, n, factor)
        return SparseRows(starts, columns, values, n)
    rows = np.repeat(np.arange(n), np.diff(A.starts))
    kept = (strong > 0) | diagonal
    ratio = np.where(b[rows] != 0, b[A.columns], 0.0) / np.where(b[rows] != 0, b[rows], 1.0)
    full = A.values[diagonal]
    own = full + np.bincount(rows[~kept], (A.values * ratio)[~kept], n)
    own = np.where(own > 0.1 * full, own, full)
    total = own + np.bincount(rows[strong > 0], np.abs(A.values[strong > 0]), n)
    moved = np.where(diagonal, own[rows], A.values) * (-factor / total)[rows] + diagonal
    return SparseRows(starts, A.columns[kept], moved[kept], n)


def smoothed(S: SparseRows, T: SparseRows, degree: int) -> SparseRows:
    """Return S^degree T."""
    for _ in range(degree):
        T = multiply_rows(S, T)
    return T


def largest_eigenvalue(A: SparseRows, inverse_root: np.ndarray, steps: int = 8, safety: float = 1.1) -> float:
    """Return an estimate, `safety` times that of Lanczos' iteration, of the largest eigenvalue of D^-1/2 A D^-1/2.

    Parameters
    ----------
    A : SparseRows
        Symmetric.
    inverse_root : (n,) array
        D^-1/2.
    steps : int
    safety : float
    """
    n = len(inverse_root)
    start = np.random.default_rng(0).normal(size=n)
    _, alpha, beta = lanczos(
        lambda v: inverse_root * A.multiply(inverse_root * v), n, min(steps, n), start=start, reorthogonalize=False
    )
    return safety * float(eigen_of_tridiagonal(alpha, beta)[0][-1])
