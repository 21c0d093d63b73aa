"""Aggregates cover what is not alone, follow strong links, and nodes of blocks stay whole."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sparse_systems import elasticity, rotated

from sci.linalg.sparse.rows import SparseRows
from sci.solvers.algebraic.aggregation import aggregates, indicator, link_sizes, node_matrix, strong_links


def test_strong_links_of_a_stretched_grid_lie_along_it():
    second = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(12, 12))
    A = SparseRows.of(
        (100 * sparse.kron(sparse.eye_array(12), second) + sparse.kron(second, sparse.eye_array(12))).tocsr()
    )
    largest, total = link_sizes(A, True)
    strong = strong_links(A, largest, 0.5, True)
    rows = np.repeat(np.arange(144), np.diff(A.starts))
    assert set(np.abs(A.columns - rows)[strong == 1].tolist()) == {1}
    assert total.max() == 202
    groups, count = aggregates(A, strong, np.zeros(144, np.int8))
    lines = groups.reshape(12, 12)
    assert count == 12 * 4
    assert all(len(np.unique(line)) == 4 for line in lines)
    assert len(np.unique(lines)) == count


def test_alone_is_left_out_and_the_weak_are_attached():
    A = SparseRows.of(
        sparse.csr_array(np.array([[1.0, -1, 0, 0], [-1, 1.001, -1e-3, 0], [0, -1e-3, 1e-3, 0], [0, 0, 0, 1.0]]))
    )
    strong = strong_links(A, link_sizes(A, True)[0], 0.5, True)
    groups, count = aggregates(A, strong, np.array([0, 0, 0, 1], np.int8))
    assert groups.tolist() == [0, 0, 0, -1]
    assert count == 1


def test_nodes_of_blocks():
    A, _ = elasticity(5)
    nodes = node_matrix(SparseRows.of(A), np.arange(0, A.shape[0] + 1, 2)).to_scipy()
    expected = np.sqrt((A.toarray().reshape(30, 2, 30, 2) ** 2).sum(axis=(1, 3)))
    np.testing.assert_allclose(nodes.toarray(), expected, atol=1e-14)
    rows = SparseRows.of(rotated(4))
    assert node_matrix(rows, None) is rows


def test_the_indicator_has_a_one_in_each_row():
    found = indicator(np.array([1, -1, 0]), 2).to_scipy().toarray()
    np.testing.assert_array_equal(found, [[0, 1], [0, 0], [1, 0]])
