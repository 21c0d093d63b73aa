"""Noise that differs from place to place, and quantiles of residuals: intervals that hold what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from sci.completion.functional.prediction import LEVELS
from sci.completion.observations import Observations
from sci.distributed import Comm, allreduce_max, allreduce_sum

__all__ = ["local_noise", "residual_quantiles"]

_ROUNDS = 30
_STRENGTHS = tuple(2.0**-n for n in range(-2, 9))
"""Of weights that differ: 1/a of their prior Gamma(a, a)."""
_REFERENCE = int(np.searchsorted(LEVELS, 0.9 - 1e-9))
"""Number of the level at which new places are to be covered as the others are."""
_MOST_LEVERAGE = 0.9
_BISECTIONS = 60


def left_out(residuals: np.ndarray, variance: np.ndarray, noise: float) -> np.ndarray:
    """Return about what the residuals were if their entries had no part in the fit: e / (1 - leverage)."""
    return np.asarray(residuals / (1 - np.minimum(variance / noise, _MOST_LEVERAGE)))


def local_noise(observations: Observations, residuals: np.ndarray) -> tuple[float, tuple[np.ndarray, ...], np.ndarray]:
    """Return s and weights w_k with the noise variances s / prod_k w_k[i_k] that fit residuals best (collective).

    Third comes the noise variance of each of this rank's entries from weights in which the entry itself has no part: no
    residual can make its own noise large. Each weight has a Gamma(a_k, a_k) prior and is in turn set to its posterior
    mean; a_k is the most likely one of a few, infinity among them: weights are 1 where one noise for all explains the
    residuals as well. Weights are in units of that of a place without entries, whose noise covers residuals as often
    as the noise of the others.
    """
    comm, counts = observations.comm, observations.weights
    single, columns = residuals**2, observations.index.T
    squares = counts * single
    numbers = [_per_place(counts, k, observations) for k in range(len(observations.axes))]
    weights = [np.ones(n) for n in observations.shape]
    spreads, strengths = [np.zeros(n) for n in observations.shape], np.zeros(len(weights))
    terms, per_entry = [_evidence_of(n) for n in numbers], np.ones_like(squares)
    scale = _mean(squares, observations.n_entries, comm)
    for _ in range(_ROUNDS):
        for k, column in enumerate(columns):
            others = per_entry / weights[k][column]
            spreads[k] = _per_place(squares * others, k, observations) / scale
            strengths[k] = _most_likely(numbers[k], spreads[k], terms[k])
            weights[k] = _weight(strengths[k], numbers[k], spreads[k])
            per_entry = others * weights[k][column]
        scale = _mean(squares * per_entry, observations.n_entries, comm)
    apart = []
    for k, column in enumerate(columns):
        rest = spreads[k][column] - single * per_entry / weights[k][column] / scale
        apart.append(_weight(strengths[k], numbers[k][column] - 1, np.maximum(rest, 0.0)))
    units = _of_new_places(observations, residuals, apart)
    own = (np.where(n > 0, weight / unit, 1.0) for n, weight, unit in zip(numbers, weights, units))
    return scale / float(np.prod(units)), tuple(own), scale / np.prod(apart, axis=0)


def _weight(strength: float, numbers: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return posterior means of weights, `strength` being 1/a."""
    return np.asarray((1 + 0.5 * strength * numbers) / (1 + 0.5 * strength * spread))


def _evidence_of(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the part of the evidence of each 1/a that numbers of entries at places decide."""
    each = (1 / strength for strength in _STRENGTHS)
    return [gammaln(a + 0.5 * numbers) - gammaln(a) - 0.5 * numbers * np.log(a) for a in each]


def _most_likely(numbers: np.ndarray, spread: np.ndarray, terms: list[np.ndarray]) -> float:
    """Return the 1/a under which squares that add up to `spread` at places are most likely; 0 for one noise for all.

    `terms` are those of `_evidence_of`.
    """
    best, found = float(-0.5 * spread.sum()), 0.0
    for strength, term in zip(_STRENGTHS, terms):
        evidence = float((term - (1 / strength + 0.5 * numbers) * np.log1p(0.5 * strength * spread)).sum())
        if evidence > best:
            best, found = evidence, strength
    return found


def _of_new_places(observations: Observations, residuals: np.ndarray, apart: Sequence[np.ndarray]) -> list[float]:
    """Return the weight of a place without entries along each axis: residuals are covered as often (collective)."""

    def typical(parts: Sequence[np.ndarray]) -> float:
        ratios = np.abs(residuals) * np.sqrt(np.prod(parts, axis=0))
        found = residual_quantiles(ratios, observations.weights, observations.n_entries, observations.comm)
        return max(float(found[_REFERENCE]), float(np.finfo(float).tiny))

    whole, ones = typical(apart), np.ones_like(residuals)
    return [(whole / typical([*apart[:k], ones, *apart[k + 1 :]])) ** 2 for k in range(len(apart))]


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
