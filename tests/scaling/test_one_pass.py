"""Expected losses of one pass of stochastic gradients against sampled passes."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.scaling import one_pass_loss

RNG = np.random.default_rng(0)
LAM = np.arange(1, 33) ** -1.5
GOAL = RNG.normal(size=32)
AT = [0, 5, 20, 80]


def _sampled(rate: float, batch: int, noise: float, decay: float, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error of the loss over sampled passes."""
    rng = np.random.default_rng(1)
    w, found = np.zeros((runs, 32)), []
    for t in range(AT[-1] + 1):
        if t in AT:
            found.append(((w - GOAL) ** 2) @ LAM)
        x = rng.normal(size=(runs, batch, 32)) * np.sqrt(LAM)
        off = np.einsum("rbd,rd->rb", x, w - GOAL) - noise * rng.normal(size=(runs, batch))
        w = w - rate * (np.einsum("rbd,rb->rd", x, off) / batch + decay * w)
    losses = np.array(found)
    return losses.mean(axis=1), losses.std(axis=1) / np.sqrt(runs)


@pytest.mark.parametrize(
    ("rate", "batch", "noise", "decay"), [(0.1, 4, 0.3, 0.05), (0.3, 1, 0.0, 0.0), (0.2, 2, 1.0, 0.0)]
)
def test_the_recursion_is_the_mean_of_samples(rate: float, batch: int, noise: float, decay: float) -> None:
    exact = one_pass_loss(LAM, GOAL, AT, rate=rate, batch=batch, noise=noise, decay=decay)
    mean, error = _sampled(rate, batch, noise, decay, 2000)
    assert (np.abs(exact - mean) <= 3.5 * error + 1e-12).all()
    np.testing.assert_allclose(exact[0], LAM @ GOAL**2, rtol=1e-14)


def test_infinite_batches_are_gradient_descent() -> None:
    found = one_pass_loss(LAM, GOAL, [50], rate=0.3, batch=10**12)
    np.testing.assert_allclose(found, [LAM @ ((1 - 0.3 * LAM) ** 50 * GOAL) ** 2], rtol=1e-9)


def test_a_large_rate_is_ahead_early_and_behind_late() -> None:
    # The second crossing of two rates, and a decay that never pays.
    lam, goal = np.arange(1, 65) ** -1.5, np.random.default_rng(0).normal(size=64)
    at = [8192, 16384]
    fast, slow = (one_pass_loss(lam, goal, at, rate=r, batch=2, noise=0.3) for r in (0.3, 0.03))
    assert fast[0] < slow[0]
    assert fast[1] > slow[1]
    assert one_pass_loss(lam, goal, at, rate=0.3, batch=2, noise=0.3, decay=0.02)[1] > 5 * fast[1]


def test_steps_come_back_in_their_order() -> None:
    forward = one_pass_loss(LAM, GOAL, [0, 5, 9], rate=0.1)
    np.testing.assert_array_equal(one_pass_loss(LAM, GOAL, [9, 0, 5, 0], rate=0.1), forward[[2, 0, 1, 0]])


def test_what_diverges_or_does_not_fit_is_refused() -> None:
    with pytest.raises(ConvergenceError, match="too large"):
        one_pass_loss(LAM, GOAL, [10**5], rate=5.0)
    with pytest.raises(InvalidValueError, match="batch"):
        one_pass_loss(LAM, GOAL, [1], rate=0.1, batch=0)
    with pytest.raises(InvalidValueError, match="spectrum"):
        one_pass_loss(-LAM, GOAL, [1], rate=0.1)
    with pytest.raises(ShapeError):
        one_pass_loss(LAM, GOAL[:-1], [1], rate=0.1)
    with pytest.raises(ShapeError, match="steps"):
        one_pass_loss(LAM, GOAL, [], rate=0.1)
