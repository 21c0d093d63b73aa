"""Noise that differs from place to place, and quantiles of residuals: intervals that hold what they say."""

from __future__ import annotations

import numpy as np

from sci.completion.functional.prediction import LEVELS
from sci.completion.observations import Observations
from sci.distributed import Comm, allreduce_max, allreduce_sum

__all__ = ["local_noise", "residual_quantiles"]

_ROUNDS = 30
_MOST_LEVERAGE = 0.9
_BISECTIONS = 60


def left_out(residuals: np.ndarray, variance: np.ndarray, noise: float) -> np.ndarray:
    """Return about what the residuals were if their entries had no part in the fit: e / (1 - leverage)."""
    return np.asarray(residuals / (1 - np.minimum(variance / noise, _MOST_LEVERAGE)))


def local_noise(observations: Observations, residuals: np.ndarray) -> tuple[float, tuple[np.ndarray, ...]]:
    """Return s and weights w_k with the noise variances s / prod_k w_k[i_k] that fit residuals best (collective).

    Each weight has a Gamma(1, 1) prior, in turn set to its posterior mean.
    """
    comm, counts = observations.comm, observations.weights
    squares, columns = counts * residuals**2, observations.index.T
    numbers = [_per_place(counts, k, observations) for k in range(len(observations.axes))]
    weights = [np.ones(n) for n in observations.shape]
    per_entry: np.ndarray = np.ones_like(squares)
    scale = _mean(squares, observations.n_entries, comm)
    for _ in range(_ROUNDS):
        for k, column in enumerate(columns):
            others = per_entry / weights[k][column]
            spread = _per_place(squares * others / scale, k, observations)
            weights[k] = (1 + 0.5 * numbers[k]) / (1 + 0.5 * spread)
            per_entry = others * weights[k][column]
        scale = _mean(squares * per_entry, observations.n_entries, comm)
    return scale, tuple(weights)


def _per_place(values: np.ndarray, k: int, observations: Observations) -> np.ndarray:
    sums = np.bincount(observations.index[:, k], values, minlength=observations.shape[k])
    return np.asarray(allreduce_sum(sums, observations.comm, checked=True))


def _mean(values: np.ndarray, n: int, comm: Comm) -> float:
    found = float(allreduce_sum(np.array([values.sum()]), comm, checked=True)[0]) / n
    return max(found, float(np.finfo(float).tiny))


def residual_quantiles(ratios: np.ndarray, counts: np.ndarray, total: int, comm: Comm) -> np.ndarray:
    """Return the quantiles at `LEVELS` of numbers that lie on ranks, each counted so many times (collective).

    By bisection of all levels at once: the numbers stay where they are.
    """
    order = np.argsort(ratios)
    ordered, below = ratios[order], np.concatenate([[0.0], np.cumsum(counts[order])])
    low: np.ndarray = np.zeros(len(LEVELS))
    high = np.full(len(LEVELS), float(allreduce_max(np.array([ratios.max(initial=0.0)]), comm, checked=True)[0]))
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        reached = allreduce_sum(below[np.searchsorted(ordered, middle, side="right")], comm, checked=True)
        enough = reached >= LEVELS * total
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high
