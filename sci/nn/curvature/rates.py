"""The largest stable learning rate as a function of the batch size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import ArrayLike, as_finite
from sci.errors import InvalidValueError
from sci.nn.curvature.noise import WignerNoise

__all__ = ["StableRates", "largest_stable_rate"]


@entry
@dataclass(frozen=True, eq=False)
class StableRates:
    """Largest stable learning rates of descent with momentum, for several batch sizes.

    Parameters
    ----------
    batch_sizes : (m,) array
    curvatures : (m,) array
        What the steps of each batch size feel, l + q c / l.
    rates : (m,) array
        2 (1 + momentum) / curvature.
    errors : (m,) array
        Standard errors of the rates.
    plateau : float
        Rate of a batch of infinitely many samples.
    crossover : float
        Batch size at which the rate is half of the plateau: q P s^2 / l^2. Below, the rate is near to linear in it.

    Examples
    --------
    >>> from sci.nn import WignerNoise, largest_stable_rate
    >>> found = largest_stable_rate(2.0, WignerNoise(1000, 0.04), [1, 10, 1000])
    >>> found
    StableRates(0.0909 at 1 to 0.99 at 1000, plateau 1, crossover at a batch of 10)
    """

    batch_sizes: np.ndarray
    curvatures: np.ndarray
    rates: np.ndarray
    errors: np.ndarray
    plateau: float
    crossover: float

    def __repr__(self) -> str:
        first, last = (f"{self.rates[k]:.3g} at {self.batch_sizes[k]:g}" for k in (0, -1))
        return (
            f"StableRates({first} to {last}, plateau {self.plateau:.3g}, crossover at a batch of {self.crossover:.3g})"
        )

    def adaptive(self, rate: float, batch_size: float) -> np.ndarray:
        """Return rates for optimizers like Adam, from one that is good at one of the batch sizes.

        Parameters
        ----------
        rate : float
            Known to be good.
        batch_size : float
            At which it is; one of `batch_sizes`.

        Returns
        -------
        (m,) array
            rate sqrt(curvature(batch_size) / curvature(b)): as sqrt(b) below the crossover, constant above.

        Raises
        ------
        InvalidValueError

        Notes
        -----
        That rates grow as sqrt(b) is the claim of the paper's abstract. Our reading of why: such optimizers divide by
        roots of squared gradients, which follow the curvature, and so leave its square root as the curvature of their
        steps. There is no absolute limit: it depends on the epsilon and on the history of the optimizer.
        """
        found = np.flatnonzero(self.batch_sizes == batch_size)
        if len(found) == 0 or not 0 < rate < np.inf:
            raise InvalidValueError(
                f"a rate of {rate} at a batch of {batch_size}; expected a positive rate at one of {self.batch_sizes}"
            )
        return np.asarray(rate * np.sqrt(self.curvatures[found[0]] / self.curvatures))


@entry
def largest_stable_rate(
    outlier: float,
    noise: WignerNoise,
    batch_size: ArrayLike,
    *,
    momentum: float = 0.0,
    outlier_error: float = 0.0,
    spread_error: float = 0.0,
) -> StableRates:
    """Compute the largest stable learning rate 2 (1 + m) / (l + q c / l) of descent over fresh batches.

    Parameters
    ----------
    outlier : float
        l, the largest eigenvalue of the curvature of all samples.
    noise : WignerNoise
        Of a batch, c = P s^2 (1/b - 1/N).
    batch_size : (m,) array_like
    momentum : float
        m of p <- m p + g; q = (1 + m) / (1 - m), which is 1 without momentum.
    outlier_error : float
        Standard error of l.
    spread_error : float
        Standard error of P s^2.

    Returns
    -------
    StableRates

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Linear in b for small batches, 2 (1 + m) / l for large ones. For l above sqrt(c), l + c / l is the largest
    eigenvalue of a batch (the paper's argument, without momentum). It is also what decides when every step has a new
    batch, for any c: as c is the mean of |(H_b - H) u|^2 along the outlier u, a step of rate r multiplies the mean
    squared error by 1 - 2 r l + r^2 (l^2 + c), which is above 1 unless r < 2 / (l + c / l). With momentum the mean
    squares of two successive errors and their product obey a linear recurrence, which grows from the rate above on
    (our derivation). Both arguments look at one direction and a fixed curvature: the limit is necessary, not
    sufficient, and moves while the model learns.

    References
    ----------
    Granziol, Zohren and Roberts, J. Mach. Learn. Res. 23 (173), 2022; Polyak, USSR Comput. Math. Math. Phys. 4, 1
    (1964), for the momentum.

    Examples
    --------
    >>> from sci.nn import WignerNoise, largest_stable_rate
    >>> largest_stable_rate(2.0, WignerNoise(1000, 0.04, samples=50), [5, 50]).rates.round(3)
    array([0.357, 1.   ])
    """
    sizes = np.atleast_1d(as_finite(batch_size, "batch_size"))
    if not (0 < outlier < np.inf and 0 <= momentum < 1 and len(sizes)):
        raise InvalidValueError(
            f"an outlier of {outlier}, momentum {momentum}, {len(sizes)} batch sizes; expected a positive outlier, a "
            "momentum from 0 to below 1, and one batch size or more"
        )
    total, q = noise.size * noise.variance, (1 + momentum) / (1 - momentum)
    felt = q * noise.spread(sizes)
    curvatures = outlier + felt / outlier
    errors = np.hypot((1 - felt / outlier**2) * outlier_error, felt / outlier * (spread_error / total))
    rates = 2 * (1 + momentum) / curvatures
    plateau, crossover = 2 * (1 + momentum) / outlier, q * total / outlier**2
    return StableRates(sizes, curvatures, rates, rates * errors / curvatures, plateau, crossover)
