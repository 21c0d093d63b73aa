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

    def cycle(self) -> None:
        """Turn `source` into `result`."""


@dataclass(frozen=True)
class Space:
    """What the iteration needs to know of the vectors: operator, layers around a box, sums over ranks, the kernel.

    Parameters
    ----------
    stencil : Stencil
    curvature : callable
        p'A p of a padded array, whose layers around the box are brought up to date first.
    total : callable
        Sum of a number over ranks.
    project : callable or None
        Removes, in place, the kernel of a singular operator from a padded array.
    """

    stencil: Stencil
    curvature: Callable[[Array], float]
    total: Callable[[float], float]
    project: Callable[[Array], None] | None

    @property
    def layout(self) -> Layout:
        """Layout of the vectors."""
        return self.stencil.layout


def serial_space(stencil: Stencil, project: Callable[[Array], None] | None) -> Space:
    """Return the space of one process."""

    def curvature(p: Array) -> float:
        stencil.layout.wrap(p)
        return stencil.curvature(p)

    return Space(stencil, curvature, lambda value: value, project)


def iterate(
    space: Space,
    b: Array,
    x: Array,
    M: PaddedCycle | None,
    target: float,
    maxiter: int,
    callback: Callable[[Array], object] | None,
) -> list[float]:
    """Run preconditioned conjugate gradients on the padded x in place; return the norms of the residual.

    Parameters
    ----------
    space : Space
    b, x : padded float64 array
    M : PaddedCycle, optional
    target : float
        Norm of the residual at which to stop.
    maxiter : int
    callback : callable, optional
        Called with x after each iteration.

    Notes
    -----
    Vectors: x, r, p and b, and r in the precision of M: 36 bytes an unknown with a float32 cycle. A p is not kept.
    Traffic per iteration beside M, constant coefficients: curvature 9, update 53, product with M's answer 12,
    direction 20: 94 bytes an unknown.
    """
    stencil, xp = space.stencil, space.stencil.xp
    r, p = (space.layout.zeros(xp, np.float64) for _ in range(2))
    store = xp.zeros(space.layout.padded_shape) if M is None else M.source
    scale = 1.0 if M is None else M.scale

    def restart() -> float:
        """Set r = b - A x, with p as room."""
        p[...], r[...] = x, b
        x[...] = 0
        space.curvature(p)  # brings the layers of p up to date
        return sqrt(space.total(stencil.update(x, r, p, 1.0, store, scale)))

    norms, restarts, rho, fresh = [restart()], 0, 0.0, True
    while len(norms) <= maxiter or norms[-1] <= target:
        if norms[-1] <= target:
            norms[-1] = restart() if len(norms) > 1 else norms[-1]
            if norms[-1] <= target or restarts == RESTARTS or len(norms) > maxiter:
                break
            restarts, fresh = restarts + 1, True
        z = store
        if M is not None:
            M.cycle()
            z = M.result
        if space.project is not None:
            space.project(z)
        rho, previous = positive(space.total(stencil.dot(r, z)), "M", "r", len(norms)), rho
        stencil.direction(p, z, 0.0 if fresh else rho / previous)
        fresh = False
        step = rho / positive(space.total(space.curvature(p)), "A", "p", len(norms))
        norms.append(sqrt(space.total(stencil.update(x, r, p, step, store, scale))))
        if callback is not None:
            callback(x)
    return norms


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
