"""Errors of means over Markov chains: integrated autocorrelation times by Sokal's window."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import as_finite
from sci.errors import InvalidValueError, SamplingWarning

__all__ = ["Estimate", "autocorrelation_time", "estimate", "estimated"]

_WINDOW = 5.0
_FEWEST = 10.0
"""Independent samples below which an error is a guess."""
_DISAGREEMENT = 10.0
"""Variance of the means of chains over what each chain says of its own mean."""
BOTH_SIDES = "the energy of -s is that of s: take absolute=True for the size, or a field for one side"


@dataclass(frozen=True)
class Estimate:
    """A mean over correlated samples, and its standard error.

    Parameters
    ----------
    value, error : float
    tau : float
        Integrated autocorrelation time in steps of the chain, at least 0.5: so many pairs of steps are worth one
        independent sample.
    independent : float
        So many independent samples have this error: variance over error squared.

    Examples
    --------
    >>> from sci.generative import Estimate
    >>> Estimate(-1.25, 0.01, 3.2, 400.0)
    Estimate(-1.25 +- 0.01, autocorrelation time 3.2)
    """

    value: float
    error: float
    tau: float
    independent: float

    def __repr__(self) -> str:
        return f"Estimate({self.value:.7g} +- {self.error:.2g}, autocorrelation time {self.tau:.3g})"


def _checked_series(series: np.ndarray) -> np.ndarray:
    found: np.ndarray = as_finite(series, "series", dtype=np.dtype(np.float64))
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) < 2 or not found.shape[1]:
        raise InvalidValueError(
            f"series of shape {series.shape}; expected (steps,) or (steps, chains), 2 steps or more"
        )
    return found


@entry
def autocorrelation_time(series: np.ndarray) -> float:
    """Return the integrated autocorrelation time tau = 1/2 + sum over t of rho(t), up to the first t of at least 5 tau.

    Parameters
    ----------
    series : (steps,) or (steps, chains) array
        Of chains with one distribution; autocovariances are averaged over them, about the common mean.

    Returns
    -------
    float
        At least 0.5, which is the value for independent steps.

    Raises
    ------
    InvalidValueError

    References
    ----------
    A. D. Sokal, "Monte Carlo methods in statistical mechanics", 1997, section 3; U. Wolff, Comput. Phys. Commun. 156,
    143 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import autocorrelation_time
    >>> noise = np.random.default_rng(0).normal(size=(4000, 4))
    >>> walk = noise.copy()
    >>> for t in range(1, len(walk)):
    ...     walk[t] += 0.8 * walk[t - 1]
    >>> abs(autocorrelation_time(noise) - 0.5) < 0.1, abs(autocorrelation_time(walk) - 4.5) < 0.7
    (True, True)
    """
    return _time(_checked_series(series))[0]


def _time(found: np.ndarray, own_means: bool = False) -> tuple[float, float]:
    """Return the autocorrelation time of chains (steps, chains), and its standard error by Madras and Sokal."""
    steps = len(found)
    away = found - (found.mean(axis=0) if own_means else found.mean())
    if not away.any():
        return 0.5, 0.0
    away /= np.abs(away).max()
    spectrum = np.fft.rfft(away, 2 * steps, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * steps, axis=0)[:steps].sum(axis=1)
    rho = covariance / covariance[0] * (steps / (steps - np.arange(steps)))
    taus = np.cumsum(rho) - 0.5
    wide = np.arange(steps) >= _WINDOW * taus
    window = int(np.argmax(wide)) if wide.any() else steps - 1
    # the mean is that of the samples themselves, which takes its variance off every covariance
    tau = max(0.5, float(taus[window]) * (1 + (2 * window + 1) / found.size))
    return tau, tau * math.sqrt(2 * (2 * window + 1) / found.size)


@entry
def estimate(series: np.ndarray) -> Estimate:
    """Return mean, standard error and autocorrelation time of chains of one distribution.

    The error is the larger of sqrt(2 (tau + d) variance / (steps chains)), d the standard error of tau, and of what the
    means of the chains say, sd / sqrt(chains): short chains do not know their tau, and then the error is rather too
    large than too small.

    Parameters
    ----------
    series : (steps,) or (steps, chains) array

    Returns
    -------
    Estimate

    Raises
    ------
    InvalidValueError

    Warns
    -----
    SamplingWarning
        For fewer than 10 independent samples, and for chains whose means differ by far more than each chain lets
        expect: they have stayed where they began.

    References
    ----------
    N. Madras and A. D. Sokal, J. Stat. Phys. 50, 109 (1988), for d.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import estimate
    >>> estimate(np.random.default_rng(0).normal(size=(400, 5))).error < 0.05
    True
    """
    return estimated(series)


def estimated(
    series: np.ndarray, *, hint: str = "run more sweeps, or a longer warm-up", zero: bool = False
) -> Estimate:
    """Return the estimate of `estimate`, with warnings that say how to do better.

    Parameters
    ----------
    series : (steps,) or (steps, chains) array
    hint : str
        What to do about chains that disagree.
    zero : bool
        Whether the mean is 0 by a symmetry: one that is not tells of chains that stay on one side.

    Returns
    -------
    Estimate
    """
    found = _checked_series(series)
    tau, doubt = _time(found)
    scale = float(np.abs(found - found.mean()).max()) or 1.0  # squares of large and small numbers overflow
    away = (found - found.mean()) / scale
    variance = float(np.mean(away**2)) / max(1 - 2 * tau / found.size, 0.5)
    square = 2 * (tau + doubt) * variance / found.size
    if found.shape[1] > 1:
        square = max(square, float(away.mean(axis=0).var(ddof=1)) / found.shape[1])
    value, error = float(found.mean()), scale * math.sqrt(square)
    independent = variance / square if square else float(found.size)
    chains = found.shape[1]
    limit = _DISAGREEMENT * chains / max(chains - 1, 1)  # means of two chains scatter more
    if _disagreement(away) > limit or (zero and abs(value) > 5 * error):
        why = f"chains have means from {found.mean(axis=0).min():.4g} to {found.mean(axis=0).max():.4g} and stay there"
    elif square and independent < _FEWEST:
        why, hint = f"{found.size} correlated values are worth {independent:.2g} independent ones", "run more sweeps"
    else:
        return Estimate(value, error, tau, independent)
    warnings.warn(
        f"{why}: the error {error:.2g} of the mean {value:.4g} is a guess; {hint}", SamplingWarning, stacklevel=4
    )
    return Estimate(value, error, tau, independent)


def _disagreement(away: np.ndarray) -> float:
    """Return the variance of the means of chains over the one that follows from each chain alone; 0 for one chain."""
    means = away.mean(axis=0)
    between = float(means.var(ddof=1)) if away.shape[1] > 1 else 0.0
    if not between > 1e-20:
        return 0.0
    tau, doubt = _time(away, own_means=True)
    within = 2 * (tau + doubt) * float(((away - means) ** 2).mean()) / len(away)
    return between / within if within else math.inf
