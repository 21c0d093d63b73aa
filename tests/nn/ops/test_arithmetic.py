"""Elementwise ops are NumPy's, with gradients of numbers left out."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import complex_, real

import sci.nn as P
from sci.errors import DTypeError
from sci.nn.ops.arithmetic import unbroadcast


def test_values_are_those_of_numpy():
    a, b = complex_(2, 3, 4), 2 + real(3, 1) ** 2
    for name, expected in (("add", a + b), ("subtract", a - b), ("multiply", a * b), ("divide", a / b)):
        np.testing.assert_array_equal(getattr(P, name)(a, b), expected)
    np.testing.assert_array_equal(P.negative(a), -a)
    np.testing.assert_array_equal(P.power(b, exponent=0.5), b**0.5)
    np.testing.assert_array_equal(P.scale_shift(b, scale=2.0, shift=-1.0), 2 * b - 1)
    gates = real(3)
    np.testing.assert_array_equal(P.channel_scale(a, gates), a * gates[:, None])


def test_numbers_have_no_gradient():
    a, dout = real(3), np.ones(3)
    for name in ("add", "subtract", "multiply", "divide"):
        op = getattr(P, name)
        for args, slot in (((a, 2.0), 1), ((2, a), 0)):
            gradients = op.vjp(dout, op.forward(*args)[1])
            assert gradients[slot] is None
            assert gradients[1 - slot].shape == (3,)


def test_gradients_lose_axes_lengths_and_imaginary_parts_that_were_added():
    gradient = complex_(2, 3, 4)
    found = unbroadcast(gradient, ((3, 1), np.dtype("f4")))
    np.testing.assert_allclose(found, gradient.sum(axis=(0, 2), keepdims=True)[0].real, rtol=1e-6)
    assert found.dtype == np.float32
    assert unbroadcast(gradient, None) is None


def test_gradients_beside_integers_stay_floats():
    counts, z = np.arange(3), complex_(2, 3)
    da, db = P.multiply.vjp(np.ones((2, 3)), P.multiply.forward(counts, z)[1])
    np.testing.assert_allclose(da, z.conj().real.sum(axis=0))
    assert db.dtype == z.dtype


def test_powers_of_zero_and_exponents_that_are_no_numbers():
    x = np.array([0.0, 2.0])
    np.testing.assert_array_equal(P.power.vjp(np.ones(2), P.power.forward(x, exponent=0)[1])[0], [0, 0])
    np.testing.assert_array_equal(P.power.vjp(np.ones(2), P.power.forward(x, exponent=np.float64(2.0))[1])[0], [0, 4])
    assert P.power(x.astype("f4"), exponent=np.float64(2.0)).dtype == np.float32
    with pytest.raises(DTypeError, match="exponent is '2'; expected a real number"):
        P.power(x, exponent="2")
