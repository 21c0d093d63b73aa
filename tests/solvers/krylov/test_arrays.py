"""Vectors of any linear operator: norms without overflow, and what counts as an operator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg.lanczos import power_of_two
from sci.solvers import PoissonOperator
from sci.solvers.krylov.arrays import applier, as_vector, inner, norm, size_of_entries, total_norm

X = np.array([3.0, -4.0, 0.0])


def test_norms():
    assert (inner(X, X), norm(X), size_of_entries(X)) == (25.0, 5.0, 4.0)
    assert size_of_entries(np.zeros(0)) == 0.0
    for unit in (1e-300, 1e-150, 1.0, 1e150, 1e300):
        scaled = unit * X
        assert total_norm(scaled, power_of_two(size_of_entries(scaled))) == pytest.approx(5 * unit)
    huge = np.full(9, 1e308)
    with pytest.raises(InvalidValueError, match="overflows"):
        total_norm(huge, power_of_two(1e308))


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_operators_of_every_kind(shape):
    matrix = np.diag([1.0, 2.0, 3.0])
    v = X.reshape(shape)
    kinds = (matrix, sparse.csr_array(matrix), linalg.aslinearoperator(matrix), lambda x: matrix @ x)
    for A in kinds:
        np.testing.assert_array_equal(applier(A, "A", v)(v), matrix @ v)
    grid = PoissonOperator(np.ones((2, 3), bool))
    u = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(applier(grid, "A", u)(u), grid.apply(u))


def test_what_is_refused():
    for A, error, text in (
        (np.ones((3, 2)), ShapeError, "square"),
        (np.ones((4, 4)), ShapeError, "rows"),
        (1j * np.eye(3), DTypeError, "real"),
        ("A", DTypeError, "expected a matrix"),
        (PoissonOperator(np.ones((2, 2), bool)), ShapeError, "the grid"),
    ):
        with pytest.raises(error, match=text):
            applier(A, "A", X)
    with pytest.raises(ShapeError, match="same shape"):
        applier(lambda v: v[:2], "A", X)(X)
    with pytest.raises(ShapeError, match="single number"):
        as_vector(np.float64(1), "b")
    assert as_vector(np.arange(3), "b").dtype == np.float64
