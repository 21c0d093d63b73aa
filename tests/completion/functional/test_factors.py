"""Factors along an axis: packed moments, and hyperparameters that raise the evidence."""

from __future__ import annotations

import numpy as np
import pytest

from sci.completion import Axis
from sci.completion.functional.factors import Factor, packed_moments, points_of
from sci.linalg import log_evidence, matern_chain

RNG = np.random.default_rng(2)


def test_packed_moments_are_the_second_moments() -> None:
    u, root, free = RNG.normal(size=(5, 2, 4)), RNG.normal(size=(5, 2, 2, 2)), np.array([1, 3])
    covariance = root @ root.swapaxes(-1, -2)
    full = u[..., :, None] * u[..., None, :]
    full[..., free[:, None], free] += covariance
    rows, columns = np.triu_indices(4)
    np.testing.assert_allclose(packed_moments(u, covariance, free), full[..., rows, columns], rtol=1e-15)


def test_points_are_in_units_of_the_range() -> None:
    np.testing.assert_array_equal(points_of(Axis("x", np.array([2.0, 3.0, 6.0]))), [0, 0.25, 1])
    np.testing.assert_array_equal(points_of(Axis("x", np.array(["a", "b"]))), [0, 1])
    far = points_of(Axis("x", np.array([0.0, 1e-3])), np.array([-1e308, 5e-4, 1e308]))
    np.testing.assert_array_equal(far, [-1e6, 0.5, 1e6])


@pytest.mark.parametrize("smoothness", [0.5, 1.5, 2.5, 0.0])
def test_updates_with_fixed_messages_raise_the_evidence_until_it_is_stationary(smoothness: float) -> None:
    """Variances and length scales climb; the truth has other ones than the start."""
    x = np.linspace(0, 1, 60)
    axis, truth = Axis("x", x), np.stack([np.sin(2 * np.pi * x), 0.3 * np.cos(9 * x)], axis=1)
    precision = np.broadcast_to(100 * np.eye(2), (60, 1, 2, 2)).copy()
    information = 100 * (truth + 0.1 * RNG.normal(size=truth.shape))[:, None]
    factor, local = Factor(axis, np.arange(2), smoothness, 1), np.array([0])

    def evidence() -> float:
        chain = matern_chain(points_of(axis), factor.lengths, smoothness)
        return float(log_evidence(chain, factor.next_variances, precision, information)[0])

    values = [evidence()]
    for sweep in range(40):
        factor.update(local, precision, information, sweep)
        values.append(evidence())
    assert (np.diff(values) >= -1e-9 * abs(values[-1])).all()
    if smoothness:
        factor.update(local, precision, information, 40)
        assert np.abs(factor.slope).max() < 1.0
        assert values[-1] > values[0] + 5


def test_restarts_that_ended_stay_as_they_are() -> None:
    factor = Factor(Axis("x", np.arange(5.0)), np.arange(1), 1.5, 3)
    precision, information = np.ones((5, 2, 1, 1)), np.ones((5, 2, 1))
    mean, _ = factor.update(np.array([0, 2]), precision, information, 0)
    assert mean.shape == (5, 2, 1)
    assert factor.information[:, 1].max() == 0.0
    assert factor.information[:, [0, 2]].min() == 1.0
    assert factor.update(np.array([], int), precision[:, :0], information[:, :0], 1)[0].shape == (5, 0, 1)
