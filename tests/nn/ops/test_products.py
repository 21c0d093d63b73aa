"""Products are NumPy's, for empty batches as well; long rows of a device are cut without a difference."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import complex_, real

import sci.nn as P
from sci.errors import InvalidValueError
from sci.nn.ops import products


def test_values_are_those_of_numpy():
    x, w, b = complex_(2, 5, 3), real(4, 3), complex_(4)
    np.testing.assert_allclose(P.linear(x, w, b), x @ w.T + b, rtol=1e-14)
    field, mixing = real(2, 3, 4, 5), real(6, 3)
    expected = np.einsum("oi,bixy->boxy", mixing, field)
    np.testing.assert_allclose(P.pointwise_conv(field, mixing), expected, rtol=1e-13, atol=1e-15)
    a, c = real(2, 1, 3, 4), real(5, 4, 6)
    np.testing.assert_array_equal(P.matmul(a, c), a @ c)
    np.testing.assert_allclose(P.einsum("bik,iok->bok", real(2, 3, 4), real(3, 5, 4)).shape, (2, 5, 4))


def test_empty_batches_have_zero_gradients():
    w, b = real(4, 3), real(4)
    for op, x, shape in ((P.linear, np.empty((0, 3)), (0, 4)), (P.pointwise_conv, np.empty((0, 3, 5)), (0, 4, 5))):
        out, residuals = op.forward(x, w, b)
        assert out.shape == shape
        dx, dw, db = op.vjp(out, residuals)
        assert dx.shape == x.shape
        np.testing.assert_array_equal(dw, np.zeros((4, 3)))
        np.testing.assert_array_equal(db, np.zeros(4))


def test_layers_without_outputs_have_empty_gradients():
    out, residuals = P.linear.forward(real(2, 3), np.empty((0, 3)))
    assert out.shape == (2, 0)
    np.testing.assert_array_equal(P.linear.vjp(out, residuals)[0], np.zeros((2, 3)))


def test_long_rows_are_cut_without_a_difference(monkeypatch):
    a, b = real(2, 3, 1543), real(2, 4, 1543)
    expected = np.einsum("smp,snp->mn", a, b)
    np.testing.assert_allclose(products.outer_sum(a, b), expected, rtol=1e-12)
    monkeypatch.setattr(products, "is_device_array", lambda array: True)
    np.testing.assert_allclose(products.outer_sum(a, b), expected, rtol=1e-12)


def test_contractions_that_have_no_gradient_are_refused():
    for subscripts, arrays in (("ij,jk->ikq", (real(2, 3), real(3, 4))), ("ij,jk->ikk", (real(2, 3), real(3, 4)))):
        with pytest.raises(InvalidValueError, match="in no operand, or twice in it"):
            P.einsum(subscripts, *arrays)
