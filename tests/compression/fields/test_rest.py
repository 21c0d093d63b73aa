"""The rest of a field is rounded, added, and its errors measured, by kernels and by their references alike."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.compression.fields.rest import add_rest, squared_errors, take_rest


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_left_lies_within_half_a_step(kernels, dtype):
    rng = np.random.default_rng(1)
    field = rng.normal(size=(7, 900)).astype(dtype)
    found = (field + rng.normal(size=field.shape)).astype(dtype)
    before = found.copy()
    with sci.options(kernels=kernels):
        q = take_rest(field, found, 0.25)
        top, square = squared_errors(field, found)
        again = before.copy()
        add_rest(again, q, 0.25)
    assert q.dtype == np.int32
    np.testing.assert_array_equal(again, found)
    assert top <= 0.125 * (1 + 1e-6)
    np.testing.assert_allclose(top, np.abs(field.astype(float) - found).max(), rtol=1e-12)
    np.testing.assert_allclose(square, np.square(field.astype(float) - found).sum(), rtol=1e-12)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
def test_numbers_that_are_not_finite_show(kernels):
    field, found = np.zeros((2, 50), np.float32), np.zeros((2, 50), np.float32)
    found[1, 30] = np.nan
    with sci.options(kernels=kernels):
        assert not np.isfinite(squared_errors(field, found)[1])


def test_dtypes_may_differ():
    assert squared_errors(np.ones(3, np.float32), np.zeros(3)) == (1.0, 3.0)
