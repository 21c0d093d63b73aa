"""Products and transposes of sparse matrices in compressed rows, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.kernels import Kernel, block_size, get_kernel, host_threads, launch, use_compiled
from sci.linalg.sparse.rows import SparseRows

__all__ = ["diagonal_of", "multiply_rows", "scaled", "transpose"]

MOST_ENTRIES = 1 << 40
"""Entries of a product above which its memory is asked for by mistake."""


def product_kernel(name: str, dtype: Any) -> Kernel:
    """Return an instance of a kernel of `sparse/products.cu`."""
    return get_kernel("sparse/products.cu", name, dtype)


def multiply_rows(A: SparseRows, B: SparseRows) -> SparseRows:
    """Return A B in float64, the columns of each row sorted; zeros that arise are kept.

    Parameters
    ----------
    A, B : SparseRows
        Of float64, on the host; A has as many columns as B rows.

    Returns
    -------
    SparseRows

    Notes
    -----
    Gustavson's algorithm: for each thread an array as long as a row of B, twice over the rows.

    References
    ----------
    Gustavson, ACM Trans. Math. Softw. 4, 250 (1978).
    """
    counting, filling = product_kernel("product_counts", np.int64), product_kernel("product_values", np.float64)
    n = len(A.starts) - 1
    if n == 0 or not use_compiled(counting, A.values):
        return SparseRows.of((A.to_scipy() @ B.to_scipy()).tocsr().sorted_indices())
    chunks = min(host_threads(), n)
    seen = np.empty((chunks, B.width), np.int32)
    counts = np.empty(n, np.int64)
    launch(counting, chunks, A.starts, A.columns, B.starts, B.columns, seen, counts, n, B.width, chunks)
    starts = np.concatenate([[0], np.cumsum(counts)])
    if starts[-1] > MOST_ENTRIES:
        raise InvalidValueError(f"a product of sparse matrices has {starts[-1]} entries; expected fewer")
    out = SparseRows(starts, np.empty(starts[-1], np.int32), np.empty(starts[-1]), B.width)
    arrays = (A.starts, A.columns, A.values, B.starts, B.columns, B.values, out.starts, out.columns, out.values)
    launch(filling, chunks, *arrays, seen, np.empty((chunks, B.width)), n, B.width, chunks)
    return out


def transpose(A: SparseRows) -> SparseRows:
    """Return the transpose of a matrix of float64 on the host, the columns of each row sorted."""
    kernel = product_kernel("transpose_rows", np.float64)
    n = len(A.starts) - 1
    if not use_compiled(kernel, A.values):
        return SparseRows.of(A.to_scipy().T.tocsr())
    starts = np.concatenate([[0], np.cumsum(np.bincount(A.columns, minlength=A.width))]).astype(np.int64)
    columns, values = np.empty_like(A.columns), np.empty_like(A.values)
    launch(kernel, 1, A.starts, A.columns, A.values, starts[:-1].copy(), columns, values, n)
    return SparseRows(starts, columns, values, n)


def scaled(A: SparseRows, left: np.ndarray, right: np.ndarray, dtype: Any = np.float64) -> SparseRows:
    """Return diag(left) A diag(right) in a dtype, on the host; A is of float64."""
    kernel, values = product_kernel("scale_rows", dtype), np.empty(len(A.values), dtype)
    if use_compiled(kernel, values):
        n = len(left)
        launch(kernel, -(-n // block_size(values)), A.starts, A.columns, A.values, left, right, values, n)
    else:
        values[...] = np.repeat(left, np.diff(A.starts)) * A.values * right[A.columns]
    return A.with_values(values)


def diagonal_of(A: SparseRows) -> np.ndarray:
    """Return the diagonal of a matrix on the host, 0 where it has no entry."""
    n = len(A.starts) - 1
    found = np.zeros(n, A.dtype)
    at = np.flatnonzero(A.columns == np.repeat(np.arange(n, dtype=np.int32), np.diff(A.starts)))
    found[A.columns[at]] = A.values[at]
    return found
