"""Deflation: a few vectors whose span is solved exactly, so that it no longer slows a Krylov method down."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, as_finite, namespace, to_device
from sci.distributed import agreed
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.solvers.krylov.arrays import Apply, applier
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.protocols import DistributedOperator
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.preconditioners.lowest import around, each, guarded, orthonormal, summed

__all__ = ["Deflation", "subdomain_vectors"]


@collective_entry
class Deflation:
    """Take the span of a few vectors out of the spectrum of M A; a preconditioner around another one.

        D r = W W'r + P M P'r,   P = I - W W'A,   W'A W = I,   W a basis of the span

    D A has the eigenvalue 1 on the span. Its other eigenvalues are those of P M P'A: with exact eigenvectors of M A in
    W, those of M A that are left. The iterations are those of the ratio of the largest to the smallest of these.

    Parameters
    ----------
    A : PoissonOperator, sparse matrix, (n, n) array, LinearOperator, or anything that `cg` takes
        Symmetric and positive (semi-)definite.
    vectors : (n, k) array
        What converges slowly: the lowest eigenvectors, as `lowest_eigenvectors` finds them; indicators of subdomains
        (`subdomain_vectors`); solutions for other right-hand sides. Columns that depend on others, or that A maps to
        zero, are left out. On ranks, this rank's rows.
    M : Preconditioner, optional
        Approximate inverse of A, symmetric and positive definite; the inverse of the diagonal by default.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit; NaN; an A that is not symmetric on the vectors, or of which no vector is left; an
        A without a diagonal and no M.
    ConvergenceError
        If A is not positive semidefinite on the vectors.

    Notes
    -----
    D is symmetric and positive definite, so that `cg`, `minres` and `block_cg` take it, and every start converges: the
    first part repairs what rounding brings back along W, which the projection alone does not. Beside M, 4 k
    multiplications for each unknown in an iteration, and k products with A at the start; 2 k vectors are kept. Units
    matter: M A should have eigenvalues about 1, as it has with any approximate inverse.

    Collective if A has a `comm`: two sums of k numbers over the ranks in a product.

    References
    ----------
    Nicolaides, SIAM J. Numer. Anal. 24, 355 (1987); Saad, Yeung, Erhel and Guyomarc'h, SIAM J. Sci. Comput. 21, 1909
    (2000); in the form of Mandel, Commun. Numer. Methods Eng. 9, 233 (1993), "BNN" in the comparison of Tang, Nabben,
    Vuik and Erlangga, J. Sci. Comput. 39, 340 (2009).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import Deflation, PoissonOperator, cg, lowest_eigenvectors
    >>> A = PoissonOperator(np.ones((32, 32), dtype=bool))
    >>> b = np.random.default_rng(0).normal(size=(32, 32))
    >>> D = Deflation(A, lowest_eigenvectors(A, 16)[1])
    >>> cg(A, b, rtol=1e-8).iterations, cg(A, b, M=D, rtol=1e-8).iterations
    (102, 52)
    """

    def __init__(self, A: Any, vectors: Array, M: Any = None) -> None:
        self.A, self._comm = A, A.comm if isinstance(A, DistributedOperator) else None
        with agreed(self._comm, "Deflation") as agreement:
            W = as_finite(vectors, "vectors")
            if W.ndim != 2 or W.shape[1] < 1:
                raise ShapeError(f"vectors has shape {tuple(W.shape)}; expected columns (n, k), k of 1 or more")
            apply = applier(A, "A", W[:, 0])
            self.M = around(A, M)
            self._apply_m: Apply = applier(self.M, "M", W[:, 0])
            agreement.same(columns=int(W.shape[1]), M=type(self.M).__name__)
        apply = guarded(apply, "A", self._comm)
        if isinstance(A, PoissonOperator) and A.singular:
            W = each(A.project, W)
        self._W, self._AW = self._conjugate(apply, W)
        self.shape = (int(W.shape[0]),) * 2
        self.dtype = np.dtype(np.float64)

    @property
    def count(self) -> int:
        """Dimension of the span that is deflated."""
        return int(self._W.shape[1])

    def _conjugate(self, apply: Apply, W: Array) -> tuple[Array, Array]:
        """Return a basis of the span with W'A W = I, and A W."""
        xp = namespace(W)
        squares = summed(xp.sum(W * W, axis=0), self._comm)
        W = W[:, xp.asarray(squares > 0)] / xp.asarray(np.sqrt(squares[squares > 0]))
        if not W.shape[1]:
            raise InvalidValueError("vectors are zero; expected one or more that are not")
        AW = each(apply, W)
        for _ in range(2):
            basis = xp.asarray(orthonormal(summed(W.T @ AW, self._comm)))
            if not basis.shape[1]:
                raise InvalidValueError("A maps all the vectors to zero; expected others than its null space")
            W, AW = W @ basis, AW @ basis
        return W, AW

    def matvec(self, r: Array) -> Array:
        """Return D r for an array (n,) or (n, 1), a grid array of a PoissonOperator, or columns (n, k); collective."""
        A, n = self.A, self.shape[0]
        if isinstance(A, PoissonOperator) and tuple(r.shape) == A.local_shape:
            return A.expand(self.matvec(A.compress(r)))
        if r.ndim == 2 and r.shape[0] == n and r.shape[1] != 1:
            return namespace(r).stack([self.matvec(r[:, k]) for k in range(r.shape[1])], axis=1)
        if tuple(r.shape) not in ((n,), (n, 1)):
            raise ShapeError(f"the vector has shape {tuple(r.shape)}; expected ({n},) or ({n}, k)")
        xp, flat = namespace(r, self._W), r.reshape(-1)
        if flat.dtype.kind not in "biuf":
            raise DTypeError(f"the vector has dtype {flat.dtype}; expected real numbers")
        along = summed(self._W.T @ flat, self._comm)
        # A rank whose M fails stays in step, and makes the others' sums NaN.
        guard, inner = Guard(self._comm), flat - self._AW @ xp.asarray(along)
        z = guard.call(lambda: self._apply_m(inner), inner)
        back = along - summed((self._AW.T @ z) * guard.part(1.0), self._comm)
        if guard.error is not None:
            raise guard.error
        return (z + self._W @ xp.asarray(back)).reshape(r.shape)

    matmat = rmatvec = dot = __call__ = __matmul__ = matvec

    @property
    def nbytes(self) -> int:
        """Bytes of the vectors and of their products with A, without those of M."""
        return int(self._W.nbytes + self._AW.nbytes)

    def __repr__(self) -> str:
        return f"Deflation({self.count} vectors of {self.shape[0]} unknowns, {self.nbytes} bytes, around {self.M!r})"


