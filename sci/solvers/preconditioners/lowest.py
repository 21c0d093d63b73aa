"""The lowest eigenvectors of a preconditioned operator: subspace iteration with a Chebyshev filter."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, agreed, allreduce_sum, rank_of
from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg import extreme_eigenvalues, lanczos
from sci.solvers.krylov.arrays import Apply, applier
from sci.solvers.krylov.protocols import DistributedOperator
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.poisson.probes import cell_signs
from sci.solvers.preconditioners.jacobi import Jacobi

__all__ = ["around", "each", "guarded", "lowest_eigenvectors", "orthonormal", "summed"]

DEPENDENT = 1e-10
"""A combination of vectors of which less than this part of the A-norm squared is independent is left out."""
GROWTH = 2.0
"""Half the logarithm of what a filter does to an eigenvalue of 0, about."""
MOST_STEPS = 60
"""Largest degree of a filter."""


@collective_entry
def lowest_eigenvectors(
    A: Any, count: int, *, M: Any = None, rtol: float = 0.01, maxiter: int = 30, seed: int = 0
) -> tuple[np.ndarray, Array]:
    """Return the smallest eigenvalues of M A and their vectors, good enough for `Deflation`.

    A block of random vectors is filtered by a Chebyshev polynomial of M A, which is small on the large eigenvalues and
    grows fast below them, and turned to its Ritz vectors; and again, until the values no longer change.

    Parameters
    ----------
    A : PoissonOperator, sparse matrix, (n, n) array, SparseOperator, or anything with a shape that `cg` takes
        Symmetric and positive (semi-)definite. The null space of a PoissonOperator is left out.
    count : int
        Number of vectors.
    M : Preconditioner, optional
        That of the solve to be deflated; the inverse of the diagonal by default.
    rtol : float
        Ends where no value changes by more than this part of itself.
    maxiter : int
        Largest number of filters.
    seed : int
        Of the random vectors, which for a PoissonOperator do not depend on the ranks.

    Returns
    -------
    values : (k,) array on the host
        Ascending, k = `count` or the dimension of the range of A. Each is at least the exact one.
    vectors : (n, k) array
        On the device of A, with V'A V = I. On ranks, this rank's rows.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    ConvergenceError
        If A is not positive semidefinite, or M not positive definite.

    Notes
    -----
    Of eigenvalues that are many times in the spectrum all vectors are found, where Lanczos' iteration from one vector
    finds one: those of a cube come in threes. About 5 filters of up to 60 products with A and M for each of 1.25
    `count` vectors; 4 blocks of vectors in memory. Collective if A has a `comm`.

    References
    ----------
    Zhou, Saad, Tiago and Chelikowsky, J. Comput. Phys. 219, 172 (2006); for the pencil (A M A, A), whose Ritz values
    are those of M A.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import lowest_eigenvectors
    >>> values, vectors = lowest_eigenvectors(np.diag([4.0, 1.0, 3.0, 2.0]), 1, M=np.eye(4))
    >>> values.round(6), abs(vectors).round(4).tolist()
    (array([1.]), [[0.0], [1.0], [0.0], [0.0]])
    """
    comm = A.comm if isinstance(A, DistributedOperator) else None
    with agreed(comm, "lowest_eigenvectors") as agreement:
        if int(count) != count or count < 1 or int(maxiter) != maxiter or maxiter < 1 or not 0 < rtol < 1:
            raise InvalidValueError(
                f"count is {count}, maxiter {maxiter} and rtol {rtol}; expected 1 or more of both, and a part of 1"
            )
        agreement.same(count=count, rtol=rtol, maxiter=maxiter, seed=seed)
        inner, xp = around(A, M), _namespace(A)
        like = xp.zeros(A.shape[0])
        apply_a = guarded(applier(A, "A", like), "A", comm)
        apply_m = guarded(applier(inner, "M", like), "M", comm)
        agreement.gather(len(like))
    total = A.n_unknowns if isinstance(A, PoissonOperator) else int(agreement.table.sum())
    project: Apply = A.project if isinstance(A, PoissonOperator) and A.singular else _same

    def product(v: Array) -> Array:
        return project(apply_m(apply_a(v)))

    top = _largest(apply_a, apply_m, project, _random(A, len(like), seed, 1, comm, xp), min(total, 15), comm)
    X = _random(A, len(like), seed, min(total, ceil(1.25 * count) + 2), comm, xp)
    return _iterate(each(project, X), (apply_a, apply_m, product), top, count, (rtol, maxiter), comm)


def _iterate(
    X: Array, products: tuple[Apply, Apply, Apply], top: float, count: int, limits: tuple[float, int], comm: Comm
) -> tuple[np.ndarray, Array]:
    """Filter a block and turn it to its Ritz vectors until the lowest values stand."""
    apply_a, apply_m, product = products
    values, X = _ritz(X, apply_a, apply_m, comm)
    for _ in range(limits[1]):
        before = values[:count]
        X = _filtered(product, X, min(max(float(values[-1]), 1e-12 * top), 0.95 * top), top)
        values, X = _ritz(X, apply_a, apply_m, comm)
        if len(before) == len(values[:count]) and np.all(np.abs(values[:count] - before) <= limits[0] * before):
            break
    return values[:count], X[:, :count]


def _filtered(product: Apply, X: Array, low: float, high: float) -> Array:
    """Return T_m((M A - c) / h) X of the interval from `low` to `high`, its degree such that 0 grows by exp(4)."""
    steps = min(MOST_STEPS, max(4, ceil(GROWTH / sqrt(low / high))))
    center, half = (high + low) / 2, (high - low) / 2
    old, new = X, (each(product, X) - center * X) / half
    for _ in range(steps - 1):
        old, new = new, (each(product, new) - center * new) * (2 / half) - old
    return new


def _ritz(X: Array, apply_a: Apply, apply_m: Apply, comm: Comm) -> tuple[np.ndarray, Array]:
    """Return the Ritz values of M A in a block, ascending, and their vectors, A-orthonormal."""
    xp = namespace(X)
    X = X / xp.asarray(np.sqrt(np.maximum(summed(xp.sum(X * X, axis=0), comm), 1e-300)))
    AX = each(apply_a, X)
    for _ in range(2):
        basis = xp.asarray(orthonormal(summed(X.T @ AX, comm)))
        X, AX = X @ basis, AX @ basis
    form = summed(AX.T @ each(apply_m, AX), comm)
    values, turn = np.linalg.eigh((form + form.T) / 2)
    if not len(values) or not values[0] > 0:
        raise ConvergenceError(f"M A has the values {values[:3]}; expected positive definite M and A that is not zero")
    return values, X @ xp.asarray(turn)


def _largest(apply_a: Apply, apply_m: Apply, project: Apply, start: Array, steps: int, comm: Comm) -> float:
    """Return a bound of the eigenvalues of M A, from a few steps of Lanczos' iteration."""
    u = project(apply_a(start[:, 0]))
    options: dict[str, Any] = {"start": u, "reorthogonalize": False, "preconditioner": apply_m, "project": project}
    _, alpha, beta = lanczos(apply_a, len(u), steps, comm=comm, **options)
    found = extreme_eigenvalues(alpha, beta)
    more = found.largest_error if np.isfinite(found.largest_error) else 0.0
    return 1.02 * (found.largest + min(more, 0.2 * found.largest))


