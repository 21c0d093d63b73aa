"""Separable transforms are orthonormal, in the order of frequencies, and the Hartley transform is its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.compression.transforms.separable import forward, inverse


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.data())
def test_transforms_are_orthonormal(shape, data):
    periodic = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    for dtype, tol in ((np.float32, 1e-5), (np.float64, 1e-13)):
        x = np.random.default_rng(1).normal(size=shape).astype(dtype)
        c = forward(x, range(len(shape)), tuple(periodic))
        assert c.dtype == dtype
        np.testing.assert_allclose(np.linalg.norm(c), np.linalg.norm(x), rtol=tol)
        back = inverse(c, range(len(shape)), tuple(periodic))
        assert back.dtype == dtype
        np.testing.assert_allclose(back, x, atol=10 * tol)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_hartley_is_its_formula(n):
    x = np.random.default_rng(1).normal(size=n)
    angle = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    expected = (np.cos(angle) + np.sin(angle)) @ x / np.sqrt(n)
    order = [0] + [k for pair in zip(range(1, n), range(n - 1, 0, -1)) for k in pair]
    order = list(dict.fromkeys(order))
    np.testing.assert_allclose(forward(x, [0], [0]), expected[order], atol=1e-14)


def test_a_wave_is_two_coefficients():
    x = np.cos(2 * np.pi * 3 * np.arange(16) / 16 + 0.4)
    assert np.flatnonzero(np.abs(forward(x, [0], [0])) > 1e-12).tolist() == [5, 6]
