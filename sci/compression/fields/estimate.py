"""What a field would take in bytes, estimated from its coefficients without coding them."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

__all__ = ["Estimate", "entropy_of_rest"]

_SAMPLE = 1 << 13
_BITS_OF_ONE, _CODED = 4.5, 0.85
"""Bits of a coefficient of one step, with what it costs to say where it is; each doubling takes one more. The contexts
of the coder save some of them: on flows and potentials, estimates are within 8 % of what it writes."""

_EDGES = np.arange(0.5, 24.0)
_ZERO = 0.6
"""Magnitudes up to this part of a step become zero."""

_TAIL = 9.0
"""Degrees of freedom of Student's distribution, whose tail is about that of what fields leave at each point."""


class Estimate:
    """The large coefficients of a field, and the energy of the others.

    Parameters
    ----------
    coefficients : array
        Near to orthonormal ones.
    least : float
        The least step to ask for.
    points : int
        Of the field.
    """

    def __init__(self, coefficients: np.ndarray, least: float, points: int) -> None:
        flat = coefficients.ravel()
        sizes = np.abs(flat)
        magnitudes = sizes[sizes > _ZERO * least].astype(np.float64)
        self.points, self._every = points, max(1, len(magnitudes) // _SAMPLE)
        self._large = magnitudes[:: self._every]
        self._small = max(float(np.dot(flat, flat)) - float(np.dot(magnitudes, magnitudes)), 0.0)

    def __repr__(self) -> str:
        return f"Estimate({len(self._large)} coefficients of {self.points} points)"

    def coded(self, step: float) -> float:
        """Return the bytes of the coefficients."""
        kept = self._large[self._large > _ZERO * step]
        return self._every * _CODED / 8 * float((np.log2(kept / step) + _BITS_OF_ONE).sum())

    def missed(self, step: float) -> float:
        """Return the root of the mean square of what is lost at each point."""
        lost = self._large[self._large <= _ZERO * step]
        rounded = (len(self._large) - len(lost)) * step**2 / 12
        return float(np.sqrt((self._small + self._every * (float(np.dot(lost, lost)) + rounded)) / self.points))

    def rest(self, step: float, bound: float) -> float:
        """Return the bytes of what is lost at each point, rounded to twice the bound."""
        return self.points / 8 * entropy_of_rest(self.missed(step) / (2 * bound))

    def cheapest(self, bound: float, steps: np.ndarray, scales: tuple[float, float] = (1.0, 0.8)) -> float:
        """Return the step with the fewest bytes of coefficients and rest, each times a factor.

        The sum falls and then rises with the step.
        """
        least, best = np.inf, float(steps[0])
        for step in steps.tolist():
            total = scales[0] * self.coded(step) + scales[1] * self.rest(step, bound)
            if total > least:
                break
            least, best = total, step
        return best


def entropy_of_rest(width: float) -> float:
    """Return the entropy in bits of Student's numbers of a standard deviation, rounded to integers."""
    if not width > 0:
        return 0.0
    beyond = stdtr(_TAIL, -_EDGES / width * np.sqrt(_TAIL / (_TAIL - 2)))
    parts = np.maximum(beyond[:-1] - beyond[1:], 1e-300)
    zero = 1 - 2 * float(beyond[0])
    return -2 * float(np.dot(parts, np.log2(parts))) - (zero * np.log2(zero) if zero > 0 else 0.0)
