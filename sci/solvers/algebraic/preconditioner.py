"""Algebraic multigrid: one V-cycle of smoothed aggregation as a preconditioner for any sparse matrix."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of, to_device
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg.lanczos import power_of_two
from sci.linalg.sparse.products import diagonal_of, scaled
from sci.solvers.algebraic.cycle import VCycle, cycle_levels
from sci.solvers.algebraic.hierarchy import Settings, build
from sci.solvers.algebraic.matrix import checked_matrix, checked_vectors
from sci.solvers.algebraic.operator import SparseOperator
from sci.solvers.krylov.pool import Lending

__all__ = ["AlgebraicMultigrid"]

THETA = 0.5
COARSEST = 200
DEGREE, RATIO = 3, 10.0
"""Degree of the Chebyshev smoother, and the ratio of the ends of the interval that it damps."""


@entry
class AlgebraicMultigrid(Lending[VCycle]):
    """Approximate inverse of a sparse matrix: one V-cycle of smoothed aggregation.

    For symmetric positive definite matrices of any mesh, with scalar or vector unknowns, and for nonsymmetric
    M-matrices such as upwind differences give. It needs no grid: only the matrix, and for vector unknowns what the
    matrix nearly maps to zero.

    Parameters
    ----------
    matrix : scipy.sparse matrix or array
        Square and real, in any format; its diagonal is positive. Rows of a `bsr` matrix with square blocks are taken
        together as the unknowns of one node.
    near_nullspace : (n,) or (n, k) array, optional
        Vectors that the matrix without its boundary conditions maps to zero, such as the rigid-body modes of
        elasticity (three in a plane, six in space). Constants by default, one for each unknown of a node.
    symmetric : bool, optional
        Found from the matrix by default. A nonsymmetric one gets plain aggregation as restriction, for `bicgstab` or
        `gmres`.
    theta : float
        A link is strong if -a_ij >= theta sqrt(m_i m_j), m_i the largest -a_ij of row i: 0 to 1. Norms of blocks stand
        for vector unknowns.
    degree : 1 to 4, optional
        Steps that smooth prolongation. By default two where strong links are few, as in anisotropy, and one else.
    smoother : "gauss-seidel" or "chebyshev", optional
        A symmetric Gauss-Seidel iteration before and after each coarse correction, on the host alone; or three steps
        of Chebyshev's with Jacobi, which also run on many threads and on a device. By default the first on the host.
    coarsest : int
        Unknowns at which coarsening ends; the inverse there is dense.
    dtype : float32 or float64
        Of the cycle; a float32 cycle inside of a float64 iteration loses none, and halves the memory.
    device : "cpu" or "cuda"
        Where the cycle runs. The setup is on the host in any case.

    Raises
    ------
    DTypeError
        For a dense, complex or non-sparse matrix.
    ShapeError
        If it is not square, or `near_nullspace` does not fit.
    InvalidValueError
        For NaN or Inf, a diagonal entry that is not positive, options out of range, and a matrix that is said to be
        symmetric and is not. That it is positive definite shows in the iteration: `cg` raises and names `minres`.

    Notes
    -----
    Nonsymmetric matrices are smoothed by the same sweeps; convergence is a matter of M-matrices, not of any matrix.
    Coarse unknowns that are null vectors of a component on their own, and the pivots of singular components on the
    coarsest level, are set to zero, so that Neumann problems need no change; b has to be in the range.

    The unknowns of each level are held in units of the root of its diagonal: neither the units of the matrix nor jumps
    of its coefficients matter to a float32 cycle. Memory: 8 bytes for each entry of all levels' matrices and transfers
    with float32. Work of a cycle with Gauss-Seidel: 3 passes over each level's matrix, 1.5 of them before the coarse
    correction; with Chebyshev 6. Gauss-Seidel runs on one thread. The setup takes about as long as five to ten cycles.

    On ranks it is that of the rows of one process.

    References
    ----------
    Vanek, Mandel and Brezina, Computing 56, 179 (1996); with strong links as in resistor networks, and prolongation
    smoothed twice where they are few.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sci.solvers import AlgebraicMultigrid, cg
    >>> second = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> A = sparse.kron(second, sparse.eye_array(50)) + sparse.kron(sparse.eye_array(50), second)
    >>> M = AlgebraicMultigrid(A)
    >>> cg(A, np.ones(2500), M=M, rtol=1e-8).iterations
    8
    """

    def __init__(
        self,
        matrix: Any,
        near_nullspace: Any = None,
        *,
        symmetric: bool | None = None,
        theta: float = THETA,
        degree: int | None = None,
        smoother: Literal["gauss-seidel", "chebyshev"] | None = None,
        coarsest: int = COARSEST,
        dtype: Any = np.float32,
        device: Device = "cpu",
    ) -> None:
        super().__init__()
        xp = namespace_of(device)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise DTypeError(f"dtype is {self.dtype}; expected float32 or float64")
        self.smoother = smoother or ("gauss-seidel" if xp is np else "chebyshev")
        _check_options(theta, degree, self.smoother, coarsest, xp)
        rows, block, self.symmetric = checked_matrix(matrix, symmetric)
        vectors = checked_vectors(near_nullspace, len(rows.starts) - 1, block)
        starts = None if block == 1 and vectors.shape[1] == 1 else np.arange(0, len(rows.starts), block)
        self._unit = power_of_two(float(np.abs(rows.values).max(initial=0.0)))
        self.A = SparseOperator(rows, device=device)
        # In units of a near null vector it is the constant, and links are those of a network.
        own = vectors[:, 0] if vectors.shape[1] == 1 and vectors.all() else np.ones(len(vectors))
        vectors = vectors / own[:, None]
        scaled_down = scaled(rows.with_values(rows.values / self._unit), own, own)
        levels = build(scaled_down, vectors, starts, Settings(theta, degree, coarsest, self.symmetric))
        chosen = None if self.smoother == "gauss-seidel" else (DEGREE, RATIO)
        self._levels, self._inverse = cycle_levels(levels, self.dtype, xp, chosen, self.symmetric)
        self._root = to_device(own / np.sqrt(diagonal_of(scaled_down)), xp)
        self._sizes = [(len(level.A.starts) - 1, len(level.A.columns)) for level in levels]
        self.shape = self.A.shape

    def new_cycle(self) -> VCycle:
        """Return a new cycle with arrays of its own."""
        return VCycle(self._levels, self._inverse, namespace(self._root), self.dtype)

    def matvec(self, r: Array) -> Array:
        """Return M r for an array (n,) or (n, 1), or columns (n, k), in float64."""
        n = self.shape[0]
        if r.ndim == 2 and r.shape[0] == n and r.shape[1] != 1:
            return namespace(r).stack([self.matvec(r[:, k]) for k in range(r.shape[1])], axis=1)
        if tuple(r.shape) not in ((n,), (n, 1)):
            raise ShapeError(f"the vector has shape {tuple(r.shape)}; expected ({n},) or ({n}, k)")
        xp, flat = namespace(r, self._root), r.reshape(-1)
        if flat.dtype.kind not in "biuf":
            raise DTypeError(f"the vector has dtype {flat.dtype}; expected real numbers")
        size = float(xp.abs(flat).max()) if n else 0.0
        unit = power_of_two(size) if np.isfinite(size) else 1.0
        with self.workspace() as cycle:
            cycle.source[...] = flat * (self._root / unit)
            cycle.run()
            return (cycle.result * self._root * (unit / self._unit)).reshape(r.shape)

    matmat = rmatvec = dot = __call__ = __matmul__ = matvec

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Unknowns of each level, the finest first."""
        return tuple(n for n, _ in self._sizes)

    @property
    def operator_complexity(self) -> float:
        """Entries of the matrices of all levels over those of the finest."""
        return sum(entries for _, entries in self._sizes) / max(1, self._sizes[0][1])

    @property
    def nbytes(self) -> int:
        """Bytes of the matrices and transfers of the cycle, without the matrix in float64."""
        parts = [m for level in self._levels for m in (level.A, level.P, level.R) if m is not None]
        dense = 0 if self._inverse is None else int(self._inverse.nbytes)
        return sum(m.nbytes for m in parts) + dense + int(self._root.nbytes)

    def __repr__(self) -> str:
        kind = "" if self.symmetric else "nonsymmetric, "
        return (
            f"AlgebraicMultigrid({' -> '.join(map(str, self.level_sizes))} unknowns, {kind}operator complexity "
            f"{self.operator_complexity:.3g}, {self.smoother}, {self.nbytes} bytes)"
        )


def _check_options(theta: float, degree: int | None, smoother: str, coarsest: int, xp: Any) -> None:
    """Refuse options out of range."""
    if not 0 <= theta <= 1:
        raise InvalidValueError(f"theta is {theta}; expected a number from 0 to 1")
    if degree is not None and degree not in (1, 2, 3, 4):
        raise InvalidValueError(f"degree is {degree}; expected 1 to 4 steps, or None")
    if smoother not in ("gauss-seidel", "chebyshev"):
        raise InvalidValueError(f"smoother is {smoother!r}; expected 'gauss-seidel' or 'chebyshev'")
    if smoother == "gauss-seidel" and xp is not np:
        raise InvalidValueError("Gauss-Seidel goes through the rows in order, on the host; use smoother='chebyshev'")
    if not 1 <= coarsest <= 2000:
        raise InvalidValueError(f"coarsest is {coarsest}; expected 1 to 2000 unknowns")
