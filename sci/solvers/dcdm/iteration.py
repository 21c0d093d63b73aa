"""Conjugate directions from any source, such as a network, and the loss that such a network is trained with."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, namespace
from sci.distributed import size as size_of
from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.linalg.lanczos import power_of_two
from sci.nn import op
from sci.solvers.krylov.arrays import applier, as_vector, inner, norm, rounding_of, size_of_entries
from sci.solvers.krylov.cg import Limits, SolveResult, check_limits, without_zeros
from sci.solvers.krylov.iteration import MOST, BreakdownError, iterate
from sci.solvers.krylov.posing import posed
from sci.solvers.krylov.protocols import DistributedOperator, PaddedOperator
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["DirectionLog", "conjugate_directions", "line_search_loss"]

PROGRESS, STALL = 0.99, 5
"""The residual makes no progress where it is not below this part of the least so far; the number of such steps after
which it is compared with the rounding of x."""
DEPENDENT = 1e-10
"""If orthogonalization leaves less than this of a direction of unit length, the rest is rounding error."""


@entry
@dataclass
class DirectionLog:
    """Record of the directions that a solve replaced.

    Parameters
    ----------
    fallbacks : list of (int, str)
        Iterations in which the residual replaced the direction, with the reason: "zero", "nan", "negative curvature",
        "dependent" on the directions that are kept, or "weak": the residual had stalled, and lowers the error more.

    Examples
    --------
    >>> from sci.solvers import DirectionLog
    >>> log = DirectionLog()
    >>> log.fallbacks
    []
    """

    fallbacks: list[tuple[int, str]] = field(default_factory=list)


@entry
def conjugate_directions(
    A: Any,
    b: Any,
    direction: Callable[[Array], Array],
    x0: Any = None,
    *,
    k: int = 2,
    rtol: float = 1e-4,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callable[[Array], object] | None = None,
    log: DirectionLog | None = None,
) -> SolveResult:
    """Solve A x = b along directions that a function proposes, made A-orthogonal to the last `k` ones.

    Each iteration sets q = direction(r / ||r||); subtracts from it the sum over the last k directions p of
    p (q'Ap) / (p'Ap), with the q that came in, and does so again, as one pass leaves rounding where q is nearly one of
    them; does the exact line search x += (q'r) / (q'Aq) q; and recomputes r = b - A x.

    Parameters
    ----------
    A : PoissonOperator, sparse matrix, array, or anything that `cg` takes
        Symmetric and positive definite.
    b : (n,) array, or a grid array for a PoissonOperator
    direction : callable
        Called with a copy of the residual of unit length, in the shape of b; returns a direction in that shape. Neither
        its length nor its sign matters, nor its values outside of the fluid.
    x0 : array, optional
        Start, of the shape of b; 0 by default, and for a b of zeros. Values outside of the fluid count as zero.
    k : int
        Number of directions that are kept; 0 for steepest descent along what the function returns.
    rtol, atol : float
        Stops when ||b - A x|| <= max(rtol ||b||, atol), as `cg` does, whatever the start; with the same bounds.
    maxiter : int, optional
        10 for each entry of b by default.
    callback : callable, optional
        Called with x after each iteration.
    log : DirectionLog, optional
        Filled with every direction that was replaced.

    Returns
    -------
    SolveResult

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, an operator that is spread over ranks, a b that is not zero outside of the fluid,
        and a direction of another shape than b or of complex numbers.
    ConvergenceError
        If A turns out not to be positive definite along the residual, and if A is a singular PoissonOperator and b has
        a part in its null space.

    Notes
    -----
    The A-norm of the error falls in every iteration, whatever the function returns. A direction that is zero, not
    finite, dependent on the last ones, or without a positive q'Aq is replaced by the residual, orthogonalized likewise.
    So is one that lowers the error less than the residual does, where the residual stalls, which one more product
    finds out: a function of r / ||r|| alone proposes the same direction for ever where that no longer changes.
    Where no x in float64 is better, the iteration ends with `converged` false, and `rounding` tells the residual that
    can be reached. Two products with A per iteration. Peak memory beside the arguments: 7.5 + 2 k vectors, the solution
    included.

    With the residual as direction and k >= 1 the iterates are those of conjugate gradients. The recomputed residual
    carries the rounding of b - A x, about 1e-16 ||b||, which the recursion of `cg` does not; the two histories agree to
    1e-8 of each norm down to 1e-8 ||b||.

    References
    ----------
    Kaneda et al., A deep conjugate direction method for iteratively solving linear systems, ICML 2023, algorithm 1;
    there without the replacement, with one pass of orthogonalization, and with k = 2.
    """
    started = time.perf_counter()
    if isinstance(A, DistributedOperator) and size_of(A.comm) > 1:
        raise InvalidValueError(
            f"A is spread over {size_of(A.comm)} ranks; expected an operator of one process, or cg(A, b), which sums "
            "over ranks"
        )
    right = as_vector(b, "b")
    start = None if x0 is None else as_vector(x0, "x0")
    if start is not None and start.shape != right.shape:
        raise ShapeError(f"x0 has shape {tuple(start.shape)}; expected that of b, {tuple(right.shape)}")
    if isinstance(A, PaddedOperator):
        right, start = posed(A, right, start)
    unit = _unit(right)
    if unit != 1.0:
        seen = None if callback is None else (lambda x: callback(x * unit))
        options: dict[str, Any] = {
            "k": k,
            "rtol": rtol,
            "atol": atol / unit,
            "maxiter": maxiter,
            "callback": seen,
            "log": log,
        }
        start = None if start is None else start / unit
        found = conjugate_directions(A, right / unit, direction, start, **options)
        x = as_vector(found.x * unit, "the solution")
        return replace(found, x=x, residual_norms=found.residual_norms * unit, rounding=found.rounding * unit)
    apply = applier(A, "A", right)
    project = _projection(A, right)
    check_limits(rtol, atol, maxiter)
    maxiter = 10 * right.size if maxiter is None else maxiter
    if k < 0:
        raise InvalidValueError(f"k is {k}; expected 0 or more directions")
    if start is not None:
        start = without_zeros(start, right, Limits(rtol, atol, maxiter), 1, None)
    x = namespace(right).zeros_like(right) if start is None else start.copy()
    v = _DirectionVectors(apply, project, right, x, direction, k, callback, log)
    target = max(rtol * float(namespace(right).linalg.norm(right)), atol)
    course = iterate(v, target, maxiter)
    norms, seconds = course.norms, time.perf_counter() - started
    reached = norms[-1] <= target
    return SolveResult(project(x), len(norms) - 1, np.array(norms), reached, seconds, rounding=course.rounding)


def _projection(A: Any, b: Array) -> Callable[[Array], Array]:
    """Return the projection of vectors like b: without the null space of A, and zero outside of the fluid."""
    if not isinstance(A, PaddedOperator):
        return lambda v: v
    mask = A.space.mask if tuple(b.shape) == A.local_shape else None
    null = A.project if isinstance(A, PoissonOperator) and A.singular else None

    def project(v: Array) -> Array:
        inside: Array = v if mask is None else v * mask
        return inside if null is None else null(inside)

    return project


def _unit(b: Array) -> float:
    """Return 1, or a power of two near the largest entry of b if its square would leave the range of float64."""
    largest = float(namespace(b).abs(b).max()) if b.size else 0.0
    return 1.0 if largest == 0 or 1e-100 < largest < 1e100 else 2.0 ** math.frexp(largest)[1]


class _DirectionVectors:
    """The vectors of one solve along proposed directions, for the loop of conjugate gradients.

    z = q is the proposed direction, A-orthogonal to those that are kept already, so that beta = 0; the residual is
    recomputed in every step.
    """

    def __init__(
        self,
        apply: Callable[[Array], Array],
        project: Callable[[Array], Array],
        b: Array,
        x: Array,
        direction: Callable[[Array], Array],
        k: int,
        callback: Callable[[Array], object] | None,
        log: DirectionLog | None,
    ) -> None:
        self._apply, self._project, self._direction, self._callback, self._log = (
            apply,
            project,
            direction,
            callback,
            log,
        )
        self._b, self._x, self.eps = b, x, float(np.finfo(b.dtype).eps)
        self._kept: deque[tuple[Array, Array, float]] = deque(maxlen=k)
        self._q, self._Aq, self._form = b, b, 0.0
        self._iteration, self._stalled, self._least = 0, 0, math.inf
        self.norm = self.replace()

    def start(self) -> float:
        """Return the norm of the residual of the start."""
        return self.norm

    def replace(self) -> float:
        """Recompute the residual from x; return its norm."""
        self._r = self._b - self._apply(self._x)
        self.norm = norm(self._r)
        return self.norm

    def rounding(self) -> float:
        """Return the norm of what random relative changes of x by eps make of b - A x."""
        return norm(self._apply(rounding_of(self._x)))

    def precondition(self, norm: float) -> float:
        """Choose the direction q, its sign such that q'r is positive; return q'r."""
        self._iteration += 1
        self._stalled = 0 if norm < PROGRESS * self._least else self._stalled + 1
        self._least = min(self._least, norm)
        if self._stalled and self._stalled % STALL == 0 and norm <= MOST * self.rounding():
            raise BreakdownError(f"iteration {self._iteration}: no x in float64 is better", "A", 0.0)
        if not isfinite(norm):
            raise ConvergenceError(
                f"iteration {self._iteration}: the residual is {norm}; A gives NaN, or numbers overflow"
            )
        unit = self._r * (1 / norm)
        reason = self._take(self._direction(unit.copy()))
        if reason or self._stalled:
            proposed = None if reason else (self._q, self._Aq, self._form)
            self._q = _orthogonal(unit, self._kept)
            self._Aq = self._apply(self._q)
            self._form = inner(self._q, self._Aq)
            if proposed is not None and self._gain(proposed) >= self._gain((self._q, self._Aq, self._form)):
                self._q, self._Aq, self._form = proposed
            elif self._log is not None:
                self._log.fallbacks.append((self._iteration, reason or "weak"))
        along = inner(self._q, self._r)
        self._sign = -1.0 if along < 0 else 1.0
        return abs(along)

    def _gain(self, direction: tuple[Array, Array, float]) -> float:
        """Return by how much a step along a direction lowers the square of the A-norm of the error."""
        q, _, form = direction
        return inner(q, self._r) ** 2 / form if form > 0 else 0.0

    def _take(self, q: Array) -> str:
        """Set q, A q and q'A q from a proposed direction; return why it is useless, "" if it is not."""
        if q.shape != self._r.shape:
            raise ShapeError(f"the direction has shape {tuple(q.shape)}; expected that of b, {tuple(self._r.shape)}")
        if q.dtype.kind not in "biuf":
            raise DTypeError(f"the direction has dtype {q.dtype}; expected real numbers")
        size = size_of_entries(q)
        if size == 0 or not isfinite(size):
            return "zero" if size == 0 else "nan"
        q = self._project(q.astype(self._r.dtype) * (1 / power_of_two(size)))
        length = norm(q)
        if length == 0:
            return "zero"
        self._q = _orthogonal(q * (1 / length), self._kept)
        self._Aq = self._apply(self._q)
        self._form = inner(self._q, self._Aq)
        if self._form < 0:
            return "negative curvature"
        useful = self._form > 0 and norm(self._q) > DEPENDENT and inner(self._q, self._r) != 0
        return "" if useful else "dependent"

    def conjugate(self, rho: float, last: tuple[float, float] | None) -> tuple[float, float]:
        """Return beta = 0 and q'A q."""
        return 0.0, self._form

    def step(self, beta: float, length: float, soon: bool, last: bool) -> tuple[float, bool]:
        """Move x along q and recompute the residual; return its norm, which is exact."""
        self._x += (self._sign * length) * self._q
        self._kept.append((self._q, self._Aq, self._form))
        return self.replace(), True

    def show(self) -> None:
        """Call the callback with x."""
        if self._callback is not None:
            self._callback(self._x)

    def settle(self) -> None:
        """Leave x as it is: it is complete after each step."""


