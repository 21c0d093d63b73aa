"""Counts of cliques: all subsets of nodes, closed forms, passes and ranks, sums beyond a word, refusals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from thread_ranks import on_ranks

import sci
from sci.errors import InvalidValueError
from sci.graphs import Graph, clique_counts, cliques


def random_graph(n: int, p: float, seed: int = 0) -> Graph:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < p, 1)
    return Graph(np.argwhere(upper), n)


def by_subsets(graph: Graph, k: int) -> int:
    a = graph.adjacency.toarray()
    return sum(all(a[i, j] for i, j in itertools.combinations(s, 2)) for s in itertools.combinations(range(len(a)), k))


@pytest.mark.parametrize(("n", "p"), [(14, 0.7), (16, 0.3), (9, 1.0), (7, 0.0)])
@pytest.mark.parametrize("kernels", ["compiled", "reference"])
def test_all_subsets(n, p, kernels):
    graph = random_graph(n, p)
    with sci.options(kernels=kernels):
        assert clique_counts(graph, 8) == {k: by_subsets(graph, k) for k in range(1, 9)}


def test_complete_graphs_of_several_words():
    graph = Graph.from_adjacency(1 - np.eye(200))
    assert clique_counts(graph, 5) == {k: math.comb(200, k) for k in range(1, 6)}


def test_strongly_regular_graphs_of_one_spectrum():
    """Rook and Shrikhande graph: equal degrees, eigenvalues and triangles; cliques of four tell them apart."""
    a = np.arange(16)
    row, column = np.abs(a[:, None] // 4 - a // 4), np.abs(a[:, None] % 4 - a % 4)
    rook = ((row == 0) | (column == 0)) & ~np.eye(16, dtype=bool)
    step = {(0, 1), (1, 0), (1, 1), (0, 3), (3, 0), (3, 3)}
    shrikhande = np.array([[((j // 4 - i // 4) % 4, (j % 4 - i % 4) % 4) in step for j in a] for i in a])
    values = [np.linalg.eigvalsh(m.astype(float)) for m in (rook, shrikhande)]
    np.testing.assert_allclose(*values, atol=1e-12)
    found = [clique_counts(Graph.from_adjacency(m.astype(float)), 5) for m in (rook, shrikhande)]
    assert found == [{1: 16, 2: 48, 3: 32, 4: 8, 5: 0}, {1: 16, 2: 48, 3: 32, 4: 0, 5: 0}]


def test_passes_and_ranks_give_the_same(monkeypatch):
    graph = random_graph(120, 0.4)
    expected = clique_counts(graph, 6)
    monkeypatch.setattr(cliques, "_WORDS", 50)
    assert clique_counts(graph, 6) == expected
    assert on_ranks(3, lambda comm: clique_counts(graph, 6, comm=comm)) == [expected] * 3
    assert clique_counts(graph, 2) == {1: 120, 2: graph.n_edges}


def test_sums_that_leave_64_bits():
    counts = np.full(1000, 2**62, np.int64)
    high, low = cliques.exact_sum(counts)
    assert (high << 32) + low == 1000 * 2**62
    counts = np.arange(10, dtype=np.int64) + 2**40
    high, low = cliques.exact_sum(counts)
    assert (high << 32) + low == sum(counts.tolist())


def test_pieces_of_work():
    assert list(cliques.pieces(np.array([3, 4, 9, 0, 2, 1]), 7)) == [(0, 2), (2, 3), (3, 6)]
    assert list(cliques.pieces(np.zeros(0, int), 7)) == []
    assert cliques.places_in_runs(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]


def test_refusals():
    graph = random_graph(10, 0.5)
    for largest in (0, 9):
        with pytest.raises(InvalidValueError, match="1 to 8"):
            clique_counts(graph, largest)
    n = 24_000  # a star of stars would do: what counts is the largest number of ways out
    hub = np.stack([np.repeat(0, 3), np.arange(1, 4)], axis=1)
    wide = Graph(hub, n)
    start = np.zeros(n + 1, np.int64)
    start[1:] = n - 1
    object.__setattr__(wide, "orientation", type(wide.orientation)(start, np.arange(1, n)))
    with pytest.raises(InvalidValueError, match="more than 2\\^63 - 1 cliques of 8"):
        clique_counts(wide, 8)
