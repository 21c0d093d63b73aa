"""Schedules of noise: how much of a sample is left after each step, and the transitions between steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["NoiseSchedule", "Transition", "cosine_schedule", "linear_schedule"]


class Transition(NamedTuple):
    """A step backwards: the next x is `of_sample` x0 + `of_noisy` x + `deviation` z, with z standard normal.

    Parameters
    ----------
    of_sample, of_noisy, deviation : float

    Examples
    --------
    >>> from sci.generative import cosine_schedule
    >>> cosine_schedule(100).transition(1, 0)  # the last step gives the denoised sample itself
    Transition(of_sample=1.0, of_noisy=0.0, deviation=0.0)
    """

    of_sample: float
    of_noisy: float
    deviation: float


@entry
@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """The forward process x_t = sqrt(a_t) x0 + sqrt(1 - a_t) noise, with a_t the product of all (1 - beta_s), s <= t.

    Parameters
    ----------
    betas : (T,) sequence of float
        Variances added by the steps, each above 0 and below 1.

    Attributes
    ----------
    signals : (T + 1,) float64
        a_0 = 1 to a_T.
    noises : (T + 1,) float64
        1 - a_t, without cancellation where it is small.

    Raises
    ------
    ShapeError, InvalidValueError

    References
    ----------
    Ho, Jain and Abbeel, NeurIPS 2020, arXiv:2006.11239, equations 4 to 7; Song, Meng and Ermon, ICLR 2021,
    arXiv:2010.02502, equation 12.

    Examples
    --------
    >>> from sci.generative import NoiseSchedule
    >>> schedule = NoiseSchedule([0.5, 0.5])
    >>> schedule, schedule.signals
    (NoiseSchedule(2 steps, signal 1 to 0.25), array([1.  , 0.5 , 0.25]))
    """

    betas: Sequence[float]
    signals: np.ndarray = field(init=False)
    noises: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        betas = np.asarray(self.betas, dtype=np.float64)
        if betas.ndim != 1 or not len(betas):
            raise ShapeError(f"betas of shape {betas.shape}; expected (steps,), one step at least")
        bad = np.flatnonzero(~((betas > 0) & (betas < 1)))
        if len(bad):
            raise InvalidValueError(f"beta {betas[bad[0]]} of step {bad[0] + 1}; expected a number between 0 and 1")
        logs = np.cumsum(np.log1p(-betas))
        object.__setattr__(self, "betas", tuple(betas.tolist()))
        object.__setattr__(self, "signals", np.concatenate([[1.0], np.cumprod(1.0 - betas)]))
        object.__setattr__(self, "noises", np.concatenate([[0.0], -np.expm1(logs)]))
        if self.signals[-1] < np.finfo(np.float64).tiny:
            raise InvalidValueError("the product of all 1 - beta underflows; expected fewer steps or smaller betas")

    def __repr__(self) -> str:
        return f"NoiseSchedule({self.steps} steps, signal 1 to {self.signals[-1]:.3g})"

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return len(self.betas)

    def check(self, step: int, least: int = 1) -> int:
        """Return a number of a step as an int.

        Parameters
        ----------
        step : int
        least : int
            Smallest number; 0 is the sample without noise.

        Returns
        -------
        int

        Raises
        ------
        InvalidValueError
            Unless it is between `least` and the number of steps.
        """
        if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or not least <= step <= self.steps:
            raise InvalidValueError(f"step is {step}; expected an integer from {least} to {self.steps}")
        return int(step)

    def levels(self, steps: ArrayLike, like: Array) -> tuple[Array, Array]:
        """Return sqrt(a_t) and sqrt(1 - a_t) of one step for each row, shaped to multiply arrays of rows.

        Parameters
        ----------
        steps : int, or (n,) integers
        like : (n, ...) array
            Gives dtype, axes and device.

        Returns
        -------
        signal, noise : arrays (n, 1, ...), or (1, 1, ...) of one step

        Raises
        ------
        ShapeError, InvalidValueError
        """
        numbers = np.asarray(steps)
        if numbers.dtype.kind not in "iu" or numbers.ndim > 1 or (numbers.ndim and len(numbers) != len(like)):
            raise ShapeError(
                f"steps of shape {numbers.shape}; expected an integer, or one for each of {len(like)} rows"
            )
        if numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) <= self.steps:
            raise InvalidValueError(f"steps from {numbers.min()} to {numbers.max()}; expected 0 to {self.steps}")
        xp, shape = namespace(like), (-1, *[1] * (like.ndim - 1))
        pair = (np.sqrt(table[numbers]).reshape(shape).astype(like.dtype) for table in (self.signals, self.noises))
        signal, noise = (xp.asarray(a) for a in pair)
        return signal, noise

    def add_noise(self, x0: Array, noise: Array, steps: ArrayLike) -> Array:
        """Return x_t of samples and standard normal noise.

        Parameters
        ----------
        x0, noise : (n, ...) float arrays of one shape and dtype
        steps : int, or (n,) integers
            t of each row; 0 gives `x0`.

        Returns
        -------
        array like `x0`

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError

        Examples
        --------
        >>> import numpy as np
        >>> from sci.generative import NoiseSchedule
        >>> NoiseSchedule([0.36]).add_noise(np.ones((1, 2)), np.array([[0.0, 1.0]]), 1)
        array([[0.8, 1.4]])
        """
        _require_alike("noise", noise, x0)
        signal, deviation = self.levels(steps, x0)
        return signal * x0 + deviation * noise

    def transition(self, step: int, previous: int, eta: float = 1.0) -> Transition:
        """Return the step backwards from t = `step` to s = `previous`, given the sample x0.

        With r = a_t / a_s the variance is eta^2 (1 - a_s) (1 - r) / (1 - a_t). At eta = 1 this is the posterior of x_s
        given x_t and x0, also over several steps: for s = t - 1 its mean, and beta~_t. At eta = 0 nothing is added.

        Parameters
        ----------
        step, previous : int
            T >= step > previous >= 0.
        eta : float
            0 to 1.

        Returns
        -------
        Transition

        Raises
        ------
        InvalidValueError

        References
        ----------
        Ho et al., equation 7; Song et al., equations 12 and 16.

        Examples
        --------
        >>> from sci.generative import linear_schedule
        >>> linear_schedule(10).transition(10, 9, eta=0.0).deviation
        0.0
        """
        t, s = self.check(step), self.check(previous, 0)
        if s >= t:
            raise InvalidValueError(f"previous is {s}; expected less than step, which is {t}")
        if not 0 <= eta <= 1:
            raise InvalidValueError(f"eta is {eta}; expected a number from 0 to 1")
        if s == 0:
            return Transition(1.0, 0.0, 0.0)
        noise, left = float(self.noises[t]), float(self.noises[s])
        kept = math.exp(math.fsum(math.log1p(-b) for b in self.betas[s:t]))
        lost = -math.expm1(math.fsum(math.log1p(-b) for b in self.betas[s:t]))
        variance = eta**2 * left * lost / noise
        of_noisy = math.sqrt(left / noise * ((1 - eta) * (1 + eta) + eta**2 * kept * left / noise))
        of_sample = math.sqrt(self.signals[s]) * (1 - math.sqrt(kept) * of_noisy)
        if eta == 1:
            of_sample = math.sqrt(self.signals[s]) * lost / noise
        return Transition(of_sample, of_noisy, math.sqrt(variance))

    def posterior_mean(self, x0: Array, x: Array, step: int) -> Array:
        """Return the mean of x_{t-1} given x_t = `x` and the sample `x0`.

        Parameters
        ----------
        x0, x : arrays of one shape
        step : int
            t.

        Returns
        -------
        array

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        _require_alike("x", x, x0)
        of_sample, of_noisy, _ = self.transition(step, int(step) - 1)
        return of_sample * x0 + of_noisy * x

    def posterior_variance(self, step: int) -> float:
        """Return beta~_t = beta_t (1 - a_{t-1}) / (1 - a_t), the variance of x_{t-1} given x_t and the sample.

        Parameters
        ----------
        step : int
            t.

        Returns
        -------
        float

        Raises
        ------
        InvalidValueError
        """
        t = self.check(step)
        return float(self.betas[t - 1] * self.noises[t - 1] / self.noises[t])

    def to_options(self) -> dict[str, Any]:
        """Return the betas as a file of a model holds them.

        Returns
        -------
        dict
        """
        return {"betas": list(self.betas)}


