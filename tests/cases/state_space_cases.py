"""Messages for Gauss-Markov processes and the dense Gaussian process that answers them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.linalg import MaternChain, matern_chain


def matern(distance: np.ndarray, smoothness: float) -> np.ndarray:
    """Return the Matern correlation at a scaled distance lambda d."""
    x = np.abs(distance)
    series = {0.5: 1.0, 1.5: 1 + x, 2.5: 1 + x + x * x / 3}
    return np.asarray(series[smoothness] * np.exp(-x)) if smoothness else (x == 0).astype(float)


@dataclass
class Case:
    """Messages at points of which two are equal, two almost, and some have no data; precisions may be singular."""

    points: np.ndarray
    lengths: np.ndarray
    variance: np.ndarray
    precision: np.ndarray
    information: np.ndarray
    smoothness: float

    @property
    def chain(self) -> MaternChain:
        return matern_chain(self.points, self.lengths, self.smoothness)


def case(smoothness: float, n: int = 13, groups: int = 2, r: int = 3, seed: int = 0, duplicates: bool = True) -> Case:
    """Return a case."""
    rng = np.random.default_rng(seed)
    points = np.sort(rng.uniform(0, 3, n))
    if duplicates:
        points[4], points[8] = points[3], points[7] + 1e-7
    roots = rng.normal(size=(n, groups, r, r))
    roots[1, ..., 0] = 0.0  # a singular precision
    roots[[0, 5, 6, n - 1]] = 0.0  # no data
    precision = roots @ np.swapaxes(roots, -1, -2)
    information = (precision @ rng.normal(size=(n, groups, r, 1)))[..., 0]
    lengths, variance = rng.uniform(0.3, 2.0, (groups, r)), rng.uniform(0.5, 2.0, (groups, r))
    return Case(points, lengths, variance, precision, information, smoothness)


def dense(given: Case, group: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mean (n, R), covariance (n, R, R) and log evidence by one large Gaussian."""
    n, _, r = given.information.shape
    prior = np.zeros((n, r, n, r))
    for k in range(r):
        scaled = (given.points[:, None] - given.points) * (2 * given.smoothness) ** 0.5 / given.lengths[group, k]
        if not given.smoothness:
            scaled = np.arange(n)[:, None] - np.arange(n)
        prior[:, k, :, k] = given.variance[group, k] * matern(scaled, given.smoothness)
    prior = prior.reshape(n * r, n * r)
    precision = np.zeros((n, r, n, r))
    precision[np.arange(n), :, np.arange(n), :] = given.precision[:, group]
    precision, eta = precision.reshape(n * r, n * r), given.information[:, group].ravel()
    inner = np.eye(n * r) + precision @ prior
    mean = prior @ np.linalg.solve(inner, eta)
    covariance = (prior @ np.linalg.solve(inner, np.eye(n * r))).reshape(n, r, n, r)
    evidence = 0.5 * (eta @ mean - np.linalg.slogdet(inner)[1])
    return mean.reshape(n, r), covariance[np.arange(n), :, np.arange(n), :], evidence


def messages(given: Case) -> tuple[MaternChain, np.ndarray, np.ndarray, np.ndarray]:
    """Return the arguments of a smoother."""
    return given.chain, given.variance, given.precision, given.information
