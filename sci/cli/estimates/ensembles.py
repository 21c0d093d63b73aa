"""Needs of dimensions, clusters and distances of sets of points: a part of the points, and scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.trial import attempt
from sci.ensembles import intrinsic_dimension, k_means, sinkhorn
from sci.linalg import PackedPoints, log_sum_exp, nearest

__all__ = ["clusters_needs", "dimension_needs", "distance_needs"]

TRIAL_POINTS = 2000
"""Points of a trial at most, fewer where they have many coordinates."""
TRIAL_NUMBERS = 2_000_000
MOVED = 0.2
"""Part of the points that moves in an iteration of k-means, on average."""
TRIAL_TRANSPORT, TO_ITSELF = 800, 30
"""Points of a trial of transport, and steps of a set to itself."""


def _few(n: int, d: int, least: int = 50) -> int:
    """Return the number of points of a trial."""
    return min(n, max(least, min(TRIAL_POINTS, TRIAL_NUMBERS // d)))


def _random(n: int, d: int, dtype: Any) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)).astype(dtype)


def dimension_needs(n: int, d: int, dtype: Any, methods: Sequence[str], neighbors: int, ranks: int = 1) -> Needs:
    """Return the needs of estimates of the dimension of n points, whose time grows with the square of their number."""
    few = min(n, max(2 * neighbors + 4, 2 * _few(n, d)))
    x = _random(few, d, dtype)
    seconds, memory = {}, 0.0
    for method in methods:
        k = neighbors if method == "mle" else None
        half, whole = (
            attempt(lambda m=method, c=count, k=k: intrinsic_dimension(x[:c], m, k=k), repeats=2)  # type: ignore[misc]
            for count in (few // 2, few)
        )
        # Distances of pairs, and what grows with the points: insertions, and the rest of the work.
        pairs = min(max(2 * (whole.seconds - 2 * half.seconds), 0.2 * whole.seconds), whole.seconds)
        rest = whole.seconds - pairs
        seconds[method] = (pairs * (n / few) ** 2 + rest * n / few) / ranks
        trial = attempt(lambda m=method, k=k: intrinsic_dimension(x, m, k=k), memory=True)  # type: ignore[misc]
        memory = max(memory, trial.peak * (n / few))
    return Needs(memory, seconds)


def clusters_needs(x: np.ndarray, n: int, k: int, starts: int, maxiter: int, ranks: int = 1) -> Needs:
    """Return the needs of k-means of n points, of which rank 0 holds `x`, by steps on a part of them.

    The number of iterations is that of the part with as many points a cluster.
    """
    d = x.shape[1]
    few = min(len(x), max(TRIAL_POINTS, min(10 * TRIAL_POINTS, 2 * TRIAL_NUMBERS // d)))
    part = np.ascontiguousarray(x[:: max(1, len(x) // few)][:few])
    packed, centers = PackedPoints(part), part[: max(1, min(k, len(part) // 2))]
    draw = attempt(lambda: nearest(packed, part[:1]), repeats=7).seconds
    assign = attempt(lambda: nearest(packed, centers), repeats=5).seconds
    begin = attempt(lambda: k_means(packed, len(centers), start=centers, maxiter=1), repeats=3).seconds
    fewer = max(1, min(len(centers), round(k * len(part) / n)))
    iterations = k_means(packed, fewer, start=part[:fewer], maxiter=maxiter).iterations
    share = starts * n / len(part) / ranks
    sums = max(0.0, begin - 2 * assign) / 2
    seconds = {
        "k-means++": 1.5 * k * draw * share,
        # The first sums are of all points, later ones of those that moved.
        "iterations": (iterations * assign * k / len(centers) + (1 + MOVED * iterations) * sums) * share,
    }
    memory = 1.1 * n * d * x.dtype.itemsize / ranks + 60.0 * n + 32.0 * k * d
    return Needs(memory, seconds)


def distance_needs(x: np.ndarray, y: np.ndarray, n: int, m: int, settings: Mapping[str, Any], ranks: int = 1) -> Needs:
    """Return the needs of a divergence of two sets and of their halves, by a part of the points that rank 0 holds.

    Parameters
    ----------
    x, y : (., D) arrays
        Points of rank 0.
    n, m : int
        Points of all ranks.
    settings : mapping
        Of `sinkhorn_divergence`: reg, tol, maxiter.
    ranks : int
    """
    d = x.shape[1]
    few = [_thinned(z, TRIAL_TRANSPORT) for z in (x, y)]
    trial = attempt(lambda: sinkhorn(few[0], few[1], **settings), memory=True)
    more = [_thinned(z, _few(len(z), d)) for z in (x, y)]
    packed, zeros = PackedPoints(more[0]), np.zeros(len(more[1]), x.dtype)
    half = attempt(lambda: log_sum_exp(packed, more[1], zeros, 1 / settings["reg"]), repeats=2).seconds
    pair = half / (len(more[0]) * len(more[1])) / ranks
    # Two half steps an iteration, of the sets and of their halves; each set to itself takes few of one.
    own = n**2 + m**2
    both = pair * (2 * trial.result.iterations * n * m + TO_ITSELF * own)
    halves = pair * (trial.result.iterations * own / 2 + TO_ITSELF * own / 2)
    memory = 2.0 * (n + m) * d * x.dtype.itemsize / ranks + trial.peak * (n + m) / sum(map(len, few))
    return Needs(memory, {"transport": both, "halves": halves})


def _thinned(x: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` points at equal distances in their order."""
    return np.ascontiguousarray(x[:: max(1, len(x) // count)][:count])
