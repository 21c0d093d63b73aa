"""The V-cycle of algebraic multigrid, between arrays of its own, on host and device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, to_device
from sci.linalg.sparse.products import scaled
from sci.linalg.sparse.rows import SparseRows, chebyshev_weights
from sci.solvers.algebraic.coarsest import pseudo_inverse
from sci.solvers.algebraic.hierarchy import Level
from sci.solvers.algebraic.prolongation import largest_eigenvalue

__all__ = ["CycleLevel", "VCycle", "alternating_weights", "cycle_levels"]


@dataclass(frozen=True, eq=False)
class CycleLevel:
    """A level with its unknowns in units of the root of the diagonal, where Jacobi needs no division.

    Parameters
    ----------
    A : SparseRows
        Of diagonal 1.
    inverse : array
        Of the diagonal: 1, and 0 for a dead unknown.
    P, R : SparseRows or None
    weights : tuple of float
        Of the steps of a Chebyshev smoother; empty for Gauss-Seidel.
    """

    A: SparseRows
    inverse: Array
    P: SparseRows | None
    R: SparseRows | None
    weights: tuple[float, ...]


def alternating_weights(largest: float, ratio: float, degree: int) -> tuple[float, ...]:
    """Return the weights of a Chebyshev smoother on [largest / ratio, largest], large and small in turn."""
    weights = chebyshev_weights(largest / ratio, largest, degree)
    return tuple(w for pair in zip(reversed(weights), weights) for w in pair)[:degree]


def cycle_levels(
    levels: list[Level], dtype: Any, xp: Any, smoother: tuple[int, float] | None, symmetric: bool
) -> tuple[list[CycleLevel], Array | None]:
    """Return the levels of a cycle in a namespace and a dtype, and the inverse of the coarsest matrix.

    Parameters
    ----------
    levels : list of Level
    dtype : dtype
    xp : module
    smoother : (int, float) or None
        Degree of a Chebyshev smoother and the ratio of the ends of its interval; None for Gauss-Seidel.
    symmetric : bool

    Returns
    -------
    levels : list of CycleLevel
        Without the coarsest, where an inverse stands for it.
    inverse : array or None
        None where the coarsest level is large: it is only smoothed.
    """
    roots = [np.sqrt(level.diagonal) for level in levels]
    made: list[CycleLevel] = []
    for k, level in enumerate(levels):
        live = (~level.dead).astype(np.float64)
        inverse_root = live / roots[k]
        if k == len(levels) - 1 and len(live) <= MOST_DENSE:
            matrix = scaled(level.A, inverse_root, inverse_root, np.float64).to_scipy().toarray()
            return made, to_device(pseudo_inverse(matrix, symmetric).astype(dtype), xp)
        weights: tuple[float, ...] = ()
        if smoother is not None:
            largest = largest_eigenvalue(level.A, inverse_root) if symmetric else _row_bound(level)
            weights = alternating_weights(largest, smoother[1], smoother[0])
        P = R = None
        if level.P is not None and level.R is not None:
            coarse = (~levels[k + 1].dead) / roots[k + 1]
            P = scaled(level.P, roots[k], coarse, dtype).on(xp)
            R = scaled(level.R, coarse, roots[k], dtype).on(xp)
        A = scaled(level.A, inverse_root, inverse_root, dtype).on(xp)
        made.append(CycleLevel(A, to_device(live.astype(dtype), xp), P, R, weights))
    return made, None


MOST_DENSE = 2000
"""Unknowns of the coarsest level up to which it has a dense inverse."""


def _row_bound(level: Level) -> float:
    """Return a bound of the eigenvalues of D^-1 A by its rows."""
    sizes = np.bincount(
        np.repeat(np.arange(len(level.dead)), np.diff(level.A.starts)), np.abs(level.A.values), len(level.dead)
    )
    return float((sizes / level.diagonal)[~level.dead].max(initial=1.0))


class VCycle:
    """One V-cycle, u = M f, between arrays of its own: `source` is f and `result` is u.

    Parameters
    ----------
    levels : list of CycleLevel
    inverse : array or None
        Of the coarsest matrix.
    """

    def __init__(self, levels: list[CycleLevel], inverse: Array | None, xp: Any, dtype: Any) -> None:
        self._levels, self._inverse = levels, inverse
        sizes = [len(level.A.starts) - 1 for level in levels] + ([] if inverse is None else [len(inverse)])
        self._b, self._x, self._room, self._rest = ([xp.zeros(n, dtype) for n in sizes] for _ in range(4))

    @property
    def source(self) -> Array:
        """Array for the right-hand side."""
        return self._b[0]

    @property
    def result(self) -> Array:
        """Array that holds M f after `run`."""
        return self._x[0]

    def run(self) -> None:
        """Set `result` to M `source`."""
        for k, level in enumerate(self._levels):
            self._start(k, level)
            if level.R is not None:
                level.R.combine(self._rest[k], self._b[k + 1], self._b[k + 1], 0.0, 1.0)
        if self._inverse is not None:
            self._x[-1][...] = self._inverse @ self._b[-1]
        for k, level in reversed(list(enumerate(self._levels))):
            if level.P is not None:
                level.P.combine(self._x[k + 1], self._x[k], self._x[k], 1.0, 1.0)
            self._finish(k, level)

    def _start(self, k: int, level: CycleLevel) -> None:
        """Smooth from zero, and take the residual."""
        b, x, room, rest = self._b[k], self._x[k], self._room[k], self._rest[k]
        if not level.weights:
            level.A.sweep_from_zero(level.inverse, b, x, room, rest)
            return
        x[...] = level.inverse * b
        x *= x.dtype.type(level.weights[0])
        self._steps(k, level, level.weights[1:])
        level.A.combine(self._x[k], b, rest, 1.0, -1.0)

    def _finish(self, k: int, level: CycleLevel) -> None:
        """Smooth from the present x."""
        if not level.weights:
            level.A.sweep(level.inverse, self._b[k], self._x[k], self._room[k])
        else:
            self._steps(k, level, level.weights[::-1])

    def _steps(self, k: int, level: CycleLevel, weights: tuple[float, ...]) -> None:
        for weight in weights:
            level.A.relax(level.inverse, self._b[k], self._x[k], self._room[k], weight)
            self._x[k], self._room[k] = self._room[k], self._x[k]
