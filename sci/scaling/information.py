"""What a model gains from a second source: the difference of two laws, its interval, and its own law in size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import Real, entry
from sci.errors import InvalidValueError
from sci.scaling.fit import PowerLawFit
from sci.scaling.laws import positive

__all__ = ["InformationGain", "information_gain"]


@entry
@dataclass(frozen=True, eq=False)
class InformationGain:
    """Loss without a second source less the loss with it, both of them laws in the size of the model or the data.

    Parameters
    ----------
    alone, given : PowerLawFit
        Of one term: losses without and with the second source, such as an image beside its caption.
    slope, level, reference : float
        Of level + slope ln(x / reference), the best such line through the gain at the sizes measured.
    slope_interval : (float, float)
        The slopes of 90 % of all pairs of resampled laws.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import fit_power_law, information_gain
    >>> x = np.geomspace(10, 1000, 8)
    >>> gain = information_gain(fit_power_law(x, 2 + x**-0.5), fit_power_law(x, 1.5 + 4 * x**-0.5))
    >>> round(gain(1e4), 6), round(gain.limit, 6)
    (0.47, 0.5)
    """

    alone: PowerLawFit
    given: PowerLawFit
    slope: float
    level: float
    reference: float
    slope_interval: tuple[float, float]

    def __repr__(self) -> str:
        low, high = self.slope_interval
        return (
            f"InformationGain({self.level:.4g} + {self.slope:.4g} ln(x / {self.reference:.4g}), slope {low:.3g} to "
            f"{high:.3g}, limit {self.limit:.4g})"
        )

    @property
    def limit(self) -> float:
        """Difference of the limits: for log-likelihoods the mutual information of both sources."""
        return self.alone.law.limit - self.given.law.limit

    def limit_interval(self, confidence: float = 0.9) -> tuple[float, float]:
        """Return the ends of the interval of the limit."""
        pairs = _differences(np.asarray(self.alone.samples)[:, 0], np.asarray(self.given.samples)[:, 0])
        low, high = np.quantile(pairs, _ends(confidence))
        return float(low), float(high)

    def __call__(self, x: float | Real) -> float | np.ndarray:
        """Return the gain at x."""
        found = np.asarray(self.alone.law(x)) - np.asarray(self.given.law(x))
        return float(found) if found.ndim == 0 else found

    def share(self, x: float | Real) -> float | np.ndarray:
        """Return the gain over the loss without the second source."""
        found = np.asarray(self(x)) / np.asarray(self.alone.law(x))
        return float(found) if found.ndim == 0 else found

    def interval(self, x: float | Real, confidence: float = 0.9, new_run: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval that holds the gain at x with probability `confidence`.

        Parameters
        ----------
        x : float or array
        confidence : float
        new_run : bool
            True for the difference of two more runs, with the noise of each; False for that of the laws.

        Returns
        -------
        (array, array)
            Of the shape of x.

        Raises
        ------
        InvalidValueError
        """
        ends, places = _ends(confidence), positive(x, "x")
        found = []
        for place in places.ravel():
            one, two = (
                _with_noise(fit, fit.sampled(float(place)), k) if new_run else fit.sampled(float(place))
                for k, fit in enumerate((self.alone, self.given))
            )
            found.append(np.quantile(_differences(one, two), ends))
        low, high = np.array(found).T.reshape(2, *places.shape)
        return low, high


def _ends(confidence: float) -> list[float]:
    if not 0 < confidence < 1:
        raise InvalidValueError(f"confidence is {confidence}; expected a number between 0 and 1")
    return [(1 - confidence) / 2, (1 + confidence) / 2]


def _with_noise(fit: PowerLawFit, values: np.ndarray, which: int) -> np.ndarray:
    """Return losses of new runs: those of the resampled laws, with noise that the other fit does not share."""
    rng = np.random.default_rng([fit.seed, which])
    return np.asarray(values * (1 + np.asarray(fit.noise) * rng.standard_normal(len(values))))


def _differences(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return the differences of all pairs: the two fits are independent, whatever their seeds."""
    return np.asarray(np.subtract.outer(one, two).ravel())


@entry
def information_gain(alone: PowerLawFit, given: PowerLawFit) -> InformationGain:
    """Return the gain in loss from a second source, from fits of the losses without it and with it.

    Parameters
    ----------
    alone : PowerLawFit
        Of one term: the loss of the first source alone, L(text).
    given : PowerLawFit
        Of one term, in the same x: that of the first given the second, L(text | image), on the same test set.

    Returns
    -------
    InformationGain

    Raises
    ------
    InvalidValueError
        Also for fits without a common range of x, in which the logarithmic law is fitted.

    Notes
    -----
    The gain is the difference of two power laws, and tends to the difference of their limits. Over a limited range it
    is close to a line in ln x; the line is that of least squares at the sizes measured that lie in the range of both.
    The pairs of all resampled laws give the intervals, so that fits of one seed count as independent.

    References
    ----------
    Henighan et al., arXiv:2010.14701, section 4 (the gain of a caption from its image, and its logarithmic law).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import fit_power_law, information_gain
    >>> x = np.geomspace(10, 1000, 8)
    >>> gain = information_gain(fit_power_law(x, 2 + x**-0.5), fit_power_law(x, 1.5 + 4 * x**-0.5))
    >>> low, high = gain.interval(1e4)
    >>> bool(low < 0.4701 and high > 0.4699)
    True
    """
    for fit in (alone, given):
        if len(fit.law.exponents) != 1:
            raise InvalidValueError(f"{fit}; expected a fit of one term")
    if tuple(alone.names) != tuple(given.names):
        raise InvalidValueError(f"x is {alone.names} of the one, {given.names} of the other; expected the same")
    sizes = [np.asarray(fit.x)[:, 0] for fit in (alone, given)]
    low, high = max(s.min() for s in sizes), min(s.max() for s in sizes)
    x = np.unique(np.concatenate(sizes))
    x = x[(x >= low) & (x <= high)]
    if len(x) < 2:
        raise InvalidValueError(
            f"x from {sizes[0].min():g} to {sizes[0].max():g} of the one, {sizes[1].min():g} to {sizes[1].max():g} of "
            "the other; expected ranges with at least two sizes in common"
        )
    logs = np.log(x) - np.log(x).mean()
    weights = logs / (logs @ logs)
    gain = np.asarray(alone.law(x)) - np.asarray(given.law(x))
    slope = float(weights @ gain)
    # The line is linear in the losses, so that its slope is a difference of two as well.
    slopes = _differences(weights @ alone.sampled(x).T, weights @ given.sampled(x).T)
    ends = np.quantile(slopes, _ends(0.9))
    center = float(np.exp(np.log(x).mean()))
    return InformationGain(alone, given, slope, float(gain.mean()), center, (float(ends[0]), float(ends[1])))
