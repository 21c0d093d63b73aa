"""The step of a quantizer that leaves a given error in an orthonormal basis, without coding."""

from __future__ import annotations

import numpy as np

from sci.compression.quantize import quantized_sums

__all__ = ["missed_by", "step_for"]

_ROUNDS = 30
_CLOSE = 1e-3
_FEW = 1 << 14
_LEAST = 2.0**-60
"""The least step in parts of the largest coefficient: integers stay below 2^62."""


def step_for(coefficients: np.ndarray, error: float, rounding: float = 0.4) -> float:
    """Return the step whose quantized coefficients miss the true ones by `error` in the L2 norm, or a little less.

    No step is below 2^-60 of the largest coefficient, whatever the error.

    The logarithm of the error is nearly linear in that of the step: secants between two steps on either side, each of
    one pass over the coefficients.
    """
    flat = np.ascontiguousarray(coefficients).ravel()
    largest = max(float(flat.max()), -float(flat.min())) if flat.size else 0.0
    high = largest / (1 - rounding)
    least = _LEAST * largest
    low = error / (np.sqrt(max(flat.size, 1)) * (1 - rounding))  # zeros miss by at most (1 - rounding) steps
    if not 0 < low < high:
        return high if high > 0 else 1.0
    low = max(low, least)
    large, zeros = _large(flat, (1 - rounding) * low)
    low, below = _start(large, zeros, low, error, (rounding, largest))
    while below > error:
        if low / 4 < least:
            return float(low)
        low /= 4
        large, zeros = flat, 0.0
        below = missed_by(flat, low, rounding, largest)
    return _bracketed(large, zeros, (low, below), high, error, (rounding, largest))


def _large(flat: np.ndarray, least: float) -> tuple[np.ndarray, float]:
    """Return the coefficients over `least`, and the energy of the others, which are zero at every step to try."""
    if flat.size < _FEW:
        return flat, 0.0
    kept = np.abs(flat) > least
    if 2 * np.count_nonzero(kept) > flat.size:
        return flat, 0.0
    large = flat[kept]
    left = flat[~kept].astype(np.float64)
    return large, float(np.dot(left, left))


def _start(
    large: np.ndarray, zeros: float, low: float, error: float, options: tuple[float, float]
) -> tuple[float, float]:
    """Return a step whose error is below a bound, near to it, and the error: found on a part of the coefficients."""
    every = large.size // _FEW
    if every < 2:
        return low, float(np.hypot(missed_by(large, low, *options), np.sqrt(zeros)))
    part = np.ascontiguousarray(large[::every])
    step = _bracketed(part, zeros / every, (low, 0.5 * error / np.sqrt(every)), np.inf, error / np.sqrt(every), options)
    for _ in range(3):
        below = float(np.hypot(missed_by(large, step, *options), np.sqrt(zeros)))
        if below <= error or step <= low:
            return step, below
        step *= 0.98 * error / below
    return low, float(np.hypot(missed_by(large, low, *options), np.sqrt(zeros)))


def _bracketed(
    flat: np.ndarray, zeros: float, start: tuple[float, float], high: float, error: float, options: tuple[float, float]
) -> float:
    low, below = start
    above, step = 0.0, low * max(1.2, min(error / below, 4.0) if below > 0 else 4.0)
    for _ in range(_ROUNDS):
        step = min(step, high)
        missed = float(np.hypot(missed_by(flat, step, *options), np.sqrt(zeros)))
        if missed <= error:
            low, below = step, missed
        else:
            high, above = step, missed
        if below >= error * (1 - _CLOSE) or high <= low * (1 + 1e-6):
            break
        step = _between(low, below, high, above, error)
    return low


def _between(low: float, below: float, high: float, above: float, error: float) -> float:
    """Return a step between two by a secant of logarithms; beyond the first where no upper one is known."""
    aim = error * (1 - _CLOSE / 3)
    if above == 0:
        return float(low * max(1.02, 1.03 * error / below if below > 0 else 4.0))
    if below == 0:
        return float(np.sqrt(low * high))
    part = np.log(aim / below) / np.log(above / below)
    return float(low * (high / low) ** min(max(part, 0.02), 0.98))


def missed_by(flat: np.ndarray, step: float, rounding: float, largest: float) -> float:
    """Return the L2 norm of the error of values up to `largest`, quantized by a step, with centroids."""
    of = np.empty(0, np.int32 if largest < 2.0**30 * step else np.int64)
    zeros, n1, sum1, square1, n, total, square = quantized_sums(flat, step, rounding, of, False)
    energy = zeros + (square1 - sum1 * sum1 / n1 if n1 else 0.0) + (square - total * total / n if n else 0.0)
    return float(np.sqrt(max(energy, 0.0)) * step)
