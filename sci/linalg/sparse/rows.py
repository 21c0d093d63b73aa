"""Sparse matrices in compressed rows, whose products and relaxation run on host and device."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.kernels import Kernel, block_size, get_kernel, launch, use_compiled

__all__ = ["SparseRows", "chebyshev_weights"]


def row_kernel(name: str, dtype: Any) -> Kernel:
    """Return an instance of a kernel of `sparse/rows.cu` for values of a dtype."""
    return get_kernel("sparse/rows.cu", name, dtype)


def chebyshev_weights(lowest: float, highest: float, degree: int) -> tuple[float, ...]:
    """Return the weights of the steps of a Chebyshev smoother: the inverse roots of its polynomial, ascending."""
    middle, half = (highest + lowest) / 2, (highest - lowest) / 2
    return tuple(1 / (middle + half * cos(pi * (2 * k + 1) / (2 * degree))) for k in range(degree))


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A sparse matrix in compressed rows, on the host or on a device.

    Parameters
    ----------
    starts : (n + 1,) int64 array
        Where each row starts in `columns` and `values`.
    columns : (entries,) int32 array
        Sorted in each row.
    values : (entries,) float32 or float64 array
    width : int
        Columns of the matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sci.linalg.sparse.rows import SparseRows
    >>> A = SparseRows.of(sparse.csr_array([[2.0, -1.0], [0.0, 3.0]]))
    >>> A, A.multiply(np.array([1.0, 1.0]))
    (SparseRows(2 x 2, 3 entries, float64), array([1., 3.]))
    """

    starts: Array
    columns: Array
    values: Array
    width: int

    @classmethod
    def of(cls, matrix: Any, dtype: Any = np.float64) -> SparseRows:
        """Return a SciPy sparse matrix in this form, on the host; entries of one place are summed."""
        rows = matrix.tocsr()
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        columns, values = rows.indices.astype(np.int32, copy=False), rows.data.astype(dtype, copy=False)
        return cls(rows.indptr.astype(np.int64, copy=False), columns, values, int(rows.shape[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.starts) - 1, self.width

    @property
    def dtype(self) -> Any:
        """Dtype of the values."""
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return int(self.starts.nbytes + self.columns.nbytes + self.values.nbytes)

    def __repr__(self) -> str:
        return f"SparseRows({len(self.starts) - 1} x {self.width}, {len(self.columns)} entries, {self.dtype})"

    def with_values(self, values: Array) -> SparseRows:
        """Return a matrix with the same places of its entries."""
        return SparseRows(self.starts, self.columns, values, self.width)

    def on(self, xp: Any) -> SparseRows:
        """Return the matrix with its arrays in a namespace, NumPy or CuPy."""
        starts, columns, values = (to_device(a, xp) for a in (self.starts, self.columns, self.values))
        return SparseRows(starts, columns, values, self.width)

    def to_scipy(self) -> Any:
        """Return a `scipy.sparse.csr_array` that shares the arrays, which lie on the host."""
        from scipy import sparse

        return sparse.csr_array((self.values, self.columns, self.starts), shape=self.shape)

    def multiply(self, x: Array) -> Array:
        """Return A x for a vector of the matrix' dtype."""
        out = namespace(x, self.values).empty(len(self.starts) - 1, self.dtype)
        self.combine(x, out, out, 0.0, 1.0)
        return out

    def combine(self, x: Array, b: Array, out: Array, keep: float, factor: float) -> None:
        """Set out = keep b + factor A x; `b` is not read where `keep` is 0, and may be `out`."""
        kernel = row_kernel("combine", self.dtype)
        if use_compiled(kernel, self.values):
            n = len(self.starts) - 1
            blocks = -(-n // block_size(x))
            launch(kernel, blocks, self.starts, self.columns, self.values, x, b, out, n, self.width, keep, factor)
        else:
            product = _product_reference(self, x) * factor
            out[...] = product if keep == 0 else keep * b + product

    def relax(self, inverse: Array, b: Array, x: Array, out: Array, weight: float) -> None:
        """Set out = x + weight inverse (b - A x), a step of Jacobi: `inverse` is that of the diagonal.

        Several steps with `chebyshev_weights` are a Chebyshev smoother.
        """
        kernel = row_kernel("relax", self.dtype)
        if use_compiled(kernel, self.values):
            n = len(self.starts) - 1
            arrays = (self.starts, self.columns, self.values, inverse, b, x, out)
            launch(kernel, -(-n // block_size(x)), *arrays, n, weight)
        else:
            out[...] = x + weight * inverse * (b - _product_reference(self, x))

    def sweep_from_zero(self, inverse: Array, b: Array, x: Array, middle: Array, rest: Array) -> None:
        """Set x to a symmetric Gauss-Seidel iteration from 0, and `rest` to b - A x; `middle` is room. On the host."""
        kernel = row_kernel("sweep_from_zero", self.dtype)
        if use_compiled(kernel, self.values):
            arrays = (self.starts, self.columns, self.values, inverse, b, x, middle, rest)
            launch(kernel, 1, *arrays, len(self.starts) - 1)
        else:
            x[...] = 0
            _sweep_reference(self, inverse, b, x)
            rest[...] = b - _product_reference(self, x)

    def sweep(self, inverse: Array, b: Array, x: Array, middle: Array) -> None:
        """Do a symmetric Gauss-Seidel iteration from x; `middle` is room. On the host."""
        kernel = row_kernel("sweep", self.dtype)
        if use_compiled(kernel, self.values):
            launch(*(kernel, 1, self.starts, self.columns, self.values, inverse, b, x, middle), len(self.starts) - 1)
        else:
            _sweep_reference(self, inverse, b, x)


def _product_reference(A: SparseRows, x: Array) -> Array:
    """Return A x in array calls, the sums in float64."""
    xp, n = namespace(x, A.values), len(A.starts) - 1
    rows = xp.searchsorted(A.starts, xp.arange(len(A.columns)), side="right") - 1
    return xp.bincount(rows, (A.values * x[A.columns]).astype(np.float64), n).astype(A.dtype)


def _sweep_reference(A: SparseRows, inverse: Array, b: Array, x: Array) -> None:
    """Go through the rows forwards and backwards, one array call for each."""
    n = len(A.starts) - 1
    for i in (*range(n), *reversed(range(n))):
        row = slice(int(A.starts[i]), int(A.starts[i + 1]))
        x[i] += inverse[i] * (b[i] - A.values[row] @ x[A.columns[row]])