@entry
def cosine_schedule(steps: int, *, offset: float = 0.008, largest_beta: float = 0.999) -> NoiseSchedule:
    """Return the schedule a_t = cos^2(pi/2 (t/T + s) / (1 + s)) / (its value at t = 0).

    Parameters
    ----------
    steps : int
        T.
    offset : float
        s, at least 0.
    largest_beta : float
        Betas above it are set to it: the last one would be 1.

    Returns
    -------
    NoiseSchedule

    Raises
    ------
    InvalidValueError

    References
    ----------
    Nichol and Dhariwal, ICML 2021, arXiv:2102.09672, equation 17. Their 1 - a_t / a_{t-1} is computed by
    sin(v - u) sin(v + u) / cos^2 u, which loses no digits.

    Examples
    --------
    >>> from sci.generative import cosine_schedule
    >>> cosine_schedule(200)
    NoiseSchedule(200 steps, signal 1 to 6.07e-08)
    """
    _check_steps(steps)
    if not 0 <= offset < math.inf:
        raise InvalidValueError(f"offset is {offset}; expected a number of 0 or more")
    if not 0 < largest_beta < 1:
        raise InvalidValueError(f"largest_beta is {largest_beta}; expected a number between 0 and 1")
    step = np.pi / 2 / (1 + offset) / steps
    left = np.arange(steps, -1, -1) * step  # from the angle to the right one: differences of angles would lose digits
    betas = np.sin(step) * np.sin(left[:-1] + left[1:]) / np.sin(left[:-1]) ** 2
    return NoiseSchedule(np.minimum(betas, largest_beta).tolist())


