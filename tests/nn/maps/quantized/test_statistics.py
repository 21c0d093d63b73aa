"""Grids from statistics: right at 1 bit and in float16, straight-through, thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import MappedParameters, StatisticsQuantizer, freeze_mask, statistics_codes, statistics_quantize

RNG = np.random.default_rng(2)


def by_rounding(w: np.ndarray, bits: int) -> np.ndarray:
    """Return the form of the paper's public code."""
    n = 2 ** (bits - 1)
    s = 2 * np.abs(w).mean(axis=1, keepdims=True)
    return s * (np.round(n * np.clip(w / s, -1, w.dtype.type(1 - 1e-6)) - w.dtype.type(0.5)) + w.dtype.type(0.5)) / n


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_from_two_bits_on_it_is_the_rounding_form(bits: int) -> None:
    w = RNG.normal(size=(30, 200))
    np.testing.assert_allclose(statistics_quantize(w, bits), by_rounding(w, bits), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_every_value_is_on_the_grid(dtype: str, bits: int) -> None:
    w = (RNG.normal(size=(20, 50)) * np.exp(RNG.normal(size=(20, 1)))).astype(dtype)
    w[0, :3] = [50 * w[0, 3], -50 * w[0, 3], 0]
    n, found = 2 ** (bits - 1), statistics_quantize(w, bits)
    s = 2 * np.abs(w.astype("f8")).mean(axis=1, keepdims=True)
    k = found.astype("f8") * n / s - 0.5
    assert found.dtype == w.dtype
    assert np.abs(k - np.round(k)).max() < {"f2": 0.001 * n + 1e-3, "f4": 1e-4, "f8": 1e-11}[dtype]
    assert np.round(k).min() == -n
    assert np.round(k).max() == n - 1
    np.testing.assert_array_equal(np.round(k) + n, statistics_codes(w, bits))
    assert found[0, 2] != 0, "no level at zero"


def test_why_not_by_rounding() -> None:
    """One bit has two levels, and 1 - 1e-6 is 1 in float16."""
    w = np.array([[-3.0, -0.2, 0.2, 0.6], [3.0, -0.2, 0.2, -0.6]])  # s = 2
    assert by_rounding(w, 1).min() == -3.0
    np.testing.assert_array_equal(statistics_quantize(w, 1), np.sign(w))
    assert by_rounding(w.astype("f2"), 2).max() == 2.5
    assert statistics_quantize(w.astype("f2"), 2).max() == 1.5


def test_rows_of_zeros_and_kernels_of_convolutions() -> None:
    w = RNG.normal(size=(4, 3, 2, 2))
    w[1] = 0
    found = statistics_quantize(w, 2)
    np.testing.assert_allclose(found[2], by_rounding(w[2:].reshape(2, -1), 2)[0].reshape(3, 2, 2))
    assert (found[1] == 0).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_rows_of_the_largest_and_smallest_numbers(dtype: Any, bits: int) -> None:
    about = np.finfo(dtype)
    large = np.array([[1.0, -1.0, 0.0, 0.2]], dtype) * (about.max / 4)
    np.testing.assert_allclose(
        statistics_quantize(large, bits) / (about.max / 4),
        statistics_quantize(large / (about.max / 4), bits),
        rtol=4 * about.eps,
    )
    small = statistics_quantize(np.array([[1, 0, 0]], dtype) * about.smallest_subnormal, bits)
    assert np.abs(small.astype(np.float64)).max() <= 2 * about.smallest_subnormal
    with pytest.raises(InvalidValueError, match="exceeds float"):
        statistics_quantize(np.full((2, 3), about.max, dtype), bits)


def test_the_gradient_goes_straight_through() -> None:
    w = RNG.normal(size=(5, 6))
    weight_map = StatisticsQuantizer(w, 2)
    dw = RNG.normal(size=w.shape)
    np.testing.assert_array_equal(weight_map.vjp(dw, None)["value"], dw)
    again, arrays = StatisticsQuantizer.from_change(w, weight_map.change({"value": w + 0.1}))
    np.testing.assert_array_equal(again.fold(arrays), statistics_quantize(w + 0.1, 2))
    np.testing.assert_array_equal(again.codes(arrays), statistics_codes(w + 0.1, 2))
    mapped = MappedParameters({"w": w}, {"w": weight_map})
    np.testing.assert_array_equal(mapped.delta(mapped.start()).applied({"w": w})["w"], statistics_quantize(w, 2))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_mask_leaves_what_is_near_a_threshold(bits: int) -> None:
    w, n = RNG.normal(size=(10, 4000)), 2 ** (bits - 1)
    mask = freeze_mask(w, bits, 0.05)
    s = 2 * np.abs(w).mean(axis=1, keepdims=True)
    thresholds = np.arange(1 - n, n)
    distance = np.abs((n * w / s)[..., None] - thresholds).min(axis=2)
    np.testing.assert_array_equal(mask, distance > 0.05)
    if bits == 2:
        share = 1 - freeze_mask(RNG.normal(size=(100, 10_000)), 2, 0.005).mean()
        assert abs(share - 0.0077) < 0.0004


def test_refusals() -> None:
    with pytest.raises(InvalidValueError, match="bits is 0"):
        statistics_quantize(np.ones((2, 2)), 0)
    with pytest.raises(InvalidValueError, match="NaN"):
        statistics_codes(np.array([[np.nan, 1.0]]), 2)
    with pytest.raises(DTypeError, match="expected float16, float32 or float64"):
        statistics_quantize(np.ones((2, 2), complex), 2)
    with pytest.raises(DTypeError, match="float16"):
        StatisticsQuantizer(np.ones((2, 2), "f2"), 2)
    with pytest.raises(ShapeError, match="some weights"):
        statistics_quantize(np.ones((2, 0)), 2)
    with pytest.raises(InvalidValueError, match=r"radius is 0\.7"):
        freeze_mask(np.ones((2, 2)), 2, 0.7)
