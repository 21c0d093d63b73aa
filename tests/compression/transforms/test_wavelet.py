"""The wavelet 9/7 comes back, and is the filters of its literature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sci
from sci.compression.transforms.wavelet import forward, inverse, lift_axis, lift_axis_reference

LOW = (0.602949018236358, 0.266864118442872, -0.078223266528988, -0.016864118442875, 0.026748757410810)
HIGH = (1.115087052456994, -0.591271763114247, -0.057543526228500, 0.091271763114250)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@given(st.lists(st.integers(1, 19), min_size=1, max_size=4), st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_fields_come_back(kernels, shape, levels):
    x = np.random.default_rng(1).normal(size=shape)
    with sci.options(kernels=kernels):
        np.testing.assert_allclose(inverse(forward(x, levels), levels), x, atol=1e-12)
        single = forward(x.astype(np.float32), levels)
        assert single.dtype == np.float32
        np.testing.assert_allclose(inverse(single, levels), x, atol=2e-5)


def test_one_level_is_the_filters():
    x = np.random.default_rng(1).normal(size=40)
    found = forward(x, 1)
    for middle, taps, place, scale in ((20, LOW, 10, np.sqrt(2)), (21, HIGH, 30, 1 / np.sqrt(2))):
        expected = taps[0] * x[middle] + sum(t * (x[middle - k] + x[middle + k]) for k, t in enumerate(taps[1:], 1))
        np.testing.assert_allclose(found[place], scale * expected, rtol=1e-12)


def test_cubes_are_nearly_nothing_but_lows():
    """The high filter has four vanishing moments; mirrored ends are no cubes."""
    x = np.linspace(-1.0, 1.0, 64) ** 3
    assert np.abs(forward(x, 1)[36:60]).max() < 1e-13


def test_it_is_near_to_orthonormal():
    x = np.random.default_rng(1).normal(size=(64, 64, 64))
    assert 0.95 < np.linalg.norm(forward(x)) / np.linalg.norm(x) < 1.05


def test_boxes_leave_the_rest_alone():
    for lift in (lift_axis, lift_axis_reference):
        x = np.random.default_rng(1).normal(size=(6, 7, 9))
        before = x.copy()
        lift(x, (4, 5, 6), 1, False)
        changed = x != before
        assert changed[:4, :5, :6].all()
        assert changed.sum() == 4 * 5 * 6
