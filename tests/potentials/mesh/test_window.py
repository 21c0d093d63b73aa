"""B-splines: a partition of one, their transform, sums over aliases."""

from __future__ import annotations

import numpy as np
import pytest

from sci.potentials.mesh.window import LANES, ORDERS, alias_sums, spline_taps, spline_transform


@pytest.mark.parametrize("order", ORDERS)
def test_weights_are_a_partition_of_one_and_keep_the_mean(order):
    taps = spline_taps(order)
    assert taps.shape == (order, LANES)
    assert (taps[:, order:] == 0).all()
    t = np.linspace(-0.5, 0.5, 11)
    weights = t[:, None] ** np.arange(order) @ taps
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-13)
    assert (weights[:, :order] > -1e-12).all()
    # The mean place of the weights moves with t: points are floor(u) - P + 1 + j, and the spline is centered at P / 2.
    np.testing.assert_allclose(weights[:, :order] @ (np.arange(order) - (order - 1)), t + 0.5 - order / 2, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_the_transform_is_that_of_the_weights(order):
    n, m = 16, 3
    t = np.linspace(-0.5, 0.5, 4001)
    weights = t[:, None] ** np.arange(order) @ spline_taps(order)[:, :order]
    x = np.arange(order) - (order - 1) - (t[:, None] + 0.5) + order / 2  # place of each point from the charge
    waves = (weights * np.exp(-2j * np.pi * m / n * x)).sum(axis=1)
    assert np.trapezoid(waves, t) == pytest.approx(spline_transform(np.array([m]), n, order)[0], abs=1e-7)


def test_alias_sums():
    m, n, order = np.array([0.0, 2.0, -5.0]), 12, 6
    zeroth, first, second = alias_sums(m, n, order)
    for i, mode in enumerate(m):
        others = mode + n * np.array([-3, -2, -1, 1, 2, 3])
        w = (np.sinc(others / n) / np.sinc(mode / n)) ** (2 * order)
        assert zeroth[i] == pytest.approx(w.sum(), rel=1e-12, abs=1e-150)
        assert first[i] == pytest.approx((others * w).sum(), rel=1e-12, abs=1e-25)
        assert second[i] == pytest.approx((others**2 * w).sum(), rel=1e-12, abs=1e-25)
