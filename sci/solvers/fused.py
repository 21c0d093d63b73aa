"""Conjugate gradients for the Poisson operator on padded arrays, the vector work fused with the stencil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, Protocol

import numpy as np

from sci.backend import Array
from sci.errors import ConvergenceError
from sci.solvers.layout import Layout
from sci.solvers.stencil import Stencil

__all__ = ["Space", "iterate"]

RESTARTS = 3


class PaddedCycle(Protocol):
    """A preconditioner that works between two padded arrays of its own."""

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
    conjugate : callable
        Does p = z + beta p on padded arrays and returns p'A p, the layers of p around the box brought up to date.
    fill : callable
        Brings the layers of a padded array around the box up to date.
    total : callable
        Sum of a number over ranks.
    project : callable or None
        Removes, in place, the kernel of a singular operator from a padded array.
    """

    stencil: Stencil
    conjugate: Callable[[Array, Array, float], float]
    fill: Callable[[Array], object]
    total: Callable[[float], float]
    project: Callable[[Array], None] | None

    @property
    def layout(self) -> Layout:
        """Layout of the vectors."""
        return self.stencil.layout


def serial_space(stencil: Stencil, project: Callable[[Array], None] | None) -> Space:
    """Return the space of one process."""
    return Space(stencil, stencil.conjugate, stencil.layout.wrap, lambda value: value, project)


def iterate(
    space: Space,
    b: Array,
    x: Array,
    M: PaddedCycle | None,
    target: float,
    maxiter: int,
    callback: Callable[[Array], object] | None,
    from_zero: bool = False,
) -> list[float]:
    """Run preconditioned conjugate gradients on the padded x in place; return the norms of the residual.

    Parameters
    ----------
    space : Space
    b : padded float64 array
    x : padded float64 array
        Zero where `from_zero`, which saves a product with A.
    M : PaddedCycle, optional
    target : float
        Norm of the residual at which to stop.
    maxiter : int
    callback : callable, optional
        Called with x after each iteration.

    Notes
    -----
    Vectors: x, r and b, and p in the precision of M, which holds r in that precision: 32 bytes an unknown with a
    float32 cycle. A p is not kept. Traffic per iteration beside M, constant coefficients, float32 cycle: direction and
    curvature 13 on one thread of a host, 17 otherwise; update 41; the product with M's answer 12 where M does not know
    it.
    """
    stencil, xp = space.stencil, space.stencil.xp
    store = xp.zeros(space.layout.padded_shape) if M is None else M.source
    scale = 1.0 if M is None else M.scale
    r, p = (space.layout.zeros(xp, dtype) for dtype in (np.float64, store.dtype))

    def residual() -> float:
        """Set r = b - A x; return the sum of its squares."""
        space.fill(x)
        stencil.apply(x, r)
        xp.subtract(b, r, out=r)
        return space.total(stencil.dot(r, r))

    if from_zero:
        r[...] = b
        square = space.total(stencil.dot(r, r))
    else:
        square = residual()
    store[...] = r if scale == 1 else scale * r
    norms, restarts, rho, fresh = [sqrt(square)], 0, 0.0, True
    while len(norms) <= maxiter or norms[-1] <= target:
        if norms[-1] <= target:
            if len(norms) > 1:
                square = residual()
                norms[-1] = sqrt(square)
            if norms[-1] <= target or restarts == RESTARTS or len(norms) > maxiter:
                break
            store[...] = r if scale == 1 else scale * r
            restarts, fresh = restarts + 1, True
        z, known = (store, square) if M is None else (M.result, _precondition(M))
        if space.project is not None:
            space.project(z)
            known = None
        rho, previous = space.total(stencil.dot(r, z)) if known is None else known, rho
        positive(rho, "M", "r", len(norms))
        step = rho / positive(
            space.total(space.conjugate(p, z, 0.0 if fresh else rho / previous)), "A", "p", len(norms)
        )
        fresh = False
        square = space.total(stencil.update(x, r, p, step, store, scale))
        norms.append(sqrt(square))
        if callback is not None:
            callback(x)
    return norms


def _precondition(M: PaddedCycle) -> float | None:
    """Run the cycle; return r'M r where it is known."""
    product = M.cycle()
    return None if product is None else product / M.scale


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