@entry
def linear_schedule(steps: int, *, first: float = 1e-4, last: float = 0.02) -> NoiseSchedule:
    """Return the schedule of betas that grow evenly from `first` to `last`.

    Parameters
    ----------
    steps : int
        1,000 in the reference. Few steps leave signal at the end: sqrt(a_T) is what samples keep of their start.
    first, last : float
        Between 0 and 1.

    Returns
    -------
    NoiseSchedule

    Raises
    ------
    InvalidValueError

    References
    ----------
    Ho, Jain and Abbeel, arXiv:2006.11239, section 4.

    Examples
    --------
    >>> from sci.generative import linear_schedule
    >>> linear_schedule(1000)
    NoiseSchedule(1000 steps, signal 1 to 4.04e-05)
    """
    _check_steps(steps)
    return NoiseSchedule(np.linspace(first, last, steps).tolist())


def _require_alike(name: str, array: Array, samples: Array) -> None:
    """Raise unless an array has the shape of samples, and both are of floats: integers would lose the noise."""
    if tuple(array.shape) != tuple(samples.shape):
        raise ShapeError(f"{name} of shape {tuple(array.shape)}; expected {tuple(samples.shape)}, that of the samples")
    if array.dtype.kind != "f" or samples.dtype.kind != "f":
        raise DTypeError(f"{name} of dtype {array.dtype} for samples of {samples.dtype}; expected floats")


def _check_steps(steps: int) -> None:
    if not 1 <= steps <= 100_000:
        raise InvalidValueError(f"steps is {steps}; expected an integer from 1 to 100,000")
