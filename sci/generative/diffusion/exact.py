"""The best denoiser there is for a finite set of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.generative.diffusion.schedules import NoiseSchedule
from sci.linalg import log_sum_exp, weighted_sum

__all__ = ["ExactDenoiser"]


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
    Memory of the order of the points and the samples: distances and weights of pairs are never stored. Entries that
    all points share cost nothing.

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
        points = as_finite(points, "points", shape=tuple(points.shape), dtype=points.dtype, xp=namespace(points))
        xp = namespace(points)
        weights = xp.ones(len(points)) if self.weights is None else self.weights
        weights = as_finite(weights, "weights", shape=(len(points),), xp=xp)
        if bool((weights <= 0).any()):
            raise InvalidValueError("weights hold a number that is not positive; expected how often each is drawn")
        flat = points.reshape(len(points), -1)
        free = xp.flatnonzero((flat != flat[0]).any(axis=0))
        heights = xp.log(weights / weights.sum()).astype(flat.dtype)
        for name, value in {"points": points, "weights": weights, "_flat": flat, "_free": free}.items():
            object.__setattr__(self, name, value)
        ones = xp.ones((len(flat), 1), flat.dtype)
        object.__setattr__(self, "_heights", heights)
        object.__setattr__(self, "_moving", xp.ascontiguousarray(flat[:, free]))
        object.__setattr__(self, "_values", xp.concatenate([flat[:, free], ones], axis=1))

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
        xp = namespace(x, own._flat)
        out = xp.repeat(own._flat[:1], len(x), axis=0)
        if len(own._free) and len(x):
            rate = float(self.schedule.signals[t] / (2 * self.schedule.noises[t]))
            rows = x.reshape(len(x), -1)[:, own._free] / x.dtype.type(np.sqrt(self.schedule.signals[t]))
            soft = log_sum_exp(rows, own._moving, own._heights, rate)
            sums = weighted_sum(rows, own._moving, own._values, own._heights, rate, soft)
            # the weights add up to one but for rounding of their exponents, which are large
            out[:, own._free] = sums[:, :-1] / sums[:, -1:]
        return out.reshape(x.shape)
