"""The exact denoiser against the softmax over all points, and its samples against the set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import chisquare

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative import ExactDenoiser, cosine_schedule, draw_samples

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_mean_under_the_posterior_of_the_points(weighted: bool) -> None:
    schedule, points, x = cosine_schedule(100), RNG.normal(size=(12, 3, 4)), RNG.normal(size=(5, 3, 4))
    points[:, 0] = 0.25  # entries that all share
    weights = np.arange(1.0, 13.0) if weighted else None
    denoiser = ExactDenoiser(schedule, points, weights)
    for t in (1, 30, 60, 100):
        squared = ((x[:, None] - np.sqrt(schedule.signals[t]) * points) ** 2).sum(axis=(2, 3))
        logs = -squared / (2 * schedule.noises[t]) + (0 if weights is None else np.log(weights))
        expected = np.einsum("nm,mab->nab", softmax(logs, axis=1), points)
        np.testing.assert_allclose(denoiser(x, t), expected, rtol=0, atol=2e-12)
        np.testing.assert_array_equal(denoiser(x, t)[:, 0], 0.25)


def test_samples_are_points_of_the_set_as_often_as_their_weights() -> None:
    schedule, points = cosine_schedule(50), RNG.normal(size=(6, 40))
    weights = np.array([1.0, 1, 2, 2, 3, 3])
    for eta in (0.0, 1.0):
        options = {"eta": eta, "seed": 1, "batch_size": 100}
        found = draw_samples(ExactDenoiser(schedule, points, weights), schedule, 600, [40], **options)
        distances = np.abs(found[:, None] - points).max(axis=2)
        assert distances.min(axis=1).max() <= 2e-16
        counts = np.bincount(distances.argmin(axis=1), minlength=6)
        assert chisquare(counts, 600 * weights / weights.sum()).pvalue > 0.01


def test_one_point_and_equal_points_are_given_back() -> None:
    schedule = cosine_schedule(10)
    for points in (np.ones((1, 3)), np.ones((4, 3))):
        np.testing.assert_array_equal(ExactDenoiser(schedule, points)(np.zeros((2, 3)), 5), np.ones((2, 3)))
    assert ExactDenoiser(schedule, points.astype("f4"))(np.zeros((2, 3), "f4"), 5).dtype == np.float32


def test_what_is_no_set_is_refused() -> None:
    schedule = cosine_schedule(10)
    with pytest.raises(ShapeError, match="one point at least"):
        ExactDenoiser(schedule, np.ones((0, 3)))
    with pytest.raises(InvalidValueError, match="not positive"):
        ExactDenoiser(schedule, np.ones((2, 3)), [1.0, 0.0])
    with pytest.raises(InvalidValueError, match="points"):
        ExactDenoiser(schedule, np.array([[np.nan, 1.0]]))
    with pytest.raises(ShapeError, match=r"expected \(n, 3\)"):
        ExactDenoiser(schedule, np.ones((2, 3)))(np.ones((2, 4)), 5)
    with pytest.raises(InvalidValueError, match="step is 0"):
        ExactDenoiser(schedule, np.ones((2, 3)))(np.ones((2, 3)), 0)


def test_points_of_integers_are_points_of_floats() -> None:
    points, weights, x = np.array([[-1], [1], [4]]), [1.0, 2.0, 0.5], np.array([[0.3], [0.9]])
    schedule = cosine_schedule(20)
    found, expected = ExactDenoiser(schedule, points, weights), ExactDenoiser(schedule, points.astype(float), weights)
    np.testing.assert_array_equal(found(x, 15), expected(x, 15))
    assert found(x[:0], 15).shape == (0, 1)
    with pytest.raises(DTypeError, match="int64"):
        found(points, 15)
