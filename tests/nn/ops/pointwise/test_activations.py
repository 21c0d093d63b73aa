"""GELU against mpmath; softened and cut activations at the ends of the numbers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from op_cases import real

import sci
import sci.nn as P
from sci.errors import DTypeError
from sci.nn.core.tape import value_of
from sci.nn.ops.pointwise.activations import gelu_reference


@pytest.mark.parametrize(("dtype", "tol"), [("f8", 4e-16), ("f4", 2.5e-7)])
@pytest.mark.parametrize("mode", ["compiled", "reference"])
def test_gelu_against_mpmath(mode, dtype, tol):
    x = np.concatenate([np.linspace(-12, 12, 301), [-1e-9, 0.0, 1e-9, -40.0, 40.0, -700.0, 1e4]]).astype(dtype)
    with sci.options(kernels=mode):
        value, slope = P.gelu.forward(x)
        assert np.array_equal(P.gelu(x), value)
    assert value.dtype == slope.dtype == dtype
    for xi, vi, si in zip(x, value, slope):
        t = mpmath.mpf(float(xi))
        scale = max(1.0, abs(float(xi)))
        assert abs(float(t * mpmath.ncdf(t) - mpmath.mpf(float(vi)))) <= tol * scale
        assert abs(float(mpmath.ncdf(t) + t * mpmath.npdf(t) - mpmath.mpf(float(si)))) <= 2 * tol * scale


def test_gelu_takes_strided_empty_and_scalar_arrays_and_keeps_nan():
    x = real(6, 5)
    np.testing.assert_allclose(P.gelu(x[::2, ::-1]), gelu_reference(x, False)[0][::2, ::-1], rtol=1e-13)
    assert P.gelu(np.empty((0, 3), "f4")).shape == (0, 3)
    assert P.gelu(np.array(0.5)).shape == ()
    for mode in ("compiled", "reference"):
        with sci.options(kernels=mode), np.errstate(invalid="ignore"):
            assert np.isnan(P.gelu(np.array([np.nan, 1.0])))[0]
    with pytest.raises(DTypeError, match="gelu of dtype complex128"):
        P.gelu(x + 0j)


def test_relu_at_the_ends_of_the_numbers():
    x = np.array([-np.inf, -1.0, -0.0, 0.0, 2.0, np.inf])
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(P.relu(x), [0, 0, 0, 0, 2, np.inf])
        assert np.isnan(P.relu(np.array([np.nan])))[0]
        np.testing.assert_array_equal(P.relu.vjp(np.ones(6), P.relu.forward(x)[1])[0], [0, 0, 0, 0, 1, 1])


def test_gelu_and_silu_refuse_what_their_kernels_cannot_take():
    for name in ("gelu", "silu"):
        with pytest.raises(DTypeError, match="float16; expected float32 or float64"):
            getattr(P, name)(np.ones(3, "f2"))
        with pytest.raises(DTypeError, match="newbyteorder"):
            getattr(P, name)(np.ones(3, ">f4"))


@pytest.mark.parametrize(("dtype", "tol"), [("f8", 1e-15), ("f4", 4e-7)])
@pytest.mark.parametrize(("name", "times"), [("sigmoid", 1), ("tanh", 2)])
def test_slopes_keep_their_digits_in_the_tails(name, times, dtype, tol):
    x = np.array([-40, -20, -3, -1e-3, 0, 0.5, 8, 20, 40], dtype)
    op = getattr(P, name)
    found = op.vjp(np.ones_like(x), op.forward(x)[1])[0]
    forward = value_of(P.directional_derivatives(op, x, np.ones_like(x), order=1)[1])
    assert found.dtype == forward.dtype == dtype
    for at, *slopes in zip(x, found, forward):
        exact = mpmath.sech(mpmath.mpf(float(at)) * times / 2) ** 2 * times**2 / 4
        assert all(abs(float(slope) / exact - 1) < tol for slope in slopes)


def test_second_derivatives_of_softplus_and_silu_keep_their_digits():
    x = np.array([-30.0, -5, 1, 20, 40])
    for op, exact in (
        (P.softplus, lambda t: mpmath.sech(t / 2) ** 2 / 4),
        (P.silu, lambda t: mpmath.sech(t / 2) ** 2 / 4 * (2 - t * mpmath.tanh(t / 2))),
    ):
        found = value_of(P.directional_derivatives(op, x, np.ones_like(x), order=2)[2])
        for at, curvature in zip(x, found):
            assert abs(float(curvature) / exact(mpmath.mpf(float(at))) - 1) < 1e-13
