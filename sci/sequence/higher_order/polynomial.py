"""Tensor attention with a polynomial for the exponential: near-linear in the length, with an a priori error.

exp(x) is replaced by its truncated Chebyshev series on [-R, R], as sum over t of c_t x^t, and x^t by the multinomial
theorem: scores are products over three factors, so that each weight becomes a product of three rows of monomials. Sums
over pairs of keys factor by (A (.) B)^T (C (.) D) = (A^T C) * (B^T D), with (.) the row-wise Kronecker product.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev as series
from scipy.special import ive

from sci.arguments import entry
from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, Deferred, allreduce_sum
from sci.errors import InvalidValueError

__all__ = ["Polynomial", "polynomial_degree", "polynomial_rank"]

_MAX_DEGREE = 60
_SCRATCH = 1 << 16
"""Monomials in memory at one time, a batch entry: about what a cache holds."""


@entry
@functools.lru_cache(maxsize=256)
def polynomial_degree(radius: float, tol: float) -> int:
    """Return the least degree whose weights are within `tol`, relatively, of the exponential's on [-radius, radius].

    The least g with 2 sum over k > g of I_k(R) <= tol exp(-R): the left side bounds the error of the Chebyshev series
    of exp(x), the right side is tol times the smallest weight. The error of attention is then at most 2 tol / (1 - tol)
    times the largest |v1 v2|.

    Parameters
    ----------
    radius : float
        Bound of the scores.
    tol : float

    Returns
    -------
    int

    Raises
    ------
    InvalidValueError
        If rounding alone exceeds `tol`: coefficients of size exp(R) meet weights of size exp(-R).

    Examples
    --------
    >>> from sci.sequence import polynomial_degree
    >>> [polynomial_degree(r, 1e-3) for r in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)]
    [2, 3, 5, 7, 12, 21]
    """
    if not (0 <= radius < math.inf and 0 < tol < 1):
        raise InvalidValueError(f"radius {radius} and tol {tol}; expected a finite radius and 0 < tol < 1")
    if 64 * np.finfo(np.float64).eps * math.exp(min(2 * radius, 700.0)) > tol:
        raise InvalidValueError(
            f"scores up to {radius:.3g} leave rounding errors above tol={tol:g}; use method='exact', scale the inputs "
            "down, or a larger tol"
        )
    tail = 2 * ive(np.arange(_MAX_DEGREE + 40), radius) * math.exp(2 * radius)  # ive = exp(-R) I_k(R)
    rest = np.cumsum(tail[::-1])[::-1]
    return int(np.flatnonzero(rest[1:] <= tol)[0])


@entry
def polynomial_rank(width: int, degree: int) -> int:
    """Return the number of monomials in `width` variables of degree at most `degree`.

    Parameters
    ----------
    width : int
        Number of variables.
    degree : int
        Highest degree.

    Returns
    -------
    int

    Examples
    --------
    >>> from sci.sequence import polynomial_rank
    >>> polynomial_rank(4, 5)
    126
    """
    return math.comb(width + degree, degree)


@dataclass(frozen=True)
class _Monomials:
    """All exponents of degree at most g in d variables, graded; and how each monomial follows from a shorter one."""

    exponents: np.ndarray
    parents: np.ndarray
    """parents[l, a] is the index of exponent a less one in variable l, 0 where there is none (its factor is then 0)."""
    blocks: tuple[tuple[int, int, int, int], ...]
    """(variable, first source row, last source row + 1, first row made) in the order of the rows."""


def _changed(exponent: tuple[int, ...], variable: int, by: int) -> tuple[int, ...]:
    return (*exponent[:variable], exponent[variable] + by, *exponent[variable + 1 :])


@functools.lru_cache(maxsize=32)
def _monomials(width: int, degree: int) -> _Monomials:
    rows: list[tuple[int, ...]] = [(0,) * width]
    blocks = []
    # Row of the first monomial of the last degree that has no variable before l: x_l times those from there on is new.
    starts = [0] * width
    for _ in range(degree):
        end, following = len(rows), []
        for variable in range(width):
            blocks.append((variable, starts[variable], end, len(rows)))
            following.append(len(rows))
            rows += [_changed(row, variable, 1) for row in rows[starts[variable] : end]]
        starts = following
    index = {row: i for i, row in enumerate(rows)}
    parents = [[index.get(_changed(row, variable, -1), 0) for row in rows] for variable in range(width)]
    return _Monomials(np.array(rows), np.array(parents), tuple(blocks))


@functools.lru_cache(maxsize=64)
def _weights(width: int, degree: int, radius: float, scale: float) -> np.ndarray:
    """Return c_t t! / alpha! scale^t for each exponent alpha of degree t."""
    k = np.arange(degree + 1)
    chebyshev = ive(k, radius) * math.exp(radius) * np.where(k == 0, 1, 2)
    radius = radius or 1.0
    powers = np.zeros(degree + 1)
    found = series.cheb2poly(chebyshev) / radius ** np.arange(degree + 1)
    powers[: found.size] = found
    exponents = _monomials(width, degree).exponents
    total = exponents.sum(axis=1)
    factorials = np.array([math.factorial(t) for t in range(degree + 1)], dtype=float)
    result: np.ndarray = powers[total] * factorials[total] * scale**total / factorials[exponents].prod(axis=1)
    return result


def _block(rank: int) -> int:
    """Return the number of tokens that are expanded at one time."""
    return max(32, _SCRATCH // rank)


def _blocks(array: Array, rank: int) -> Iterator[slice]:
    """Yield ranges of tokens."""
    for start in range(0, array.shape[1], _block(rank)):
        yield slice(start, min(start + _block(rank), array.shape[1]))


def _features(x: Array, degree: int, scratch: Array) -> Array:
    """Return the monomials (batch, rank, n) of (batch, n, d), in the memory of `scratch`."""
    xp = namespace(x)
    columns, table = xp.ascontiguousarray(x.swapaxes(1, 2)), _monomials(x.shape[2], degree)
    shape = (x.shape[0], len(table.exponents), x.shape[1])
    result = scratch[: math.prod(shape)].reshape(shape)
    result[:, 0] = 1
    for variable, first, last, made in table.blocks:
        xp.multiply(columns[:, variable, None], result[:, first:last], out=result[:, made : made + last - first])
    return result


def _features_vjp(dfeatures: Array, features: Array, width: int, degree: int) -> Array:
    xp, table = namespace(features), _monomials(width, degree)
    columns = []
    for variable in range(width):
        factor = to_device(table.exponents[:, variable].astype(np.float64), xp)
        shorter = features[:, to_device(table.parents[variable], xp)]
        columns.append(xp.einsum("brn,brn,r->bn", dfeatures, shorter, factor))
    return xp.stack(columns, axis=2)


@dataclass(frozen=True)
class Polynomial:
    """This rank's arrays (batch, length, d) in float64, the degree and the bound of the scores."""

    q: Array
    k1: Array
    k2: Array
    v1: Array
    v2: Array
    scale: float
    radius: float
    degree: int
    comm: Comm

    def forward(self, work: Deferred) -> tuple[Array, Any]:
        """Return out (batch, n, d) and what the gradients need; errors of this rank wait in `work`."""
        xp, width = namespace(self.q), self.q.shape[2]
        weights = to_device(_weights(width, self.degree, self.radius, self.scale), xp)
        scratch = self._scratch(len(weights))
        # The sums over tokens come before the product of the two: the product of sums is not the sum of products.
        local = xp.zeros((2, self.q.shape[0], len(weights), width + 1))
        with work:
            for total, keys, values in zip(local, (self.k1, self.k2), (self.v1, self.v2)):
                for rows in _blocks(keys, len(weights)):
                    total += _features(keys[:, rows], self.degree, scratch) @ self._extended(values[:, rows])
        one, two = allreduce_sum(local, self.comm, checked=True)
        joined = weights[:, None] * one * two
        result = xp.empty((*self.q.shape[:2], width + 1))
        for rows in _blocks(self.q, len(weights)):
            result[:, rows] = _features(self.q[:, rows], self.degree, scratch).swapaxes(1, 2) @ joined
        below, out = result[:, :, width], xp.zeros_like(self.q)
        with work:
            if not bool((below > 0).all()):
                raise InvalidValueError("the polynomial's sum of weights is not positive; use method='exact'")
            xp.divide(result[:, :, :width], below[:, :, None], out=out)
        return out, (one, two, joined, below, weights)

    def backward(self, dout: Array, out: Array, kept: Any, work: Deferred) -> tuple[Array, ...]:
        """Return the gradients of q, k1, k2, v1 and v2; monomials are computed again."""
        one, two, joined, below, weights = kept
        xp, width = namespace(dout), dout.shape[2]
        scratch = self._scratch(len(weights))
        dabove = dout / below[:, :, None]
        dresult = xp.concatenate([dabove, -(dabove * out).sum(axis=2)[:, :, None]], axis=2)
        dq, local = xp.empty_like(self.q), xp.zeros_like(joined)
        with work:
            for rows in _blocks(self.q, len(weights)):
                features = _features(self.q[:, rows], self.degree, scratch)
                local += features @ dresult[:, rows]
                dq[:, rows] = _features_vjp(joined @ dresult[:, rows].swapaxes(1, 2), features, width, self.degree)
        djoined = allreduce_sum(local, self.comm, checked=True) * weights[:, None]
        gradients = []
        for other, keys, values in ((two, self.k1, self.v1), (one, self.k2, self.v2)):
            dsums = djoined * other
            dkeys, dvalues = xp.empty_like(keys), xp.empty_like(values)
            for rows in _blocks(keys, len(weights)):
                features = _features(keys[:, rows], self.degree, scratch)
                dfeatures = dsums @ self._extended(values[:, rows]).swapaxes(1, 2)
                dkeys[:, rows] = _features_vjp(dfeatures, features, width, self.degree)
                dvalues[:, rows] = features.swapaxes(1, 2) @ dsums[:, :, :width]
            gradients.append((dkeys, dvalues))
        (dk1, dv1), (dk2, dv2) = gradients
        return dq, dk1, dk2, dv1, dv2

    def _scratch(self, rank: int) -> Array:
        """Return memory for the monomials of one block of tokens, which all blocks share."""
        batch, longest = self.q.shape[0], max(a.shape[1] for a in (self.q, self.k1, self.k2))
        return namespace(self.q).empty(batch * rank * min(longest, _block(rank)))

    def _extended(self, values: Array) -> Array:
        """Return the values with a column of ones, whose sum is the denominator."""
        xp = namespace(values)
        return xp.concatenate([values, xp.ones((*values.shape[:2], 1))], axis=2)
