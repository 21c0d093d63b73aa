"""Block conjugate gradients: several right-hand sides that share one Krylov space."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace
from sci.distributed import agreed, allreduce_sum
from sci.errors import ShapeError
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.arrays import applier, size_of_entries
from sci.solvers.krylov.cg import Limits, SolveResult, check_limits, checked_vectors, without_zeros
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.iteration import BreakdownError
from sci.solvers.krylov.posing import posed
from sci.solvers.krylov.protocols import DistributedOperator, PaddedOperator

__all__ = ["block_cg"]

DEPENDENT = 1e-12
"""A direction of which less than this part of its square is independent of the others is left out."""
RESTARTS = 3


@collective_entry
def block_cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], object] | None = None,
) -> SolveResult:
    """Solve A X = B for a symmetric positive definite A and all columns of B at once.

    Every column is minimized over the directions of all of them, so that k columns take fewer iterations than one, and
    products with A and M take k vectors at a time. Stops when each ||b - A x|| <= max(rtol ||b||, atol).

    Parameters
    ----------
    A : LinearOperator, sparse matrix, (n, n) array, PoissonOperator, or anything with `@` or a call
    b : (n, k) array
        Right-hand sides, on the device of A; on ranks, this rank's rows. Columns may depend on each other.
    x0 : (n, k) array, optional
        Start; 0 by default.
    rtol, atol : float
        As in `cg`, for each column.
    maxiter : int, optional
        10 for each row of b by default. A solve that ends there returns with `converged` false.
    M : optional
        Approximate inverse of A, symmetric and positive definite: anything that A may be.
    callback : callable, optional
        Called with X after each iteration.

    Returns
    -------
    SolveResult
        With `residual_norms` (iterations + 1, k).

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, and NaN or Inf in b or x0.
    ConvergenceError
        If A or M turns out not to be positive definite, and if NaN appears.

    Notes
    -----
    A product with A and one with M for each column per iteration, by `@` where A or M has it for columns, and 5 k^2 n
    multiplications. Directions that depend on others are left out, as where columns of b do or have converged. 6 k
    vectors. Collective if A has a `comm`: three sums of k^2 numbers per iteration.

    References
    ----------
    O'Leary, Linear Algebra Appl. 29, 293 (1980); with orthonormal directions as in Dubrulle, ETNA 12, 216 (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import block_cg
    >>> block_cg(np.diag([1.0, 2.0, 4.0]), np.eye(3)[:, :2], rtol=1e-12).x.round(6)
    array([[1. , 0. ],
           [0. , 0.5],
           [0. , 0. ]])
    """
    started = time.perf_counter()
    comm = A.comm if isinstance(A, DistributedOperator) else None
    with agreed(comm, "block_cg") as agreement:
        right, start = checked_vectors(A, b, x0, M)
        if right.ndim != 2:
            raise ShapeError(
                f"b has shape {tuple(right.shape)}; expected columns (n, k), or cg for one right-hand side"
            )
        check_limits(rtol, atol, maxiter)
        agreement.same(rtol=float(rtol), atol=float(atol), maxiter=maxiter, columns=right.shape[1])
        agreement.same(x0="given" if start is not None else None, M=None if M is None else type(M).__name__)
        agreement.same(callback=None if callback is None else "given")
        agreement.gather(right.shape[0])
        applier(A, "A", right[:, 0])
        if M is not None:
            applier(M, "M", right[:, 0])
    if isinstance(A, PaddedOperator):
        right = namespace(right).stack([posed(A, column, None, comm)[0] for column in right.T], axis=1)
    if start is not None:
        start = without_zeros(start, right, Limits(rtol, atol, maxiter), right.shape[1], comm)
    guard = Guard(comm)
    block = Block(A, M, right, start, guard, callback)
    most = 10 * int(agreement.table[:, 0].sum()) if maxiter is None else int(maxiter)
    targets = np.maximum(rtol * block.b_norms, atol)
    with guard.settling():
        history = block.iterate(targets, most)
    x = block.x * block.unit
    if getattr(A, "singular", False):
        x = namespace(x).stack([A.project(column) for column in x.T], axis=1)
    seconds = time.perf_counter() - started
    return SolveResult(x, len(history) - 1, np.stack(history), bool((history[-1] <= targets).all()), seconds)


class Block:
    """The columns of one solve, in units of their largest entries."""

    def __init__(
        self, A: Any, M: Any, b: Array, x0: Array | None, guard: Guard, seen: Callable[[Array], object] | None
    ) -> None:
        self.A, self.M, self._guard, self._seen, self.xp = A, M, guard, seen, namespace(b)
        sizes = [power_of_two(size_of_entries(column, guard.comm)) for column in b.T]
        self.unit = self.xp.asarray(np.array(sizes))
        self.b = b / self.unit
        self.x = self.xp.zeros_like(self.b) if x0 is None else x0 / self.unit
        self.r = self.b if x0 is None else self.b - self._apply(A, self.x)
        self.b_norms = self._norms(self.b)

    def _apply(self, operator: Any, v: Array) -> Array:
        """Return the operator's products with the columns of v."""
        return self._guard.call(lambda: _columns(operator, v), v)

    def _gram(self, a: Array, b: Array) -> np.ndarray:
        """Return a'b on the host, summed over the ranks."""
        product = a.T @ b
        own = np.array(product.tolist(), dtype=np.float64).reshape(product.shape) * self._guard.part(1.0)
        return own if self._guard.comm is None else np.asarray(allreduce_sum(own, self._guard.comm, checked=True))

    def _norms(self, v: Array) -> np.ndarray:
        """Return the norms of the columns in the units of b."""
        units = np.array(self.unit.tolist())
        found: np.ndarray = np.sqrt(np.diag(self._gram(v, v))) * units
        return found

    def _orthonormal(self, p: Array) -> Array:
        """Return an orthonormal basis of the columns of p, without those that depend on others."""
        for _ in range(2):
            gram = self._gram(p, p)
            size = np.sqrt(np.diag(gram))
            if not np.isfinite(size).all():
                return p
            scale = np.where(size > 0, 1 / np.where(size > 0, size, 1.0), 0.0)
            values, vectors = np.linalg.eigh(gram * scale[:, None] * scale)
            chosen = values > DEPENDENT * max(values[-1], 1e-300)
            p = p @ self.xp.asarray(scale[:, None] * vectors[:, chosen] / np.sqrt(values[chosen]))
        return p

    def iterate(self, targets: np.ndarray, maxiter: int) -> list[np.ndarray]:
        """Iterate until the norm of each residual is at most its target; return the norms."""
        history, restarts = [self._norms(self.r)], 0
        p, exact = None, True
        while len(history) <= maxiter or (history[-1] <= targets).all():
            if (history[-1] <= targets).all():
                if not exact:
                    self.r, exact = self.b - self._apply(self.A, self.x), True
                    history[-1] = self._norms(self.r)
                if (history[-1] <= targets).all() or restarts == RESTARTS or len(history) > maxiter:
                    break
                restarts, p = restarts + 1, None
            p = self._step(p, len(history))
            history.append(self._norms(self.r))
            exact = False
            self._show()
        if not exact:
            self.r = self.b - self._apply(self.A, self.x)
            history[-1] = self._norms(self.r)
        return history

    def _show(self) -> None:
        """Call the callback with X."""
        if self._seen is not None:
            seen = self._seen
            self._guard.call(lambda: seen(self.x * self.unit), None)

    def _step(self, last: tuple[Array, Array, np.ndarray] | None, at: int) -> tuple[Array, Array, np.ndarray]:
        """Move x and r along new directions; return them, their products with A, and P'A P."""
        z = self.r if self.M is None else self._apply(self.M, self.r)
        _positive(np.diag(self._gram(self.r, z)), "M", "r", at, strict=False)
        p = z
        if last is not None:
            P, AP, form = last
            p = z - P @ self.xp.asarray(np.linalg.solve(form, self._gram(AP, z)))
        p = self._orthonormal(p)
        Ap = self._apply(self.A, p)
        form = self._gram(p, Ap)
        form = (form + form.T) / 2
        _positive(np.linalg.eigvalsh(form) if np.isfinite(form).all() else form.ravel(), "A", "p", at)
        step = self.xp.asarray(np.linalg.solve(form, self._gram(p, self.r)))
        self.x = self.x + p @ step
        self.r = self.r - Ap @ step
        return p, Ap, form


def _positive(values: np.ndarray, name: str, vector: str, at: int, strict: bool = True) -> None:
    """Refuse quadratic forms that are not positive; a residual of zero is no breakdown where not `strict`."""
    least = float(values.min()) if len(values) else 1.0
    if not np.isfinite(values).all():
        raise BreakdownError(f"iteration {at}: {vector}'{name} {vector} is NaN or Inf; {name} gives it", name, least)
    if least < 0 or (strict and least == 0):
        use = "; an indefinite A needs minres" if name == "A" else ""
        raise BreakdownError(
            f"iteration {at}: {vector}'{name} {vector} is {least:.3g}; expected a symmetric positive definite {name}"
            f"{use}",
            name,
            least,
        )


def _columns(operator: Any, v: Array) -> Array:
    """Return the products of an operator with the columns of v."""
    if not isinstance(operator, PaddedOperator) and getattr(operator, "shape", None) is not None:
        whole = getattr(operator, "matmat", None)
        found = whole(v) if whole is not None else operator @ v if hasattr(operator, "__matmul__") else None
        if found is not None and tuple(found.shape) == tuple(v.shape):
            namespace(found, v)
            return found
    return namespace(v).stack([applier(operator, "A", column)(column) for column in v.T.copy()], axis=1)
