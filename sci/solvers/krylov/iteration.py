"""The loop of preconditioned conjugate gradients, over vectors that know how they are stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import Protocol

import numpy as np

from sci.errors import ConvergenceError
from sci.linalg import Extremes, extreme_eigenvalues, tridiagonal_of

__all__ = ["Course", "Vectors", "at_rounding", "iterate", "positive"]

RESTARTS = 3
DRIFT = 0.25
"""The residual is recomputed once its error may exceed this times sqrt(eps) ||r||."""
LEAST_PART, MOST = 0.3, 4.0
"""Least and largest residual of an x that is rounded, in parts of what random changes of x by eps make of it."""
STALLED = 2.0
"""The residual is compared with rounding where it is this times that of the recurrence when recomputed."""
ROUNDING = float(np.finfo(np.float64).eps)
"""Rounding of a recomputed residual, relative to ||A|| ||x||."""
DISTURBED = 0.03
"""Relative error of the smallest eigenvalue above which coefficients after a recomputed residual are left out."""


class Rounded(Protocol):
    """What knows the rounding of its residual."""

    def rounding(self) -> float:
        """Return the norm of what random relative changes of x by eps make of b - A x; collective."""


class Vectors(Rounded, Protocol):
    """The vectors of one solve: x, the residual r, the direction p, and z = M r.

    Norms are those of the residual b - A x in the units of b. `eps` is the unit roundoff of the residual.
    """

    eps: float

    def start(self) -> float:
        """Set the residual of the start; return its norm."""

    def replace(self) -> float:
        """Recompute the residual from x; return its norm."""

    def precondition(self, norm: float) -> float:
        """Set z = M r and return r'z."""

    def conjugate(self, rho: float, last: tuple[float, float] | None) -> tuple[float, float]:
        """Return beta and p'A p for p = z + beta p.

        `rho` is r'z, and `last` that of the last step with its length; None starts the directions again.
        """

    def step(self, beta: float, length: float, soon: bool, last: bool) -> tuple[float, bool]:
        """Set p = z + beta p, move x and the residual by `length` along p; return the norm, and whether it is exact.

        The residual will be recomputed after this step where it comes `soon`, and the iteration ends where this is the
        `last`.
        """

    def show(self) -> None:
        """Call the callback with x."""

    def settle(self) -> None:
        """Complete x."""


@dataclass
class Course:
    """What an iteration leaves: the norm of the residual at the start and after each step, and its coefficients.

    Parameters
    ----------
    norms : list of float
    lengths : list of float
        r'z / p'A p of each step.
    betas : list of float
        beta of each step; 0 where the directions started.

    disturbance : float
        Relative error of the matrix of the coefficients by residuals that were recomputed.
    rounding : float
        Norm of what rounding of x makes of b - A x, where the iteration ended at it; 0 else.

    Notes
    -----
    `lengths` and `betas` are those of one recurrence, which is Lanczos' iteration to rounding however small the
    residual becomes. A residual recomputed from x differs from that of the recurrence by eps ||A|| ||x||, which may be
    as large as itself, and the matrix of later steps then has values far outside of the spectrum: the coefficients end
    where that could move the smallest eigenvalue by more than `DISTURBED` of itself, and at a restart.
    """

    norms: list[float]
    lengths: list[float]
    betas: list[float]
    disturbance: float = 0.0
    rounding: float = 0.0

    @property
    def extremes(self) -> Extremes:
        """Extreme eigenvalues of M A as the coefficients show them."""
        found = extreme_eigenvalues(*tridiagonal_of(self.lengths, self.betas))
        more = self.disturbance * found.largest
        return replace(found, smallest_error=found.smallest_error + more, largest_error=found.largest_error + more)

    def _disturbed(self, error: float) -> bool:
        """Take in a residual that was recomputed with a relative error; return whether the coefficients end here."""
        condition = self.extremes.condition if self.lengths else 1.0
        self.disturbance, before = max(self.disturbance, condition * error), self.disturbance
        ended = not self.disturbance * condition <= DISTURBED
        if ended:
            self.disturbance = before
        return ended


