"""Errors of means over Markov chains: integrated autocorrelation times by Sokal's window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import as_finite
from sci.errors import InvalidValueError

__all__ = ["Estimate", "autocorrelation_time", "estimate"]

_WINDOW = 5.0


@dataclass(frozen=True)
class Estimate:
    """A mean over correlated samples, and its standard error.

    Parameters
    ----------
    value, error : float
    tau : float
        Integrated autocorrelation time in steps of the chain, at least 0.5: so many pairs of steps are worth one
        independent sample.

    Examples
    --------
    >>> from sci.generative import Estimate
    >>> Estimate(-1.25, 0.01, 3.2)
    Estimate(-1.25 +- 0.01, autocorrelation time 3.2)
    """

    value: float
    error: float
    tau: float

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
    found = _checked_series(series)
    steps = len(found)
    away = found - found.mean()
    if not away.any():
        return 0.5
    away /= np.abs(away).max()
    spectrum = np.fft.rfft(away, 2 * steps, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * steps, axis=0)[:steps].sum(axis=1)
    rho = covariance / covariance[0] * (steps / (steps - np.arange(steps)))
    taus = np.cumsum(rho) - 0.5
    wide = np.arange(steps) >= _WINDOW * taus
    return max(0.5, float(taus[int(np.argmax(wide)) if wide.any() else steps - 1]))


@entry
def estimate(series: np.ndarray) -> Estimate:
    """Return mean, standard error and autocorrelation time of chains of one distribution.

    Parameters
    ----------
    series : (steps,) or (steps, chains) array

    Returns
    -------
    Estimate
        error = sqrt(2 tau variance / (steps chains)).

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import estimate
    >>> estimate(np.random.default_rng(0).normal(size=(400, 5))).error < 0.03
    True
    """
    found = _checked_series(series)
    tau, away = autocorrelation_time(found), found - found.mean()
    scale = float(np.abs(away).max()) or 1.0  # squares of very large and very small numbers are not representable
    variance = float(np.mean((away / scale) ** 2))
    return Estimate(float(found.mean()), scale * math.sqrt(2 * tau * variance / found.size), tau)
