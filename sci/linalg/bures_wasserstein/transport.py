"""Parallel transport of tangent vectors along geodesics: closed where the ends commute, else extrapolated midpoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import Array, namespace, to_host
from sci.errors import ConvergenceError
from sci.linalg.bures_wasserstein.displacement import displacement, in_basis, norm, sums_of
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen
from sci.linalg.symmetric.matrices import first_index, named, symmetrized, transposed, units_of

__all__ = ["TransportedVectors", "transported"]

_GOLDEN = 0.618033988749895
"""Weight of a sum of two commuting matrices whose eigenvectors are those of both."""
_COMMUTING = 16
"""Entries off the diagonal, in units of n eps, at which a basis counts as one of eigenvectors."""
_FIRST, _LAST = 4, 2048
"""Steps of the coarsest and of the finest path."""


@dataclass(frozen=True, eq=False, repr=False)
class TransportedVectors:
    """Tangent vectors after parallel transport, with the error; `BuresWasserstein.transport` makes them.

    Parameters
    ----------
    vectors : (..., n, n)
        Symmetric; tangent at the end of the geodesic.
    error : (...)
        Error of the scheme over the length of the vector, as the last extrapolation estimates it; 0 where the ends
        commute and the closed form holds. Rounding is not part of it.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import BuresWasserstein
    >>> p, q, v = np.eye(2), np.diag([4.0, 9.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> found = BuresWasserstein().transport(p, q, v)
    >>> found, found.vectors.round(6)
    (TransportedVectors(1 of order 2, error 0.0e+00), array([[0.     , 2.54951],
           [2.54951, 0.     ]]))
    """

    vectors: Array
    error: Array

    def __repr__(self) -> str:
        count = int(np.prod(self.error.shape))
        worst = float(self.error.max()) if count else 0.0
        return f"TransportedVectors({count} of order {self.vectors.shape[-1]}, error {worst:.1e})"


def transported(
    start: SymmetricEigen,
    end: SymmetricEigen,
    matrices: tuple[Array, Array],
    difference: Array,
    v: Array,
    tol: float,
) -> TransportedVectors:
    """Transport v (m, n, n) from P to Q, of which decompositions, matrices and the difference are given.

    Raises
    ------
    ConvergenceError
    """
    xp = namespace(v)
    out, commuting = _along_commuting(*matrices, v)
    error = xp.zeros(len(v), v.dtype)
    rest = np.flatnonzero(~to_host(commuting))
    if rest.size:
        picked = xp.asarray(rest)
        p, q = (SymmetricEigen(e.values[picked], e.vectors[picked]) for e in (start, end))
        out[picked], error[picked] = _along_any(p, displacement(p, q, difference[picked]), v[picked], tol, rest)
    return TransportedVectors(out, error)


def _along_commuting(p: Array, q: Array, v: Array) -> tuple[Array, Array]:
    """Return v transported by the closed form in the common eigenbasis, and where P and Q have one to rounding.

    There v_ij (p_i + p_j)^(-1/2) stays as it is.
    """
    xp, n = namespace(v), v.shape[-1]
    units = units_of(p, 2), units_of(q, 2)
    p, q = p / units[0], q / units[1]
    both = symmetric_eigen(p + _GOLDEN * q)
    identity = xp.eye(n, dtype=v.dtype)
    bound = _COMMUTING * n * float(np.finfo(v.dtype).eps)
    commuting, sums = xp.ones(len(v), bool), []
    for matrix in (in_basis(both, p), in_basis(both, q)):
        commuting &= abs(matrix * (1 - identity)).max(axis=(-2, -1)) <= bound * abs(matrix).max(axis=(-2, -1))
        diagonal = (matrix * identity).sum(axis=-1)
        sums.append(diagonal[..., :, None] + diagonal[..., None, :])
    # Rounding can make a sum of two small eigenvalues negative where the basis is not one of both, and of no use.
    ratio = xp.sqrt(abs(sums[1] / xp.where(sums[0] == 0, 1, sums[0])))
    inner = in_basis(both, v) * ratio * (xp.sqrt(units[1]) / xp.sqrt(units[0]))
    return symmetrized(both.vectors @ inner @ transposed(both.vectors)), commuting


def _along_any(start: SymmetricEigen, move: Array, v: Array, tol: float, numbers: np.ndarray) -> tuple[Array, Array]:
    """Return v transported along P(t) = K(t) K(t)', K = (I + t L) K(0), and the error of the extrapolation.

    The horizontal lift X of a parallel field, V = X K' + K X' with K'X symmetric, changes along the fibre alone:
    X' = K W with the skew W of C W + W C = X'N - N'X, C = K'K, N = L K(0). So |X|, the length of V, stays. The path is
    walked by explicit midpoints in a variable in which the poles of K(t)^-1 beyond both ends are far, with steps
    halved and errors in even powers of the step extrapolated.

    Raises
    ------
    ConvergenceError
    """
    xp = namespace(v)
    root = xp.sqrt(start.values)
    path = _Path(root, move)
    x = in_basis(start, v) / sums_of(start) * root[..., None, :]
    length = norm(x)
    length = xp.where(length > 0, length, 1)
    steps, table = _FIRST, [path.walk(x, _FIRST)]
    while steps < _LAST:
        steps *= 2
        row = [path.walk(x, steps)]
        for j, before in enumerate(table):
            row.append(row[j] + (row[j] - before) / (4.0 ** (j + 1) - 1))
        error = norm(row[-1] - row[-2]) / length
        table = row
        if bool((error <= tol).all()):
            break
    else:
        where = first_index(error > tol)
        raise ConvergenceError(
            f"transport: {named((int(numbers[where]),))} of the batch has an error of {float(error[where]):.3g} after "
            f"{steps} steps; expected {tol:.3g}: give a larger tol, or matrices that are less nearly singular"
        )
    k = path.factor(1.0)
    vectors = table[-1] @ transposed(k)
    vectors = start.vectors @ (vectors + transposed(vectors)) @ transposed(start.vectors)
    return symmetrized(vectors), error


class _Path:
    """The factor K(t) in the eigenbasis of P, and the right-hand side at steps of a variable s from 0 to 1.

    (t + a) / (1 + b - t) is exponential in s, where t = -a and t = 1 + b are the poles next to the ends.
    """

    def __init__(self, root: Array, move: Array) -> None:
        xp = self._xp = namespace(root)
        self._start = xp.eye(root.shape[-1], dtype=root.dtype) * root[..., None, :]
        self._velocity = move * root[..., None, :]
        values = symmetric_eigen(move).values
        low, high = -values[..., 0], values[..., -1]
        before = 1 / xp.maximum(high, 1)
        after = xp.maximum(1 / xp.maximum(low, 0.5) - 1, np.finfo(root.dtype).eps)
        self._ends = before, after
        self._from, self._to = xp.log(before / (1 + after)), xp.log((1 + before) / after)
        self._known: dict[float, tuple[Array, ...]] = {}

    def factor(self, t: Array | float) -> Array:
        """Return K(t)."""
        return self._start + t * self._velocity

    def walk(self, x: Array, steps: int) -> Array:
        """Return X at the end by the explicit midpoint rule."""
        self._prepare(steps)
        h = 1 / steps
        before, x = x, x + h * self._slope(x, 0.0)
        for i in range(1, steps):
            before, x = x, before + 2 * h * self._slope(x, i / steps)
        return x

    def _prepare(self, steps: int) -> None:
        """Decompose K at the points that coarser paths have not met, all at once."""
        xp = self._xp
        fractions = [i / steps for i in range(steps) if i / steps not in self._known]
        before, after = self._ends
        s = xp.asarray(fractions, dtype=before.dtype).reshape(-1, *(1,) * before.ndim)
        grown = xp.exp(self._from + s * (self._to - self._from))
        t = xp.where(s == 0, 0, ((1 + after) * grown - before) / (1 + grown))
        speed = (t + before) * (1 + after - t) / (1 + before + after) * (self._to - self._from)
        k = self.factor(t[..., None, None])
        _, sizes, axes = xp.linalg.svd(k)
        squares = sizes * sizes
        gaps = squares[..., :, None] + squares[..., None, :]
        for i, fraction in enumerate(fractions):
            self._known[fraction] = k[i], axes[i], speed[i][..., None, None] / gaps[i]

    def _slope(self, x: Array, fraction: float) -> Array:
        k, axes, rates = self._known[fraction]
        turn = transposed(x) @ self._velocity
        skew = axes @ (turn - transposed(turn)) @ transposed(axes) * rates
        return k @ (transposed(axes) @ skew @ axes)
