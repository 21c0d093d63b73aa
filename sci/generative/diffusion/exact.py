"""The best denoiser there is for a finite set of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative.diffusion.schedules import NoiseSchedule
from sci.linalg import log_sum_exp, weighted_sum

__all__ = ["ExactDenoiser"]

_ENTRIES = 2**20
"""Weights of pairs that are held at once."""


@entry
@dataclass(frozen=True, eq=False)
class ExactDenoiser:
    """The mean of the samples of a finite set, given a noisy one: sum w_i X_i, w = softmax(-|x - s X_i|^2 / 2 n^2).

    s = sqrt(a_t) and n = sqrt(1 - a_t). No denoiser has a smaller mean squared error on the set, so it is the lower
    bound of the loss of a network that is trained on it; and samples that it makes are samples of the set.

    Parameters
    ----------
    schedule : NoiseSchedule
    points : (m, ...) float32 or float64
        X_i.
    weights : (m,) positive numbers, optional
        How often each is drawn; all alike unless given.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    Memory of the order of the points and the samples; distances of pairs are never stored, and weights of a few rows at
    a time. Entries that all points share cost nothing, and of fewer points than entries distances are those in their
    span.

    References
    ----------
    Karras et al., NeurIPS 2022, arXiv:2206.00364, equation 57.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import ExactDenoiser, cosine_schedule
    >>> denoiser = ExactDenoiser(cosine_schedule(100), np.array([[-1.0], [1.0]]))
    >>> denoiser
    ExactDenoiser(2 points of 1 numbers, 100 steps)
    >>> denoiser(np.array([[0.0], [0.9]]), 1)
    array([[0.],
           [1.]])
    """

    schedule: NoiseSchedule
    points: ArrayLike
    weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        points: Any = self.points if hasattr(self.points, "dtype") else np.asarray(self.points, dtype=np.float64)
        if points.ndim < 2 or not len(points):
            raise ShapeError(f"points of shape {tuple(points.shape)}; expected (m, ...), one point at least")
        dtype = np.float64 if points.dtype.kind in "iu" else points.dtype  # means of integers are none
        points = as_finite(points, "points", shape=tuple(points.shape), dtype=np.dtype(dtype), xp=namespace(points))
        xp = namespace(points)
        weights = xp.ones(len(points)) if self.weights is None else self.weights
        weights = as_finite(weights, "weights", shape=(len(points),), xp=xp)
        if bool((weights <= 0).any()):
            raise InvalidValueError("weights hold a number that is not positive; expected how often each is drawn")
        flat = points.reshape(len(points), -1)
        free = xp.flatnonzero((flat != flat[0]).any(axis=0))
        moving = xp.ascontiguousarray(flat[:, free])
        m, d = moving.shape
        mean, basis = moving.mean(axis=0), None
        if 1 < m <= d:  # only the part of x in the span of the points tells them apart
            basis = xp.linalg.qr((moving - mean).T)[0]
        made = {"points": points, "weights": weights, "_flat": flat, "_free": free, "_moving": moving, "_mean": mean}
        made["_heights"] = xp.log(weights / weights.sum()).astype(flat.dtype)
        made["_basis"] = basis
        made["_places"] = moving - mean if basis is None else (moving - mean) @ basis
        ones = xp.ones((m, 1), flat.dtype)
        made["_values"] = xp.concatenate([moving, ones], axis=1) if basis is None else xp.eye(m, dtype=flat.dtype)
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        m, d = self._flat.shape  # type: ignore[attr-defined]
        return f"ExactDenoiser({m} points of {d} numbers, {self.schedule.steps} steps)"

    def __call__(self, x: Array, step: int) -> Array:
        """Return the denoised samples.

        Parameters
        ----------
        x : (n, ...) array
            Rows of the shape of a point.
        step : int

        Returns
        -------
        array like `x`

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        own: Any = self
        t = self.schedule.check(step)
        if tuple(x.shape[1:]) != tuple(own.points.shape[1:]):
            raise ShapeError(f"x of shape {tuple(x.shape)}; expected (n, {', '.join(map(str, own.points.shape[1:]))})")
        if x.dtype.kind != "f":
            raise DTypeError(f"x of dtype {x.dtype}; expected floats")
        xp = namespace(x, own._flat)
        out = xp.repeat(own._flat[:1], len(x), axis=0)
        if len(own._free) and len(x):
            flat, few = x.reshape(len(x), -1), max(1, _ENTRIES // len(own._flat))
            for start in range(0, len(x), few):
                rows = slice(start, start + few)
                out[rows, own._free] = self._mean_of(flat[rows][:, own._free], t)
        return out.reshape(x.shape)

    def _mean_of(self, x: Array, t: int) -> Array:
        """Return the mean, of the numbers that differ between points, for a few rows."""
        own: Any = self
        rate = float(self.schedule.signals[t] / (2 * self.schedule.noises[t]))
        places = x / x.dtype.type(np.sqrt(self.schedule.signals[t])) - own._mean
        places = places if own._basis is None else places @ own._basis
        soft = log_sum_exp(places, own._places, own._heights, rate)
        sums = weighted_sum(places, own._places, own._values, own._heights, rate, soft)
        # the weights add up to one but for rounding of their exponents, which are large
        if own._basis is None:
            return sums[:, :-1] / sums[:, -1:]
        return (sums / sums.sum(axis=1, keepdims=True)) @ own._moving
