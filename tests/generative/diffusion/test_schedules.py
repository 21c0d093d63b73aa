"""Noise schedules against products in many digits, and their transitions against Bayes' rule."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative import NoiseSchedule, cosine_schedule, linear_schedule


@pytest.mark.parametrize("schedule", [cosine_schedule(200), cosine_schedule(1000), linear_schedule(1000)], ids=repr)
def test_signals_and_noises_are_those_of_exact_products(schedule: NoiseSchedule) -> None:
    with mpmath.workdps(50):
        product = mpmath.mpf(1)
        for t, beta in enumerate(schedule.betas, 1):
            product *= 1 - mpmath.mpf(beta)
            assert abs(schedule.signals[t] / product - 1) < 3e-13
            assert abs(schedule.noises[t] / (1 - product) - 1) < 3e-13


def test_the_cosine_schedule_is_the_formula_up_to_its_clipped_last_beta() -> None:
    schedule = cosine_schedule(50)
    with mpmath.workdps(50):
        f = [
            mpmath.cos((mpmath.mpf(t) / 50 + mpmath.mpf(0.008)) / (1 + mpmath.mpf(0.008)) * mpmath.pi / 2) ** 2
            for t in range(51)
        ]
        for t in range(1, 50):
            assert abs(schedule.betas[t - 1] / (1 - f[t] / f[t - 1]) - 1) < 1e-14
    assert schedule.betas[-1] == 0.999


def test_the_posterior_is_that_of_two_gaussians() -> None:
    """q(x_{t-1} | x_t, x0) from the product of q(x_t | x_{t-1}) and q(x_{t-1} | x0)."""
    schedule = linear_schedule(20, last=0.3)
    x0, x = np.array([0.7]), np.array([-1.2])
    for t in range(2, 21):
        beta, before = schedule.betas[t - 1], schedule.signals[t - 1]
        precision = (1 - beta) / beta + 1 / (1 - before)
        mean = (np.sqrt(1 - beta) / beta * x + np.sqrt(before) / (1 - before) * x0) / precision
        np.testing.assert_allclose(schedule.posterior_mean(x0, x, t), mean, rtol=1e-12)
        assert schedule.posterior_variance(t) == pytest.approx(1 / precision, rel=1e-12)
        assert schedule.transition(t, t - 1).deviation ** 2 == pytest.approx(1 / precision, rel=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("pair", [(20, 19), (20, 3), (7, 1), (1, 0), (20, 0)])
def test_a_transition_keeps_the_distribution(eta: float, pair: tuple[int, int]) -> None:
    """Of x_t = s x0 + n noise it makes x_s with the signal and the noise of s."""
    schedule = linear_schedule(20, last=0.3)
    t, s = pair
    of_sample, of_noisy, deviation = schedule.transition(t, s, eta)
    signal = of_sample + of_noisy * np.sqrt(schedule.signals[t])
    noise = of_noisy**2 * schedule.noises[t] + deviation**2
    assert signal == pytest.approx(np.sqrt(schedule.signals[s]), rel=1e-13)
    assert noise == pytest.approx(schedule.noises[s], rel=1e-12, abs=1e-15)


def test_noise_is_added_with_a_step_for_each_row() -> None:
    schedule, rng = cosine_schedule(10), np.random.default_rng(0)
    x0, noise = rng.normal(size=(2, 3, 4, 5))
    found = schedule.add_noise(x0, noise, np.array([0, 3, 10]))
    np.testing.assert_array_equal(found[0], x0[0])
    np.testing.assert_allclose(found[1], np.sqrt(schedule.signals[3]) * x0[1] + np.sqrt(schedule.noises[3]) * noise[1])
    assert schedule.add_noise(x0.astype("f4"), noise.astype("f4"), 3).dtype == np.float32


def test_what_is_no_schedule_or_step_is_refused() -> None:
    for betas in ([0.5, 1.0], [0.0], [np.nan, 0.1], [-0.1]):
        with pytest.raises(InvalidValueError, match=r"of step|betas\[0\] is nan"):
            NoiseSchedule(betas)
    with pytest.raises(ShapeError, match="one step at least"):
        NoiseSchedule([])
    with pytest.raises(InvalidValueError, match="underflows"):
        NoiseSchedule([0.999] * 200)
    schedule = cosine_schedule(10)
    for step, previous, eta in ((0, 0, 1), (11, 3, 1), (3, 3, 1), (3, -1, 1), (3, 2, 1.5), (3, 2, np.nan)):
        with pytest.raises(InvalidValueError):
            schedule.transition(step, previous, eta)
    with pytest.raises(InvalidValueError, match="0 to 10"):
        schedule.add_noise(np.ones((2, 1)), np.ones((2, 1)), np.array([1, 11]))
    with pytest.raises(ShapeError, match="one for each"):
        schedule.add_noise(np.ones((2, 1)), np.ones((2, 1)), np.array([1, 2, 3]))
    with pytest.raises(InvalidValueError, match="largest_beta"):
        cosine_schedule(10, largest_beta=1.0)


def test_integers_and_other_shapes_are_refused() -> None:
    """Factors of integers would be rounded to 0, and shapes be broadcast."""
    schedule, ones = cosine_schedule(20), np.ones((2, 1))
    with pytest.raises(DTypeError, match="int64"):
        schedule.add_noise(ones.astype(int), ones.astype(int), 5)
    with pytest.raises(ShapeError, match=r"x of shape \(1, 2\)"):
        schedule.posterior_mean(np.ones((3, 1)), np.ones((1, 2)), 3)
