"""Products, transposes and scalings of sparse rows against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sparse_cases import network, random_sparse

import sci
from sci.linalg.sparse.products import diagonal_of, multiply_rows, scaled, transpose
from sci.linalg.sparse.rows import SparseRows

MATRIX = network(80, 0.1, 5)
THIN = random_sparse(80, 11, 0.2, 2)
A, P = SparseRows.of(MATRIX), SparseRows.of(THIN)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("threads", [1, 3])
def test_products_are_those_of_scipy(kernels, threads):
    with sci.options(kernels=kernels, threads=threads):
        coarse = multiply_rows(transpose(P), multiply_rows(A, P))
    np.testing.assert_allclose(coarse.to_scipy().toarray(), (THIN.T @ MATRIX @ THIN).toarray(), atol=1e-13)
    for i in range(11):
        assert (np.diff(coarse.columns[coarse.starts[i] : coarse.starts[i + 1]]) > 0).all()


def test_long_rows_are_sorted():
    wide = SparseRows.of(random_sparse(3, 900, 0.7, 4))
    found = multiply_rows(SparseRows.of(sparse.csr_array(np.ones((2, 3)))), wide)
    assert (np.diff(found.columns[: found.starts[1]]) > 0).all()
    np.testing.assert_allclose(found.to_scipy().toarray()[0], wide.to_scipy().sum(axis=0), atol=1e-13)


def test_no_rows_make_no_product():
    empty = SparseRows.of(sparse.csr_array((0, 80)))
    assert multiply_rows(empty, P).shape == (0, 11)


def test_scalings_and_diagonals():
    left = np.arange(1.0, 81.0)
    found = scaled(A, left, 1 / left, "f4")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.to_scipy().toarray(), left[:, None] * MATRIX.toarray() / left, rtol=1e-6)
    np.testing.assert_array_equal(diagonal_of(A), MATRIX.diagonal())
    np.testing.assert_array_equal(diagonal_of(SparseRows.of(sparse.csr_array((4, 4)))), np.zeros(4))
