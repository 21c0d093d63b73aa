"""The inverse of regular matrices, and the pseudo-inverse of singular ones, at any contrast."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sparse_systems import convection, neumann, rotated

from sci.solvers.algebraic.coarsest import pseudo_inverse


@pytest.mark.parametrize("symmetric", [True, False])
def test_regular_matrices_are_inverted(symmetric):
    matrix = (rotated(6) if symmetric else convection(6)).toarray()
    matrix = matrix / matrix.diagonal().max()
    np.testing.assert_allclose(pseudo_inverse(matrix, symmetric) @ matrix, np.eye(36), atol=1e-10)


@pytest.mark.parametrize("symmetric", [True, False])
def test_singular_components_have_a_pseudo_inverse(symmetric):
    matrix = sparse.block_diag([neumann(4), rotated(3), neumann(5)]).toarray()
    root = 1 / np.sqrt(matrix.diagonal())
    matrix = root[:, None] * matrix * root
    found = pseudo_inverse(matrix, symmetric)
    np.testing.assert_allclose(found, np.linalg.pinv(matrix, rcond=1e-10), atol=1e-9)
    assert not symmetric or (found == found.T).all()


def test_a_small_wall_is_no_rounding():
    matrix = np.array([[1.0, -1.0], [-1.0, 1.0 + 1e-9]])
    np.testing.assert_allclose(pseudo_inverse(matrix, True) * 1e-9, [[1, 1], [1, 1]], rtol=1e-6)


def test_nothing_but_zeros():
    np.testing.assert_array_equal(pseudo_inverse(np.zeros((2, 2)), True), np.zeros((2, 2)))