def _orthogonal(q: Array, kept: deque[tuple[Array, Array, float]]) -> Array:
    """Return q without its part along the directions that are kept: classical Gram-Schmidt, twice."""
    for _ in range(2 if kept else 0):
        coefficients = [inner(q, product) / curvature for _, product, curvature in kept]
        for coefficient, (p, _, _) in zip(coefficients, kept):
            q = q - coefficient * p
    return q


def _line_search_loss_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient for y: -2 s A e - 2 (e'A y) (b - 2 s A y) / (y'A y), e = b - s A y."""
    b, u, e, s, yAy, apply = residuals
    axes = tuple(range(1, b.ndim))
    along = (e * u).sum(axis=axes, keepdims=True)
    gradient = -2 * s * apply(e) - 2 * along * (b - 2 * s * u) / yAy
    return (gradient * (dout / len(b))).astype(u.dtype, copy=False), None


@op(vjp=_line_search_loss_vjp)
def line_search_loss(y: Real, b: Real, *, apply: Callable[[Array], Array]) -> tuple[Array, Any]:
    """Return the mean over a batch of ||b - A x||^2 with x = y (y'b) / (y'A y), the best multiple of y.

    Parameters
    ----------
    y, b : (batch, ...) arrays
    apply : callable
        The product with A for arrays of that shape.

    Returns
    -------
    loss : array of shape ()
    residuals

    Notes
    -----
    The length of y does not matter, so y' dL/dy = 0. An op of `sci.nn`: b and A are not differentiated.

    References
    ----------
    Kaneda et al. 2023, equation 8.
    """
    xp = namespace(y, b)
    u = apply(y)
    axes = tuple(range(1, y.ndim))
    yb, yAy = (y * b).sum(axis=axes, keepdims=True), (y * u).sum(axis=axes, keepdims=True)
    safe = xp.where(yAy > 0, yAy, 1)
    s = xp.where(yAy > 0, yb / safe, 0).astype(y.dtype)
    e = b - s * u
    loss = (e * e).sum(axis=axes).mean()
    return xp.asarray(loss, dtype=y.dtype), (b, u, e, s, safe, apply)
