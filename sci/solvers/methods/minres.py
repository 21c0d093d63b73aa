"""Minimal residuals for symmetric systems that may be indefinite."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot, sqrt
from typing import Any

from sci.arguments import collective_entry
from sci.backend import Array
from sci.solvers.krylov.cg import Limits, SolveResult, solve_columns
from sci.solvers.krylov.iteration import BreakdownError
from sci.solvers.methods.system import System, finite, solver_of

__all__ = ["minres"]

CLOSED = 1e-14
"""A Lanczos vector of less than this of what made it closes the Krylov space."""
ASYMMETRIC = 1e-4
"""Part of their sizes by which v'A w and w'A v may differ: an M in single precision is symmetric to its rounding."""


@collective_entry
def minres(
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
    """Solve A x = b for a symmetric A, definite or not, by minimal residuals.

    Stops when ||b - A x|| <= max(rtol ||b||, atol), which SciPy's relates to ||A|| ||x||.

    Parameters
    ----------
    A : LinearOperator, sparse matrix, (n, n) array, PoissonOperator, or anything with `@` or a call
        Symmetric.
    b : (n,), (n, 1) or (n, k) array, or a grid array for a PoissonOperator
        Right-hand side, on the device of A; k columns are solved one after the other. On ranks, this rank's part.
    x0 : array, optional
        Start, of the shape of b; 0 by default.
    rtol, atol : float
        As in `cg`.
    maxiter : int, optional
        10 for each entry of b by default. A solve that ends there returns with `converged` false.
    M : optional
        Approximate inverse of |A|, symmetric and positive definite: anything that A may be.
    callback : callable, optional
        Called with x after each iteration.

    Returns
    -------
    SolveResult

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, complex numbers, and NaN or Inf in b or x0.
    ConvergenceError
        If NaN appears, if M is not positive definite, if A shows that it is not symmetric, and if A is singular and b
        not in its range.

    Notes
    -----
    One product with A and one with M per iteration, and one with A at the end; 12 vectors. With M the norm of the
    residual that is minimal is that of M. Collective if A has a `comm`.

    References
    ----------
    Paige and Saunders, SIAM J. Numer. Anal. 12, 617 (1975).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import minres
    >>> minres(np.diag([1.0, -2.0, 4.0]), np.ones(3), rtol=1e-12).x.round(6)
    array([ 1.  , -0.5 ,  0.25])
    """
    limits = Limits(rtol, atol, maxiter)
    return solve_columns("minres", A, b, x0, limits, M, callback, solver_of(iterate, "minres"))


def iterate(system: System, target: float, maxiter: int) -> list[float]:
    """Iterate from the x and r of a system; return the norms of the residual.

    The directions w and their products A w follow the same recurrence, so that r is known at every step.
    """
    norms: list[float] = []
    zero, r = system.xp.zeros_like(system.r), system.r
    z = system.precondition(r)
    eta = _root(system.dots((r, z))[0], 1)
    v, z, v_old, z_old = r / eta, z / eta, zero, zero
    w, w_old, Aw, Aw_old, link = zero, zero, zero, zero, 0.0
    c, c_old, s, s_old = 1.0, 1.0, 0.0, 0.0
    while len(norms) < maxiter:
        at = len(norms) + 1
        Az = system.product(z)
        alpha, across, square, length = system.dots((z, Az), (z_old, Az), (Az, Az), (z_old, z_old))
        finite(alpha, "z'A z", at)
        if abs(across - link) > ASYMMETRIC * sqrt(square * length):
            raise BreakdownError(f"iteration {at}: A or M is not symmetric; use gmres or bicgstab", "A", across - link)
        v_next = Az - alpha * v - link * v_old
        z_next = system.precondition(v_next)
        next_link = _root(system.dots((v_next, z_next))[0], at)
        size = abs(alpha) + link
        next_link = next_link if next_link > CLOSED * size else 0.0
        rho0, rho2, rho3 = c * alpha - c_old * s * link, s * alpha + c_old * c * link, s_old * link
        rho1 = hypot(rho0, next_link)
        if rho1 <= CLOSED * size:
            raise BreakdownError(
                f"iteration {at}: the Krylov space is closed at a residual of {system.norm(r) * system.b_unit:.3g}; A "
                "is singular and b is not in its range",
                "A",
                rho1,
            )
        c, c_old, s, s_old = rho0 / rho1, c, next_link / rho1, s
        w, w_old = (z - rho3 * w_old - rho2 * w) / rho1, w
        Aw, Aw_old = (Az - rho3 * Aw_old - rho2 * Aw) / rho1, Aw
        system.x, r, eta = system.x + (c * eta) * w, r - (c * eta) * Aw, -s * eta
        norms.append(finite(system.norm(r), "the norm of the residual", at) * system.b_unit)
        system.show(system.x)
        if norms[-1] <= target or next_link == 0:
            break
        v, v_old, z, z_old, link = v_next / next_link, v, z_next / next_link, z, next_link
    return norms


def _root(square: float, iteration: int) -> float:
    """Return the M-norm of a vector from its square.

    Raises
    ------
    BreakdownError
        If M is not positive definite.
    """
    finite(square, "r'M r", iteration)
    if square < 0:
        raise BreakdownError(
            f"iteration {iteration}: r'M r is {square:.3g}; expected a symmetric positive definite M; use gmres",
            "M",
            square,
        )
    return sqrt(square)
