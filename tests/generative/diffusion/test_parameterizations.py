"""Outputs of networks as samples and noise, and the weights of their errors."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.generative import cosine_schedule
from sci.generative.diffusion.parameterizations import (
    Predicts,
    loss_weights,
    predicted_noise,
    predicted_sample,
    target,
)


@pytest.mark.parametrize("predicts", get_args(Predicts))
@pytest.mark.parametrize("step", [1, 10, 50, 99])
def test_the_right_output_gives_sample_and_noise_back(predicts: Predicts, step: int) -> None:
    rng, schedule = np.random.default_rng(0), cosine_schedule(100)
    x0, noise = rng.normal(size=(2, 4, 3))
    signal, deviation = schedule.levels(step, x0)
    x = schedule.add_noise(x0, noise, step)
    output = target(predicts, x0, noise, signal, deviation)
    found = predicted_sample(predicts, output, x, signal, deviation)
    np.testing.assert_allclose(found, x0, rtol=0, atol=1e-11)
    np.testing.assert_allclose(predicted_noise(found, x, signal, deviation), noise, rtol=0, atol=1e-11)


def test_the_three_of_the_literature_are_noise_sample_and_velocity() -> None:
    x0, noise, signal, deviation = np.array([2.0]), np.array([3.0]), 0.8, 0.6
    assert target("noise", x0, noise, signal, deviation) == 3
    assert target("sample", x0, noise, signal, deviation) == 2
    assert target("velocity", x0, noise, signal, deviation) == pytest.approx(0.8 * 3 - 0.6 * 2)


def test_weights_are_errors_of_noise_and_velocity_up_to_a_limit() -> None:
    signals, noises = np.array([0.2, 0.5, 0.99]), np.array([0.8, 0.5, 0.01])
    np.testing.assert_allclose(loss_weights("noise", signals, noises), [0.25, 1, 5])
    np.testing.assert_allclose(loss_weights("velocity", signals, noises), [1.25, 2, 5])
    with pytest.raises(InvalidValueError, match="predicts"):
        predicted_sample("score", signals, signals, 0.5, 0.5)  # type: ignore[arg-type]
