"""What a denoising network predicts: the noise, the sample, or what lies between, as one linear relation."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from sci.errors import InvalidValueError
from sci.nn import add, multiply

__all__ = ["PREDICTIONS", "Predicts", "loss_weights", "predicted_noise", "predicted_sample", "target"]

Predicts = Literal["noise", "sample", "velocity", "residual"]
"""Outputs p x0 + q noise of a network: epsilon; x0; v = s noise - n x0; and x0 less the part of x that is left of it
where the noise is below `RESIDUAL`. s = sqrt(a_t), n = sqrt(1 - a_t)."""
PREDICTIONS: tuple[Predicts, ...] = get_args(Predicts)
RESIDUAL = 0.1
"""Deviation of a network's error that "residual" is made for: less noise than that is better left in x."""


def _combination(predicts: Predicts, signal: Any, noise: Any) -> tuple[Any, Any]:
    """Return p and q of the output p x0 + q noise, where x = signal x0 + noise * noise."""
    if predicts not in PREDICTIONS:
        raise InvalidValueError(f"predicts is {predicts!r}; expected one of {', '.join(PREDICTIONS)}")
    if predicts == "residual":
        part = signal * RESIDUAL**2 / ((signal * RESIDUAL) ** 2 + noise**2)
        return 1 - part * signal, -part * noise
    return {"noise": (0.0, 1.0), "sample": (1.0, 0.0), "velocity": (-noise, signal)}[predicts]


def target(predicts: Predicts, x0: Any, noise: Any, signal: Any, deviation: Any) -> Any:
    """Return the right output of the network: p x0 + q noise.

    Parameters
    ----------
    predicts : {"noise", "sample", "velocity", "residual"}
    x0, noise : arrays of one shape
    signal, deviation : numbers or arrays that multiply them
        sqrt(a_t) and sqrt(1 - a_t).

    Returns
    -------
    array
    """
    p, q = _combination(predicts, signal, deviation)
    return p * x0 + q * noise


def predicted_sample(predicts: Predicts, output: Any, x: Any, signal: Any, deviation: Any) -> Any:
    """Return x0 of an output at x: (n o - q x) / (p n - q s), with n = `deviation` and s = `signal`.

    With "noise" it divides by s, which is small at the last steps: errors of the network grow by as much there.

    Parameters
    ----------
    predicts : {"noise", "sample", "velocity", "residual"}
    output : array or variable
    x : array of its shape
    signal, deviation : numbers or arrays that multiply them
        sqrt(a_t) and sqrt(1 - a_t).

    Returns
    -------
    array or variable
    """
    p, q = _combination(predicts, signal, deviation)
    scale = 1 / (p * deviation - q * signal)
    return add(multiply(output, scale * deviation), -(scale * q) * x)


def predicted_noise(x0: Any, x: Any, signal: Any, deviation: Any) -> Any:
    """Return the noise between a sample and x: (x - signal x0) / deviation.

    Parameters
    ----------
    x0, x : arrays of one shape
    signal, deviation : numbers or arrays that multiply them

    Returns
    -------
    array
    """
    return (x - signal * x0) / deviation


def loss_weights(predicts: Predicts, signals: np.ndarray, noises: np.ndarray, largest: float = 5.0) -> np.ndarray:
    """Return weights of squared errors of x0: those of errors of the noise, or of the velocity, up to a limit.

    An error e of x0 is one of e s / n of the noise, and of e / n of the velocity.

    Parameters
    ----------
    predicts : {"noise", "sample", "velocity", "residual"}
    signals, noises : arrays
        a_t and 1 - a_t.
    largest : float
        Without it steps of little noise would be all that counts.

    Returns
    -------
    array

    References
    ----------
    Hang et al., ICCV 2023, arXiv:2303.09556 (min-SNR).
    """
    ratio = signals / noises if predicts == "noise" else 1 / noises
    return np.minimum(ratio, largest)
