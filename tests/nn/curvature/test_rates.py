"""Largest stable rates: the recurrence of mean squares turns there; descent with fresh batches diverges beyond."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci import nn
from sci.errors import ConvergenceError, InvalidValueError
from sci.nn import WignerNoise, batch_curvature, largest_stable_rate


def growth(rate: float, outlier: float, spread: float, momentum: float) -> float:
    """Factor per step of the mean squares of x_t, x_t x_(t-1), x_(t-1) with curvatures of mean and variance given."""
    a, b = 1 + momentum - rate * outlier, momentum
    step = np.array([[a * a + rate**2 * spread, -2 * a * b, b * b], [a, -b, 0.0], [1.0, 0.0, 0.0]])
    return float(np.abs(np.linalg.eigvals(step)).max())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("batch_size", [1, 20, 500, 1000])
def test_mean_squares_grow_beyond_the_rate_and_not_below(momentum: float, batch_size: int) -> None:
    noise = WignerNoise(700, 0.3, samples=1000)
    found = largest_stable_rate(2.5, noise, [batch_size], momentum=momentum)
    spread = float(noise.spread(batch_size))
    assert growth(found.rates[0] * (1 - 1e-5), 2.5, spread, momentum) < 1
    assert growth(found.rates[0] * (1 + 1e-5), 2.5, spread, momentum) > 1
    assert all(growth(found.rates[0] * f, 2.5, spread, momentum) < 1 for f in np.linspace(0.02, 0.98, 25))


def test_linear_then_a_plateau() -> None:
    found = largest_stable_rate(2.0, WignerNoise(1000, 0.4), [1, 2, 10**6, 10**7], momentum=0.9)
    np.testing.assert_allclose(found.rates[1] / found.rates[0], 2, rtol=2e-3)
    np.testing.assert_allclose(found.rates[2:], found.plateau, rtol=2e-3)
    assert found.plateau == 2 * 1.9 / 2.0
    half = largest_stable_rate(2.0, WignerNoise(1000, 0.4), [found.crossover], momentum=0.9)
    np.testing.assert_allclose(half.rates, found.plateau / 2)


def test_adaptive_rates_follow_the_root() -> None:
    found = largest_stable_rate(2.0, WignerNoise(1000, 40.0), [1, 4, 10**9])
    np.testing.assert_allclose(found.adaptive(1e-3, 1)[:2], [1e-3, 2e-3], rtol=1e-3)
    np.testing.assert_allclose(
        found.adaptive(1e-3, 10**9)[0] / 1e-3, np.sqrt(found.rates[0] / found.plateau), rtol=1e-4
    )
    with pytest.raises(InvalidValueError, match="at a batch of 3; expected a positive rate at one of"):
        found.adaptive(1e-3, 3)


def test_errors_are_those_of_small_changes() -> None:
    noise, options = WignerNoise(100, 0.2), {"momentum": 0.5}
    base = largest_stable_rate(2.0, noise, [1, 30], **options, outlier_error=1e-4)
    moved = largest_stable_rate(2.0 + 1e-4, noise, [1, 30], **options)
    np.testing.assert_allclose(base.errors, np.abs(moved.rates - base.rates), rtol=1e-3)
    base = largest_stable_rate(2.0, noise, [1, 30], **options, spread_error=1e-4)
    moved = largest_stable_rate(2.0, WignerNoise(100, 0.2 + 1e-6), [1, 30], **options)
    np.testing.assert_allclose(base.errors, np.abs(moved.rates - base.rates), rtol=1e-3)


def test_bad_input_is_refused() -> None:
    noise = WignerNoise(100, 0.2)
    for call in (
        lambda: largest_stable_rate(0.0, noise, [1]),
        lambda: largest_stable_rate(1.0, noise, []),
        lambda: largest_stable_rate(1.0, noise, [1], momentum=1.0),
        lambda: largest_stable_rate(1.0, noise, [0]),
    ):
        with pytest.raises(InvalidValueError, match="expected"):
            call()


X = np.random.default_rng(0).normal(size=(2000, 80)) * np.r_[2.0, np.ones(79)]
Y = X @ np.random.default_rng(1).normal(size=(80, 1))


def predict(v: Any, batch: Any) -> Any:
    return nn.linear(batch[0], v["w"])


def squares(z: Any, batch: Any) -> Any:
    return nn.mean_squared_error(z, batch[1])


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_descent_with_fresh_batches_is_stable_below_and_diverges_above(momentum: float) -> None:
    """Linear regression with one outlier: rates from batches of 1 to 256 samples differ by a factor of 25 or more."""
    start = {"w": np.zeros((1, 80))}
    found = batch_curvature(predict, squares, start, (X, Y), [1, 16, 256]).rates(momentum=momentum)
    assert found.rates[2] > 20 * found.rates[0]
    for b, rate in zip(found.batch_sizes, found.rates):
        ends = []
        for factor in (0.8, 2.0):
            optimizer = nn.SGDP(factor * rate, momentum=momentum, delta=0.0)
            try:
                done = nn.train(
                    *(lambda v, batch: squares(predict(v, batch), batch), start, (X, Y)),
                    optimizer=optimizer,
                    epochs=max(1, 100 * int(b) // 2000),
                    batch_size=int(b),
                )
                ends.append(done.losses[-10:].mean())
            except ConvergenceError:
                ends.append(np.inf)
        assert ends[0] < 1e-2 < 1e6 < ends[1]
