"""Convolution, pooling and up-sampling against SciPy and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from scipy.signal import correlate

import sci
from sci.errors import ShapeError
from sci.nn.ops.convolution import (
    average_pool,
    convolve,
    upsample_nearest,
)

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize(("inputs", "outputs", "shape"), [(1, 5, (4, 3, 6)), (3, 4, (2, 5, 17)), (2, 1, (1, 1, 1))])
def test_convolution_agrees_with_scipy(kernels, inputs, outputs, shape):
    x, w, b = (
        RNG.normal(size=(2, inputs, *shape)),
        RNG.normal(size=(outputs, inputs, 3, 3, 3)),
        RNG.normal(size=outputs),
    )
    with sci.options(kernels=kernels):
        out = convolve(x, w, b)
    expected = [
        [
            b[o] + sum(correlate(x[i, c], w[o, c], mode="same", method="direct") for c in range(inputs))
            for o in range(outputs)
        ]
        if min(shape) >= 3
        else [
            b[o] + sum(correlate(np.pad(x[i, c], 1), w[o, c], mode="valid", method="direct") for c in range(inputs))
            for o in range(outputs)
        ]
        for i in range(2)
    ]
    np.testing.assert_allclose(out, expected, atol=1e-12)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
def test_gradients(kernels):
    x, w, b = RNG.normal(size=(2, 3, 4, 2, 6)), RNG.normal(size=(5, 3, 3, 3, 3)), RNG.normal(size=5)
    with sci.options(kernels=kernels):
        assert_vjp(convolve, [x, w, b])
    assert_vjp(average_pool, [x])
    assert_vjp(upsample_nearest, [x])


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match="weight"):
        convolve(np.ones((1, 2, 4, 4, 4)), np.ones((3, 1, 3, 3, 3)), np.ones(3))
    with pytest.raises(ShapeError, match="even"):
        average_pool(np.ones((1, 2, 4, 3, 4)))
    with pytest.raises(ShapeError, match="upsample_nearest of shape"):
        upsample_nearest(np.ones((1, 2, 4, 3)))
