"""Soft minima and weighted sums against those of the matrix of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from sci.linalg import log_sum_exp, weighted_sum

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("rate", [1e-6, 1.0, 1e6])
def test_log_sum_exp_is_that_of_the_matrix(rate: float) -> None:
    x, y, h = RNG.normal(size=(50, 3)), RNG.normal(size=(70, 3)), RNG.normal(size=70)
    h[3] = -np.inf
    expected = logsumexp(h - rate * cdist(x, y, "sqeuclidean"), axis=1)
    found = log_sum_exp(x, y, h, rate)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    weights = np.exp(h - rate * cdist(x, y, "sqeuclidean") - expected[:, None])
    values = RNG.normal(size=(70, 6))
    np.testing.assert_allclose(weighted_sum(x, y, values, h, rate, found), weights @ values, rtol=0, atol=2e-9)
    ones = weighted_sum(x, y, np.ones((70, 1)), h, rate, found)
    np.testing.assert_allclose(ones, 1, rtol=2e-9)


def test_a_sum_over_nothing_is_minus_infinity() -> None:
    with np.errstate(all="raise"):
        found = log_sum_exp([[0.0]], [[1.0], [2.0]], [-np.inf, -np.inf], 1.0)
    assert found[0] == -np.inf