def iterate(v: Vectors, target: float, maxiter: int, b_norm: float = 0.0) -> Course:
    """Run preconditioned conjugate gradients until the norm of the residual is at most `target`.

    Parameters
    ----------
    v : Vectors
    target : float
    maxiter : int
    b_norm : float
        Norm of b: the scale of the rounding of b - A x where the start is better than 0.

    Raises
    ------
    ConvergenceError
        If A or M is not positive definite, or gives NaN.

    Notes
    -----
    The residual is updated by recurrence. Its accumulated rounding error is bounded by eps per step; when the bound
    nears sqrt(eps) ||r||, r is recomputed as b - A x in float64 without restarting (van der Vorst and Ye 2000). It is
    also recomputed before the iteration ends; where it then exceeds the target, the directions start again, three
    times at most. Where it exceeds that of the recurrence, and rounding of x alone changes it by as much, no x in
    float64 is better: the iteration ends there, short of the target. A quadratic form that is not positive at such a
    residual is one of rounding, and no breakdown.

    References
    ----------
    Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49, 409 (1952); van der Vorst and Ye, SIAM J. Sci. Comput. 22, 835
    (2000).
    """
    course = Course([v.start()], [], [])
    norms = course.norms
    last: tuple[float, float] | None = None
    exact, restarts, drift, ended = True, 0, 0.0, False

    def disturbed() -> bool:
        return course._disturbed(DRIFT * sqrt(v.eps) + ROUNDING * max(norms[0], b_norm) / norms[-1])

    while len(norms) <= maxiter or norms[-1] <= target:
        reached, before = norms[-1] <= target, norms[-1]
        if reached or drift > DRIFT * sqrt(v.eps) * norms[-1]:
            if not exact:
                norms[-1], exact, drift = v.replace(), True, 0.0
                ended = ended or reached or disturbed()
            if norms[-1] <= target or (reached and (restarts == RESTARTS or len(norms) > maxiter)):
                break
            if at_rounding(v, course, target, before):
                break
            restarts, last = restarts + reached, None if reached else last
        try:
            rho = positive(v.precondition(norms[-1]), "M", "r", len(norms))
            beta, quadratic_form = v.conjugate(rho, last)
            length = rho / positive(quadratic_form, "A", "p", len(norms))
        except BreakdownError as error:
            if not isfinite(error.value):
                raise
            norms[-1], exact = v.replace(), True
            course.rounding = v.rounding()
            if not norms[-1] <= max(target, MOST * course.rounding):
                raise
            break
        if not ended:
            course.lengths.append(length)
            course.betas.append(beta)
        ahead = norms[-1] * (norms[-1] / norms[-2] if len(norms) > 1 else 0.1)
        ends, drift = ahead <= target, drift + v.eps * (norms[-1] + ahead)
        norm, exact = v.step(beta, length, ends or drift > DRIFT * sqrt(v.eps) * ahead, ends)
        norms.append(norm)
        drift, last = 0.0 if exact else drift, (rho, length)
        ended = ended or (exact and (norm <= target or disturbed()))
        v.show()
    if not exact:
        norms[-1] = v.replace()
    v.settle()
    return course


def at_rounding(v: Rounded, course: Course, target: float, before: float = 0.0) -> bool:
    """Return True, and note its size, if the last residual is what rounding of x makes of b - A x.

    Parameters
    ----------
    v : Rounded
    course : Course
        The last norm is that of the residual recomputed from x.
    target : float
        A norm that is to be reached. Starting again may halve the residual, so that one near rounding is tried; one of
        zero stands for a number of steps.
    before : float
        The norm by the recurrence; where recomputing it changed it little, rounding does not matter yet.
    """
    norm = course.norms[-1]
    if target == 0 or norm <= STALLED * before:
        return False
    size = v.rounding()
    found = norm <= size and target <= LEAST_PART * size
    if found:
        course.rounding = size
    return found


class BreakdownError(ConvergenceError):
    """The quadratic form of an operator is not positive, or not a number.

    Parameters
    ----------
    message : str
    name : str
        "A" or "M".
    value : float
        The quadratic form.
    """

    def __init__(self, message: str, name: str = "", value: float = float("nan")) -> None:
        super().__init__(message)
        self.name, self.value = name, value


def positive(value: float, name: str, vector: str, iteration: int) -> float:
    """Return the quadratic form `value` of A or M if it is positive.

    Raises
    ------
    BreakdownError
    """
    if not np.isfinite(value):
        raise BreakdownError(
            f"iteration {iteration}: {vector}'{name} {vector} is {value}; {name} gives NaN or Inf, or numbers overflow",
            name,
            value,
        )
    if value <= 0:
        use = "; use minres for an indefinite A, gmres for one that is not symmetric" if name == "A" else ""
        raise BreakdownError(
            f"iteration {iteration}: {vector}'{name} {vector} is {value:.3g}; expected a symmetric positive definite "
            f"{name} (a singular {name} breaks down where b is not in its range, and one whose entries are over 1e16 "
            f"apart in rounding){use}",
            name,
            value,
        )
    return float(value)
