"""The step of a quantizer that leaves a given error in an orthonormal basis, without coding."""

from __future__ import annotations

import numpy as np

__all__ = ["step_for"]

_ROUNDS = 40
_CLOSE = 2e-4


def step_for(coefficients: np.ndarray, error: float, rounding: float = 0.4) -> float:
    """Return the largest step, about, whose quantized coefficients miss the true ones by `error` in the L2 norm.

    Magnitudes far below the least step that is possible become zero whatever the step: their energy is added up once,
    and only the others are quantized in turn.
    """
    size = np.abs(coefficients).ravel()
    if size.size == 0:
        return 1.0
    low = error / (np.sqrt(size.size) * (1 - rounding))  # zeros miss by at most (1 - rounding) steps
    high = float(size.max()) / (1 - rounding)
    if not 0 < low < high:
        return high if high > 0 else 1.0
    kept, rest = _split(size, low * (1 - rounding) / 2)
    while _miss(kept, rest, low, rounding) > error:
        low /= 2
        kept, rest = _split(size, low * (1 - rounding) / 2)
    return _bisect(kept, rest, low, high, error, rounding)


def _bisect(kept: np.ndarray, rest: float, low: float, high: float, error: float, rounding: float) -> float:
    top = 2 * low
    while top < high and _miss(kept, rest, top, rounding) <= error:
        low, top = top, 2 * top
        small, kept = kept[kept < low * (1 - rounding)], kept[kept >= low * (1 - rounding)]
        rest += float(np.dot(small, small))
    high = min(top, high)
    for _ in range(_ROUNDS):
        if high <= low * (1 + _CLOSE):
            break
        middle = float(np.sqrt(low * high))
        if _miss(kept, rest, middle, rounding) <= error:
            low = middle
        else:
            high = middle
    return low


def _split(size: np.ndarray, least: float) -> tuple[np.ndarray, float]:
    """Return the magnitudes over `least`, in float64, and the energy of the others."""
    over = size > least
    small = size[~over]
    return size[over].astype(np.float64), float(np.dot(small, small))


def _miss(kept: np.ndarray, rest: float, step: float, rounding: float) -> float:
    """Return the error of magnitudes quantized by a step, with centroids, and of others that become zero."""
    scaled = kept / step
    whole = np.floor(scaled + rounding)
    zeros = scaled[whole == 0]
    one = scaled[whole == 1]
    more = (scaled - whole)[whole > 1]
    energy = np.dot(zeros, zeros) + sum(part.size * part.var() for part in (one, more) if part.size)
    return float(np.sqrt(rest + energy * step * step))
