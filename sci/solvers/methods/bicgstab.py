"""The stabilized method of biconjugate gradients, for nonsymmetric systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sci.arguments import collective_entry
from sci.backend import Array
from sci.solvers.krylov.cg import Limits, SolveResult, solve_columns
from sci.solvers.krylov.iteration import BreakdownError
from sci.solvers.methods.system import System, finite, solver_of

__all__ = ["bicgstab"]

SMALL = 1e-14
"""Cosine of the angle of two vectors below which their product is rounding."""


@collective_entry
def bicgstab(
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
    """Solve A x = b for any nonsingular A by the stabilized method of biconjugate gradients.

    Stops when ||b - A x|| <= max(rtol ||b||, atol), with the residual recomputed from x.

    Parameters
    ----------
    A : LinearOperator, sparse matrix, (n, n) array, PoissonOperator, or anything with `@` or a call
    b : (n,), (n, 1) or (n, k) array, or a grid array for a PoissonOperator
        Right-hand side, on the device of A; k columns are solved one after the other. On ranks, this rank's part.
    x0 : array, optional
        Start, of the shape of b; 0 by default.
    rtol, atol : float
        As in `cg`.
    maxiter : int, optional
        10 for each entry of b by default. A solve that ends there returns with `converged` false.
    M : optional
        Approximate inverse of A: anything that A may be, the same in every iteration.
    callback : callable, optional
        Called with x after each iteration.

    Returns
    -------
    SolveResult
        `iterations` counts pairs of products, as SciPy does.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, complex numbers, and NaN or Inf in b or x0.
    ConvergenceError
        If NaN appears, or the method breaks down twice in a row; the message names `gmres`.

    Notes
    -----
    Two products with A and two with M per iteration, and one with A at the end. Nine vectors. Where the shadow residual
    has become orthogonal to the residual, the iteration starts again from x. Collective if A has a `comm`.

    References
    ----------
    van der Vorst, SIAM J. Sci. Stat. Comput. 13, 631 (1992).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import bicgstab
    >>> A = np.array([[2.0, 1.0], [0.0, 1.0]])
    >>> bicgstab(A, np.array([3.0, 1.0]), rtol=1e-12).x.round(6)
    array([1., 1.])
    """
    limits = Limits(rtol, atol, maxiter)
    return solve_columns("bicgstab", A, b, x0, limits, M, callback, solver_of(iterate, "bicgstab"))


def iterate(system: System, target: float, maxiter: int) -> list[float]:
    """Iterate from the x and r of a system; return the norms of the residual."""
    norms: list[float] = []
    failures = 0
    while len(norms) < maxiter and failures < 2:
        more, reason = _from_shadow(system, target, maxiter - len(norms), len(norms))
        norms += more
        if not reason:
            return norms
        failures = 1 if more else failures + 1
        if failures == 2:
            raise BreakdownError(
                f"iteration {len(norms) + 1}: bicgstab breaks down: {reason}; use gmres, or another M", "A", 0.0
            )
        system.replace()
    return norms


def _from_shadow(system: System, target: float, maxiter: int, done: int) -> tuple[list[float], str]:
    """Iterate with the present residual as shadow; return the norms, and why the method broke down, "" if not."""
    norms: list[float] = []
    shadow, r, unit = system.r.copy(), system.r, system.b_unit
    shadow_norm = system.norm(shadow)
    rho = shadow_norm**2
    p = r.copy()
    while len(norms) < maxiter:
        at = done + len(norms) + 1
        p_hat = system.precondition(p)
        v = system.product(p_hat)
        along, v_square = system.dots((shadow, v), (v, v))
        finite(along, "the product of the shadow residual with A M p", at)
        if abs(along) <= SMALL * shadow_norm * v_square**0.5:
            return norms, "the shadow residual is orthogonal to A M p"
        alpha = rho / along
        s = r - alpha * v
        s_hat = system.precondition(s)
        t = system.product(s_hat)
        ts, t_square, s_square = system.dots((t, s), (t, t), (s, s))
        finite(t_square, "the square of A M s", at)
        omega = ts / t_square if t_square > 0 else 0.0
        system.x = system.x + alpha * p_hat + omega * s_hat
        r = system.r = s - omega * t
        rho_next, square = system.dots((shadow, r), (r, r))
        norms.append(finite(square, "the square of the residual", at) ** 0.5 * unit)
        system.show(system.x)
        if norms[-1] <= target:
            return norms, ""
        if abs(ts) <= SMALL * (t_square * s_square) ** 0.5:
            return norms, "the residual is orthogonal to its product with A M"
        if abs(rho_next) <= SMALL * shadow_norm * square**0.5:
            return norms, "the residual is orthogonal to its shadow"
        beta = rho_next / rho * (alpha / omega)
        p, rho = r + beta * (p - omega * v), rho_next
    return norms, ""
