"""What algebraic multigrid refuses, by name, and what it takes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sparse_systems import convection, elasticity, rotated

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.matrix import checked_matrix, checked_vectors, is_symmetric

A = rotated(6)


def _with(row, column, value):
    found = A.tolil()
    found[row, column] = value
    return found.tocsr()


@pytest.mark.parametrize(
    ("matrix", "symmetric", "error", "words"),
    [
        (A.toarray(), None, DTypeError, "csr_array"),
        (lambda v: v, None, DTypeError, "scipy.sparse"),
        (A.astype(complex), None, DTypeError, "complex128"),
        (A[:5], None, ShapeError, "square"),
        (sparse.csr_array((0, 0)), None, ShapeError, "at least one row"),
        (_with(3, 4, np.nan), None, InvalidValueError, "row 3"),
        (_with(5, 5, np.inf), None, InvalidValueError, "row 5"),
        (_with(7, 7, 0.0), None, InvalidValueError, "row 7"),
        (_with(7, 7, -1.0), None, InvalidValueError, "minres or gmres"),
        (_with(0, 1, -2.0), True, InvalidValueError, "bicgstab"),
    ],
)
def test_refusals(matrix, symmetric, error, words):
    with pytest.raises(error, match=words):
        checked_matrix(matrix, symmetric)


def test_what_is_symmetric():
    assert checked_matrix(A, None)[1:] == (1, True)
    assert checked_matrix(A, False)[2] is False
    assert checked_matrix(elasticity(3)[0], True)[1] == 2
    assert checked_matrix(convection(6), None)[2] is False
    assert checked_matrix(A.astype(np.float32), None)[0].dtype == np.float64
    scale = sparse.diags_array(10.0 ** np.linspace(-150, 150, 36))
    assert is_symmetric(SparseRows.of(scale @ A @ scale / 1e10))
    assert not is_symmetric(SparseRows.of(_with(0, 1, A[0, 1] * (1 + 1e-6)) * 1e200))


def test_near_null_spaces():
    np.testing.assert_array_equal(checked_vectors(None, 4, 2), [[1, 0], [0, 1], [1, 0], [0, 1]])
    np.testing.assert_array_equal(checked_vectors([1, 2, -4, 0], 4, 1), np.array([[0.25], [0.5], [-1], [0]]))
    with pytest.raises(ShapeError, match="near_nullspace"):
        checked_vectors(np.ones((3, 2)), 4, 1)
    with pytest.raises(InvalidValueError, match="vector 1"):
        checked_vectors(np.eye(4)[:, [0, 0]] * [1, 0], 4, 1)
    with pytest.raises(InvalidValueError, match="NaN"):
        checked_vectors([1, np.nan, 1, 1], 4, 1)