def _random(A: Any, n: int, seed: int, count: int, comm: Comm, xp: Any) -> Array:
    """Return random columns (n, count)."""
    if isinstance(A, PoissonOperator):
        return xp.stack([cell_signs(A, seed, k).astype(np.float64) for k in range(count)], axis=1)
    return to_device(np.random.default_rng([seed, rank_of(comm)]).normal(size=(n, count)), xp)


def _namespace(A: Any) -> Any:
    """Return the array library of the vectors of A."""
    if isinstance(A, PoissonOperator):
        return A.xp
    diagonal = getattr(A, "diagonal", None)
    return np if diagonal is None else namespace(diagonal())


def _same(v: Array) -> Array:
    return v


def around(A: Any, M: Any) -> Any:
    """Return M, the inverse of the diagonal of A by default."""
    if M is not None:
        return M
    if not hasattr(A, "diagonal"):
        raise InvalidValueError(
            "A has no diagonal, so that M is needed: an approximate inverse of A, such as the inverse of its size"
        )
    return Jacobi(A)


def guarded(apply: Apply, name: str, comm: Comm) -> Apply:
    """Return a product that fails on all ranks where it fails on one."""

    def product(v: Array) -> Array:
        with agreed(comm, f"the product with {name}"):
            return apply(v)

    return product if comm is not None else apply


def each(function: Callable[[Array], Array], columns: Array) -> Array:
    """Return the columns that a function makes of columns (n, k)."""
    xp = namespace(columns)
    return xp.stack([function(xp.ascontiguousarray(column)) for column in columns.T], axis=1)


def summed(own: Array, comm: Comm) -> np.ndarray:
    """Return a small array on the host, summed over the ranks."""
    host = np.array(own.tolist(), dtype=np.float64).reshape(own.shape)
    return host if comm is None else np.asarray(allreduce_sum(host, comm, checked=True))


def orthonormal(gram: np.ndarray) -> np.ndarray:
    """Return B with B'G B = I for the matrix G of products w_i'A w_j, without what A maps to zero or is dependent.

    Raises
    ------
    InvalidValueError
        For NaN, and a G that is not symmetric.
    ConvergenceError
        If G is not positive semidefinite.
    """
    if not np.isfinite(gram).all():
        raise InvalidValueError("A gives NaN or Inf, or its products with the vectors overflow")
    size = np.sqrt(np.abs(np.diag(gram)))
    largest = float(size.max(initial=0.0))
    if np.abs(gram - gram.T).max(initial=0.0) > 1e-6 * largest**2:
        raise InvalidValueError("A is not symmetric on the vectors; expected a symmetric A (gmres takes any)")
    scale = np.where(size > 1e-8 * largest, 1 / np.where(size > 0, size, 1.0), 0.0)
    values, turn = np.linalg.eigh((gram + gram.T) / 2 * scale[:, None] * scale)
    if len(values) and values[0] < -DEPENDENT * max(values[-1], 0.0):
        raise ConvergenceError(
            "A is not positive definite on the vectors; expected a symmetric positive definite matrix (minres takes an "
            "indefinite one)"
        )
    chosen = values > DEPENDENT * max(values[-1], 0.0) if len(values) else values > 0
    found: np.ndarray = scale[:, None] * turn[:, chosen] / np.sqrt(values[chosen])
    return found
