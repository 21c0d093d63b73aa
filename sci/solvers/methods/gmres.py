"""Generalized minimal residuals, with a preconditioner that is fixed or changes in every iteration."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array
from sci.errors import InvalidValueError
from sci.solvers.krylov.cg import Limits, SolveResult, solve_columns
from sci.solvers.krylov.iteration import BreakdownError
from sci.solvers.methods.system import System, finite, solver_of

__all__ = ["fgmres", "gmres"]

CLOSED = 1e-14
"""A product of which less than this is orthogonal to the basis closes the Krylov space."""
STALLED = 1e-10
"""A cycle that reduces the residual by less than this part reduces nothing."""


@collective_entry
def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], object] | None = None,
) -> SolveResult:
    """Solve A x = b for any nonsingular A by generalized minimal residuals, restarted.

    Stops when ||b - A x|| <= max(rtol ||b||, atol). M stands on the right, so that the norms are those of b - A x.

    Parameters
    ----------
    A : LinearOperator, sparse matrix, (n, n) array, PoissonOperator, or anything with `@` or a call
    b : (n,), (n, 1) or (n, k) array, or a grid array for a PoissonOperator
        Right-hand side, on the device of A; k columns are solved one after the other. On ranks, this rank's part.
    x0 : array, optional
        Start, of the shape of b; 0 by default.
    rtol, atol : float
        As in `cg`.
    restart : int, optional
        Iterations after which the method starts again from x: 20 by default, at most as many as unknowns.
    maxiter : int, optional
        Cycles of `restart` iterations, as in SciPy; 10 for each entry of b by default. A solve that ends there returns
        with `converged` false.
    M : optional
        Approximate inverse of A: anything that A may be, the same linear map in every iteration.
    callback : callable, optional
        Called with x after each cycle.

    Returns
    -------
    SolveResult
        `iterations` counts the products with A in all cycles.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, complex numbers, and NaN or Inf in b or x0.
    ConvergenceError
        If NaN appears, if A is singular and b not in its range, and if a whole cycle reduces nothing.

    Notes
    -----
    One product with A and one with M per iteration, and one more of each at the end of a cycle. `restart` + 4 vectors.
    Orthogonalization is Gram-Schmidt's, done twice, with two sums over the ranks. Collective if A has a `comm`.

    References
    ----------
    Saad and Schultz, SIAM J. Sci. Stat. Comput. 7, 856 (1986).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import gmres
    >>> A = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> gmres(A, np.array([1.0, 1.0]), rtol=1e-12).x.round(6)
    array([-1.,  1.])
    """
    return _gmres("gmres", A, b, x0, rtol, atol, restart, maxiter, M, callback, False)


@collective_entry
def fgmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], object] | None = None,
) -> SolveResult:
    """Solve A x = b by generalized minimal residuals with a preconditioner that may change in every iteration.

    As `gmres`, but M may be nonlinear: a network, or an inner iteration to a loose tolerance.

    Parameters
    ----------
    A, b, x0, rtol, atol, restart, maxiter, callback
        As in `gmres`.
    M : optional
        Any function of a vector, or anything that A may be.

    Returns
    -------
    SolveResult
        `iterations` counts the products with A in all cycles.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, ConvergenceError
        As in `gmres`.

    Notes
    -----
    What M gives is kept: 2 `restart` + 4 vectors. Collective if A has a `comm`.

    References
    ----------
    Saad, SIAM J. Sci. Comput. 14, 461 (1993).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import fgmres
    >>> fgmres(np.diag([1.0, 2.0, 4.0]), np.ones(3), M=np.sign, rtol=1e-12).x.round(6)
    array([1.  , 0.5 , 0.25])
    """
    return _gmres("fgmres", A, b, x0, rtol, atol, restart, maxiter, M, callback, True)


def _gmres(
    name: str,
    A: Any,
    b: Any,
    x0: Any,
    rtol: float,
    atol: float,
    restart: int | None,
    maxiter: int | None,
    M: Any,
    callback: Callable[[Array], object] | None,
    flexible: bool,
) -> SolveResult:
    if restart is not None and (int(restart) != restart or restart < 1):
        raise InvalidValueError(f"restart is {restart}; expected a whole number of 1 or more")
    length = 20 if restart is None else int(restart)

    def iterate(system: System, target: float, most: int) -> list[float]:
        norms: list[float] = []
        size = min(length, _unknowns(system))
        while len(norms) < most:
            before = system.norm(system.r) * system.b_unit
            norms += _cycle(system, target, min(size, most - len(norms)), flexible, len(norms))
            system.show(system.x)
            norms[-1] = finite(system.replace(), "the norm of the residual", len(norms))
            if norms[-1] <= target:
                break
            if not norms[-1] < (1 - STALLED) * before:
                if norms[-1] <= system.rounding():
                    break
                raise BreakdownError(
                    f"iteration {len(norms)}: {name} stalls: a cycle of {size} iterations left the residual at "
                    f"{norms[-1] / max(system.b_norm, 1e-300):.3g} of b; expected a larger restart, an M, or an A that "
                    "is not singular",
                    "A",
                    norms[-1],
                )
        return norms

    most = None if maxiter is None else maxiter * length
    limits = Limits(rtol, atol, most)
    return solve_columns(name, A, b, x0, limits, M, callback, solver_of(iterate, name), restart=restart)


def _unknowns(system: System) -> int:
    """Return the number of unknowns over the ranks."""
    return max(1, round(system.dots((system.xp.ones_like(system.b), system.xp.ones_like(system.b)))[0]))


def _cycle(system: System, target: float, size: int, flexible: bool, done: int) -> list[float]:
    """Do up to `size` iterations from the x and r of a system; return the norms of the residual."""
    xp, r = system.xp, system.r
    first = system.norm(r)
    basis = xp.empty((size + 1, len(r)))
    basis[0] = r / first
    kept: list[Array] = []
    triangle, rotations = np.zeros((size + 1, size)), np.zeros((size, 2))
    right = np.zeros(size + 1)
    right[0] = first
    norms: list[float] = []
    for j in range(size):
        z = system.precondition(basis[j])
        if flexible:
            kept.append(z.copy())
        w = system.product(z)
        before = system.norm(w)
        column = np.zeros(size + 1)
        for _ in range(2):
            part = system.projections(basis[: j + 1], w)
            column[: j + 1] += part
            w = w - xp.asarray(part) @ basis[: j + 1]
        after = finite(system.norm(w), "the norm of A M v", done + j + 1)
        closed = after <= CLOSED * before
        column[j + 1] = 0.0 if closed else after
        _rotate(column, rotations, right, j)
        triangle[:, j] = column
        norms.append(abs(right[j + 1]) * system.b_unit)
        if abs(column[j]) <= CLOSED * before or before == 0:
            left = norms[-2] if j else first * system.b_unit
            raise BreakdownError(
                f"iteration {done + j + 1}: the Krylov space is closed at a residual of {left:.3g}; A is singular and "
                "b is not in its range",
                "A",
                left,
            )
        if closed or norms[-1] <= target:
            break
        basis[j + 1] = w / after
    count = len(norms)
    y = np.linalg.solve(triangle[:count, :count], right[:count])
    if flexible:
        for weight, z in zip(y.tolist(), kept):
            system.x = system.x + weight * z
    else:
        system.x = system.x + system.precondition(xp.asarray(y) @ basis[:count])
    return norms


def _rotate(column: np.ndarray, rotations: np.ndarray, right: np.ndarray, j: int) -> None:
    """Make the new column of the Hessenberg matrix triangular, and turn the right-hand side with it."""
    for i in range(j):
        c, s = rotations[i]
        column[i], column[i + 1] = c * column[i] + s * column[i + 1], c * column[i + 1] - s * column[i]
    size = hypot(column[j], column[j + 1]) or 1.0
    c, s = column[j] / size, column[j + 1] / size
    rotations[j] = c, s
    column[j], column[j + 1] = size if column[j] or column[j + 1] else 0.0, 0.0
    right[j], right[j + 1] = c * right[j], -s * right[j]
