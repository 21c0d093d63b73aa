"""Products of rows and of modes: references against einsum, strides that repeat, entries left alone."""

from __future__ import annotations

import numpy as np
import pytest

from sci.tensor.contraction.products import mode_product, mode_product_reference, row_product, row_product_reference

RNG = np.random.default_rng(0)


def test_row_products():
    a, b = RNG.normal(size=(9, 4)), RNG.normal(size=(4, 5))
    for product in (row_product, row_product_reference):
        np.testing.assert_allclose(product(a, b), a @ b, atol=1e-14)


@pytest.mark.parametrize("conjugate", [(False, False), (True, False), (False, True)])
def test_operands_lie_in_any_order(conjugate):
    batch, rows, terms, columns = sizes = (3, 4, 5, 2)
    a, b = (RNG.normal(size=(*s, 2)).view(complex)[..., 0] for s in ((terms, batch, rows), (columns, terms, batch)))
    strides = ((rows, 1, batch * rows), (1, batch, terms * batch), (rows * columns, columns, 1))
    x, y = (z.conj() if flag else z for z, flag in zip((a, b), conjugate))
    expected = np.einsum("skr,csk->krc", x, y)
    for product in (mode_product, mode_product_reference):
        out = np.zeros((batch, rows, columns), complex)
        product(a, b, out, sizes, strides, conjugate)
        np.testing.assert_allclose(out, expected, atol=1e-13)


def test_a_stride_of_zero_repeats():
    a, b = (RNG.normal(size=(*s, 2)).view(complex)[..., 0] for s in ((4, 5), (3, 5, 2)))
    out = np.zeros((3, 4, 2), complex)
    mode_product(a, b, out, (3, 4, 5, 2), ((0, 5, 1), (10, 2, 1), (8, 2, 1)))
    np.testing.assert_allclose(out, a @ b, atol=1e-13)
