"""One linear system as the Krylov methods see it: scaled vectors, products, sums over ranks, the true residual."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import agreed, allreduce_sum
from sci.distributed.communicators import Comm
from sci.errors import ConvergenceError
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.arrays import applier, rounding_of, size_of_entries, total_norm
from sci.solvers.krylov.cg import Callback, Limits, Solution
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.iteration import BreakdownError, Course, at_rounding
from sci.solvers.krylov.posing import posed
from sci.solvers.krylov.protocols import PaddedOperator

__all__ = ["Method", "System", "finite", "solver_of"]

RESTARTS = 3
"""Times that an iteration starts again from x where its own residual was met and b - A x was not."""


class System:
    """A x = b for one right-hand side, a flat array, in units in which b and the products with A and M are near one.

    Parameters
    ----------
    A, M : anything that `cg` takes
    b : (n,) array
    x0 : (n,) array or None
    guard : Guard
    seen : callable or None
        Called with x.

    Attributes
    ----------
    x, r : (n,) array
        Solution and residual b - A x of the present restart, in the units of the system.
    """

    def __init__(
        self,
        A: Callable[[Array], Array],
        M: Callable[[Array], Array] | None,
        b: Array,
        x0: Array | None,
        guard: Guard,
        seen: Callable[[Array], object] | None,
    ) -> None:
        self._apply_a, self._apply_m, self._guard, self._seen = A, M, guard, seen
        self.xp = namespace(b)
        self.comm = guard.comm
        self.b_unit = power_of_two(size_of_entries(b, self.comm))
        self.b_norm = total_norm(b, self.b_unit, self.comm)
        self.b = b / self.b_unit
        self._a_unit = self._m_unit = 0.0
        if x0 is None:
            self.x, self.r = self.xp.zeros_like(self.b), self.b.copy()
        else:
            # The first product sets the unit of A, and with it that of x.
            start = x0 / self.b_unit
            unit = power_of_two(size_of_entries(start, self.comm))
            found = self.product(start / unit)
            self.x = start * self._a_unit
            self.r = self.b - found * (unit * self._a_unit)

    def product(self, v: Array) -> Array:
        """Return A v."""
        found, self._a_unit = self._scaled(self._apply_a, v, self._a_unit)
        return found

    def precondition(self, v: Array) -> Array:
        """Return M v, v itself without M."""
        if self._apply_m is None:
            return v
        found, self._m_unit = self._scaled(self._apply_m, v, self._m_unit)
        self._agree("M")
        return found

    def _agree(self, what: str) -> None:
        """End the iteration on all ranks where a function failed on one, before the next product: it is collective."""
        if self.comm is not None and not np.isfinite(allreduce_sum(np.array([self._guard.part(0.0)]), self.comm)[0]):
            raise ConvergenceError(f"{what} failed on a rank")

    def _scaled(self, apply: Callable[[Array], Array], v: Array, unit: float) -> tuple[Array, float]:
        """Return apply(v) in a unit, which the first product sets by its size."""
        found = self._guard.call(lambda: apply(v), v)
        if unit == 0.0:
            ratio = size_of_entries(found, self.comm) / (size_of_entries(v, self.comm) or 1.0)
            unit = power_of_two(ratio) if 0 < ratio < float("inf") else 1.0
        return found / unit, unit

    def dots(self, *pairs: tuple[Array, Array]) -> list[float]:
        """Return the inner products of pairs of vectors, in one sum over the ranks."""
        own = np.array([self._guard.part(float(self.xp.dot(a, b))) for a, b in pairs])
        return [float(v) for v in (own if self.comm is None else allreduce_sum(own, self.comm, checked=True))]

    def projections(self, vectors: Array, w: Array) -> np.ndarray:
        """Return the inner products of the rows of `vectors` with w, on the host, in one sum over the ranks."""
        found = vectors @ w
        own = np.array([self._guard.part(float(v)) for v in found.tolist()])
        return own if self.comm is None else np.asarray(allreduce_sum(own, self.comm, checked=True))

    def norm(self, v: Array) -> float:
        """Return the 2-norm over the ranks."""
        square = self.dots((v, v))[0]
        return sqrt(square) if square > 0 else square

    def replace(self) -> float:
        """Set r = b - A x; return its norm in the units of b."""
        self.r = self.b - self.product(self.x)
        return self.norm(self.r) * self.b_unit

    def rounding(self) -> float:
        """Return the norm of what random relative changes of x by eps make of b - A x."""
        return self.norm(self.product(rounding_of(self.x))) * self.b_unit

    def show(self, x: Array) -> None:
        """Call the callback with x in its units."""
        if self._seen is not None:
            seen = self._seen
            self._guard.call(lambda: seen(self.solution(x)), None)
            self._agree("the callback")

    def solution(self, x: Array) -> Array:
        """Return x in the units of b and A."""
        return x * (self.b_unit / (self._a_unit or 1.0))


def finite(value: float, what: str, iteration: int) -> float:
    """Return a number of an iteration; raise where it is NaN or Inf.

    Raises
    ------
    BreakdownError
    """
    if not np.isfinite(value):
        raise BreakdownError(
            f"iteration {iteration}: {what} is {value}; A or M gives NaN or Inf, or numbers overflow", "A", value
        )
    return value


Method = Callable[[System, float, int], list[float]]
"""Iterates from the x and r of a system until its own norm of the residual, in the units of b, meets a target, or a
number of iterations is done; updates x, and returns the norm after each iteration."""


def solver_of(method: Method, name: str) -> Callable[..., Solution]:
    """Return a function that solves for one right-hand side by a method, as `solve_columns` calls it.

    The residual is recomputed from x where the method ends. Where it then exceeds the target, the method starts again
    from x, three times at most, and the result is not converged after that.
    """

    def solve(A: Any, b: Array, x0: Array | None, M: Any, limits: Limits, callback: Callback, comm: Comm) -> Solution:
        padded = isinstance(A, PaddedOperator)
        on_grid = padded and tuple(b.shape) == A.local_shape
        if padded:
            b, x0 = posed(A, b, x0, comm)
        shape = b.shape

        def flat(v: Array) -> Array:
            return A.compress(v) if on_grid else v.reshape(-1)

        def given(x: Array) -> Array:
            return A.expand(x) if on_grid else x.reshape(shape)

        with agreed(comm, name):
            right = flat(b)
            apply_a, apply_m = applier(A, "A", right), None if M is None else applier(M, "M", right)
        guard = Guard(comm)
        seen = None if callback is None else lambda x: callback(given(x))
        with guard.settling():
            system = System(apply_a, apply_m, right, None if x0 is None else flat(x0), guard, seen)
            target = limits.target(system.b_norm)
            course = _driven(system, method, target, limits.maxiter)
        x = system.solution(system.x)
        if padded and getattr(A, "singular", False):
            x = A.project(x)
        return given(x), course, target

    return solve


def _driven(system: System, method: Method, target: float, maxiter: int) -> Course:
    """Run a method from x, again where the recomputed residual exceeds the target and rounding of x."""
    course = Course([], [], [])
    norms = course.norms
    norms.append(finite(system.norm(system.r) * system.b_unit, "the norm of the residual", 0))
    for _ in range(RESTARTS + 1):
        if norms[-1] <= target or len(norms) > maxiter:
            break
        more = method(system, target, maxiter - len(norms) + 1)
        norms += more
        norms[-1] = finite(system.replace(), "the norm of the residual", len(norms) - 1)
        if not more or norms[-1] <= target or at_rounding(system, course, target):
            break
    return course
