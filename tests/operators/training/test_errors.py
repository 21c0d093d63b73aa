"""Relative errors: their formula, channels, units, samples of zeros, and differences at the ends."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ShapeError
from sci.operators import relative_errors

RNG = np.random.default_rng(0)


def test_errors_are_means_of_relative_norms():
    p, y = RNG.normal(size=(2, 5, 3, 6, 7))
    found = relative_errors(p, y)
    expected = np.linalg.norm((p - y).reshape(5, 3, -1), axis=2) / np.linalg.norm(y.reshape(5, 3, -1), axis=2)
    np.testing.assert_allclose(found["l2_channels"], expected.mean(axis=0), rtol=1e-13)
    assert found["l2"] == pytest.approx(expected.mean(), rel=1e-13)
    assert found["zero_samples"] == 0
    assert "h1" not in found
    with pytest.raises(ShapeError, match="expected one"):
        relative_errors(p, y[:, :1])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("factor", [1e-30, 1e-10, 1e10, 1e30])
def test_errors_have_no_units(dtype, factor):
    """An answer that is wrong by 300 times itself is told to be, in any units."""
    p, y = RNG.normal(size=(2, 4, 1, 8, 8)).astype(dtype)
    p *= 300
    plain = relative_errors(p, y, periodic=True)
    scaled = relative_errors((factor * p).astype(dtype), (factor * y).astype(dtype), periodic=True)
    assert plain["l2"] > 200
    for name in ("l2", "h1"):
        assert scaled[name] == pytest.approx(plain[name], rel=1e-5)


def test_channels_have_units_of_their_own():
    p, y = RNG.normal(size=(2, 4, 2, 8))
    units = np.array([1e-12, 1e12])[:, None]
    plain, scaled = relative_errors(p, y), relative_errors(units * p, units * y)
    np.testing.assert_allclose(scaled["l2_channels"], plain["l2_channels"], rtol=1e-12)


def test_samples_of_zeros_are_counted_and_finite():
    y = np.ones((4, 2, 8))
    y[1, 0] = 0
    y[:, 1] = 0
    p = y.copy()
    p[1, 0], p[2, 1] = 0.5, 1e-20
    found = relative_errors(p, y, periodic=True)
    assert found["zero_samples"] == 5
    size = np.sqrt(3 / 4)  # the mean size of the channel, of which a quarter is zero
    np.testing.assert_allclose(found["l2_channels"], [0.5 / size / 4, 1 / 4])


def test_differences_at_the_ends_are_those_of_the_boundary():
    """A ramp is smooth where it ends, but not where it wraps around."""
    x = np.arange(16) / 16
    y = (2 + x)[None, None]
    p = y + 0.01 * x
    wrapped, open_ends = (relative_errors(p, y, periodic=flag)["h1"] for flag in (True, False))
    exact = 0.01 * np.sqrt((x**2 + 1).sum() / ((2 + x) ** 2 + 1).sum())
    assert open_ends == pytest.approx(exact, rel=1e-6)
    assert abs(wrapped - exact) > 0.1 * exact
