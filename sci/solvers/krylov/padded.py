"""Vectors of conjugate gradients on padded arrays, the vector work fused with the stencil."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from sci.backend import Array
from sci.solvers.krylov.arrays import rounding_of, size_of_entries
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.protocols import Cycle, StepNumbers
from sci.solvers.poisson.space import VectorSpace

__all__ = ["ArrayCycle", "PaddedVectors"]


class PaddedVectors:
    """The vectors of one solve with a `PaddedOperator`: x and b in float64, p and the residual as the cycle holds them.

    p'A p follows from z'A z, which is known before p (Chronopoulos and Gear 1989), so that a step is one pass through
    memory. The residual is f = r / unit, the direction is p / (unit scale), with the cycle's `scale` and a power of two
    near the entries of b as `unit`: whatever the units of A and b, both stay within float32. x, in float64, follows
    every second step. An energy lost in rounding starts the directions again.

    Parameters
    ----------
    space : VectorSpace
    b : float64 array
        Padded, or a grid of three axes; zero outside of the unknowns.
    x : padded float64 array
        The start; the solution afterwards.
    cycle : Cycle, optional
    unit : float
        A power of two near the entries of b.
    b_norm : float, optional
        Norm of b, if the start is zero.
    guard : Guard
    seen : callable, optional
        Called with x after each step.

    Notes
    -----
    Bytes per unknown: x and b, and two p in the precision of the cycle, which holds the residual: 24 with a float32
    cycle. Traffic per iteration beside the cycle, with constant coefficients and a float32 cycle: z'A z 5, the step 29
    to 33 with x every second time; r'z 8 where the cycle does not compute it. b - A x, three times in a solve to 1e-8:
    21. A cycle with a fused `step` takes it together with its first stage, and computes z'A z: 16 to 20 beside that
    stage, and 8 to 16 more where the residual is b - A x.

    References
    ----------
    Chronopoulos and Gear, J. Comput. Appl. Math. 25, 153 (1989).
    """

    def __init__(
        self,
        space: VectorSpace,
        b: Array,
        x: Array,
        cycle: Cycle | None,
        unit: float,
        b_norm: float | None,
        guard: Guard,
        seen: Callable[[Array], object] | None = None,
    ) -> None:
        self.space, self.b, self.x, self.cycle, self.unit, self.b_norm = space, b, x, cycle, unit, b_norm
        xp, layout = space.stencil.xp, space.layout
        self.f = layout.zeros(xp, np.float64) if cycle is None else cycle.source
        # Without a cycle the residual is z as well, so that the next one needs an array of its own.
        self._next = layout.zeros(xp, np.float64) if cycle is None else self.f
        self.scale = 1.0 if cycle is None else cycle.scale
        self.p, self._scratch = (layout.zeros(xp, self.f.dtype) for _ in range(2))
        self.eps = float(np.finfo(self.f.dtype).eps)
        self._guard, self._seen = guard, seen
        self._fused = None if cycle is None else cycle.step
        self._pending, self._descended, self._energy = 0.0, False, 0.0

    def _total(self, value: float) -> float:
        return self.space.grid.total(self._guard.part(value))

    def start(self) -> float:
        """Set the residual of the start; return its norm."""
        if self.b_norm is None:
            return self.replace()
        f = self.f if self.b.shape == self.f.shape else self.f[self.space.layout.box_key]
        self.space.stencil.xp.multiply(self.b, 1 / self.unit, out=f)
        return self.b_norm

    def replace(self) -> float:
        """Recompute the residual from x; return its norm."""
        self.settle()
        self._descended = False
        self.space.grid.fill(self.x)
        return sqrt(self._total(self.space.stencil.residual(self.x, self.b, self.f, 1 / self.unit))) * self.unit

    def rounding(self) -> float:
        """Return the norm of what random relative changes of x by eps make of b - A x; collective."""
        self.settle()
        change, product = rounding_of(self.x), self.space.layout.zeros(self.space.stencil.xp, np.float64)
        self.space.apply(change, product)
        size = size_of_entries(product, self.space.grid.comm) or 1.0
        product /= size
        return sqrt(self._total(self.space.stencil.dot(product, product))) * size

    def settle(self) -> None:
        """Let x follow the residual."""
        if self._pending:
            self.space.stencil.axpy(self.x, self.p, self._pending * self.unit * self.scale)
            self._pending = 0.0

    def precondition(self, norm: float) -> float:
        """Set z = M r; return r'z in the units of f and the cycle."""
        product: float | None = (norm / self.unit) ** 2
        energy: float | None = None
        if self.cycle is not None:
            product = self.cycle.run(self._descended)
            energy = self.cycle.energy
        z, space = self._z, self.space
        if space.singular:
            space.project(z)
            product = None
        if product is None:
            product = self._total(space.stencil.dot(self.f, z))
        if energy is None:
            energy = self.scale * self._total(space.local_quadratic_form(z))
        self._energy = energy
        return product

    @property
    def _z(self) -> Array:
        return self.f if self.cycle is None else self.cycle.result

    def conjugate(self, rho: float, last: tuple[float, float] | None) -> tuple[float, float]:
        """Return beta and p'A p in the units of the cycle; beta = 0 starts the directions again."""
        if last is not None:
            beta = rho / last[0]
            quadratic_form = self._energy - beta * rho / last[1]
            if quadratic_form > 10 * self.eps * self._energy:
                return beta, quadratic_form
        return 0.0, self._energy

    def step(self, beta: float, length: float, soon: bool, last: bool) -> tuple[float, bool]:
        """Take a step along p = z + beta p; x follows now, or with the next step."""
        moves = bool(self._pending or soon or self._seen)
        if beta == 0:
            self.settle()
        factor = self.unit * self.scale
        both = (self._pending * factor, length * factor) if moves else None
        self._pending = 0.0 if moves else length
        if self._fused is not None:
            numbers = StepNumbers(1 / self.unit, beta, self.scale * length, both, soon, not last)
            square = self._fused(self.p, self.x, self.b, numbers)
            self._descended = not last
            return sqrt(self._guard.part(square)) * self.unit, soon
        old = self.p if beta else self._z
        vectors = (self._z, old, self._scratch, self.x, self.f, self._next)
        square = self.space.stencil.cg_step(*vectors, beta, self.scale * length, both)
        self.p, self._scratch, self.f, self._next = self._scratch, self.p, self._next, self.f
        return sqrt(self._total(square)) * self.unit, False

    def show(self) -> None:
        """Call the callback with x."""
        if self._seen is not None:
            seen = self._seen
            self._guard.call(lambda: seen(self.x), None)


class ArrayCycle:
    """Any function of a vector as a cycle on padded arrays.

    Parameters
    ----------
    space : VectorSpace
    apply : callable
        Takes and returns a grid array.
    guard : Guard
    """

    scale = 1.0
    energy = None
    step = None

    def __init__(self, space: VectorSpace, apply: Callable[[Array], Array], guard: Guard) -> None:
        self.space, self.apply, self.guard = space, apply, guard
        self.source, self.result = (space.layout.zeros(space.stencil.xp, np.float64) for _ in range(2))

    def run(self, descended: bool = False) -> None:
        """Turn `source` into `result`."""
        r = self.space.layout.cells(self.source).copy()
        z = self.guard.call(lambda: self.apply(r), r)
        self.space.layout.cells(self.result)[...] = z * self.space.mask
