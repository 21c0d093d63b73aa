"""Lanczos' iteration, serial and over ranks, its Ritz vectors, and the condition that conjugate gradients show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import frexp

import numpy as np
from scipy.linalg import eigh_tridiagonal

from sci.arguments import collective_entry, entry
from sci.backend import Array, as_finite, namespace
from sci.distributed import Comm, agreed, allreduce_max, allreduce_sum, rank_of
from sci.errors import InvalidValueError

__all__ = ["condition_of", "lanczos", "largest_entry", "power_of_two", "ritz_vectors"]

SMALLEST = 1e-8
"""Ritz values below are dropped by `ritz_vectors`."""
_BREAKDOWN = 1e-12
"""Part of the largest coefficient below which the Krylov space has ended."""


@collective_entry
def lanczos(
    apply: Callable[[Array], Array],
    n: int,
    steps: int,
    *,
    start: Array | None = None,
    seed: int = 0,
    reorthogonalize: bool = True,
    comm: Comm = None,
) -> tuple[Array | None, np.ndarray, np.ndarray]:
    """Run Lanczos' iteration A V = V T + beta_m v_(m+1) e_m' with a symmetric matrix A.

    Parameters
    ----------
    apply : callable
        The product of A with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    steps : int
        At most the number of unknowns; fewer are made where the Krylov space ends.
    start : (n,) array, optional
        First vector, of any length; A times a normal random vector unless given, which has no part in the null space.
    seed : int
        Of that random vector.
    reorthogonalize : bool
        True keeps the basis and makes every vector orthogonal to all before; without it the three-term recurrence needs
        three vectors, converged eigenvalues appear several times, and quadratures are as good.
    comm : mpi4py communicator, optional
        Each rank holds a part of the vectors, and `apply` is collective.

    Returns
    -------
    basis : (m, n) float64 array, or None without re-orthogonalization
        Orthonormal rows.
    alpha, beta : (m,), (m - 1,) float64
        Diagonal and off-diagonal of T.

    Raises
    ------
    InvalidValueError
        Also where `apply` gives NaN, or the start is zero.

    Notes
    -----
    One product with A a step, and 4 m^2 n flops, m n numbers and five vectors for the re-orthogonalization: 3.4 GB and
    1.3e12 flops at 64^3 with 1,600 steps. Collective over `comm`.

    References
    ----------
    Lanczos, J. Res. Natl. Bur. Stand. 45, 255 (1950); Golub and Van Loan, Matrix Computations (2013), section 10.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import lanczos
    >>> _, alpha, beta = lanczos(lambda v: np.array([1.0, 2.0, 4.0]) * v, 3, 3)
    >>> np.linalg.eigvalsh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)).round(12)
    array([1., 2., 4.])
    """
    with agreed(comm, "lanczos") as agreement:
        agreement.same(steps=steps, seed=seed, reorthogonalize=reorthogonalize)
        agreement.same(start=None if start is None else "given")
        agreement.gather(n)
        if start is not None:
            start = as_finite(start, "start", shape=(n,))
    total = int(agreement.table.sum())
    if not 1 <= steps <= total:
        raise InvalidValueError(f"{steps} Lanczos steps for {total} unknowns; expected from 1 to {total}")
    product = _guarded(apply, n, comm)
    if start is None:
        start = product(np.random.default_rng([seed, rank_of(comm)] if rank_of(comm) else seed).normal(size=n))
    start = start / power_of_two(largest_entry(start, comm))
    xp, unit = namespace(start), 0.0
    basis = xp.empty((steps, n)) if reorthogonalize else None
    alpha, beta = np.empty(steps), np.empty(steps)
    length = _norm(start, comm)
    if not 0 < length < np.inf:
        raise InvalidValueError(f"the first vector of lanczos has length {length}; expected a positive number")
    v, before = start / length, None
    for k in range(steps):
        w = product(v)
        # Squares of very large and very small entries leave the range of numbers: A is scaled by a power of two.
        unit = unit or power_of_two(largest_entry(w, comm))
        w = w / unit
        alpha[k] = _dot(w, v, comm)
        if not np.isfinite(alpha[k]):
            raise InvalidValueError(f"step {k + 1}: v'A v is {alpha[k]}; A gives NaN or Inf")
        if basis is None:
            w = w - alpha[k] * v - (0 if before is None else beta[k - 1] * before)
        else:
            basis[k] = v
            # Twice is enough: the first pass leaves errors of the size of what it removes times the rounding unit.
            for _ in range(2):
                w = w - basis[: k + 1].T @ _sum(basis[: k + 1] @ w, comm)
        beta[k] = _norm(w, comm)
        if beta[k] <= _BREAKDOWN * max(np.abs(alpha[: k + 1]).max(), beta[:k].max(initial=0.0)):
            return (None if basis is None else basis[: k + 1]), unit * alpha[: k + 1], unit * beta[:k]
        v, before = w / beta[k], v
    return basis, unit * alpha, unit * beta[:-1]


def _guarded(apply: Callable[[Array], Array], n: int, comm: Comm) -> Callable[[Array], Array]:
    """Return the product as a vector of n finite numbers; an error on one rank is one on all."""

    def product(v: Array) -> Array:
        with agreed(comm, "the product with A"):
            return as_finite(apply(v), "A v", shape=(n,))

    return product


def largest_entry(a: Array, comm: Comm) -> float:
    """Return the largest absolute entry over the ranks; 0 for none."""
    largest = np.array([float(abs(a).max()) if a.size else 0.0])
    return float(largest[0] if comm is None else allreduce_max(largest, comm, checked=True)[0])


def _sum(values: Array, comm: Comm) -> Array:
    return values if comm is None else allreduce_sum(values, comm, checked=True)


def _dot(a: Array, b: Array, comm: Comm) -> float:
    return float(_sum((a @ b).reshape(1), comm)[0])


def _norm(a: Array, comm: Comm) -> float:
    return float(np.sqrt(_dot(a, a, comm)))


@entry
def ritz_vectors(basis: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Ritz values of `lanczos` above 1e-8, ascending, and their vectors.

    Parameters
    ----------
    basis : (m, n) array
    alpha, beta : (m,), (m - 1,) arrays

    Returns
    -------
    values : (k,) array
    vectors : (k, n) array
        Orthonormal rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import lanczos, ritz_vectors
    >>> ritz_vectors(*lanczos(lambda v: np.array([0.0, 2.0, 4.0]) * v, 3, 2))[0].round(12)
    array([2., 4.])
    """
    tridiagonal = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    kept = values >= SMALLEST
    return values[kept], vectors[:, kept].T @ basis


