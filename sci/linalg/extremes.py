"""Extreme eigenvalues and the condition, from the coefficients of Lanczos' iteration or of conjugate gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sci.arguments import Computed, entry
from sci.errors import ShapeError
from sci.linalg.lanczos import eigen_of_tridiagonal

__all__ = ["Extremes", "extreme_eigenvalues", "tridiagonal_of"]

Numbers: TypeAlias = Sequence[float] | np.ndarray

_ROUNDING = 1e-15
"""Error that rounding leaves in an eigenvalue, relative to the largest."""


@entry
@dataclass(frozen=True)
class Extremes:
    """The smallest and the largest eigenvalue of a symmetric matrix, as an iteration found them.

    Parameters
    ----------
    smallest, largest : float
        Ritz values: never below the smallest or above the largest eigenvalue, but for rounding. NaN where unknown.
    smallest_error, largest_error : float
        An eigenvalue lies within this of each. That it is the extreme one is not proved: an iteration from a vector
        without any part along it does not see it, and one that was ended early may be near its neighbor.

    Examples
    --------
    >>> from sci.linalg import Extremes
    >>> found = Extremes(0.5, 4.0, 0.001, 0.004)
    >>> found.condition, round(found.condition_error, 6)
    (8.0, 0.024)
    """

    smallest: Computed = float("nan")
    largest: Computed = float("nan")
    smallest_error: Computed = float("nan")
    largest_error: Computed = float("nan")

    def __repr__(self) -> str:
        low, high = (f"{v:.8g} +- {e:.1g}" for v, e in self.pairs)
        return f"Extremes({low} to {high}, condition {self.condition:.6g})"

    @property
    def pairs(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Each end and its error."""
        return (self.smallest, self.smallest_error), (self.largest, self.largest_error)

    @property
    def condition(self) -> float:
        """Ratio of the two, at most the condition; infinite where the smallest is not positive."""
        if not self.smallest > 0:
            return float("nan") if self.smallest != self.smallest else float("inf")
        return self.largest / self.smallest

    @property
    def condition_error(self) -> float:
        """How far the condition may be above the ratio, to first order in the two errors."""
        if not 0 < self.condition < float("inf"):
            return float("nan")
        return self.condition * (self.smallest_error / self.smallest + self.largest_error / self.largest)

    def merged(self, other: Extremes) -> Extremes:
        """Return the smaller and the larger of two findings about one matrix, each with its own error."""
        low = min(self.pairs[0], other.pairs[0], key=lambda pair: (pair[0] != pair[0], *pair))
        high = max(self.pairs[1], other.pairs[1], key=lambda pair: (pair[0] == pair[0], pair[0], -pair[1]))
        return Extremes(low[0], high[0], low[1], high[1])


@entry
def extreme_eigenvalues(alpha: Numbers, beta: Numbers) -> Extremes:
    """Return the extreme Ritz values of the tridiagonal matrix of `lanczos`, with their errors.

    Parameters
    ----------
    alpha : (m,) array
        Diagonal.
    beta : (m - 1,) or (m,) array
        Off-diagonal, and beta_m if it is known, such as 0 where the Krylov space ended.

    Returns
    -------
    Extremes

    Raises
    ------
    ShapeError

    Notes
    -----
    A Ritz value has an eigenvalue within beta_m |s|, s the last entry of its vector. Where beta_m is not known, that of
    the first m - 1 steps and the change by the last one are added. Without re-orthogonalization too, to rounding.

    References
    ----------
    Paige, Linear Algebra Appl. 34, 235 (1980); Golub and Van Loan, Matrix Computations (2013), section 10.1.

    Examples
    --------
    >>> from sci.linalg import extreme_eigenvalues
    >>> round(extreme_eigenvalues([2.0, 2.0, 2.0], [1.0, 1.0]).largest, 6)
    3.414214
    """
    a, b = np.asarray(alpha, dtype=float), np.asarray(beta, dtype=float)
    if a.ndim != 1 or b.ndim != 1 or len(b) not in (len(a), max(0, len(a) - 1)):
        raise ShapeError(f"alpha and beta have shapes {a.shape} and {b.shape}; expected (m,) and (m - 1,) or (m,)")
    if len(a) == 0:
        return Extremes()
    values, vectors = eigen_of_tridiagonal(a, b[: len(a) - 1])
    floor = _ROUNDING * float(np.abs(values).max())
    errors = [np.inf, np.inf]
    if len(b) == len(a):
        errors = [floor + float(b[-1] * abs(vectors[-1, k])) for k in (0, -1)]
    elif len(a) > 1:
        before, vectors = eigen_of_tridiagonal(a[:-1], b[:-1])
        errors = [floor + float(b[-1] * abs(vectors[-1, k]) + abs(values[k] - before[k])) for k in (0, -1)]
    return Extremes(float(values[0]), float(values[-1]), *errors)


@entry
def tridiagonal_of(lengths: Numbers, betas: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix of Lanczos' iteration with M A that conjugate gradients go through; it costs no product.

    Parameters
    ----------
    lengths : (m,) sequence of float
        Step lengths r'z / p'A p.
    betas : (m,) sequence of float
        beta_k of p = z + beta_k p in each step; 0 where the directions started.

    Returns
    -------
    alpha, beta : (m,), (m - 1,) arrays
        1 / length_k + beta_k / length_(k-1) on the diagonal, sqrt(beta_(k+1)) / length_k beside it.

    References
    ----------
    Saad, Iterative Methods for Sparse Linear Systems (2003), section 6.7.3.

    Examples
    --------
    >>> from sci.linalg import extreme_eigenvalues, tridiagonal_of
    >>> round(extreme_eigenvalues(*tridiagonal_of([0.4, 0.5], [0.0, 0.25])).condition, 6)
    2.909413
    """
    a, b = np.asarray(lengths, dtype=float), np.asarray(betas, dtype=float)
    if len(a) == 0:
        return a, a
    return 1 / a + np.concatenate([[0.0], b[1:] / a[:-1]]), np.sqrt(b[1:]) / a[:-1]
