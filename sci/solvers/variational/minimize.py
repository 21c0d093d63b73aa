"""The loop that minimizes an energy: direction, line search, stopping rule, and the report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, as_finite, namespace
from sci.distributed import agreed
from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.cg import cg, check_limits
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.poisson.operator import CONSISTENT, PoissonOperator
from sci.solvers.variational.densities import has_hessian, is_split
from sci.solvers.variational.directions import Direction, LimitedMemory, Newton, SobolevDescent
from sci.solvers.variational.energy import Energy
from sci.solvers.variational.metric import frozen, screened
from sci.solvers.variational.search import search

__all__ = ["METHODS", "Minimum", "minimize_energy"]

METHODS = ("auto", "newton", "splitting", "lbfgs", "descent")
LEAST_CHANGE = 1e-290
"""Changes of the energy below it are too near the least number for a line search."""


@entry
@dataclass(frozen=True)
class Minimum:
    """The minimum of an energy, with the history of the steps.

    Parameters
    ----------
    u : (*grid) array
        Of this rank, zero outside of the fluid.
    energies : (steps + 1,) array
        At the start and after each step: the smaller one of the first and the last is a sum over the cells, the others
        differ from it by the changes along the steps, which are exact to rounding of the gradient.
    dual_norms : (steps + 1,) array
        Of the derivative, sqrt(g' M g), dual to sqrt(u'H u): M is one cycle of multigrid for H, which is A, or for a
        local density A with the second derivatives at the start, or at the default start where they are smaller.
    lengths : (steps,) array
        Of the steps along their directions; 1 is a full step.
    products : (steps,) int array
        Products with the Hessian, or cycles of multigrid, of each step.
    converged : bool
    method : str
    seconds : float
        Wall-clock time.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import DoubleWell, Energy, PoissonOperator, minimize_energy
    >>> A = PoissonOperator(np.ones((8, 8), dtype=bool), boundary="neumann")
    >>> minimum = minimize_energy(Energy(A, DoubleWell(1.0), diffusion=1.0), np.full((8, 8), 0.1))
    >>> bool(abs(minimum.u - 1).max() < 1e-6), minimum.method
    (True, 'splitting')
    """

    u: Array
    energies: np.ndarray
    dual_norms: np.ndarray
    lengths: np.ndarray
    products: np.ndarray
    converged: bool
    method: str
    seconds: float

    @property
    def energy(self) -> float:
        """The last energy."""
        return float(self.energies[-1])

    @property
    def iterations(self) -> int:
        """Number of steps."""
        return len(self.lengths)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"Minimum({state} after {self.iterations} steps of {self.method}, energy {self.energy:.8g}, dual norm "
            f"{self.dual_norms[-1]:.3g}, {int(self.products.sum())} products, {self.seconds:.3g} s)"
        )


@collective_entry
def minimize_energy(
    energy: Energy,
    u0: Any = None,
    *,
    method: str = "auto",
    rtol: float = 1e-8,
    atol: float = 0.0,
    maxiter: int = 200,
    memory: int = 8,
    callback: Callable[[Array], object] | None = None,
) -> Minimum:
    """Minimize an energy on a grid: the solution of a nonlinear elliptic equation.

    Each step lowers the energy (Armijo's rule). Stops when the dual norm of the derivative is at most max(rtol r, atol)
    with r = max(|f|, min(|g(u0)|, |g(default)|)), where g(default) is the derivative at the default start: a start far
    from the minimum does not loosen the tolerance. Where r is zero, as without f, r is |g(u0)|.

    Parameters
    ----------
    energy : Energy
    u0 : (*grid) array_like, optional
        Start; by default 0, or with Dirichlet values the harmonic function that has them. Values outside of the fluid
        count as zero.
    method : "auto", "newton", "splitting", "lbfgs" or "descent"
        "newton": inexact Newton with conjugate gradients and multigrid, for a convex density with a `hessian`.
        "splitting": the same for one with a `convex_hessian`, which takes the place of the Hessian wherever that is not
        positive definite. "lbfgs": limited-memory BFGS with multigrid as the initial metric. "descent": gradients in
        the metric of an elliptic operator with the coefficients of the start. "auto" is the first of these that the
        density allows: it takes the fewest steps, in `benchmarks/variational.py` without an exception.
    rtol, atol : float
    maxiter : int
        Steps; a run that ends there returns with `converged` false.
    memory : int
        Pairs that lbfgs keeps.
    callback : callable, optional
        Called with u after each step.

    Returns
    -------
    Minimum

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank.
    ConvergenceError
        With the step and the energy there: for a density that is not convex and has no `convex_hessian`, NaN in the
        density, a derivative that is not that of the density, an energy without a lower bound on Neumann walls, a
        metric that is not positive definite, and units in which norms or changes of the energy leave float64.

    Notes
    -----
    Collective. All methods take one derivative and one or two changes of the energy a step; Newton solves a linear
    system to a tolerance that follows the derivative.

    References
    ----------
    Marwah, Lipton, Lu and Risteski, ICML 2023, for descent with (1 - laplace)^-1; Nocedal and Wright, Numerical
    Optimization (2006), chapters 3 and 7.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import Energy, MinimalSurface, PoissonOperator, minimize_energy
    >>> A = PoissonOperator(np.ones((16, 16), dtype=bool), 1 / 17)
    >>> edge = np.zeros((18, 18))
    >>> edge[0], edge[-1] = 1.0, 1.0
    >>> minimum = minimize_energy(Energy(A, MinimalSurface(), values=edge))
    >>> minimum.converged, minimum.method
    (True, 'newton')
    """
    started = time.perf_counter()
    A, xp = energy.A, energy.xp
    with agreed(energy.comm, "minimize_energy") as agreement:
        check_limits(rtol, atol, maxiter)
        chosen = _method(energy, method)
        if memory < 1:
            raise InvalidValueError(f"memory is {memory}; expected at least one pair")
        start: Array | None = None
        if u0 is not None:
            start = as_finite(u0, "u0", shape=A.local_shape, xp=xp) * A.mask
            namespace(start, A.mask)
        agreement.same(rtol=float(rtol), atol=float(atol), maxiter=maxiter, method=chosen, memory=memory)
        agreement.same(u0=None if u0 is None else "given", callback=None if callback is None else "given")
    u = harmonic(energy) if start is None else start
    # What overflows in the float32 cycle of a metric of great contrast is refused or replaced where it is used.
    with np.errstate(over="ignore", invalid="ignore"):
        return _Run(energy, chosen, memory, start is None).minimize(u, (rtol, atol, maxiter), callback, started)


def _method(energy: Energy, method: str) -> str:
    """Return the method that is meant; refuse one that the density does not allow."""
    density, second = energy.density, has_hessian(energy.density)
    if method not in METHODS:
        raise InvalidValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    if method == "auto":
        return "splitting" if second and is_split(density) else "newton" if second else "lbfgs"
    if method in ("newton", "splitting") and not second:
        raise InvalidValueError(f"{density!r} has no hessian; expected method='lbfgs' or 'descent'")
    if method == "splitting" and not is_split(density):
        raise InvalidValueError(f"{density!r} has no convex_hessian; expected method='newton' for a convex density")
    return method


def harmonic(energy: Energy) -> Array:
    """Return the function of least u'A u with the Dirichlet values, to 1e-3; collective."""
    A = energy.A
    if energy.values is None or A.singular:
        return energy.xp.zeros(A.local_shape)
    b = A.boundary_source(energy.values) * A.mask
    return cg(A, b, M=Multigrid(A), rtol=1e-3).x if A.grid.total(float(abs(b).sum())) > 0 else b


def _require_bound(metric: PoissonOperator, gradient: Array) -> None:
    """Refuse an energy that constants lower for ever: the metric is singular only where the density reads no u."""
    part = metric.inconsistency(gradient)
    if part > CONSISTENT:
        raise ConvergenceError(
            f"step 0: the energy has no lower bound: its derivative sums to {part:.3g} of its absolute sum over cells "
            "that no Dirichlet value holds; expected a source f of sum zero there, or a density that grows with u"
        )


def _anchored(energies: np.ndarray, changes: list[float], last: float) -> np.ndarray:
    """Return the energies counted from the last one, a sum over the cells, if it is smaller than the first one.

    Rounding of the large energy of a far start would otherwise stay in those near the minimum.
    """
    if not abs(last) < abs(energies[0]):
        return energies
    back = np.cumsum([last, *(-change for change in reversed(changes))])
    return np.asarray(back[::-1])


class _Run:
    """One minimization."""

    def __init__(self, energy: Energy, method: str, memory: int, at_default: bool) -> None:
        self.energy, self.method, self.memory, self.at_default = energy, method, memory, at_default
        self.convex = not is_split(energy.density)

    def _dual(self, metric: Multigrid, u: Array) -> Multigrid:
        """Return the metric of the norms, for the one at the start; collective.

        Of a local density the second derivatives at the default start count where they are smaller: those of a far
        start would hide the gradient of the cells in which they are large.
        """
        energy = self.energy
        if not energy.local:
            return metric if energy.A.singular else Multigrid(energy.A)
        if self.at_default or not has_hessian(energy.density):
            return metric
        default = harmonic(energy)
        here, there = (
            energy.A.grid.largest(float(energy.second_derivative(v, convex=not self.convex).max()))
            for v in (u, default)
        )
        smaller = there < here and (there > 0 or not energy.A.singular)
        return screened(energy, default) if smaller else metric

    def _size(self, gradient: Array, where: str) -> float:
        """Return the dual norm, scaled by the largest entry so that no square leaves the range of float64."""
        largest = self.energy.A.grid.largest(float(abs(gradient).max()))
        if not np.isfinite(largest):
            raise ConvergenceError(f"{where}: the derivative of the energy holds {largest}; expected other units")
        if largest == 0:
            return 0.0
        unit = power_of_two(largest)
        scaled = gradient / unit
        square = self.energy.total(scaled, self.dual @ scaled)
        if not 0 < square < inf:
            raise ConvergenceError(
                f"{where}: g'M g is {square:.3g} for a derivative g of size {largest:.3g}, and the multigrid M is not "
                "positive definite: expected coefficients of less contrast, or a start with smoother gradients"
            )
        size = unit * sqrt(square)
        if not 0 < size < inf:
            raise ConvergenceError(f"{where}: the dual norm of the derivative is {size}; expected other units")
        return size

    def _reference(self, size: float) -> float:
        """Return the norm that rtol is a part of, for that of the derivative at the start; collective."""
        source = self._size(self.energy.source, "source")
        if size <= source or self.at_default:
            return max(size, source)
        try:
            default = self._size(self.energy.gradient(harmonic(self.energy)), "default start")
        except ConvergenceError:
            return size
        return max(source, min(size, default)) or size

    def _direction(self, metric: Multigrid) -> Direction:
        if self.method == "descent":
            return SobolevDescent(self.energy, metric)
        if self.method == "lbfgs":
            return LimitedMemory(self.energy, metric, self.memory)
        return Newton(self.energy, metric, self.method == "splitting")

    def minimize(
        self, u: Array, limits: tuple[float, float, int], callback: Callable[[Array], object] | None, started: float
    ) -> Minimum:
        energy, (rtol, atol, maxiter) = self.energy, limits
        value = energy(u)
        if not np.isfinite(value):
            raise ConvergenceError(f"step 0: the energy of the start is {value}; expected a start with a finite energy")
        gradient = energy.gradient(u)
        metric = frozen(energy, u)
        self.dual = self._dual(metric, u)
        _require_bound(metric.A, gradient)
        norms, energies = [self._size(gradient, "step 0")], [value]
        lengths, products, changes = list[float](), list[int](), list[float]()
        target = max(rtol * self._reference(norms[0]), atol)
        direction: Direction | None = None
        while norms[-1] > target and len(lengths) < maxiter:
            try:
                direction = direction or self._direction(metric)
                before = direction.products
                d = direction(u, gradient, norms[-1], target)
            except ConvergenceError as error:
                raise ConvergenceError(f"step {len(lengths) + 1}, energy {energies[-1]:.10g}: {error}") from error
            step, change = self._step(u, gradient, d, direction.refine, len(lengths) + 1, energies[-1])
            u = u + step
            new = energy.gradient(u)
            direction.moved(step, new - gradient)
            gradient = new
            energies.append(energies[-1] + change)
            changes.append(change)
            norms.append(self._size(gradient, f"step {len(lengths) + 1}"))
            lengths.append(self.length)
            products.append(direction.products - before)
            if callback is not None:
                with agreed(energy.comm, "callback"):
                    callback(u)
        return Minimum(
            u,
            _anchored(np.array(energies), changes, energy(u)),
            np.array(norms),
            np.array(lengths, dtype=np.float64),
            np.array(products, dtype=np.int64),
            bool(norms[-1] <= target),
            self.method,
            time.perf_counter() - started,
        )

    def _verify(self, u: Array, d: Array, slope: float) -> None:
        """Hold the derivative of a density against differences of its values, along one direction."""
        energy = self.energy
        grid = energy.A.grid
        scale = (1 + grid.largest(float(abs(u).max()))) / max(grid.largest(float(abs(d).max())), 1e-300)
        t = 1e-4 * scale
        ahead, behind = energy(u + t * d), energy(u - t * d)
        found, rounding = (ahead - behind) / (2 * t), 1e-9 * (abs(ahead) + abs(behind)) / t
        if np.isfinite(found) and abs(found - slope) > 0.05 * abs(slope) + rounding:
            raise ConvergenceError(
                f"step 1: the energy falls by {-found:.6g} per length along the first direction and its derivative "
                f"says {-slope:.6g}; expected `derivative` of {type(energy.density).__name__} to be that of `density`"
            )

    def _step(
        self, u: Array, gradient: Array, d: Array, refine: bool, number: int, value: float
    ) -> tuple[Array, float]:
        """Return the step along a direction and the change of the energy."""
        energy = self.energy
        slope = energy.total(gradient, d)
        where = f"step {number}, energy {value:.10g}"
        if slope == 0 or not LEAST_CHANGE < abs(slope) < inf:
            raise ConvergenceError(
                f"{where}: the slope along the direction is {slope:.3g}, and changes of the energy leave the range of "
                "float64; expected other units of u or of the energy, or a larger rtol"
            )
        if not slope < 0:
            raise ConvergenceError(
                f"{where}: the slope along the direction is {slope:.3g}; expected a negative one: use a larger rtol"
            )
        remainder = energy.change(u, d)
        if number == 1 and not callable(getattr(energy.density, "remainder", None)):
            self._verify(u, d, slope)
        step = search(slope, remainder, refine=refine)
        if self.convex and step.length and step.remainder < -1e-6 * abs(step.length * slope):
            raise ConvergenceError(
                f"{where}: the energy is not convex: it falls by {-step.change:.6g} where a convex one falls by at "
                f"most {-step.length * slope:.6g}; give the density a convex_hessian, for method='splitting'"
            )
        if step.length == 0:
            raise ConvergenceError(
                f"{where}: {step.trials} trials along a direction of slope {slope:.3g} did not lower the energy; "
                "expected the derivative of the density, and an rtol above rounding; for a high power of the gradient "
                "raise the regularization, or start from the minimum for a smaller power"
            )
        self.length = step.length
        return step.length * d, step.change