@entry
def condition_of(lengths: Sequence[float], betas: Sequence[float]) -> float:
    """Return the condition number that the coefficients of conjugate gradients show: the ratio of the Ritz values.

    Parameters
    ----------
    lengths : (m,) sequence of float
        Step lengths r'z / p'A p.
    betas : (m,) sequence of float
        beta_k of p = z + beta_k p in each step; 0 where the directions started.

    Returns
    -------
    float
        At most the condition of M A, and close to it once the iteration has converged; NaN without a step.

    Notes
    -----
    The matrix of Lanczos' iteration has 1 / length_k + beta_k / length_(k-1) on its diagonal and
    sqrt(beta_(k+1)) / length_k beside it. Free: no product with A.

    References
    ----------
    Saad, Iterative Methods for Sparse Linear Systems (2003), section 6.7.3.

    Examples
    --------
    >>> from sci.linalg import condition_of
    >>> round(condition_of([0.4, 0.5], [0.0, 0.25]), 6)
    2.909413
    """
    a, b = np.asarray(lengths, dtype=float), np.asarray(betas, dtype=float)
    if len(a) == 0:
        return float("nan")
    diagonal = 1 / a + np.concatenate([[0.0], b[1:] / a[:-1]])
    values = eigh_tridiagonal(diagonal, np.sqrt(b[1:]) / a[:-1], eigvals_only=True)
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")


def power_of_two(size: float) -> float:
    """Return a power of two near `size` whose inverse is a number as well, 1 for 0."""
    return 2.0 ** min(max(frexp(size)[1], -1000), 1000)
