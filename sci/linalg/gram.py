"""Gram matrices of vectors that may be spread over ranks, and damped solves with the sum of their squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, as_finite, namespace, require_finite
from sci.distributed import Comm, agreed, allreduce_sum
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.linalg.lanczos import largest_entry, power_of_two

__all__ = ["WoodburySolver", "gram_matrix"]

_BLOCK = 2**21
"""Entries of the vectors that are turned into float64 at a time."""
_LARGEST, _SMALLEST = 1e140, 1e-140
"""Size of the largest entry beyond which squares leave the range of float64."""
_EPS = float(np.finfo(np.float64).eps)
_PASSES = 6
"""Times that the part in the span is taken away at most, after the first."""
_ROUNDING = 32 * _EPS
"""Part of a vector that is rounding where everything else of it was taken away."""


@collective_entry
def gram_matrix(vectors: Array, others: Array | None = None, *, comm: Comm = None) -> Array:
    """Return G = S S', the inner products of the rows of S, or S T' with the rows of another array.

    Parameters
    ----------
    vectors : (m, n) float32 or float64 array
        S, a vector in each row. On ranks each holds its part (m, n_rank) of the entries, which may be empty.
    others : (k, n) array, optional
        T; by default the vectors themselves.
    comm : mpi4py communicator, optional

    Returns
    -------
    (m, m) or (m, k) float64 array
        The same bits on every rank; exactly symmetric without `others`.

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError
    InvalidValueError
        For NaN or Inf, and for vectors whose largest entry is above 1e140 or below 1e-140: scale them.

    Notes
    -----
    2 m k n flops. float32 vectors are turned into float64 block by block, so that sums and products are those of
    float64: the relative error of an entry is about n eps |s_i| |s_j| / |s_i . s_j| with eps = 1.1e-16, not 6e-8.
    Collective over `comm`: one sum of m x k numbers in the order of the ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import gram_matrix
    >>> gram_matrix(np.array([[1.0, 2.0], [0.0, 3.0]]))
    array([[5., 6.],
           [6., 9.]])
    """
    with agreed(comm, "gram_matrix") as agreement:
        S = _vectors(vectors, "vectors")
        T = S if others is None else _vectors(others, "others")
        namespace(S, T)
        if T.shape[1] != S.shape[1]:
            raise ShapeError(f"others has shape {tuple(T.shape)}; expected (k, {S.shape[1]}), the length of vectors")
        agreement.same(vectors=len(S), others=None if others is None else len(T))
    for array in (S,) if others is None else (S, T):
        _require_squares(array, comm)
    G = allreduce_sum(inner_products(S, T), comm, checked=True)
    return (G + G.T) / 2 if others is None else G


@collective_entry
@dataclass(frozen=True, eq=False)
class WoodburySolver:
    """Solve (damping I + S'S / m) x = v for m vectors of n numbers, the rows of S, by one factor of m x m.

        x = (v - S'a) / damping,    (S S' + m damping I) a = S v        (Woodbury).

    For a v in the span of the vectors, such as one of them, v - S'a cancels: its error, divided by the damping, would
    be larger than x. So what S'a takes away is solved for as a combination of the vectors,
    F^-1 S'a = m S'(S S' + m damping I)^-1 a, which cancels nothing, and so is what can be taken away from the rest,
    until rounding is left or it falls no more. The formula above is left with that rest.

    Parameters
    ----------
    vectors : (m, n) float32 or float64 array
        S, kept without a copy: do not change it. On ranks each holds its part (m, n_rank). Rows of zeros count in m.
    damping : float
        Positive, the smallest eigenvalue of the matrix where n > m.
    gram : (m, m) array, optional
        S S' as `gram_matrix` gives it, where it is known; the same on all ranks.
    comm : mpi4py communicator, optional

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError
    InvalidValueError
        Also for a damping of zero, with which the matrix is singular where n > m.
    ConvergenceError
        If the vectors depend on each other to rounding and the damping does not make up for it: a pivot of the factor
        is below 8 m eps of its diagonal entry.

    Notes
    -----
    m^2 n + m^3 flops to set up; 10 m n for a solve, in five passes over S, all in float64 whatever the dtype of S.

    An error d of v comes out as d / damping where it lies outside of the span, or along vectors whose squares are below
    m damping. So the error of `solve` is at most about eps |v| / damping, eps = 2.2e-16; of a v in the span of vectors
    far above the damping about eps |x|: there a rest below 32 eps of |v| is taken for rounding and left out. A
    combination of the vectors that was rounded to float32 has an error of 6e-8 |v| of its own. `solve_combination`
    takes the coefficients instead and has no such error: x comes to about eps |x| times `condition`, and to eps |x| for
    vectors that do not depend on each other, at any damping.

    Collective over `comm`: the constructor sums m x m numbers over the ranks, a solve m numbers a right-hand side
    twice.

    References
    ----------
    Woodbury, Princeton Statistical Research Group Report 42 (1950); Frantar, Kurtic and Alistarh, NeurIPS (2021),
    whose recursions over the vectors give the same numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import WoodburySolver
    >>> S = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
    >>> F = 0.5 * np.eye(3) + S.T @ S / 2
    >>> solver = WoodburySolver(S, 0.5)
    >>> np.allclose(F @ solver.solve(np.array([1.0, 2.0, 3.0])), [1.0, 2.0, 3.0])
    True
    """

    vectors: Array
    damping: float
    gram: Array | None = None
    comm: Comm = None
    _inverse: Array = field(init=False, default=None)
    """L^-1 of the factor L L' = (S S' + m damping I) / unit^2."""
    _unit: float = field(init=False, default=1.0)
    """Power of two near the length of the longest vector; of S / unit all powers stay in range."""
    _shift: float = field(init=False, default=0.0)
    """damping / unit^2."""

    def __post_init__(self) -> None:
        with agreed(self.comm, "WoodburySolver") as agreement:
            S = _vectors(self.vectors, "vectors")
            if not 0 < self.damping < np.inf:
                raise InvalidValueError(
                    f"damping is {self.damping}; expected a positive number (without damping the matrix is singular)"
                )
            G = None if self.gram is None else as_finite(self.gram, "gram", shape=(len(S), len(S)))
            namespace(S, G)
            agreement.same(damping=float(self.damping), vectors=len(S), gram=G)
        G = gram_matrix(S, comm=self.comm) if G is None else G
        object.__setattr__(self, "vectors", S)
        object.__setattr__(self, "gram", G)
        unit = power_of_two(float(namespace(G).diagonal(G).max()) ** 0.5)
        object.__setattr__(self, "_unit", unit)
        object.__setattr__(self, "_shift", self.damping / unit / unit)
        with agreed(self.comm, "WoodburySolver"):
            L = cholesky_factor(G / unit / unit, len(S) * self._shift, self.damping)
            object.__setattr__(self, "_inverse", namespace(L).linalg.inv(L))

    def __repr__(self) -> str:
        m, n = self.vectors.shape
        return f"WoodburySolver({m} vectors of {n} numbers, {self.vectors.dtype}, damping {self.damping:.3g})"

    @cached_property
    def condition(self) -> float:
        """Condition of S S' + m damping I, at most that of the matrix itself."""
        values = namespace(self.gram).linalg.eigvalsh(self.gram)
        shift = len(self.vectors) * self.damping
        return float((values[-1] + shift) / (max(float(values[0]), 0.0) + shift))

    def solve(self, v: Array) -> Array:
        """Return x = (damping I + S'S / m)^-1 v.

        Parameters
        ----------
        v : (n,) or (k, n) array
            A right-hand side, or one in each row; on ranks this rank's part.

        Returns
        -------
        array of the shape of v
            float32 for a v of float32, else float64.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Also where x leaves the range of its dtype.
        """
        with agreed(self.comm, "WoodburySolver.solve") as agreement:
            rest, single = self._rows(v, self.vectors.shape[1], "v")
            agreement.same(v=len(rest))
        unit = power_of_two(largest_entry(rest, self.comm))
        rest = rest / unit
        coefficients, rest = self._split(rest)
        x = self._combined(len(self.vectors) * self._solve_small(coefficients)) + rest / self._shift
        return self._result(x, v, single, unit)

    def _split(self, rest: Array) -> tuple[Array, Array]:
        """Return c (k, m) and r (k, n) so that the solution for the rows of `rest` is that for S'c and r / damping."""
        norms = _norms(rest, self.comm)
        taken = self._solve_small(self._times(rest))
        noise = _ROUNDING * (norms + abs(taken) @ self._row_norms)
        coefficients, rest = 0 * taken, rest - self._combined(taken)
        for _ in range(_PASSES):
            coefficients, before = coefficients + taken, _norms(rest, self.comm)
            taken = self._solve_small(self._times(rest))
            rest = rest - self._combined(taken)
            norms = _norms(rest, self.comm)
            outside = norms > noise
            # In the span it falls by damping over the squares of the vectors each time; what lies outside stays.
            if not bool((outside & (norms < before / 4)).any()):
                break
        # What is left of a vector in the span is rounding, which the damping would blow up.
        return coefficients + taken * ~outside[:, None], rest * outside[:, None]

    def solve_combination(self, coefficients: Array) -> Array:
        """Return (damping I + S'S / m)^-1 S'c, the solution for a combination of the vectors, without cancellation.

        Parameters
        ----------
        coefficients : (m,) or (k, m) array
            c; a unit vector stands for one of the vectors. The same on all ranks.

        Returns
        -------
        (n,) or (k, n) array
            float32 for coefficients of float32, else float64.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        with agreed(self.comm, "WoodburySolver.solve_combination") as agreement:
            rows, single = self._rows(coefficients, len(self.vectors), "coefficients")
            agreement.same(coefficients=rows)
        # S'c is unit times what `_combined` takes for it.
        x = self._combined(len(self.vectors) * self._solve_small(rows))
        return self._result(x, coefficients, single, self._unit)

    def diagonal(self) -> Array:
        """Return the diagonal (n,) of the inverse, on ranks this rank's part, in float64.

        Notes
        -----
        (1 - |L^-1 s_i|^2) / damping with the columns s_i of S: 2 m^2 n flops. An entry much below 1 / damping is a
        difference of nearly equal numbers; its error is eps / damping.
        """
        xp, S = namespace(self.vectors), self.vectors
        parts = [
            ((self._inverse @ (S[:, block].astype(np.float64) / self._unit)) ** 2).sum(axis=0) for block in _blocks(S)
        ]
        leverage = xp.concatenate([xp.zeros(0), *parts])
        return (1 - xp.minimum(leverage, 1.0)) / self.damping

    @property
    def _row_norms(self) -> Array:
        """Length (m,) of each row of S / unit."""
        return namespace(self.gram).diagonal(self.gram) ** 0.5 / self._unit

    def _rows(self, v: Array, length: int, name: str) -> tuple[Array, bool]:
        """Return v as rows of float64, and whether it was a single one."""
        single = v.ndim == 1
        rows = as_finite(v, name, shape=(length,) if single else (None, length))
        namespace(rows, self.vectors)
        return (rows[None] if single else rows), single

    def _result(self, x: Array, given: Array, single: bool, unit: float = 1.0) -> Array:
        dtype = np.float32 if getattr(given, "dtype", None) == np.float32 else np.float64
        with agreed(self.comm, "WoodburySolver"), np.errstate(over="ignore"):
            x = (x / self._unit / self._unit * unit).astype(dtype, copy=False)
            require_finite(x, "the solution")
        return x[0] if single else x

    def _solve_small(self, rows: Array) -> Array:
        """Return ((S S' + m damping I) / unit^2)^-1 of each row (k, m)."""
        return (rows @ self._inverse.T) @ self._inverse

    def _times(self, rows: Array) -> Array:
        """Return S r / unit of each row (k, n), summed over the ranks: (k, m)."""
        return allreduce_sum(inner_products(rows, self.vectors), self.comm, checked=True) / self._unit

    def _combined(self, rows: Array) -> Array:
        """Return S'c / unit of each row (k, m): this rank's part (k, n)."""
        return combined(rows / self._unit, self.vectors)


def inner_products(rows: Array, vectors: Array) -> Array:
    """Return the inner products (k, m) of rows (k, n) and vectors (m, n) in float64, block by block."""
    total = namespace(rows, vectors).zeros((len(rows), len(vectors)))
    for block in _blocks(vectors):
        here = vectors[:, block].astype(np.float64, copy=False)
        total += (here if rows is vectors else rows[:, block].astype(np.float64, copy=False)) @ here.T
    return total


def combined(coefficients: Array, vectors: Array) -> Array:
    """Return the combinations (k, n) of vectors (m, n) with coefficients (k, m) in float64, block by block."""
    out = namespace(coefficients, vectors).empty((len(coefficients), vectors.shape[1]))
    for block in _blocks(vectors):
        out[:, block] = coefficients @ vectors[:, block].astype(np.float64, copy=False)
    return out


def _vectors(array: Array, name: str) -> Array:
    """Return rows of finite float32 or float64 numbers, at least one."""
    dtype = np.float32 if getattr(array, "dtype", None) == np.float32 else np.float64
    found = as_finite(array, name, shape=(None, None), dtype=dtype)
    if len(found) == 0:
        raise ShapeError(f"{name} has shape {tuple(found.shape)}; expected at least one vector")
    return found


def _require_squares(array: Array, comm: Comm) -> None:
    """Refuse numbers whose squares leave the range of float64, on every rank."""
    largest = largest_entry(array, comm)
    if largest and not _SMALLEST < largest < _LARGEST:
        raise InvalidValueError(
            f"the largest entry of the vectors is {largest:.3g}, whose square leaves the range of float64; scale them"
        )


def _blocks(array: Array) -> Iterator[slice]:
    """Yield blocks of the columns of an array."""
    step = max(1, _BLOCK // len(array))
    yield from (slice(k, k + step) for k in range(0, array.shape[1], step))


def _norms(rows: Array, comm: Comm) -> Array:
    """Return the length of each row over all ranks."""
    return allreduce_sum((rows**2).sum(axis=1), comm, checked=True) ** 0.5


def cholesky_factor(gram: Array, shift: float, damping: float) -> Array:
    """Return the Cholesky factor L L' = gram + shift I; `damping` is for the message.

    Raises
    ------
    ConvergenceError
        If a pivot is rounding.
    """
    xp, m = namespace(gram), len(gram)
    K = gram + shift * xp.eye(m)
    try:
        L = xp.linalg.cholesky(K)
        pivots = float((xp.diagonal(L) ** 2 / xp.diagonal(K)).min())
    except np.linalg.LinAlgError:
        pivots = 0.0
    if not pivots > 8 * m * _EPS:
        raise ConvergenceError(
            f"the vectors depend on each other to rounding, and damping {damping:.3g} does not make up for it: "
            f"{shift:.3g} of the largest square of a vector; raise damping, or leave out vectors that others span"
        )
    return L
