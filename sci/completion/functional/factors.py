"""Factors along one axis: Gauss-Markov priors, the messages of the entries, and their hyperparameters."""

from __future__ import annotations

import numpy as np

from sci.completion.axes import Axis
from sci.linalg import MaternChain, log_evidence, matern_chain, smooth

__all__ = ["Factor", "packed_moments", "points_of"]

_START = 0.03
"""First length scale, of the range of the axis."""
_STEP = np.log(1.6)
_TRIALS = 3
_SHORTEST, _LONGEST = 0.3, 10.0
"""Bounds of length scales: of the median spacing, and of the range."""
_FARTHEST = 1e6
"""Points whose distance from the range is beyond all correlations: many times the longest length scale."""
_FIRST_MOVE, _EVERY = 1, 2
_SILENT = 1e-12
"""Prior variance at which a component is as good as absent."""
_LEAST_START = 1e-3


def packed_moments(u: np.ndarray, covariance: np.ndarray | None = None, free: np.ndarray | None = None) -> np.ndarray:
    """Return the upper triangle of u u^T + V, (n, B, R (R + 1) / 2); V (n, B, F, F) belongs to the free components."""
    rows, columns = np.triu_indices(u.shape[-1])
    packed = u[..., rows] * u[..., columns]
    if covariance is not None and free is not None:
        place: np.ndarray = np.full(u.shape[-1], -1)
        place[free] = np.arange(len(free))
        inner = np.flatnonzero((place[rows] >= 0) & (place[columns] >= 0))
        packed[..., inner] += covariance[..., place[rows[inner]], place[columns[inner]]]
    return np.asarray(packed)


def points_of(axis: Axis, places: np.ndarray | None = None) -> np.ndarray:
    """Return places, by default those of an axis, in units of its range from its start; numbers of its categories.

    Places that are farther away than correlations reach are moved to where they no longer do.
    """
    if not axis.is_ordered:
        return np.arange(float(len(axis)))
    low, high = axis.places[0], axis.places[-1]
    with np.errstate(over="ignore"):
        points = ((axis.places if places is None else places) - low) / (high - low)
    return np.asarray(np.clip(points, -_FARTHEST, _FARTHEST))


class Factor:
    """Free components of B restarts along one axis: prior times messages.

    Parameters
    ----------
    axis : Axis
    free : (F,) int64 array
        Numbers of the free components.
    smoothness : float
        Of the Matern prior.
    restarts : int
        B.
    """

    def __init__(self, axis: Axis, free: np.ndarray, smoothness: float, restarts: int) -> None:
        n, f = len(axis), len(free)
        self.points, self.free, self.smoothness = points_of(axis), free, smoothness
        self.lengths: np.ndarray = np.full((restarts, f), _START)
        """In units of the range."""
        self.variances: np.ndarray = np.ones((restarts, f))
        """Those of the last update: with lengths and messages they give the posterior."""
        self.precision: np.ndarray = np.zeros((n, restarts, f, f))
        self.information: np.ndarray = np.zeros((n, restarts, f))
        self.divergence: np.ndarray = np.zeros(restarts)
        self.next_variances = self.variances.copy()
        self.slope: np.ndarray = np.zeros((restarts, f))
        gaps = np.diff(self.points)
        shortest = _SHORTEST * float(np.median(gaps)) if len(gaps) else 1.0
        self.limits = (min(shortest, _LONGEST), _LONGEST)
        self.lengths = np.clip(self.lengths, *self.limits)

    def set_variances(self, values: np.ndarray) -> None:
        """Start the prior variances from the mean squares of factors (n, B, F)."""
        self.next_variances = np.maximum((values * values).mean(axis=0), _LEAST_START)

    def _chain(self, lengths: np.ndarray) -> MaternChain:
        return matern_chain(self.points, lengths, self.smoothness)

    def update(
        self, local: np.ndarray, precision: np.ndarray, information: np.ndarray, sweep: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take new messages of some restarts, and return means (n, a, F) and covariances (n, a, F, F).

        Every second sweep length scales move along their derivatives of the sweep before; a move that does not raise
        the evidence is made smaller twice, then dropped. Variances move by a step of expectation maximization.
        """
        self.precision[:, local], self.information[:, local] = precision, information
        self.variances[local] = self.next_variances[local]
        if not len(local):
            return information, precision
        variances = self.variances[local]
        since = sweep - _FIRST_MOVE
        moves = self.smoothness > 0 and since >= 0 and since % _EVERY == 0
        if moves and sweep:
            self._move(local, precision, information)
        learn = self.smoothness > 0 and (since + 1) % _EVERY == 0
        found = smooth(self._chain(self.lengths[local]), variances, precision, information, length_score=learn)
        if found.length_score is not None:
            self.slope[local] = found.length_score
        second = found.covariance + found.mean[..., :, None] * found.mean[..., None, :]
        inner = (information * found.mean).sum(axis=(0, 2)) - 0.5 * (precision * second).sum(axis=(0, 2, 3))
        self.divergence[local] = inner - found.log_evidence
        dimensions = len(self.points) * max(1, round(self.smoothness + 0.5))
        risen = variances * (1 + 2 * found.variance_score / dimensions)
        self.next_variances[local] = np.maximum(risen, _SILENT)
        return found.mean, found.covariance

    def _move(self, local: np.ndarray, precision: np.ndarray, information: np.ndarray) -> None:
        lengths, variances, slope = self.lengths[local], self.variances[local], self.slope[local]
        evidence = log_evidence(self._chain(lengths), variances, precision, information)
        waiting, step = np.arange(len(local)), _STEP
        for _ in range(_TRIALS):
            tried = np.clip(lengths[waiting] * np.exp(step * np.clip(slope[waiting], -1, 1)), *self.limits)
            found = log_evidence(self._chain(tried), variances[waiting], precision[:, waiting], information[:, waiting])
            risen = found > evidence[waiting]
            lengths[waiting[risen]] = tried[risen]
            waiting, step = waiting[~risen], step / 3
            if not len(waiting):
                break
        self.lengths[local] = lengths
