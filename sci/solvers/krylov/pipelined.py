"""Conjugate gradients for the Poisson operator on padded arrays, the vector work fused with the stencil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import frexp, sqrt
from typing import Any, Protocol

import numpy as np

from sci.backend import Array
from sci.errors import ConvergenceError
from sci.solvers.poisson.grid import Layout
from sci.solvers.poisson.stencil import Stencil

__all__ = ["Space", "iterate"]

RESTARTS = 3
DRIFT = 0.25
"""The residual is replaced where its error may exceed this times the root of the unit of the last place, relatively."""


class PaddedCycle(Protocol):
    """A preconditioner that works between two padded arrays of its own.

    One may also have `energy`, the last result times the operator in its units times the result, and `step`, a step of
    conjugate gradients that does the first stage of the next cycle too, which `cycle` then takes as done.
    """

    scale: float

    @property
    def source(self) -> Array:
        """Padded array that receives scale times the residual."""

    @property
    def result(self) -> Array:
        """Padded array that holds the answer after `cycle`."""

    def cycle(self) -> float | None:
        """Turn `source` into `result`; return their product where it is known."""


@dataclass(frozen=True)
class Space:
    """What the iteration needs to know of the vectors: operator, layers around a box, sums over ranks, the kernel.

    Parameters
    ----------
    stencil : Stencil
    curvature : callable
        Brings the layers of a padded array u around the box up to date and returns u'A u.
    fill : callable
        Brings the layers of a padded array around the box up to date.
    total : callable
        Sum of a number over ranks.
    project : callable or None
        Removes, in place, the kernel of a singular operator from a padded array.
    """

    stencil: Stencil
    curvature: Callable[[Array], float]
    fill: Callable[[Array], object]
    total: Callable[[float], float]
    project: Callable[[Array], None] | None

    @property
    def layout(self) -> Layout:
        """Layout of the vectors."""
        return self.stencil.layout


def serial_space(stencil: Stencil, project: Callable[[Array], None] | None) -> Space:
    """Return the space of one process."""
    return Space(
        stencil, lambda u: stencil.curvature(stencil.layout.wrap(u)), stencil.layout.wrap, lambda value: value, project
    )


@dataclass(eq=False)
class Vectors:
    """The vectors of conjugate gradients, of which x and the residual follow p.

    Parameters
    ----------
    space : Space
    b : float64 array
        Padded, or a grid of three axes.
    x : padded float64 array
    f, rest : padded array
        f = (b - A x) scale / unit, and where the next one goes: f itself, if M keeps it apart from its answer.
    scale, unit : float
        The unit, a power of two near b, keeps float32 from leaving its range.
    """

    space: Space
    b: Array
    x: Array
    f: Array
    rest: Array
    scale: float
    unit: float

    def __post_init__(self) -> None:
        self.p, self.spare = (self.space.layout.zeros(self.space.stencil.xp, self.f.dtype) for _ in range(2))
        self.pending = 0.0

    def start(self) -> None:
        """Set the residual for x = 0."""
        f = self.f if self.b.shape == self.f.shape else self.f[self.space.layout.box_key]
        self.space.stencil.xp.multiply(self.b, self.scale / self.unit, out=f)

    def replace(self) -> float:
        """Set the residual from x; return its norm."""
        self.settle()
        self.space.fill(self.x)
        square = self.space.stencil.remainder(self.x, self.b, self.f, self.scale / self.unit)
        return sqrt(self.space.total(square))

    def settle(self) -> None:
        """Let x catch up with the residual."""
        if self.pending:
            self.space.stencil.move(self.x, self.p, self.pending * self.unit)
            self.pending = 0.0

    def descend(self, M: Any, beta: float, step: float, moves: bool, exact: bool, last: bool) -> float:
        """Do what `advance` does, and the first stage of the next cycle unless it is the `last`, in one pass.

        Where it is `exact`, set the residual from x.
        """
        both = (self.pending * self.unit, step * self.unit) if moves else None
        numbers = (self.scale / self.unit, beta, self.scale * step, both, exact, not last)
        square = M.step(self.p, self.x, self.b, *numbers)
        self.pending = 0.0 if moves else step
        return sqrt(square) * self.unit / self.scale

    def advance(self, z: Array, beta: float, step: float, moves: bool) -> float:
        """Take a step along p = z + beta p; return the norm of the residual. x follows now, or with the next step."""
        both = (self.pending * self.unit, step * self.unit) if moves else None
        old = self.p if beta else z
        vectors = (z, old, self.spare, self.x, self.f, self.rest)
        square = self.space.stencil.advance(*vectors, beta, self.scale * step, both)
        self.p, self.spare, self.f, self.rest = self.spare, self.p, self.rest, self.f
        self.pending = 0.0 if moves else step
        return sqrt(self.space.total(square)) * self.unit / self.scale


def iterate(
    space: Space,
    b: Array,
    x: Array,
    M: PaddedCycle | None,
    size: float,
    target: float,
    maxiter: int,
    callback: Callable[[Array], object] | None,
    from_zero: bool = False,
) -> list[float]:
    """Run preconditioned conjugate gradients on the padded x in place; return the norms of the residual.

    Parameters
    ----------
    space : Space
    b : float64 array
        Padded, or a grid of three axes; zero where there is no unknown.
    x : padded float64 array
        Zero where `from_zero`, which saves a product with A.
    M : PaddedCycle, optional
    size : float
        Norm of b.
    target : float
        Norm of the residual at which to stop.
    maxiter : int
    callback : callable, optional
        Called with x after each iteration.

    Notes
    -----
    p'A p follows from z'A z, which can be had before p (Chronopoulos and Gear 1989), so that a step is one pass. The
    residual is held as M takes it; where rounding, a unit of the last place of each norm, comes near the root of that
    unit, it is set to b - A x in double, and the directions go on (van der Vorst and Ye 2000). x, which nothing reads
    meanwhile, follows every second step. An energy lost in rounding starts the directions again.

    Vectors: x and b, and two p in the precision of M, which holds the residual: 24 bytes an unknown with a float32
    cycle. Traffic per iteration beside M, constant coefficients, float32 cycle: z'A z 5, the step 29 to 33 with x every
    second time; the product with M's answer 8 where M does not know it. b - A x, three times in a solve to 1e-8: 21. A
    cycle with a `step` of its own takes it together with its first stage, and finds z'A z: 16 to 20 beside that stage,
    and 8 to 16 more where the residual is b - A x.

    References
    ----------
    Chronopoulos and Gear, J. Comput. Appl. Math. 25, 153 (1989); van der Vorst and Ye, SIAM J. Sci. Comput. 22, 835.
    """
    xp, layout = space.stencil.xp, space.layout
    f = layout.zeros(xp, np.float64) if M is None else M.source
    rest = layout.zeros(xp, np.float64) if M is None else f
    v = Vectors(space, b, x, f, rest, 1.0 if M is None else M.scale, _unit(size))
    least = float(np.finfo(f.dtype).eps)
    if from_zero:
        v.start()
    norms = [size if from_zero else v.replace()]
    steps = getattr(M, "step", None) is not None
    before: tuple[float, float] | None = None
    exact, descended, restarts, drift = True, False, 0, 0.0
    while len(norms) <= maxiter or norms[-1] <= target:
        reached = norms[-1] <= target
        if reached or drift > DRIFT * sqrt(least) * norms[-1]:
            if not exact:
                norms[-1], exact, descended, drift = v.replace(), True, False, 0.0
            if norms[-1] <= target or (reached and (restarts == RESTARTS or len(norms) > maxiter)):
                break
            restarts, before = restarts + reached, None if reached else before
        z, beta, before = _direction(v, M, norms, descended, before)
        ahead = norms[-1] * (norms[-1] / norms[-2] if len(norms) > 1 else 0.1)
        last, drift = ahead <= target, drift + least * (norms[-1] + ahead)
        soon = last or drift > DRIFT * sqrt(least) * ahead
        moves = bool(v.pending or soon or callback)
        if beta == 0:
            v.settle()
        on = (beta, before[1], moves)
        norms.append(v.descend(M, *on, soon, last) if steps else v.advance(z, *on))
        exact, descended = steps and soon, steps and not last
        drift = 0.0 if exact else drift
        if callback is not None:
            callback(x)
    v.settle()
    return norms


def _unit(size: float) -> float:
    """Return a power of two near `size` whose inverse is a number too."""
    return 2.0 ** min(max(frexp(size)[1], -1000), 1000)


def _direction(
    v: Vectors, M: Any, norms: list[float], descended: bool, before: tuple[float, float] | None
) -> tuple[Array, float, tuple[float, float]]:
    """Return z = M r, beta, and r'z and the length of the step along z + beta p, from those of the step before."""
    z, rho, energy = _products(v, M, norms[-1], descended)
    positive(rho, "M", "r", len(norms))
    beta, curvature = 0.0, energy
    if before is not None:
        beta = rho / before[0]
        curvature = energy - beta * rho / before[1]
        if not curvature > 10 * float(np.finfo(v.f.dtype).eps) * energy:
            beta, curvature = 0.0, energy
    return z, beta, (rho, rho / positive(curvature, "A", "p", len(norms)))


