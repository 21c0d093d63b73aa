"""Coarse matrices are Galerkin's, null vectors go, and nothing is coarsened that needs none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sparse_systems import convection, elasticity, neumann, rotated

from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.hierarchy import Settings, build

SETTINGS = Settings(0.5, None, 20, True)


@pytest.mark.parametrize("kind", ["anisotropic", "elastic", "nonsymmetric"])
def test_coarse_matrices_are_products(kind):
    vectors, starts, settings = None, None, SETTINGS
    if kind == "elastic":
        matrix, vectors = elasticity(12)
        starts = np.arange(0, matrix.shape[0] + 1, 2)
    elif kind == "nonsymmetric":
        matrix, settings = convection(15), Settings(0.5, None, 20, False)
    else:
        matrix = rotated(20)
    vectors = np.ones((matrix.shape[0], 1)) if vectors is None else vectors
    levels = build(SparseRows.of(matrix), vectors, starts, settings)
    assert len(levels) >= 2
    assert len(levels[-1].A.starts) - 1 <= 60
    for fine, coarse in pairwise(levels):
        P, R, A = (m.to_scipy() for m in (fine.P, fine.R, fine.A))
        np.testing.assert_allclose(coarse.A.to_scipy().toarray(), (R @ A @ P).toarray(), atol=1e-12 * abs(A).max())
        if settings.symmetric:
            assert abs(R - P.T).max() == 0
        assert coarse.vectors.shape == (P.shape[1], vectors.shape[1])


def test_a_component_of_constants_ends_as_a_dead_unknown():
    matrix = sparse.block_diag([neumann(2), neumann(30), sparse.eye_array(40)]).tocsr()
    levels = build(SparseRows.of(matrix), np.ones((matrix.shape[0], 1)), None, SETTINGS)
    assert sum(int(level.dead.sum()) for level in levels) >= 1
    assert not levels[0].dead.any()
    assert all((level.diagonal > 0).all() for level in levels)
    assert len(levels[1].A.starts) - 1 < 300


def test_a_diagonal_matrix_has_one_level():
    assert len(build(SparseRows.of(sparse.eye_array(50)), np.ones((50, 1)), None, SETTINGS)) == 1


def test_prolongation_is_smoothed_twice_where_strong_links_are_few():
    sizes = []
    for degree in (None, 1, 2):
        level = build(SparseRows.of(rotated(20)), np.ones((400, 1)), None, Settings(0.5, degree, 20, True))[0]
        sizes.append(len(level.P.columns))
    assert sizes[0] == sizes[2] > sizes[1]
    plain = build(SparseRows.of(neumann(20)), np.ones((400, 1)), None, SETTINGS)[0]
    once = build(SparseRows.of(neumann(20)), np.ones((400, 1)), None, Settings(0.5, 1, 20, True))[0]
    assert len(plain.P.columns) == len(once.P.columns)
