"""Losses against their formulas: relative errors, differences, units, zeros."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    mean_squared_error,
    relative_h1,
    relative_l2,
)
from sci.nn.losses import _difference, _difference_transposed

RNG = np.random.default_rng(2)
P, Y = RNG.normal(size=(2, 5, 3, 8, 9))


def test_relative_l2_is_its_formula():
    expected = sum(np.linalg.norm(P[b, c] - Y[b, c]) / np.linalg.norm(Y[b, c]) for b in range(5) for c in range(3))
    assert relative_l2(P, target=Y, reduction="sum") == pytest.approx(expected, rel=1e-7)
    assert relative_l2(P, target=Y) == pytest.approx(expected / 5, rel=1e-7)


def test_relative_h1_of_waves_is_analytic():
    """p = y + c sin: on a periodic grid central differences turn sin(kx) into sin(kh)/h cos(kx)."""
    n = 32
    x = np.arange(n) / n
    y = np.cos(2 * np.pi * 2 * x)[None, None]
    p = y + 0.1 * np.sin(2 * np.pi * 3 * x)[None, None]
    slopes = [math.sin(2 * np.pi * k / n) * n for k in (3, 2)]
    expected = 0.1 * math.sqrt((1 + slopes[0] ** 2) / (1 + slopes[1] ** 2))
    assert relative_h1(p, target=y) == pytest.approx(expected, rel=1e-7)


def test_one_sided_differences_are_exact_on_cubics_at_the_ends_and_transposed_exactly():
    x = np.arange(12) / 12
    u = (x**3 - x**2 + 2 * x)[None, None]
    slope = _difference(u, 2, False)[0, 0]
    exact = 3 * x**2 - 2 * x + 2
    np.testing.assert_allclose(slope[[0, -1]], exact[[0, -1]], rtol=1e-12)
    np.testing.assert_allclose(slope[1:-1], exact[1:-1] + 1 / 144, rtol=1e-12)
    for periodic in (True, False):
        for axis in (2, 3):
            a, b = RNG.normal(size=(2, 1, 2, 5, 6))
            left = np.vdot(b, _difference(a, axis, periodic))
            assert left == pytest.approx(np.vdot(_difference_transposed(b, axis, periodic), a), rel=1e-12)


def test_a_perfect_prediction_has_no_loss_and_no_gradient():
    for loss in (relative_l2, relative_h1):
        value, residuals = loss.forward(Y, target=Y)
        assert value == 0
        np.testing.assert_array_equal(loss.vjp(np.ones(()), residuals)[0], np.zeros_like(Y))


def test_losses_refuse_what_does_not_fit():
    with pytest.raises(ShapeError, match="one shape"):
        relative_l2(P, target=Y[:, :1])
    with pytest.raises(ShapeError, match=r"\(batch, channel"):
        relative_l2(P[0, 0], target=Y[0, 0])
    with pytest.raises(InvalidValueError, match="'mean' or 'sum'"):
        relative_h1(P, target=Y, reduction="max")
    with pytest.raises(ShapeError, match="4 points"):
        relative_h1(P[..., :3], target=Y[..., :3], periodic=False)
    with pytest.raises(ShapeError, match="one shape"):
        mean_squared_error(P, Y[:1])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e12, 1e30])
@pytest.mark.parametrize("loss", [relative_l2, relative_h1], ids=["l2", "h1"])
def test_relative_losses_have_no_units(loss, factor, dtype):
    p, y = P.astype(dtype), Y.astype(dtype)
    factor, one, tol = np.dtype(dtype).type(factor), np.ones((), dtype), 8 * float(np.finfo(dtype).eps)
    value, residuals = loss.forward(p, target=y)
    scaled, scaled_residuals = loss.forward(factor * p, target=factor * y)
    assert scaled == pytest.approx(value, rel=tol)
    gradient = loss.vjp(one, residuals)[0]
    np.testing.assert_allclose(
        factor * loss.vjp(one, scaled_residuals)[0], gradient, rtol=0, atol=tol * np.abs(gradient).max()
    )


def test_a_wrong_answer_in_small_units_is_wrong():
    y = 1e-9 * np.abs(Y)
    assert relative_l2(301 * y, target=y) == pytest.approx(3 * 300)
    assert relative_l2(np.ones_like(y), target=y) > 1e8


@pytest.mark.parametrize("loss", [relative_l2, relative_h1], ids=["l2", "h1"])
def test_a_target_of_zeros_is_named_or_has_the_size_that_is_given(loss):
    y = Y.copy()
    y[3, 1] = 0
    with pytest.raises(InvalidValueError, match="target of sample 3, channel 1 is zero everywhere"):
        loss(P, target=y)
    ones = np.ones((1, 1, 8, 9))
    assert loss(0.1 * ones, target=0 * ones, zero_scale=1.0) == pytest.approx(0.1)
    assert loss(0.1 * ones, target=0 * ones, zero_scale=4.0) == pytest.approx(0.025)
    assert loss(0 * ones, target=0 * ones, zero_scale=1.0) == 0
    assert loss(P, target=Y, zero_scale=1.0) == loss(P, target=Y), "others are as before"
    assert_vjp(loss, [P], target=y, zero_scale=2.0)


def test_an_error_far_above_its_target_does_not_overflow():
    p, y = np.full((1, 1, 4), 1e30, "f4"), np.full((1, 1, 4), 1e-3, "f4")
    assert relative_l2(p, target=y) == pytest.approx(1e33, rel=1e-6)
    with np.errstate(all="raise"):
        assert relative_l2(p, target=1e-20 * y) == np.inf
