"""The assembled matrix: symmetric, with the rows of the fluid cells in C order."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.solvers import PoissonOperator


def test_a_matrix_by_hand():
    mask = np.array([[True, True, False], [True, True, True]])
    A = PoissonOperator(mask, boundary=["neumann", "dirichlet"], neumann_body=True)
    expected = [[3, -1, -1, 0, 0], [-1, 2, 0, -1, 0], [-1, 0, 3, -1, 0], [0, -1, -1, 3, -1], [0, 0, 0, -1, 2]]
    np.testing.assert_array_equal(A.to_scipy().toarray(), expected)


def test_links_round_a_short_axis_add():
    A = PoissonOperator(np.ones((2, 3), bool), boundary=["periodic", "neumann"])
    matrix = A.to_scipy().toarray()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix[0, 3] == -2
    np.testing.assert_array_equal(matrix.sum(axis=1), np.zeros(6))


def test_ranks_have_no_matrix():
    A = PoissonOperator(np.ones((4, 4, 4), bool), distributed_levels=1)
    A.comm = object()
    with pytest.raises(InvalidValueError, match="spread over ranks"):
        A.to_scipy()
