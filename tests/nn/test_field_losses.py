"""Losses of fields in other norms: derivatives, known values, units, refusals, and those of neuraloperator."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import InvalidValueError
from sci.nn import absolute_lp, pointwise_quantile, relative_h1, relative_l2, relative_lp, relative_sobolev


def fields(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=shape)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4])
def test_gradients_of_powers(p):
    u, y = fields(2, 3, 4, 5)
    assert_vjp(relative_lp, [u], target=y, p=p)
    assert_vjp(absolute_lp, [u], target=y, p=p, reduction="sum")


def test_gradients_of_complex_fields():
    (a, b), (c, d) = fields(2, 2, 5), fields(2, 2, 5, seed=1)
    for p in (1, 2, 3):
        assert_vjp(relative_lp, [a + 1j * b], target=c + 1j * d, p=p)


@pytest.mark.parametrize("order", [-1, 0.5, 2])
@pytest.mark.parametrize("grid", [(7,), (6, 5), (4, 3, 4)])
def test_gradients_of_sobolev_norms(order, grid):
    u, y = fields(2, 2, *grid)
    assert_vjp(relative_sobolev, [u], target=y, order=order)


def test_gradients_of_quantiles():
    u, y = fields(4, 2, 6)
    assert_vjp(pointwise_quantile, [u], residuals=y, alpha=0.3)


def test_known_values():
    u, y = fields(3, 2, 8, 9)
    assert float(relative_lp(u, target=y, p=2)) == pytest.approx(float(relative_l2(u, target=y)), rel=1e-13)
    assert float(relative_sobolev(u, target=y, order=0)) == pytest.approx(float(relative_l2(u, target=y)), rel=1e-12)
    expected = (np.abs(u - y).sum((2, 3)) / np.abs(y).sum((2, 3))).sum() / 3
    assert float(relative_lp(u, target=y, p=1)) == pytest.approx(expected, rel=1e-13)
    expected = ((np.abs(u - y) ** 3).mean((2, 3)) ** (1 / 3)).sum()
    assert float(absolute_lp(u, target=y, p=3, reduction="sum")) == pytest.approx(expected, rel=1e-13)
    x = 2 * np.pi * np.arange(256) / 256
    smooth = np.sin(x)[None, None]
    bumps = smooth + 0.1 * np.sin(3 * x)[None, None]
    gap = float(relative_sobolev(bumps, target=smooth)) / float(relative_h1(bumps, target=smooth)) - 1
    assert abs(gap) < 2e-3


def test_units_do_not_matter():
    u, y = fields(2, 1, 16)
    for factor in (1e-200, 1e200):
        for loss, options in ((relative_lp, {"p": 3}), (relative_sobolev, {"order": 2})):
            ours, scaled = loss(u, target=y, **options), loss(factor * u, target=factor * y, **options)
            assert float(scaled) == pytest.approx(float(ours), rel=1e-12)


def test_a_target_of_zeros():
    u = np.ones((1, 1, 8))
    for loss in (relative_lp, relative_sobolev):
        with pytest.raises(InvalidValueError, match="zero everywhere"):
            loss(u, target=0 * u)
    assert float(relative_lp(u, target=0 * u, p=1, zero_scale=2.0)) == pytest.approx(0.5)
    assert float(relative_lp(u, target=u)) == 0
    assert np.all(relative_lp.vjp(np.ones(()), relative_lp.forward(u, target=u)[1])[0] == 0)


def test_what_is_refused():
    u, y = fields(2, 1, 8)
    for call, name in (
        (lambda: relative_lp(u, target=y, p=0.5), "p is 0.5"),
        (lambda: absolute_lp(u, target=y, p=100), "p is 100"),
        (lambda: relative_sobolev(u, target=y, order=7), "order is 7"),
        (lambda: pointwise_quantile(u, residuals=y, alpha=1), "alpha is 1"),
    ):
        with pytest.raises(InvalidValueError, match=name):
            call()


@pytest.mark.peers
def test_neuraloperator():
    torch = pytest.importorskip("torch")
    from neuralop.losses.data_losses import LpLoss, PointwiseQuantileLoss

    u, y = fields(3, 2, 8, 9)
    theirs = [torch.from_numpy(v) for v in (u, y)]
    for p in (1, 2, 3, 4):
        found = float(relative_lp(u, target=y, p=p, reduction="sum"))
        assert found == pytest.approx(float(LpLoss(d=2, p=p).rel(*theirs)), rel=1e-7)  # eps 1e-8 beside norms
        found = float(absolute_lp(u, target=y, p=p, reduction="sum"))
        assert found == pytest.approx(float(LpLoss(d=2, p=p).abs(*theirs)), rel=1e-12)
    for reduction in ("mean", "sum"):
        expected = float(PointwiseQuantileLoss(0.2, reduction)(torch.abs(theirs[0]), theirs[1]))
        found = float(pointwise_quantile(np.abs(u), residuals=y, alpha=0.2, reduction=reduction))
        assert found == pytest.approx(expected, rel=1e-6)  # eps 1e-7 beside the scale


def test_a_share_below_rounding_has_its_own_digits():
    """With 1 - q in place of alpha the weight of a point outside would be 1 / 0."""
    r, w = np.array([[[1.0, 2.0]]]), np.array([[[1.5, 1.0]]])
    for alpha in (1e-17, 1e-100):
        found = float(pointwise_quantile(w, residuals=r, alpha=alpha))
        np.testing.assert_allclose(found, (0.5 / 1 / 2 + 1.0 / 2 / (2 * alpha)) / 2, rtol=1e-14)
    with pytest.raises(InvalidValueError, match="inverse stays within float32"):
        pointwise_quantile(w.astype("f4"), residuals=r.astype("f4"), alpha=1e-25)


@pytest.mark.parametrize("order", [4, -4])
def test_sobolev_weights_beyond_the_dtype_are_refused(order):
    x = np.sin(2 * np.pi * np.arange(200_000) / 200_000)[None, None]
    with pytest.raises(InvalidValueError, match="on a grid of 200000 leaves float32"):
        relative_sobolev((1.5 * x).astype("f4"), target=x.astype("f4"), order=order)
