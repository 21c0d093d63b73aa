"""Filters along each axis in one pass, against the dense convolution of their products."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import convolve, separable_conv

RNG = np.random.default_rng(12)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize("boundary", ["zeros", "periodic"])
@pytest.mark.parametrize(
    ("grid", "taps"), [((9,), (3,)), ((6, 20), (3, 3)), ((5, 4), (4, 7)), ((4, 5, 18), (3, 2, 3)), ((3, 600), (5, 70))]
)
def test_filters_agree_with_the_convolution_of_their_products(kernels, boundary, grid, taps):
    x, filters = RNG.normal(size=(2, 3, *grid)), [RNG.normal(size=(3, k)) for k in taps]
    letters = "abc"[: len(taps)]
    dense = np.einsum(",".join(f"z{letter}" for letter in letters) + f"->z{letters}", *filters)[:, None]
    with sci.options(kernels=kernels):
        found = separable_conv(x, *filters, boundary=boundary)
        expected = convolve(x, dense, groups=3, boundary=boundary)
        np.testing.assert_allclose(found, expected, atol=1e-11)
        if x.size < 2000:
            assert_vjp(separable_conv, [x, *filters], boundary=boundary)


def test_misfits_are_refused_by_name():
    x, f = np.ones((1, 2, 4, 4)), np.ones((2, 3))
    with pytest.raises(ShapeError, match=r"a filter .channels, taps. for each"):
        separable_conv(x, f)
    with pytest.raises(ShapeError, match="with filters"):
        separable_conv(x, f, np.ones((3, 3)))
    with pytest.raises(InvalidValueError, match="expected one dtype"):
        separable_conv(x, f, f.astype("f4"))
    with pytest.raises(DTypeError, match="x of dtype int64"):
        separable_conv(x.astype(int), f, f)
