"""Directions of descent: Sobolev gradients, limited-memory BFGS, and inexact Newton."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from sci.backend import Array
from sci.errors import ConvergenceError
from sci.solvers.krylov.cg import cg
from sci.solvers.krylov.iteration import BreakdownError
from sci.solvers.krylov.protocols import Preconditioner
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.preconditioners.jacobi import Jacobi
from sci.solvers.variational.densities import is_split
from sci.solvers.variational.energy import Energy
from sci.solvers.variational.metric import frozen, lowest, screened

__all__ = ["Direction", "LimitedMemory", "Newton", "SobolevDescent"]

MOST_PRODUCTS = 20
"""Products with a Hessian that is no Poisson operator in one step: any iterate of conjugate gradients is a direction
of descent, and where so many do not solve the system the next step is worth more than a better solution."""
LOOSEST, LOOSEST_LOCAL, TIGHTEST = 0.1, 0.01, 1e-4
"""Relative residuals of the linear systems of Newton's method, for densities of the gradient and for local ones."""


class Direction(Protocol):
    """What turns the derivative of an energy into a direction.

    `products` counts products with the Hessian or cycles of multigrid. All methods are collective.
    """

    products: int
    refine: bool

    def __call__(self, u: Array, gradient: Array, size: float, target: float) -> Array:
        """Return a direction d with (gradient, d) < 0, for the dual norm of the gradient and the one to reach."""

    def moved(self, step: Array, gradients: Array) -> None:
        """Take note of a step and of the change of the gradient."""


class SobolevDescent:
    """Steepest descent in the metric of an elliptic operator with frozen coefficients: d = -M gradient.

    Parameters
    ----------
    energy : Energy
    metric : Multigrid
    """

    refine = True

    def __init__(self, energy: Energy, metric: Multigrid) -> None:
        self.energy, self.M, self.products = energy, metric, 0

    def __call__(self, u: Array, gradient: Array, size: float, target: float) -> Array:
        """Return -M gradient."""
        self.products += 1
        d = -(self.M @ gradient)
        return d if self.energy.total(gradient, d) < 0 else -(Jacobi(self.M.A) @ gradient)

    def moved(self, step: Array, gradients: Array) -> None:
        """Need nothing."""


class LimitedMemory:
    """Limited-memory BFGS, whose initial metric is multigrid for the operator with frozen coefficients.

    Parameters
    ----------
    energy : Energy
    metric : Multigrid
    memory : int
        Pairs of steps and changes of the gradient.

    Notes
    -----
    The coefficients are frozen anew, and the pairs dropped, after as many steps as the memory holds. Where multigrid is
    not definite, for coefficients of great contrast, the pairs are dropped and the diagonal takes its place in a step.

    References
    ----------
    Liu and Nocedal, Mathematical Programming 45, 503 (1989).
    """

    refine = False

    def __init__(self, energy: Energy, metric: Multigrid, memory: int) -> None:
        self.energy, self.M, self.products = energy, metric, 0
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=memory)
        self._memory, self._steps = memory, 0

    def __call__(self, u: Array, gradient: Array, size: float, target: float) -> Array:
        """Return minus the product of the two loops with the gradient."""
        if self._steps and self._steps % self._memory == 0:
            self.M = frozen(self.energy, u)
            self._pairs.clear()
        self._steps, self.products = self._steps + 1, self.products + 1
        total, q, parts = self.energy.total, gradient, []
        for step, change, product in reversed(self._pairs):
            part = total(step, q) / product
            parts.append(part)
            q = q - part * change
        d = self.M @ q
        self.refine = not self._pairs
        if self._pairs:
            step, change, product = self._pairs[-1]
            d = d * (product / total(change, self.M @ change))
            self.products += 1
        for (step, change, product), part in zip(self._pairs, reversed(parts)):
            d = d + (part - total(change, d) / product) * step
        if total(gradient, d) > 0:
            return -d
        self._pairs.clear()
        self.refine = True
        return -(Jacobi(self.M.A) @ gradient)

    def moved(self, step: Array, gradients: Array) -> None:
        """Keep the pair if the energy curves up along the step."""
        product = self.energy.total(step, gradients)
        if product > 0:
            self._pairs.append((step, gradients, product))


