"""Where two power laws cross, and how likely the order seen in small runs is to turn in a large one."""

from __future__ import annotations

import numpy as np
import scipy

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.scaling.fit import PowerLawFit
from sci.scaling.laws import PowerLaw

__all__ = ["crossovers", "flip_probability"]

_SAME = 4 * float(np.finfo(float).eps)
"""Part of the largest loss below which the difference of two laws is rounding."""


@entry
def crossovers(first: PowerLaw, second: PowerLaw, low: float, high: float) -> list[float]:
    """Return the x between `low` and `high` at which two laws of one term have one loss; none, one or two.

    Parameters
    ----------
    first, second : PowerLaw
        Of one term.
    low, high : float
        0 < low < high.

    Returns
    -------
    list of float
        Ascending; where the difference only touches zero it is one x or none, by rounding.

    Raises
    ------
    InvalidValueError
        Also for laws that are equal, but for rounding: they cross everywhere.

    Notes
    -----
    The difference of the losses is monotone in ln x on both sides of the one point where the slopes are equal, so that
    a bracket of each side holds at most one root.

    References
    ----------
    Xiao, arXiv:2409.15156 (rankings of methods cross with scale).

    Examples
    --------
    >>> from sci.scaling import PowerLaw, crossovers
    >>> steep, flat = PowerLaw(0.0, (4.0,), (1.0,), (1.0,)), PowerLaw(0.0, (1.0,), (0.5,), (1.0,))
    >>> [round(x, 6) for x in crossovers(steep, flat, 1.0, 100.0)]
    [16.0]
    """
    for law in (first, second):
        if len(law.exponents) != 1:
            raise InvalidValueError(f"{law}; expected a law of one term")
    if not 0 < low < high < np.inf:
        raise InvalidValueError(f"low {low}, high {high}; expected 0 < low < high")

    def difference(t: float) -> float:
        return float(first(np.exp(t))) - float(second(np.exp(t)))

    ends = [float(np.log(low)), float(np.log(high))]
    turn = _turn(first, second)
    if turn is not None and ends[0] < turn < ends[1]:
        ends.insert(1, turn)
    values = [difference(t) for t in ends]
    if max(map(abs, values)) <= _SAME * max(float(first(np.exp(t))) for t in ends):
        raise InvalidValueError("both laws are the same, but for rounding; expected laws that differ")
    roots = [t for t, value in zip(ends, values) if value == 0]
    for left, right, a, b in zip(ends, ends[1:], values, values[1:]):
        if a * b < 0:
            roots.append(scipy.optimize.brentq(difference, left, right, xtol=1e-14, rtol=8.9e-16))
    return sorted(float(np.exp(t)) for t in roots)


def _turn(first: PowerLaw, second: PowerLaw) -> float | None:
    """Return the ln x at which the slopes of two laws are equal; None where they are nowhere, or everywhere."""
    (p,), (q,), (a,), (b,) = first.exponents, second.exponents, first.amplitudes, second.amplitudes
    if p == q or a == 0 or b == 0:
        return None
    # a p (x / r)^-p = b q (x / s)^-q
    left = np.log(a * p) + p * np.log(first.references[0])
    right = np.log(b * q) + q * np.log(second.references[0])
    return float((left - right) / (p - q))


@entry
def flip_probability(first: PowerLawFit, second: PowerLawFit, x: float) -> float:
    """Return the probability that the fit with the smaller loss at the largest x measured has the larger one at `x`.

    Parameters
    ----------
    first, second : PowerLawFit
        Of one term.
    x : float

    Returns
    -------
    float
        Share of all pairs of resampled fits whose order at x is the other one than that of the fitted laws at the
        largest x that both were measured at.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import fit_power_law, flip_probability
    >>> x = np.geomspace(1, 100, 8)
    >>> flip_probability(fit_power_law(x, 4 / x), fit_power_law(x, x**-0.5), 1e4)
    0.0
    >>> flip_probability(fit_power_law(x, 400 / x), fit_power_law(x, x**-0.5), 1e6)
    1.0
    """
    if len(first.law.exponents) != 1 or len(second.law.exponents) != 1:
        raise InvalidValueError(f"{first}, {second}; expected fits of one term")
    known = min(float(np.max(first.x)), float(np.max(second.x)))
    ahead = float(first.law(known)) < float(second.law(known))
    one, two = first.sampled(x), np.sort(second.sampled(x))
    below = float((len(two) - np.searchsorted(two, one, side="right")).mean()) / len(two)
    return 1 - below if ahead else below
