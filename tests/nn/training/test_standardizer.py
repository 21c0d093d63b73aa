"""Standardizers invert, have no units, and refuse bad data."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.nn import Standardizer

RNG = np.random.default_rng(2)


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
    with pytest.raises(InvalidValueError, match="one sample or more"):
        Standardizer.fit(np.ones((0, 1, 2)))
