"""The scalar quantizer: its formula, its centroids, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression import dequantize, quantize
from sci.compression.quantize import quantized_sums, quantized_sums_reference
from sci.errors import DTypeError, InvalidValueError


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rounding", [0.35, 0.4, 0.5])
def test_it_is_its_formula(dtype, rounding):
    values = np.random.default_rng(1).laplace(size=(30, 20)).astype(dtype)
    q, (first, shift) = quantize(values, 0.3, rounding=rounding)
    scaled = np.abs(values / dtype(0.3))
    expected = np.sign(values) * np.floor(scaled + dtype(rounding))
    assert q.dtype == np.int32
    np.testing.assert_array_equal(q, expected)
    np.testing.assert_allclose(first, scaled[np.abs(q) == 1].mean(), rtol=1e-6)
    np.testing.assert_allclose(shift, (scaled - np.abs(q))[np.abs(q) > 1].mean(), rtol=1e-4)
    found = dequantize(q, 0.3, (first, shift), dtype=np.dtype(dtype).name)
    assert found.dtype == dtype
    assert np.abs(found - values).max() <= 0.3


def test_centroids_beat_multiples_of_the_step():
    values = np.random.default_rng(1).laplace(size=2000)
    q, centroids = quantize(values, 1.0)
    missed = [np.linalg.norm(dequantize(q, 1.0, c) - values) for c in (centroids, (1.0, 0.0))]
    assert missed[0] < 0.999 * missed[1]


def test_large_values_take_wide_integers():
    values = np.array([1e12, -0.5, 3.0])
    q = quantize(values, 1.0)[0]
    assert q.dtype == np.int64
    assert q.tolist() == [10**12, 0, 3]
    assert quantize(np.zeros(0), 1.0)[0].dtype == np.int32
    assert quantize(np.zeros(3), 1.0)[1] == (1.0, 0.0)


def test_what_is_no_number_of_steps_is_refused():
    for bad in (np.nan, np.inf, 1e300):
        with pytest.raises(InvalidValueError, match="expected finite"):
            quantize(np.array([bad]), 1e-10)
    for step in (0.0, -1.0, np.inf):
        with pytest.raises(InvalidValueError, match="step"):
            quantize(np.ones(2), step)
        with pytest.raises(InvalidValueError, match="step"):
            dequantize(np.ones(2, int), step)
    with pytest.raises(InvalidValueError, match="rounding"):
        quantize(np.ones(2), 1.0, rounding=0.6)
    with pytest.raises(DTypeError, match="float32 or float64"):
        quantize(np.ones(2, int), 1.0)
    with pytest.raises(DTypeError, match="integers"):
        dequantize(np.ones(2), 1.0)


def test_sums_are_those_of_the_error():
    values = np.random.default_rng(1).laplace(size=700)
    q = np.empty(700, np.int32)
    for call in (quantized_sums, quantized_sums_reference):
        zeros, n1, sum1, square1, n, total, square = call(values, 0.5, 0.4, q, True)
        size, magnitude = np.abs(values) / 0.5, np.abs(q)
        np.testing.assert_array_equal(q, np.sign(values) * np.floor(size + 0.4))
        assert (n1, n) == ((magnitude == 1).sum(), (magnitude > 1).sum())
        np.testing.assert_allclose(zeros, (size[magnitude == 0] ** 2).sum())
        np.testing.assert_allclose([sum1, square1], [(size[magnitude == 1] ** k).sum() for k in (1, 2)])
        rest = (size - magnitude)[magnitude > 1]
        np.testing.assert_allclose([total, square], [(rest**k).sum() for k in (1, 2)])
    dry = quantized_sums(values, 0.5, 0.4, np.empty(0, np.int32), False)
    np.testing.assert_allclose(dry, [zeros, n1, sum1, square1, n, total, square])
