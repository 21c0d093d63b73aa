"""Preconditioned conjugate gradients, with the names and arguments of `scipy.sparse.linalg.cg`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, namespace
from sci.distributed import agreed
from sci.distributed.communicators import Comm
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg import Extremes
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.arrays import ArrayVectors, applier, as_vector, size_of_entries, total_norm
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.iteration import Course, Vectors, iterate
from sci.solvers.krylov.padded import ArrayCycle, PaddedVectors
from sci.solvers.krylov.posing import posed
from sci.solvers.krylov.protocols import DistributedOperator, PaddedOperator, WorkspacePreconditioner
from sci.solvers.poisson.space import VectorSpace

__all__ = [
    "Limits",
    "SolveResult",
    "cg",
    "check_limits",
    "checked_vectors",
    "finished",
    "solve_columns",
    "without_zeros",
]


@entry
@dataclass(frozen=True)
class SolveResult:
    """The solution of an iterative solver, with the history of its residual.

    Parameters
    ----------
    x : array
        The solution, of the shape of b.
    iterations : int
        Products with A in the loop, without those that check the residual.
    residual_norms : (iterations + 1,) array
        2-norm of b - A x at the start and after each iteration. Where `converged`, the last one was recomputed from x.
        For columns (n, k) of b the norms are (iterations + 1, k), each column's last norm repeated after it ended.
    converged : bool
    seconds : float
        Wall-clock time of the solve, setup not included.
    extremes : Extremes
        Smallest and largest eigenvalue of M A as the coefficients of the iteration show them, with their errors; of all
        columns together. NaN without an iteration or where the solver does not tell.
    rounding : float
        Where the iteration ended short of its target because no x in float64 is better: the norm of what relative
        changes of x by 2.2e-16 make of b - A x, the largest of all columns. 0 else.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import cg
    >>> result = cg(np.diag([1.0, 2.0]), np.ones(2), rtol=1e-12)
    >>> result.x, result.iterations, result.converged
    (array([1. , 0.5]), 2, True)
    """

    x: Array
    iterations: int
    residual_norms: np.ndarray
    converged: bool
    seconds: float
    extremes: Extremes = field(default_factory=Extremes)
    rounding: float = 0.0

    @property
    def condition(self) -> float:
        """Condition of M A, the ratio of `extremes`: at most the true one, and close to it after convergence."""
        return self.extremes.condition

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        state += "" if not self.rounding else f", at the rounding of x, {self.rounding:.3g},"
        last = float(np.max(self.residual_norms[-1]))
        return (
            f"SolveResult({state} after {self.iterations} iterations, residual norm {last:.3g}, "
            f"x of shape {tuple(self.x.shape)}, {self.seconds:.3g} s)"
        )


LEAST_RTOL = float(np.finfo(np.float64).eps)
"""Least relative residual that can be asked for."""
SMALLEST, LARGEST = 1e-306, 1e306
"""Range of b / A in which x can be held in float64."""


@dataclass(frozen=True)
class Limits:
    """When an iteration ends."""

    rtol: float
    atol: float
    maxiter: Any

    def target(self, b_norm: float) -> float:
        """Return the norm of the residual at which to stop."""
        return max(self.rtol * b_norm, self.atol)


@collective_entry
def cg(
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
    """Solve A x = b for a symmetric positive (semi-)definite A by preconditioned conjugate gradients.

    Stops when ||b - A x|| <= max(rtol ||b||, atol). The recursive residual is checked against b - A x before the result
    is called converged; where the two differ, the iteration restarts from x. Where they differ because no x in float64
    is better, as for contrasts of 1e6 and a tolerance of 1e-8, the iteration ends with `converged` false, and
    `rounding` tells the residual that can be reached.

    Parameters
    ----------
    A : PoissonOperator, LinearOperator, sparse matrix, (n, n) array, or anything with `@` or a call
    b : (n,), (n, 1) or (n, k) array, or a grid array for a PoissonOperator
        Right-hand side, on the device of A; k columns are solved one after the other. On ranks, this rank's part.
    x0 : array, optional
        Start, of the shape of b; 0 by default, and for a b of zeros. Values outside of the fluid count as zero.
    rtol, atol : float
        `rtol` is at least 2.2e-16, the rounding of b - A x; or 0 with an `atol` or a `maxiter`.
    maxiter : int, optional
        10 for each entry of b by default. A solve that ends there returns with `converged` false.
    M : Preconditioner, optional
        Approximate inverse of A, symmetric and positive definite: anything that A may be, or a function of a vector. A
        preconditioner of this library made for A works on the padded arrays of the solve; any other gets flat arrays
        (n,), on ranks those of this rank's unknowns.
    callback : callable, optional
        Called with x after each iteration.

    Returns
    -------
    SolveResult
        On ranks, with this rank's part of x.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, and NaN or Inf in b or x0.
    ConvergenceError
        If A or M turns out not to be positive definite, if NaN appears, and if A is a singular PoissonOperator and b
        has a part in its null space.

    Notes
    -----
    One product with A and one with M per iteration, and one more with A at the end; with a float32 cycle, whose
    residual is float32, three in a solve to 1e-8. In a singular PoissonOperator the part in the null space is removed
    from b and x.

    Peak memory beside the arguments, in vectors and with the solution: for a PoissonOperator and grid arrays 2.3 with a
    multigrid preconditioner of this library, whose own arrays it keeps, 5.6 without one, 9.6 with any other; flat
    arrays up to 3 more. For any other A 6, and what A and M take.

    Collective if A has a `comm`: three sums over the ranks and one halo exchange per iteration, beside those of M, and
    one more sum if A is singular. All ranks raise if any rank does, the functions `M`, `A` and `callback` included: the
    rank that failed its own exception, the others one that names it. The iterates are those of one process, to
    rounding.

    References
    ----------
    Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49, 409 (1952).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import PoissonOperator, cg
    >>> A = PoissonOperator(np.ones((4, 4), dtype=bool))
    >>> result = cg(A, np.ones((4, 4)), rtol=1e-10)
    >>> result.converged, result.iterations
    (True, 3)
    """
    return solve_columns("cg", A, b, x0, Limits(rtol, atol, maxiter), M, callback, _solve)


def _solve(A: Any, b: Array, x0: Array | None, M: Any, limits: Limits, callback: Callback, comm: Comm) -> Solution:
    solve = _solve_padded if isinstance(A, PaddedOperator) else _solve_arrays
    return solve(A, b, x0, M, limits, callback, comm)


def solve_columns(
    name: str, A: Any, b: Any, x0: Any, limits: Limits, M: Any, callback: Callback, solve: Solve, **settings: Any
) -> SolveResult:
    """Check the arguments of a solve, which ranks agree on, and solve for each column of b.

    Parameters
    ----------
    name : str
        Of the function that was called.
    A, b, x0, M, callback
        As given.
    limits : Limits
        As given: a `maxiter` of None becomes 10 for each entry of b.
    solve : callable
        Solves for one column: called with A, b, x0, M, limits, callback and comm.
    **settings
        Other arguments that have to be the same on all ranks.

    Returns
    -------
    SolveResult
    """
    started = time.perf_counter()
    comm = A.comm if isinstance(A, DistributedOperator) else None
    with agreed(comm, name) as agreement:
        right, start = checked_vectors(A, b, x0, M)
        rtol, atol, maxiter = limits.rtol, limits.atol, limits.maxiter
        check_limits(rtol, atol, maxiter)
        columns = right.shape[1] if _has_columns(A, right) else 0
        agreement.same(rtol=float(rtol), atol=float(atol), maxiter=maxiter, columns=columns, **settings)
        agreement.same(x0="given" if start is not None else None, M=None if M is None else type(M).__name__)
        agreement.same(callback=None if callback is None else "given")
        agreement.gather(right.size)
    most = 10 * int(agreement.table[:, 0].sum()) if maxiter is None else int(maxiter)
    limits = Limits(rtol, atol, most)
    if start is not None:
        start = without_zeros(start, right, limits, columns, comm)
    if not columns:
        x, course, target = solve(A, right, start, M, limits, callback, comm)
        norms, seconds = course.norms, time.perf_counter() - started
        state = norms[-1] <= target, seconds, course.extremes, course.rounding
        return SolveResult(x, len(norms) - 1, np.array(norms), *state)
    starts = [None if start is None else start[:, k] for k in range(right.shape[1])]
    found = [solve(A, right[:, k], starts[k], M, limits, callback, comm) for k in range(right.shape[1])]
    histories = [course.norms for _, course, _ in found]
    most = max(map(len, histories))
    history = np.stack([np.pad(norms, (0, most - len(norms)), mode="edge") for norms in histories], axis=1)
    converged = all(course.norms[-1] <= target for _, course, target in found)
    extremes = reduce(Extremes.merged, (course.extremes for _, course, _ in found))
    x = namespace(right).stack([x for x, _, _ in found], axis=1)
    rounding = max(course.rounding for _, course, _ in found)
    return SolveResult(x, most - 1, history, converged, time.perf_counter() - started, extremes, rounding)


def without_zeros(start: Array, right: Array, limits: Limits, columns: int, comm: Comm) -> Array:
    """Return the start, zero for right-hand sides of zeros, which no other x meets without an `atol`; collective."""
    if limits.atol > 0 or limits.rtol == 0:
        return start
    parts = [right[:, k] for k in range(columns)] or [right]
    kept = [float(size_of_entries(part, comm) > 0) for part in parts]
    return start if all(kept) else start * namespace(start).asarray(np.array(kept))


def checked_vectors(A: Any, b: Any, x0: Any, M: Any) -> tuple[Array, Array | None]:
    """Return b and x0 in float64; refuse classes in place of objects, and a start that does not fit."""
    for name, value in (("A", A), ("M", M)):
        if isinstance(value, type):
            raise DTypeError(f"{name} is the class {value.__name__}; expected an object of it, as {value.__name__}(A)")
    right = as_vector(b, "b")
    start = None if x0 is None else as_vector(x0, "x0")
    if start is not None and start.shape != right.shape:
        raise ShapeError(f"x0 has shape {tuple(start.shape)}; expected that of b, {tuple(right.shape)}")
    if start is not None:
        namespace(start, right)
    return right, start


Solution: TypeAlias = tuple[Array, Course, float]
"""x, the course of the iteration, and the norm to reach."""
Callback: TypeAlias = Callable[[Array], object] | None
Solve: TypeAlias = Callable[..., Solution]


def _has_columns(A: Any, b: Array) -> bool:
    on_grid = isinstance(A, PaddedOperator) and tuple(b.shape) == A.local_shape
    return b.ndim == 2 and b.shape[1] > 1 and not on_grid


def finished(v: Vectors, b_norm: float, limits: Limits, guard: Guard) -> tuple[Course, float]:
    """Run the iteration; return its course and the target. All ranks raise if any of them does."""
    target = limits.target(b_norm)
    with guard.settling():
        course = iterate(v, target, limits.maxiter, b_norm)
    return course, target


def _solve_arrays(
    A: Any, b: Array, x0: Array | None, M: Any, limits: Limits, callback: Callback, comm: Comm
) -> Solution:
    """Solve on the arrays of the caller."""
    with agreed(comm, "cg"):
        apply_a = applier(A, "A", b)
        apply_m = None if M is None else applier(M, "M", b)
    guard = Guard(comm)
    v = ArrayVectors(apply_a, apply_m, b, x0, guard, callback)
    course, target = finished(v, v.b_norm, limits, guard)
    return v.x, course, target


def _solve_padded(
    A: PaddedOperator, b: Array, x0: Array | None, M: Any, limits: Limits, callback: Callback, comm: Comm
) -> Solution:
    """Solve on padded arrays, where the vector work is fused with the stencil."""
    space, layout, guard = A.space, A.space.layout, Guard(comm)
    on_grid = tuple(b.shape) == A.local_shape
    b, x0 = posed(A, b, x0, comm)
    with agreed(comm, "cg"):
        lending = _cycle(M, A, space, b, guard)
    grid = b if on_grid else A.expand(b)
    x = layout.zeros(space.stencil.xp, np.float64)
    if x0 is not None:
        layout.cells(x)[...] = x0 if on_grid else A.expand(x0)
        space.project(x)
    unit = power_of_two(size_of_entries(grid, comm))
    b_norm = total_norm(grid, unit, comm)
    if not SMALLEST < unit / space.unit < LARGEST:
        raise InvalidValueError(
            f"b is of size {unit:.0e} and A of size {space.unit:.0e}, so that x leaves the range of float64; scale b"
        )

    def answer(padded: Array) -> Array:
        cells = layout.cells(padded)
        return cells.copy() if on_grid else A.compress(cells).reshape(b.shape)

    seen = None if callback is None else lambda padded: callback(answer(padded))
    right = grid.reshape(layout.lengths) if layout.box_shape is None else layout.spread(grid)
    with lending as cycle:
        v = PaddedVectors(space, right, x, cycle, unit, b_norm if x0 is None else None, guard, seen)
        course, target = finished(v, b_norm, limits, guard)
    space.project(x)
    return (layout.unpadded(x) if on_grid else answer(x)), course, target


def _cycle(M: Any, A: PaddedOperator, space: VectorSpace, b: Array, guard: Guard) -> AbstractContextManager[Any]:
    """Return a context that lends what turns residuals into z = M r, None without M."""
    if M is None:
        return nullcontext(None)
    if isinstance(M, WorkspacePreconditioner) and M.A is A:
        return M.workspace()
    flat = applier(M, "M", A.compress(b) if tuple(b.shape) == A.local_shape else b)
    like = tuple(b.shape) if tuple(b.shape) != A.local_shape else (-1,)
    return nullcontext(ArrayCycle(space, lambda r: A.expand(flat(A.compress(r).reshape(like))), guard))


def check_limits(rtol: float, atol: float, maxiter: int | None) -> None:
    """Refuse tolerances that no iteration meets or that need none, and numbers of iterations that are no count.

    Rounding of one product leaves b - A x an error of eps ||A|| ||x|| >= eps ||b||, whatever the method: a relative
    residual below eps = 2.2e-16 is never reached but by chance. `rtol` of 0 goes with an `atol`, or with a `maxiter`
    that says how many steps are meant.

    Parameters
    ----------
    rtol, atol : float
    maxiter : int or None

    Raises
    ------
    InvalidValueError
    """
    if not (0 <= rtol < 1 and 0 <= atol < float("inf")):
        raise InvalidValueError(
            f"rtol is {rtol} and atol {atol}; expected rtol from 0 to below 1, and atol of 0 or more"
        )
    if maxiter is not None and (int(maxiter) != maxiter or maxiter < 0):
        raise InvalidValueError(f"maxiter is {maxiter}; expected a whole number that is not negative, or None")
    if atol == 0 and rtol < LEAST_RTOL and (rtol > 0 or maxiter is None):
        raise InvalidValueError(
            f"rtol is {rtol:g}, below the rounding of b - A x in float64, at which every iteration stalls; expected at "
            f"least {LEAST_RTOL:.2g}"
        )