@entry
def subdomain_vectors(A: PoissonOperator, parts: tuple[int, ...]) -> Array:
    """Return the indicators of boxes of a grid, for `Deflation`: 1 in the unknowns of one box, 0 elsewhere.

    Parameters
    ----------
    A : PoissonOperator
    parts : tuple of int
        Number of boxes along each axis of the whole grid.

    Returns
    -------
    (n, k) float64 array
        k the product of `parts`; a column of zeros for a box without fluid. On ranks, this rank's rows.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Nicolaides, SIAM J. Numer. Anal. 24, 355 (1987).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import PoissonOperator, subdomain_vectors
    >>> subdomain_vectors(PoissonOperator(np.ones((2, 2), dtype=bool)), (2, 1)).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    if len(parts) != A.ndim or any(not 1 <= p <= n for p, n in zip(parts, A.grid_shape)):
        raise InvalidValueError(f"parts is {parts}; expected a number from 1 to the length for each of {A.grid_shape}")
    labels = np.zeros((1,) * A.ndim, dtype=np.int64)
    for axis, (own, p, n) in enumerate(zip(A.slices, parts, A.grid_shape)):
        places = np.arange(own.start, own.stop) * p // n
        labels = labels * p + places.reshape([-1 if a == axis else 1 for a in range(A.ndim)])
    own_labels = A.compress(to_device(labels, A.xp))
    found: Array = (own_labels[:, None] == A.xp.arange(int(np.prod(parts)))).astype(np.float64)
    return found
