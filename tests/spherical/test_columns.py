"""Products at points and by Fourier coefficients: degrees that differ, aliasing, precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.spherical import gaunt_coefficients
from sci.spherical.columns import fourier_product, quadrature_size, sampled_product

DEGREE = st.integers(0, 6)


def by_definition(x, y, degrees):
    """The sum over all coefficients, block by block."""
    l1, l2, l3 = degrees
    out = np.zeros(((l3 + 1) ** 2, x.shape[1]))
    for a in range(l1 + 1):
        for b in range(l2 + 1):
            for c in range(l3 + 1):
                parts = (slice(k * k, (k + 1) ** 2) for k in (a, b, c))
                of_x, of_y, of_z = parts
                out[of_z] += np.einsum("abc,an,bn->cn", gaunt_coefficients(a, b, c), x[of_x], y[of_y])
    return out


@settings(max_examples=30, deadline=None)
@given(degrees=st.tuples(DEGREE, DEGREE, st.integers(0, 9)), n=st.integers(0, 4), seed=st.integers(0, 2**32 - 1))
def test_both_are_exact(degrees, n, seed):
    x, y = (np.random.default_rng(seed + k).normal(size=((d + 1) ** 2, n)) for k, d in enumerate(degrees[:2]))
    expected = by_definition(x, y, degrees)
    for product in (sampled_product, fourier_product):
        np.testing.assert_allclose(product(x, y, degrees), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("product", [sampled_product, fourier_product])
def test_float32_stays(product):
    x, y = np.random.default_rng(1).normal(size=(2, 25, 3))
    found = product(x.astype("f4"), y.astype("f4"), (4, 4, 4))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, product(x, y, (4, 4, 4)), rtol=0, atol=3e-5)


def test_the_size_of_the_grid():
    assert quadrature_size((4, 4, 4)) == 7 * 13
    assert quadrature_size((0, 0, 0)) == 1
