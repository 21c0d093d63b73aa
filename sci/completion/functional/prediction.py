"""What a completion says of a place: mean, deviation, and an interval for an observation there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["LEVELS", "Prediction"]

LEVELS = np.concatenate([np.arange(99) / 100, [0.99, 0.995, 0.998, 0.999]])
"""Levels at which the quantiles of the residuals are kept."""


@entry
@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted entries in units of the values.

    Parameters
    ----------
    mean : array
        Of the field.
    deviation : array of the same shape
        Standard deviation of the field, without noise.
    noise : array of the same shape
        Standard deviation of the noise of an observation.
    quantiles : (103,) array
        Of the residuals of the entries, left out one by one, over their deviation, for the levels 0, 0.01, ..., 0.98,
        0.99, 0.995, 0.998, 0.999.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import Prediction
    >>> normal = np.sort(np.abs(np.random.default_rng(0).normal(size=103)))
    >>> Prediction(np.zeros(3), np.ones(3), np.ones(3), normal)
    Prediction(3 entries)
    """

    mean: np.ndarray
    deviation: np.ndarray
    noise: np.ndarray
    quantiles: np.ndarray

    def __repr__(self) -> str:
        return f"Prediction({self.mean.size} entries)"

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds between which an observation lies with a probability of `level`.

        Parameters
        ----------
        level : float
            From 0 to 0.999.

        Returns
        -------
        two arrays of the shape of the mean
            mean -+ q (deviation^2 + noise^2)^(1/2), q being the quantile of the residuals.

        Raises
        ------
        InvalidValueError

        Examples
        --------
        >>> import numpy as np
        >>> from sci.completion import Prediction
        >>> found = Prediction(np.zeros(1), np.full(1, 3.0), np.full(1, 4.0), np.linspace(0.0, 3.0, 103))
        >>> low, high = found.interval(0.9)
        >>> bool(low[0] == -high[0])
        True
        """
        if not 0 <= level <= LEVELS[-1]:
            raise InvalidValueError(f"level is {level:g}; expected 0 to {LEVELS[-1]:g}")
        half = np.interp(level, LEVELS, self.quantiles) * np.hypot(self.deviation, self.noise)
        return self.mean - half, self.mean + half
