"""Learning rates over time, as functions from epochs (a number, fractions too) to a factor of the base rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["Schedule", "constant", "cosine", "step_decay", "warm_up"]

Schedule = Callable[[float], float]
"""The factor of the learning rate as a function of epochs."""


@dataclass(frozen=True, repr=False)
class _Named:
    """A schedule that prints as the call that made it."""

    text: str
    factor: Schedule

    def __call__(self, t: float) -> float:
        return self.factor(t)

    def __repr__(self) -> str:
        return self.text


@entry
def constant(factor: float = 1.0) -> Schedule:
    """Return the schedule that is `factor` at all times.

    Parameters
    ----------
    factor : float
        Of the learning rate.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> from sci.nn import constant
    >>> constant(0.5)(3)
    0.5
    """
    return _Named(f"constant({factor:g})", lambda t: factor)


@entry
def step_decay(every: float | Sequence[float], factor: float = 0.5) -> Schedule:
    """Return the schedule factor^k after k steps: one step each `every` epochs, or at the epochs that are listed.

    Parameters
    ----------
    every : float or sequence of float
        Epochs between steps, or the epochs of the steps.
    factor : float
        Of one step.

    Returns
    -------
    Schedule

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.nn import step_decay
    >>> [step_decay(10)(t) for t in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    if isinstance(every, Sequence):
        marks = tuple(every)
        return _Named(f"step_decay({marks}, {factor:g})", lambda t: factor ** sum(t >= mark for mark in marks))
    if not every > 0:
        raise InvalidValueError(f"step_decay every {every} epochs; expected a positive number")
    length = float(every)
    return _Named(f"step_decay({length:g}, {factor:g})", lambda t: factor ** math.floor(t / length))


@entry
def cosine(t_max: float, floor: float = 0.0) -> Schedule:
    """Return the schedule floor + (1 - floor) (1 + cos(pi t / t_max)) / 2, which stays at `floor` after `t_max` epochs.

    Parameters
    ----------
    t_max : float
        Epochs until `floor` is reached.
    floor : float
        The last factor.

    Returns
    -------
    Schedule

    Raises
    ------
    InvalidValueError

    References
    ----------
    Loshchilov and Hutter, arXiv:1608.03983, equation 5, without restarts.

    Examples
    --------
    >>> from sci.nn import cosine
    >>> [round(cosine(10)(t), 3) for t in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """
    if not t_max > 0:
        raise InvalidValueError(f"cosine with t_max {t_max}; expected a positive number of epochs")
    return _Named(
        f"cosine({t_max:g}, {floor:g})",
        lambda t: floor + (1 - floor) * (1 + math.cos(math.pi * min(t / t_max, 1.0))) / 2,
    )


@entry
def warm_up(epochs: float, then: Schedule | None = None) -> Schedule:
    """Return a schedule that rises linearly over `epochs` to what `then` (constant 1) gives.

    Parameters
    ----------
    epochs : float
        Length of the rise.
    then : schedule, optional
        What follows, at its own times.

    Returns
    -------
    Schedule

    Raises
    ------
    InvalidValueError

    Notes
    -----
    `then` runs on the same clock. At time 0 the factor is 0, so use it with `schedule_each="step"`, where the first
    step counts as time 1 / steps an epoch.

    Examples
    --------
    >>> from sci.nn import warm_up
    >>> [warm_up(4)(t) for t in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    if not epochs > 0:
        raise InvalidValueError(f"warm_up over {epochs} epochs; expected a positive number")
    after = then or constant()
    return _Named(f"warm_up({epochs:g}, {after!r})", lambda t: min(t / epochs, 1.0) * after(t))