def _products(v: Vectors, M: Any, norm: float, descended: bool) -> tuple[Array, float, float]:
    """Run the cycle, or what is left of it; return z = M r, r'z and z'A z."""
    product: float | None = (norm / v.unit) ** 2
    energy: float | None = None
    if M is not None:
        product = M.cycle(descended) if descended else M.cycle()
        energy = getattr(M, "energy", None)
    z, space = v.f if M is None else M.result, v.space
    if space.project is not None:
        space.project(z)
        product = None
    product = space.total(space.stencil.dot(v.f, z)) if product is None else product
    energy = space.total(space.curvature(z)) if energy is None else energy / v.scale
    return z, product / v.scale, energy


def positive(value: float, name: str, vector: str, iteration: int) -> float:
    """Return the quadratic form `value` of A or M, if it is what a positive definite one gives."""
    if not np.isfinite(value):
        raise ConvergenceError(
            f"iteration {iteration}: {vector}'{name} {vector} is {value}; {name} gives NaN or Inf, or numbers overflow"
        )
    if value <= 0:
        raise ConvergenceError(
            f"iteration {iteration}: {vector}'{name} {vector} is {value:.3g}; expected a symmetric positive definite "
            f"{name} (a singular {name} breaks down where b is not in its range)"
        )
    return float(value)


def is_padded_cycle(M: Any) -> bool:
    """Tell whether `M` offers the padded protocol."""
    return all(hasattr(M, name) for name in ("source", "result", "scale", "cycle"))
