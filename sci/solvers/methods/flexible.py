"""Flexible conjugate gradients, for a preconditioner that changes from one iteration to the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sci.arguments import collective_entry
from sci.backend import Array
from sci.distributed import agreed
from sci.distributed.communicators import Comm
from sci.errors import InvalidValueError
from sci.solvers.krylov.arrays import ArrayVectors, applier
from sci.solvers.krylov.cg import Callback, Limits, Solution, SolveResult, finished, solve_columns
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.iteration import Course
from sci.solvers.krylov.posing import posed
from sci.solvers.krylov.protocols import PaddedOperator

__all__ = ["fcg"]


@collective_entry
def fcg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], object] | None = None,
    directions: int = 1,
) -> SolveResult:
    """Solve A x = b for a symmetric positive definite A by flexible conjugate gradients.

    As `cg`, but M may change in every iteration: each direction M r is made A-orthogonal to the last ones by their
    products with A, where `cg` relies on a symmetric M.

    Parameters
    ----------
    A, b, x0, rtol, atol, maxiter, callback
        As in `cg`.
    M : optional
        Any function of a vector with r'M(r) > 0, such as an inner iteration to a loose tolerance, a network, or a cycle
        that is not symmetric; or anything that A may be.
    directions : int
        How many directions are kept: 1 or more.

    Returns
    -------
    SolveResult

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, and NaN or Inf in b or x0.
    ConvergenceError
        If A turns out not to be positive definite, if r'M(r) is not positive (use `fgmres`), and if NaN appears.

    Notes
    -----
    One product with A and one with M per iteration. Memory beside that of `cg`: two vectors for each direction but the
    first. Collective if A has a `comm`.

    References
    ----------
    Notay, SIAM J. Sci. Comput. 22, 1444 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import fcg
    >>> fcg(np.diag([1.0, 2.0, 4.0]), np.ones(3), M=lambda r: r * (1 + abs(r)), rtol=1e-12).x.round(6)
    array([1.  , 0.5 , 0.25])
    """

    def solve(A: Any, b: Array, x0: Array | None, M: Any, limits: Limits, callback: Callback, comm: Comm) -> Solution:
        return _solve(A, b, x0, M, limits, callback, comm, directions)

    with agreed(getattr(A, "comm", None), "fcg") as agreement:
        if int(directions) != directions or directions < 1:
            raise InvalidValueError(f"directions is {directions}; expected a whole number of 1 or more")
        agreement.same(directions=directions)
    return solve_columns("fcg", A, b, x0, Limits(rtol, atol, maxiter), M, callback, solve)


def _solve(
    A: Any, b: Array, x0: Array | None, M: Any, limits: Limits, callback: Callback, comm: Comm, directions: int
) -> Solution:
    padded = isinstance(A, PaddedOperator)
    on_grid = padded and tuple(b.shape) == A.local_shape
    if padded:
        b, x0 = posed(A, b, x0, comm)
    right, start = (A.compress(v) if on_grid and v is not None else v for v in (b, x0))
    with agreed(comm, "fcg"):
        apply_a, apply_m = applier(A, "A", right), None if M is None else applier(M, "M", right)
    guard = Guard(comm)
    seen = None if callback is None else lambda x: callback(A.expand(x) if on_grid else x)
    v = FlexibleVectors(apply_a, apply_m, right, start, guard, seen, directions)
    course, target = finished(v, v.b_norm, limits, guard)
    x = A.project(v.x) if padded and getattr(A, "singular", False) else v.x
    return (A.expand(x) if on_grid else x), Course(course.norms, [], [], rounding=course.rounding), target


class FlexibleVectors(ArrayVectors):
    """The vectors of conjugate gradients, of which the last directions and their products with A are kept.

    The coefficients are not those of Lanczos' iteration, and show no eigenvalues.
    """

    def __init__(
        self,
        apply_a: Callable[[Array], Array],
        apply_m: Callable[[Array], Array] | None,
        b: Array,
        x0: Array | None,
        guard: Guard,
        seen: Callable[[Array], object] | None,
        directions: int,
    ) -> None:
        super().__init__(apply_a, apply_m, b, x0, guard, seen)
        self._kept: deque[tuple[Array, Array, float]] = deque(maxlen=directions)

    def conjugate(self, rho: float, last: tuple[float, float] | None) -> tuple[float, float]:
        """Set p to z without its parts along the directions that are kept; return 0 and p'A p."""
        if last is None:
            self._kept.clear()
        p = self.z.astype(self.b.dtype, copy=True)
        for q, Aq, form in self._kept:
            p -= (self._inner(self.z, Aq) / form) * q
        self.p = p
        self.Ap = self._guard.call(lambda: self._apply_a(self.p), self.p)
        form = self._inner(self.p, self.Ap)
        self._kept.append((self.p, self.Ap, form))
        return 0.0, form
