"""Prolongation reproduces the near null space, and smoothing keeps it where the matrix maps it to zero."""

from __future__ import annotations

import numpy as np
import pytest
from sparse_systems import elasticity, neumann, rotated

from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.aggregation import link_sizes, strong_links
from sci.solvers.algebraic.prolongation import largest_eigenvalue, smoothed, smoothing_matrix, tentative


@pytest.mark.parametrize("k", [1, 3])
def test_the_tentative_prolongation_is_an_orthonormal_basis(k):
    rng = np.random.default_rng(0)
    groups, vectors = rng.integers(-1, 8, 60).astype(np.int32), rng.normal(size=(60, k))
    vectors[groups == 3, -1] = vectors[groups == 3, 0] if k > 1 else vectors[groups == 3, -1]
    T, coarse, starts = tentative(groups, 8, vectors)
    dense = T.to_scipy().toarray()
    np.testing.assert_allclose(dense.T @ dense, np.eye(T.width), atol=1e-14)
    np.testing.assert_allclose(dense @ coarse, vectors * (groups >= 0)[:, None], atol=1e-13)
    assert starts[-1] == T.width == 8 * k - (k > 1)


def test_dependent_modes_of_small_aggregates_have_no_column():
    A, modes = elasticity(2)
    nodes = np.arange(6)
    T, _, starts = tentative(np.repeat(nodes, 2).astype(np.int32), 6, modes)
    assert T.width == A.shape[0]
    assert np.diff(starts).tolist() == [2] * 6


def test_smoothing_keeps_constants_where_the_matrix_does():
    A = SparseRows.of(neumann(9))
    strong = strong_links(A, link_sizes(A, True)[0], 0.5, True)
    S = smoothing_matrix(A, strong, np.ones(81), 1.5)
    np.testing.assert_allclose(S.multiply(np.ones(81)), 1.0, atol=1e-14)
    weak = smoothing_matrix(SparseRows.of(rotated(9)), np.zeros(rotated(9).nnz, np.int8), np.ones(81), 1.0)
    assert len(weak.columns) == 81
    T, _, _ = tentative((np.arange(81) // 9).astype(np.int32), 9, np.ones((81, 1)))
    dense = S.to_scipy().toarray()
    np.testing.assert_allclose(
        smoothed(S, T, 2).to_scipy().toarray(), dense @ dense @ T.to_scipy().toarray(), atol=1e-14
    )


def test_the_largest_eigenvalue_is_bounded():
    matrix = rotated(12)
    root = 1 / np.sqrt(matrix.diagonal())
    exact = np.linalg.eigvalsh(root[:, None] * matrix.toarray() * root)[-1]
    assert exact <= largest_eigenvalue(SparseRows.of(matrix), root) <= 1.2 * exact
