"""The lowest eigenvectors of preconditioned operators, beside those of dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS
from scipy import sparse
from scipy.linalg import eigh

from sci.errors import ConvergenceError, InvalidValueError
from sci.solvers import IncompleteCholesky, PoissonOperator, SparseOperator, lowest_eigenvectors
from sci.solvers.preconditioners.lowest import orthonormal


@pytest.mark.parametrize("A", OPERATORS, ids=range(len(OPERATORS)))
@pytest.mark.parametrize("preconditioned", [False, True])
def test_values_and_vectors_are_those_of_the_dense_matrix(A: PoissonOperator, preconditioned: bool) -> None:
    matrix = A.to_scipy().toarray()
    if preconditioned:
        M = IncompleteCholesky(A)
        right = np.linalg.inv(np.stack([M @ e for e in np.eye(A.size)], axis=1))
        right = (right + right.T) / 2
    else:
        M, right = None, np.diag(np.diag(matrix))
    exact = eigh(matrix, right, eigvals_only=True)
    exact = exact[exact > 1e-10][:6]
    values, vectors = lowest_eigenvectors(A, 6, M=M, rtol=1e-6)
    assert (values >= exact * (1 - 1e-9)).all()
    np.testing.assert_allclose(values, exact, rtol=1e-3)
    np.testing.assert_allclose(vectors.T @ matrix @ vectors, np.eye(6), atol=1e-9)


def test_all_vectors_of_a_cube_are_found() -> None:
    """Its second eigenvalue comes three times."""
    A = PoissonOperator(np.ones((10,) * 3, dtype=bool))
    one = 2 - 2 * np.cos(np.pi * np.arange(1, 11) / 11)
    exact = np.sort((one[:, None, None] + one[:, None] + one).ravel())[:10] / 6
    for given in (A, A.to_scipy(), SparseOperator(A.to_scipy())):
        np.testing.assert_allclose(lowest_eigenvectors(given, 10, rtol=1e-3)[0], exact, rtol=1e-3)


def test_small_matrices_give_all_that_they_have() -> None:
    values, vectors = lowest_eigenvectors(np.diag([1.0, 2.0, 3.0]), 8, M=np.eye(3))
    np.testing.assert_allclose(values, [1, 2, 3], rtol=1e-12)
    assert vectors.shape == (3, 3)


def test_wrong_arguments_are_refused() -> None:
    for options in ({"count": 0}, {"count": 2, "rtol": 0.0}, {"count": 2, "maxiter": 0}):
        with pytest.raises(InvalidValueError, match="count"):
            lowest_eigenvectors(OPERATORS[0], **options)
    with pytest.raises(ConvergenceError, match="positive"):
        lowest_eigenvectors(sparse.diags_array([1.0, 2.0, -3.0]).tocsr(), 2, M=np.eye(3))
    with pytest.raises(InvalidValueError, match="M is needed"):
        lowest_eigenvectors(sparse.linalg.aslinearoperator(np.eye(3)), 1)


def test_a_basis_leaves_out_what_is_dependent() -> None:
    W = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 1.0]])
    B = orthonormal(W.T @ W)
    assert B.shape == (3, 2)
    np.testing.assert_allclose(B.T @ W.T @ W @ B, np.eye(2), atol=1e-12)
    assert orthonormal(np.zeros((2, 2))).shape == (2, 0)
