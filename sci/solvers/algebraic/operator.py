"""A sparse matrix as a linear operator on host or device."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of
from sci.errors import DTypeError, ShapeError, with_article
from sci.linalg.sparse.rows import SparseRows

__all__ = ["SparseOperator"]


@entry
class SparseOperator:
    """A sparse matrix whose products run in compiled kernels, on the host's threads or on a device.

    Parameters
    ----------
    matrix : scipy.sparse matrix or array
        Real, in any format.
    device : "cpu" or "cuda"

    Raises
    ------
    DTypeError
        For a dense or complex matrix.

    Notes
    -----
    12 bytes for each entry and 8 for each row, which a product reads once.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sci.solvers import SparseOperator
    >>> A = SparseOperator(sparse.csr_array([[2.0, -1.0], [0.0, 3.0]]))
    >>> A, A @ np.ones(2)
    (SparseOperator(2 x 2, 3 entries), array([1., 3.]))
    """

    def __init__(self, matrix: Any, *, device: Device = "cpu") -> None:
        if not isinstance(matrix, SparseRows):
            if not sparse.issparse(matrix) or matrix.ndim != 2:
                raise DTypeError(f"matrix is {with_article(type(matrix).__name__)}; expected a scipy.sparse matrix")
            if matrix.dtype.kind not in "biuf":
                raise DTypeError(f"matrix has dtype {matrix.dtype}; expected real numbers")
            matrix = SparseRows.of(matrix)
        self._rows = matrix.on(namespace_of(device))
        self.shape, self.dtype = self._rows.shape, self._rows.dtype

    def matvec(self, x: Array) -> Array:
        """Return A x for an array (n,) or (n, 1), or columns (n, k), in float64."""
        xp = namespace(x, self._rows.values)
        if x.ndim == 2 and x.shape[0] == self.shape[1] and x.shape[1] != 1:
            return xp.stack([self.matvec(x[:, k]) for k in range(x.shape[1])], axis=1)
        if tuple(x.shape) not in ((self.shape[1],), (self.shape[1], 1)):
            raise ShapeError(f"the vector has shape {tuple(x.shape)}; expected ({self.shape[1]},)")
        if x.dtype.kind not in "biuf":
            raise DTypeError(f"the vector has dtype {x.dtype}; expected real numbers")
        found: Array = self._rows.multiply(xp.ascontiguousarray(x.reshape(-1).astype(np.float64, copy=False)))
        return found.reshape((self.shape[0], *x.shape[1:]))

    matmat = dot = __call__ = __matmul__ = matvec

    def diagonal(self) -> Array:
        """Return the diagonal."""
        rows, xp = self._rows, namespace(self._rows.values)
        own = xp.searchsorted(rows.starts, xp.arange(len(rows.columns)), side="right") - 1
        found: Array = xp.bincount(own, xp.where(own == rows.columns, rows.values, 0.0), self.shape[0])
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix."""
        return int(self._rows.nbytes)

    def __repr__(self) -> str:
        return f"SparseOperator({self.shape[0]} x {self.shape[1]}, {len(self._rows.columns)} entries)"
