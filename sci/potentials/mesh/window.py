"""B-splines that spread charges onto a grid: their polynomials, their transform, and the sums over its aliases."""

from __future__ import annotations

import functools
import math

import numpy as np

__all__ = ["LANES", "ORDERS", "alias_sums", "neighbor_sums", "spline_taps", "spline_transform"]

LANES = 8
"""Points of a row that are written at once; unused ones have the weight 0."""
ORDERS = (5, 6, 7, 8)
"""Orders that the kernels are compiled for."""
ALIASES = 3
"""Aliases on each side of a mode that its sums take."""


@functools.lru_cache(maxsize=8)
def spline_taps(order: int) -> np.ndarray:
    """Return the weights of the points that a charge touches as power series of its place.

    Parameters
    ----------
    order : int
        Points along an axis, P.

    Returns
    -------
    (P, 8) float64
        Row d holds the coefficients of t^d of all points, t = u - floor(u) - 1/2; point j is floor(u) - P + 1 + j.
    """
    # M_P(x) = sum_j (-1)^j C(P, j) (x - j)_+^(P - 1) / (P - 1)!, on [m, m + 1] with x = m + 1/2 + t.
    taps = np.zeros((order, LANES))
    for m in range(order):
        piece = np.zeros(order)
        for j in range(m + 1):
            shifted = np.poly1d([1.0, m + 0.5 - j]) ** (order - 1)
            piece += (-1) ** j * math.comb(order, j) * shifted.coeffs[::-1]
        taps[:, order - 1 - m] = piece / math.factorial(order - 1)
    return taps


def spline_transform(orders: np.ndarray, n: int, order: int) -> np.ndarray:
    """Return the transform of the B-spline at modes of a grid of n points: (sin(x) / x)^P at x = pi m / n."""
    found: np.ndarray = np.sinc(np.asarray(orders) / n) ** order
    return found


def alias_sums(orders: np.ndarray, n: int, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sums of W^2, m W^2 and m^2 W^2 over W_0^2 at the aliases m + n a, a not 0, of modes m along an axis.

    All aliases of a mode have one sine, but for the sign: W_a / W_0 is (m / (m + n a))^P.
    """
    m = np.asarray(orders, dtype=float)
    sums = np.zeros((3, len(m)))
    for a in range(1, ALIASES + 1):
        for alias in (m - n * a, m + n * a):
            square = _power((m / alias) ** 2, order)
            for total, term in zip(sums, (square, alias * square, alias * alias * square)):
                total += term
    return sums[0], sums[1], sums[2]


def neighbor_sums(orders: np.ndarray, n: int, order: int) -> np.ndarray:
    """Return the even part in m of sum_a m_a W_a W_(a - 1) / W_0^2 over the aliases m_a = m + n a of modes m."""
    m, sign = np.asarray(orders, dtype=float), (-1.0) ** order
    safe = np.where(m == 0, 1.0, m)
    upper, lower = np.zeros(len(m)), np.zeros(len(m))
    for a in range(-ALIASES, ALIASES):
        below, above = safe + n * a, safe + n * (a + 1)
        both = sign * _power(safe * safe / (below * above), order)
        upper += above * both
        lower += below * both
    found: np.ndarray = np.where(m == 0, 0.0, 0.5 * (upper - lower))
    return found


def _power(values: np.ndarray, exponent: int) -> np.ndarray:
    """Return values^exponent for an exponent of at least 1, by products."""
    found = values if exponent & 1 else None
    while exponent := exponent >> 1:
        values = values * values
        if exponent & 1:
            found = values if found is None else found * values
    assert found is not None
    return found
