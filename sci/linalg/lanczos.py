"""Lanczos' iteration, serial and over ranks, plain and preconditioned, and its Ritz vectors."""

from __future__ import annotations

from collections.abc import Callable
from math import frexp

import numpy as np
from scipy.linalg import LinAlgError, eigh_tridiagonal

from sci.arguments import collective_entry, entry
from sci.backend import Array, as_finite, namespace
from sci.distributed import Comm, agreed, allreduce_max, allreduce_sum, rank_of
from sci.errors import ConvergenceError, InvalidValueError

__all__ = ["eigen_of_tridiagonal", "lanczos", "largest_entry", "power_of_two", "ritz_vectors"]

SMALLEST = 1e-8
"""Part of the largest Ritz value below which `ritz_vectors` drops the others."""
_BREAKDOWN = 1e-12
"""Part of the largest coefficient below which the Krylov space has ended."""


def eigen_of_tridiagonal(diagonal: np.ndarray, offdiagonal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ascending eigenvalues (m,) and eigenvectors (m, m) of a symmetric tridiagonal matrix.

    LAPACK's fast driver gives up on some graded matrices; QR iteration, which takes its place there, does not.
    """
    try:
        return eigh_tridiagonal(diagonal, offdiagonal)  # type: ignore[no-any-return]
    except LinAlgError:
        return eigh_tridiagonal(diagonal, offdiagonal, lapack_driver="stev")  # type: ignore[no-any-return]


@collective_entry
def lanczos(
    apply: Callable[[Array], Array],
    n: int,
    steps: int,
    *,
    start: Array | None = None,
    seed: int = 0,
    reorthogonalize: bool = True,
    preconditioner: Callable[[Array], Array] | None = None,
    project: Callable[[Array], Array] | None = None,
    comm: Comm = None,
) -> tuple[Array | None, np.ndarray, np.ndarray]:
    """Run Lanczos' iteration A V = V T + beta_m v_(m+1) e_m' with a symmetric matrix A, or with M A.

    With a preconditioner M it is A Z = U T + beta_m u_(m+1) e_m', Z = M U and U'Z = I: T has the Ritz values of M A,
    those of the symmetric M^1/2 A M^1/2, and no root of M is needed.

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
        With a preconditioner it is u_1, like a residual of conjugate gradients.
    seed : int
        Of that random vector.
    reorthogonalize : bool
        True keeps the basis and makes every vector orthogonal to all before; without it the three-term recurrence needs
        three vectors, converged eigenvalues appear several times, and quadratures are as good.
    preconditioner : callable, optional
        The product of a symmetric positive definite M with a vector (n,).
    project : callable, optional
        Removes from a vector (n,) its part in the null space of A, which rounding would bring in and let grow.
    comm : mpi4py communicator, optional
        Each rank holds a part of the vectors, and `apply` is collective.

    Returns
    -------
    basis : (m, n) float64 array, or None without re-orthogonalization
        Orthonormal rows; with a preconditioner those of Z, orthonormal in the inner product of M^-1.
    alpha, beta : (m,), (m - 1,) float64
        Diagonal and off-diagonal of T.

    Raises
    ------
    InvalidValueError
        Also where a product gives NaN, or the start is zero.
    ConvergenceError
        If M turns out not to be positive definite.

    Notes
    -----
    One product with A a step and one with M, and 4 m^2 n flops, m n numbers and five vectors for the
    re-orthogonalization (twice the numbers with M): 3.4 GB and 1.3e12 flops at 64^3 with 1,600 steps. Collective over
    `comm`.

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
        agreement.same(preconditioner=preconditioner is not None, project=project is not None)
        agreement.gather(n)
        if start is not None:
            start = as_finite(start, "start", shape=(n,))
    total = int(agreement.table.sum())
    if not 1 <= steps <= total:
        raise InvalidValueError(f"{steps} Lanczos steps for {total} unknowns; expected from 1 to {total}")
    A, M = _Product(apply, "A", n, comm), None if preconditioner is None else _Product(preconditioner, "M", n, comm)
    P: Callable[[Array], Array] = _itself if project is None else _Product(project, "P", n, comm, 1.0)
    if start is None:
        start = A(np.random.default_rng([seed, rank_of(comm)] if rank_of(comm) else seed).normal(size=n))
    u = P(start / power_of_two(largest_entry(start, comm)))
    z = u if M is None else M(u)
    length = _length(u, z, comm)
    if not 0 < length < np.inf:
        raise InvalidValueError(f"the first vector of lanczos has length {length}; expected a positive number")
    basis, alpha, beta = _steps(A, M, P, (u / length, z / length), steps, reorthogonalize, comm)
    unit = A.unit * (1.0 if M is None else M.unit)
    if basis is not None and M is not None:
        basis *= M.unit**0.5
    return basis, unit * alpha, unit * beta


def _steps(
    A: _Product,
    M: _Product | None,
    P: Callable[[Array], Array],
    pair: tuple[Array, Array],
    steps: int,
    reorthogonalize: bool,
    comm: Comm,
) -> tuple[Array | None, np.ndarray, np.ndarray]:
    """Return basis, alpha and beta from the first u and z = M u; without M the two are one."""
    u, z = pair
    xp, before = namespace(u), None
    basis: Array = xp.empty((steps, len(u))) if reorthogonalize else None
    duals: Array = basis if basis is None or M is None else xp.empty_like(basis)
    alpha, beta = np.empty(steps), np.empty(steps)
    for k in range(steps):
        w = A(z)
        alpha[k] = _dot(w, z, comm)
        if not np.isfinite(alpha[k]):
            raise InvalidValueError(f"step {k + 1}: v'A v is {alpha[k]}; A gives NaN or Inf")
        if basis is not None:
            basis[k], duals[k] = z, u
        if k == steps - 1:
            break
        if basis is None:
            w = w - alpha[k] * u - (0 if before is None else beta[k - 1] * before)
        else:
            # Twice is enough: the first pass leaves errors of the size of what it removes times the rounding unit.
            for _ in range(2):
                w = w - duals[: k + 1].T @ _sum(basis[: k + 1] @ w, comm)
        w = P(w)
        z = w if M is None else M(w)
        beta[k] = _length(w, z, comm)
        if beta[k] <= end_of_space(alpha[: k + 1], beta[:k]):
            return (None if basis is None else basis[: k + 1]), alpha[: k + 1], beta[:k]
        before, u = u, w / beta[k]
        z = u if M is None else z / beta[k]
    return basis, alpha, beta[:-1]


def end_of_space(alpha: np.ndarray, beta: np.ndarray) -> float:
    """Return the beta up to which the Krylov space counts as ended."""
    return _BREAKDOWN * float(max(np.abs(alpha).max(), beta.max(initial=0.0)))


def _itself(w: Array) -> Array:
    return w


class _Product:
    """The product with a matrix over `unit`, by default a power of two near the size of its entries.

    Squares of very large and very small entries leave the range of numbers. An error on one rank is one on all.
    """

    def __init__(
        self, apply: Callable[[Array], Array], name: str, n: int, comm: Comm, unit: float | None = None
    ) -> None:
        self._apply, self._name, self._n, self._comm, self._unit = apply, name, n, comm, unit

    def __call__(self, v: Array) -> Array:
        with agreed(self._comm, f"the product with {self._name}"):
            product = as_finite(self._apply(v), f"{self._name} v", shape=(self._n,))
        if self._unit is None:
            self._unit = power_of_two(largest_entry(product, self._comm))
        return product / self._unit

    @property
    def unit(self) -> float:
        """What products are divided by; 1 before the first."""
        return 1.0 if self._unit is None else self._unit


def _length(w: Array, z: Array, comm: Comm) -> float:
    """Return the length of w in the inner product of M, with z = M w; without M, w itself."""
    square = _dot(w, z, comm)
    if square < 0 and square < -1e-10 * np.sqrt(_dot(w, w, comm) * _dot(z, z, comm)):
        raise ConvergenceError(f"r'M r is {square:.3g}; expected a symmetric positive definite M")
    return float(np.sqrt(max(square, 0.0)))


def largest_entry(a: Array, comm: Comm) -> float:
    """Return the largest absolute entry over the ranks; 0 for none."""
    largest = np.array([float(abs(a).max()) if a.size else 0.0])
    return float(largest[0] if comm is None else allreduce_max(largest, comm, checked=True)[0])


def _sum(values: Array, comm: Comm) -> Array:
    return values if comm is None else allreduce_sum(values, comm, checked=True)


def _dot(a: Array, b: Array, comm: Comm) -> float:
    return float(_sum((a @ b).reshape(1), comm)[0])


@entry
def ritz_vectors(basis: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Ritz values of `lanczos` above 1e-8 of the largest, ascending, and their vectors.

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
    kept = values >= SMALLEST * np.abs(values).max(initial=0.0)
    return values[kept], vectors[:, kept].T @ basis


def power_of_two(size: float) -> float:
    """Return a power of two near `size` whose inverse is a number as well, 1 for 0."""
    return 2.0 ** min(max(frexp(size)[1], -1000), 1000)
