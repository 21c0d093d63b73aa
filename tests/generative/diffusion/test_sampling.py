"""Samples: distributions, numbers of steps, and ranks that give the same ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative import ExactDenoiser, NoiseSchedule, cosine_schedule, draw_samples
from sci.generative.diffusion.sampling import sampling_steps

SCHEDULE = cosine_schedule(40)
DENOISER = ExactDenoiser(SCHEDULE, np.random.default_rng(2).normal(size=(5, 3)))


def gaussian(mean: float, variance: float) -> Any:
    """Return the exact denoiser of normal numbers."""

    def denoise(x: np.ndarray, step: int) -> np.ndarray:
        signal, noise = SCHEDULE.signals[step], SCHEDULE.noises[step]
        gain = np.sqrt(signal) * variance / (signal * variance + noise)
        return mean + gain * (x - np.sqrt(signal) * mean)

    return denoise


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_normal_numbers_come_out_with_their_mean_and_variance(eta: float) -> None:
    """Each step keeps the mean exactly; the variance is that of finitely many steps."""
    found = draw_samples(gaussian(2.0, 0.25), SCHEDULE, 4000, [2], eta=eta, seed=3, batch_size=4000)
    assert abs(found.mean() - 2) < 0.03
    assert found.var() == pytest.approx(0.25, rel=0.15)


@pytest.mark.parametrize("count", [1, 7, 33])
def test_the_samples_are_the_same_on_any_number_of_ranks(count: int) -> None:
    options: dict[str, Any] = {"seed": 9, "batch_size": 4}
    alone = draw_samples(DENOISER, SCHEDULE, count, [3], **options)

    def body(comm: ThreadComm) -> np.ndarray:
        return draw_samples(DENOISER, SCHEDULE, count, [3], comm=comm, **options)

    for ranks in (2, 3):
        for found in on_ranks(ranks, body):
            np.testing.assert_array_equal(found, alone)


def test_a_sample_does_not_depend_on_how_many_there_are() -> None:
    few, many = (draw_samples(DENOISER, SCHEDULE, n, [3], seed=1, batch_size=2) for n in (2, 6))
    np.testing.assert_array_equal(many[:2], few)


def test_steps_are_spread_over_the_schedule() -> None:
    assert sampling_steps(SCHEDULE, None) == list(range(40, -1, -1))
    assert sampling_steps(SCHEDULE, 4) == [40, 30, 20, 10, 0]
    assert sampling_steps(SCHEDULE, 1) == [40, 0]
    with pytest.raises(InvalidValueError, match="1 to 40"):
        sampling_steps(SCHEDULE, 41)
    corners = ExactDenoiser(SCHEDULE, 30 * np.eye(3))  # so far apart that a few steps choose one
    found = draw_samples(corners, SCHEDULE, 20, [3], steps=8, eta=0.0)
    assert np.abs(found[:, None] - corners.points).max(axis=2).min(axis=1).max() < 1e-12


def test_conditions_reach_the_denoiser_by_their_rows() -> None:
    wanted = np.arange(5.0)[:, None]
    found = draw_samples(lambda x, t, given: given + 0 * x, SCHEDULE, 5, [1], conditions=wanted, batch_size=2)
    np.testing.assert_array_equal(found, wanted)


def test_a_denoiser_that_fails_and_numbers_without_sense_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="what the denoiser returned at step 40"):
        draw_samples(lambda x, t: x * np.nan, SCHEDULE, 2, [1])
    with pytest.raises(ShapeError, match="the denoiser returned"):
        draw_samples(lambda x, t: x[:1], SCHEDULE, 2, [1])
    for options in ({"eta": 1.1}, {"seed": -1}, {"batch_size": 0}, {"steps": 0}):
        with pytest.raises(InvalidValueError):
            draw_samples(DENOISER, SCHEDULE, 2, [3], **options)
    with pytest.raises(DTypeError, match="dtype"):
        draw_samples(DENOISER, SCHEDULE, 2, [3], dtype=np.int64)
    with pytest.raises(ShapeError, match="one for each"):
        draw_samples(DENOISER, SCHEDULE, 2, [3], conditions=np.ones((3, 1)))
    with pytest.raises(ShapeError, match="shape"):
        draw_samples(DENOISER, SCHEDULE, 2, [])


def test_a_schedule_of_one_step_denoises_once() -> None:
    schedule = NoiseSchedule([0.9])
    np.testing.assert_array_equal(draw_samples(lambda x, t: 0 * x + t, schedule, 2, [1]), [[1.0], [1.0]])


def test_a_denoiser_of_another_dtype_does_not_change_that_of_samples() -> None:
    schedule = cosine_schedule(10)
    found = draw_samples(lambda x, step: 0.5 * x.astype(np.float64), schedule, 2, [1], dtype=np.float32)
    assert found.dtype == np.float32
    with pytest.raises(DTypeError, match="complex128"):
        draw_samples(lambda x, step: x * 1j, schedule, 2, [1])
