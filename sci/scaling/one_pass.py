"""The exact expected loss of one pass of stochastic gradients over Gaussian data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sci.arguments import Real, entry
from sci.backend import as_finite, to_host
from sci.errors import ConvergenceError, InvalidValueError, ShapeError

__all__ = ["one_pass_loss"]


@entry
def one_pass_loss(
    spectrum: Real,
    target: Real,
    steps: Sequence[int],
    *,
    rate: float,
    batch: int = 1,
    noise: float = 0.0,
    decay: float = 0.0,
    start: Real | None = None,
) -> np.ndarray:
    """Return the expected excess loss E sum_i lambda_i (w_i - w*_i)^2 of stochastic gradients on linear regression.

    The data are x ~ N(0, diag(lambda)), y = x w* + noise e; each step sees a new batch:
    w <- w - rate (mean over the batch of x (x w - y) + decay w).

    Parameters
    ----------
    spectrum : (d,) array
        lambda, not negative.
    target : (d,) array
        w*.
    steps : sequence of int
        Numbers of steps at which the loss is returned, from 0.
    rate : float
    batch : int
    noise : float
        Standard deviation of y about x w*.
    decay : float
    start : (d,) array, optional
        w before the first step; zero unless given.

    Returns
    -------
    (len(steps),) float64 array
        In the order of `steps`.

    Raises
    ------
    ConvergenceError
        If the loss overflows: the rate is too large for the spectrum and the batch.
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    With delta = w - w*, a = 1 - rate (lambda + decay), c = -rate decay w*, the mean m and the diagonal s of
    S = E delta delta' obey m <- a m + c and
    s <- a^2 s + 2 a m c + c^2 + rate^2 / batch (lambda^2 s + lambda (sum_i lambda_i s_i + noise^2)),
    from the fourth moments of normal numbers (Isserlis). Only the diagonal of S enters the loss, and it does not need
    the rest: 10 d operations a step.

    References
    ----------
    Xiao, arXiv:2409.15156 (the regime of one pass); the recursion is that of least-mean-squares filters, Haykin,
    Adaptive Filter Theory.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import one_pass_loss
    >>> one_pass_loss(np.ones(1), np.ones(1), [0, 1], rate=0.5).round(6)
    array([1.  , 0.75])
    """
    lam = as_finite(to_host(spectrum), "spectrum", shape=(None,)).astype(float)
    goal = as_finite(to_host(target), "target", shape=lam.shape).astype(float)
    first = np.zeros_like(goal) if start is None else as_finite(to_host(start), "start", shape=lam.shape).astype(float)
    wanted = np.asarray(steps, dtype=np.int64)
    if wanted.ndim != 1 or not wanted.size:
        raise ShapeError(f"steps has shape {wanted.shape}; expected one axis of at least one number")
    if wanted.min() < 0 or batch < 1 or min(rate, noise, decay) < 0 or (lam.size and lam.min() < 0):
        raise InvalidValueError(
            f"steps from {wanted.min()}, batch {batch}, rate {rate}, noise {noise}, decay {decay}, spectrum from "
            f"{lam.min(initial=0):g}; expected numbers from 0 and a batch of at least 1"
        )
    a, c = 1 - rate * (lam + decay), -rate * decay * goal
    mean = first - goal
    square, losses = mean**2, {}
    last, due = int(wanted.max()), set(wanted.tolist())
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(last + 1):
            loss = float(lam @ square)
            if t in due:
                losses[t] = loss
            if not np.isfinite(loss):
                raise ConvergenceError(
                    f"one_pass_loss: the loss overflows at step {t}; rate {rate:g} is too large for a spectrum that "
                    f"adds up to {lam.sum():g} and batches of {batch}"
                )
            shared = rate**2 / batch * lam
            square = a * a * square + 2 * a * mean * c + c * c + shared * (lam * square + loss + noise**2)
            mean = a * mean + c
    return np.array([losses[t] for t in wanted.tolist()])
