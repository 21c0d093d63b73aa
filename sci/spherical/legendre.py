"""Associated Legendre functions, normalized, by a recurrence in the degree that is stable in float64."""

from __future__ import annotations

import math

import numpy as np

from sci.arguments import Real, entry
from sci.backend import as_finite
from sci.errors import InvalidValueError

__all__ = ["MAX_DEGREES", "legendre_functions"]

MAX_DEGREES = 1536
"""Degrees up to which no starting value of the recurrence that matters is too small for float64.

The start of order m is sin(theta)^m; a function of degree l is not negligible where sin(theta) > m / l. The smallest
start that matters is therefore (m / l)^m at m = l / e, which is e^(-l / e): 1e-245 for 1536 degrees.
"""


@entry
def legendre_functions(colatitudes: Real, degrees: int, orders: int | None = None) -> np.ndarray:
    """Return the Legendre functions P of the harmonics Y_lm(theta, phi) = P_lm(theta) exp(i m phi), of orders m >= 0.

    P_lm = (-1)^m sqrt((2 l + 1) / (4 pi) (l - m)! / (l + m)!) (sin theta)^m d^m P_l / dx^m at x = cos theta: the
    harmonics are orthonormal on the sphere.

    Parameters
    ----------
    colatitudes : (n,) array
        theta from 0 to pi.
    degrees : int
        Degrees 0 ... degrees - 1; at most 1536.
    orders : int, optional
        Orders 0 ... orders - 1; as many as degrees unless given.

    Returns
    -------
    (orders, degrees, n) float64 array
        Zero where m > l.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    From P_mm up in the degree, by the recurrence of Gegenbauer polynomials for the change from one degree to the next,
    in which 1 - x = 2 sin^2(theta / 2) is exact near the poles: the recurrence in x itself loses the degree squared
    there. Errors are 2e-13 at degree 512. Costs 6 operations a value.

    References
    ----------
    DLMF 18.9.1 (the recurrence); Reinsch's modification of Clenshaw's sums for the differences.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import legendre_functions
    >>> float(legendre_functions(np.array([0.0]), 2)[0, 1, 0] ** 2 * 4 * np.pi).__round__(12)
    3.0
    """
    theta = as_finite(colatitudes, "colatitudes", shape=(None,), dtype=np.float64)
    orders = degrees if orders is None else orders
    check_counts(degrees, orders)
    if theta.size and not (theta.min() >= 0 and theta.max() <= math.pi):
        raise InvalidValueError(f"colatitudes from {theta.min():g} to {theta.max():g}; expected angles from 0 to pi")
    south = theta > math.pi / 2
    found = recurrence(np.where(south, math.pi - theta, theta), degrees, range(orders))
    odd = np.add.outer(np.arange(orders), np.arange(degrees)) % 2 == 1
    found[odd] *= np.where(south, -1.0, 1.0)
    return found


def check_counts(degrees: int, orders: int) -> None:
    """Raise InvalidValueError for numbers of degrees and orders that the recurrence does not reach."""
    if not 1 <= degrees <= MAX_DEGREES:
        raise InvalidValueError(f"degrees is {degrees}; expected 1 to {MAX_DEGREES}")
    if not 1 <= orders <= degrees:
        raise InvalidValueError(
            f"orders is {orders}; expected 1 to degrees = {degrees}: there are none above the degree"
        )


def recurrence(theta: np.ndarray, degrees: int, orders: range) -> np.ndarray:
    """Return rows of `legendre_functions` at angles from 0 to pi / 2."""
    found = np.zeros((len(orders), degrees, len(theta)))
    start, sine, fall = np.full(len(theta), math.sqrt(1 / (4 * math.pi))), np.sin(theta), 2 * np.sin(theta / 2) ** 2
    step = np.zeros((len(orders), len(theta)))
    with np.errstate(under="ignore"):
        for m in range(orders.stop):
            if m >= orders.start:
                found[m - orders.start, m] = start
            start = start * sine * -math.sqrt((2 * m + 3) / (2 * m + 2))
        order = np.arange(orders.start, orders.stop, dtype=float)[:, None]
        for degree in range(orders.start + 1, degrees):
            k = min(degree, orders.stop) - orders.start
            # step is the change from one degree to the next, both in units of their value at the pole.
            step[:k] -= (2 * degree - 1) * fall * found[:k, degree - 1]
            step[:k] /= degree + order[:k]
            growth = np.sqrt((2 * degree + 1) / (2 * degree - 1) * (degree + order[:k]) / (degree - order[:k]))
            found[:k, degree] = growth * (found[:k, degree - 1] + step[:k])
            step[:k] *= growth * (degree - order[:k])
    return found