class Newton:
    """Inexact Newton: conjugate gradients on the Hessian, with multigrid for frozen coefficients.

    Parameters
    ----------
    energy : Energy
    metric : Multigrid
        Made at the start.
    splitting : bool
        Where the Hessian is not positive definite, that of the convex part takes its place, for that step.

    Notes
    -----
    The relative residual of a system is 0.9 (|g| / |g before|)^2, between 1e-4 and 0.1 (0.01 for local densities, whose
    systems are cheap), and no smaller than a fifth of what is left to reach. Where multigrid is not definite, for
    coefficients of great contrast, the system is solved with the diagonal in its place.

    References
    ----------
    Eisenstat and Walker, SIAM J. Sci. Comput. 17, 16 (1996), choice 2.
    """

    refine = False

    def __init__(self, energy: Energy, metric: Multigrid, splitting: bool) -> None:
        self.energy, self.M, self.products = energy, metric, 0
        self._splitting, self._before, self._steps = splitting, 0.0, 0
        self.split_steps = 0

    def __call__(self, u: Array, gradient: Array, size: float, target: float) -> Array:
        """Return the approximate solution of Hessian d = -gradient.

        Raises
        ------
        ConvergenceError
            If the Hessian is not positive definite, and there is no splitting.
        """
        loosest = LOOSEST_LOCAL if self.energy.local else LOOSEST
        wanted = 0.9 * (size / self._before) ** 2 if self._before > 0 else loosest
        rtol = min(max(wanted, 0.2 * target / size, TIGHTEST), loosest)
        if self._steps:
            self.M = screened(self.energy, u, self.M) if self.energy.local else frozen(self.energy, u)
        self._before, self._steps = size, self._steps + 1
        try:
            return self._solve(u, gradient, rtol, False)
        except ConvergenceError as error:
            if not (isinstance(error, BreakdownError) and error.name == "A" and error.value <= 0):
                raise ConvergenceError(
                    f"the linear system of Newton's method was not solved, which tells nothing of the energy: {error}"
                ) from error
            if not self._splitting:
                raise ConvergenceError(
                    f"the Hessian is not positive definite ({error}): the energy is not convex; expected a "
                    "convex_hessian, for method='splitting'"
                ) from error
            self.split_steps += 1
            return self._solve(u, gradient, rtol, True)

    def _solve(self, u: Array, gradient: Array, rtol: float, convex: bool) -> Array:
        try:
            return self._solve_with(self.M, u, gradient, rtol, convex)
        except BreakdownError as error:
            if error.name != "M":
                raise
            return self._solve_with(Jacobi(self.M.A), u, gradient, rtol, convex)

    def _solve_with(self, M: Preconditioner, u: Array, gradient: Array, rtol: float, convex: bool) -> Array:
        energy = self.energy
        if energy.local and convex == is_split(energy.density) and lowest(energy, u, convex) >= 0:
            result = cg(self.M.A, -gradient / energy.diffusion, M=M, rtol=rtol)
        else:
            product = _Product(energy, u, convex)
            result = cg(product, -energy.A.compress(gradient), M=M, rtol=rtol, maxiter=MOST_PRODUCTS)
        self.products += result.iterations
        x: Array = result.x
        return x if tuple(x.shape) == energy.A.local_shape else energy.A.expand(x)

    def moved(self, step: Array, gradients: Array) -> None:
        """Need nothing."""


class _Product:
    """The Hessian as an operator on flat arrays of this rank's unknowns."""

    def __init__(self, energy: Energy, u: Array, convex: bool) -> None:
        self._A, self.comm = energy.A, energy.comm
        self.shape, self.dtype = energy.A.shape, energy.A.dtype
        self._apply = energy.hessian(u, convex=convex)

    def matvec(self, v: Array) -> Array:
        """Return this rank's part of the product."""
        return self._A.compress(self._apply(self._A.expand(v)))
