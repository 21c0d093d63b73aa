"""A sparse operator against its matrix."""

from __future__ import annotations

import numpy as np
import pytest
from sparse_systems import convection

from sci.errors import DTypeError, ShapeError
from sci.solvers import LinearOperator, SparseOperator

MATRIX = convection(6)
A = SparseOperator(MATRIX.tocoo())


def test_products_are_those_of_the_matrix():
    x = np.random.default_rng(0).normal(size=(36, 3))
    np.testing.assert_allclose(A @ x, MATRIX @ x, atol=1e-11)
    np.testing.assert_allclose(A.matvec(x[:, :1]), MATRIX @ x[:, :1], atol=1e-11)
    np.testing.assert_allclose(A(x[:, 0].astype("f4")), MATRIX @ x[:, 0].astype("f4"), atol=1e-10)
    np.testing.assert_array_equal(A.diagonal(), MATRIX.diagonal())
    assert isinstance(A, LinearOperator)
    assert repr(A) == f"SparseOperator(36 x 36, {MATRIX.nnz} entries)"
    assert A.nbytes == 12 * MATRIX.nnz + 8 * 37


def test_refusals():
    for wrong in (MATRIX.toarray(), MATRIX.astype(complex), 3):
        with pytest.raises(DTypeError):
            SparseOperator(wrong)
    with pytest.raises(ShapeError):
        A @ np.ones(35)
    with pytest.raises(DTypeError):
        A @ np.ones(36, complex)
