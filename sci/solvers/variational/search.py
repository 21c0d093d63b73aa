"""The line search: a step that lowers the energy by Armijo's rule, on differences without cancellation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["ARMIJO", "Step", "search"]

ARMIJO = 1e-4
"""A step lowers the energy by at least this part of what its slope promises."""
MOST_TRIALS = 60


class Step(NamedTuple):
    """A step along a direction.

    Parameters
    ----------
    length : float
        0 where no trial lowered the energy.
    change : float
        Of the energy.
    remainder : float
        Of the energy beyond its slope: negative only where the energy is not convex.
    trials : int
    """

    length: float
    change: float
    remainder: float
    trials: int


def search(slope: float, remainder: Callable[[float], float], *, refine: bool) -> Step:
    """Return a step t with E(u + t d) - E(u) <= 1e-4 t slope.

    The first trial is t = 1, the next ones the minimum of the parabola through the last trial, between a tenth and a
    half of it; after ten trials of infinite energy a ten-thousandth of it.

    Parameters
    ----------
    slope : float
        Derivative of the energy along the direction, negative.
    remainder : callable
        E(u + t d) - E(u) - t slope.
    refine : bool
        Whether the minimum of the parabola through t = 1 is tried too where it promises a tenth more: for directions
        whose length is not known.

    Notes
    -----
    Every rank gets the same numbers and takes the same trials.
    """
    t, trials = 1.0, 0
    while trials < MOST_TRIALS:
        rest, trials = remainder(t), trials + 1
        change = t * slope + rest
        if change <= ARMIJO * t * slope:
            break
        best = -slope * t * t / (2 * rest) if rest > 0 else 0.5 * t
        far = not math.isfinite(rest) and trials > 10
        t = min(max(best, (1e-4 if far else 0.1) * t), 0.5 * t)
    else:
        return Step(0.0, 0.0, 0.0, trials)
    if refine and rest > 0:
        best = min(-slope * t * t / (2 * rest), 4 * t)
        # The parabola's value at its minimum is best * slope / 2.
        if 0.5 * best * slope < 1.1 * change:
            other, trials = remainder(best), trials + 1
            if best * slope + other < change:
                t, rest, change = best, other, best * slope + other
    return Step(t, change, rest, trials)
