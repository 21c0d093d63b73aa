"""Losses, standardizers, initializers and schedules against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import (
    Standardizer,
    constant,
    cosine,
    count_parameters,
    initial_normal,
    initial_uniform,
    mean_squared_error,
    relative_h1,
    relative_l2,
    step_decay,
    warm_up,
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
def test_standardizers_invert_exactly_to_rounding(dtype):
    x = (3 + 2 * RNG.normal(size=(50, 2, 6, 7)) * np.array([1.0, 40.0])[:, None, None]).astype(dtype)
    tol = 8 * np.finfo(dtype).eps
    for pointwise in (False, True):
        n = Standardizer.fit(x, pointwise=pointwise)
        axes = (0,) if pointwise else (0, 2, 3)
        y = n.encode(x)
        assert y.dtype == n.mean.dtype == dtype
        np.testing.assert_allclose(y.mean(axis=axes, dtype="f8"), 0, atol=50 * tol)
        np.testing.assert_allclose(y.std(axis=axes, dtype="f8"), 1, rtol=max(50 * tol, 1e-6))
        assert np.abs(n.decode(y) - x).max() <= tol * np.abs(x).max()
    constant_data = np.full((4, 1, 3), 2.5)
    n = Standardizer.fit(constant_data)
    np.testing.assert_array_equal(n.decode(n.encode(constant_data)), constant_data)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e6, 1e30])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_standardized_data_have_no_units(factor, dtype):
    """Multiplied by any factor, data become the same numbers: nothing is added in the units of the user."""
    x = (3 + 2 * RNG.normal(size=(50, 2, 6))).astype("f8")
    if dtype == "f8":
        factor = factor**9
    plain, scaled = ((f * x).astype(dtype) for f in (1, factor))
    tol = 20 * np.finfo(dtype).eps
    encoded = Standardizer.fit(scaled).encode(scaled)
    np.testing.assert_allclose(encoded, Standardizer.fit(plain).encode(plain), rtol=0, atol=20 * tol)
    np.testing.assert_allclose(encoded.std(axis=(0, 2), dtype="f8"), 1, rtol=1e-5)


def test_what_is_constant_is_divided_by_its_size():
    data = np.stack([np.full((4, 3), 2.5e-7), np.zeros((4, 3)), np.full((4, 3), -3.0) + 1e-15], axis=1)
    n = Standardizer.fit(data)
    np.testing.assert_allclose(n.std.ravel(), [2.5e-7, 1, 3], rtol=1e-12)
    assert np.abs(n.encode(data)).max() < 1e-14


def test_standardizer_refuses_bad_data():
    with pytest.raises(ShapeError, match="expected"):
        Standardizer.fit(np.ones(3))
    with pytest.raises(InvalidValueError, match="NaN"):
        Standardizer.fit(np.full((2, 1, 2), np.nan))
    with pytest.raises(InvalidValueError, match="no samples"):
        Standardizer.fit(np.ones((0, 1, 2)))


def test_initial_values_depend_on_the_seed_alone():
    a = initial_uniform(3, (64, 100), 100)
    assert a.dtype == np.float32
    assert np.abs(a).max() <= 0.1
    assert a.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.02)
    np.testing.assert_array_equal(a, initial_uniform(3, (64, 100), 100, dtype="f8").astype("f4"))
    z = initial_normal(np.random.default_rng(5), (80, 90), 0.5, dtype="c8")
    assert z.dtype == np.complex64
    assert np.sqrt((np.abs(z) ** 2).mean()) == pytest.approx(0.5, rel=0.02)
    assert abs((z**2).mean()) < 0.01
    assert initial_normal(5, (7,), 2.0, dtype="f8").dtype == np.float64
    assert count_parameters({"a": a, "z": z}) == 6400 + 2 * 7200
    with pytest.raises(InvalidValueError, match="fan_in is 0"):
        initial_uniform(0, (2,), 0)
    with pytest.raises(DTypeError, match="initial_normal"):
        initial_uniform(0, (2,), 1, dtype="c8")


def test_schedules():
    assert constant(0.3)(7) == 0.3
    halves = step_decay(100)
    assert [halves(t) for t in (0, 99.9, 100, 250)] == [1, 1, 0.5, 0.25]
    assert [step_decay([2, 5], 0.1)(t) for t in (1, 2, 4.5, 5)] == pytest.approx([1, 0.1, 0.1, 0.01])
    wave = cosine(30, 0.1)
    assert [wave(t) for t in (0, 15, 30, 99)] == pytest.approx([1, 0.55, 0.1, 0.1])
    rising = warm_up(4, cosine(8))
    assert [rising(t) for t in (0, 1, 4, 8)] == pytest.approx([0, 0.25 * cosine(8)(1), 0.5, 0])
    for bad in (lambda: step_decay(0), lambda: cosine(-1), lambda: warm_up(0)):
        with pytest.raises(InvalidValueError, match="positive number"):
            bad()
