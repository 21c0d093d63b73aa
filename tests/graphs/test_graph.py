"""Graphs: edges in any form, the orientation, refusals that name the row."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.graphs import Graph


def random_graph(n: int, p: float, seed: int = 0) -> Graph:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < p, 1)
    return Graph(np.argwhere(upper), n)


def test_an_edge_counts_once():
    graph = Graph(np.array([[2, 0], [0, 2], [1, 2], [0, 2]], np.uint8), 5)
    np.testing.assert_array_equal(graph.edges, [[0, 2], [1, 2]])
    assert repr(graph) == "Graph(5 nodes, 2 edges)"
    np.testing.assert_array_equal(graph.degrees, [1, 1, 2, 0, 0])
    np.testing.assert_array_equal(
        graph.adjacency.toarray(), Graph.from_adjacency(graph.adjacency.toarray()).adjacency.toarray()
    )
    assert Graph([]).n_nodes == Graph(np.array([], int)).n_nodes == 0
    assert Graph(np.zeros((0, 2), int), 3).degrees.tolist() == [0, 0, 0]
    assert Graph.from_adjacency(np.zeros((0, 0))).n_edges == 0


def test_edges_without_nodes_are_refused():
    for edges in ([[0, 1]], [[-1, 0]]):
        with pytest.raises(InvalidValueError, match="n_nodes is 0, and there are 1 edges; expected more nodes, or no"):
            Graph(edges, 0)
    with pytest.raises(InvalidValueError, match=r"edges\[0\] is \(-2, -1\); expected nodes from 0 on"):
        Graph([[-2, -1]])


def test_the_orientation_has_no_circle_and_few_ways_out():
    graph = random_graph(60, 0.2)
    ways = graph.orientation
    source = np.repeat(np.arange(60), np.diff(ways.start))
    assert (source < ways.target).all()
    assert np.diff(ways.start).max() <= (2 * graph.n_edges) ** 0.5
    assert len(ways.target) == graph.n_edges
    for k in range(60):
        assert (np.diff(ways.target[ways.start[k] : ways.start[k + 1]]) > 0).all()
    assert repr(ways) == f"Orientation(60 nodes, {graph.n_edges} edges)"


@pytest.mark.parametrize(
    ("edges", "n_nodes", "error", "text"),
    [
        ([[0, 1], [3, 3]], None, InvalidValueError, r"edges\[1\] is \(3, 3\); expected no loops"),
        ([[0, 1], [1, -2]], None, InvalidValueError, r"edges\[1\] is \(1, -2\)"),
        ([[0, 5]], 5, InvalidValueError, "expected nodes from 0 to 4"),
        ([[0, 2**40]], None, InvalidValueError, "np.unique"),
        ([[0.0, 1.0]], None, DTypeError, "expected integers"),
        ([[0, np.nan]], None, DTypeError, "expected integers"),
        ([0, 1], None, ShapeError, r"\(m, 2\)"),
        (np.zeros((0, 2), int), -1, InvalidValueError, "n_nodes"),
    ],
)
def test_refusals_of_edges(edges, n_nodes, error, text):
    with pytest.raises(error, match=text):
        Graph(np.array(edges), n_nodes)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ((0, 1, 2.0), InvalidValueError, r"matrix\[0, 1\] is 2.0.*expected 0 or 1"),
        ((0, 1, np.nan), InvalidValueError, r"matrix\[0, 1\] is nan.*expected 0 or 1"),
        ((0, 1, 1.0), InvalidValueError, "symmetric"),
        ((1, 1, 1.0), InvalidValueError, "zero diagonal"),
    ],
)
def test_refusals_of_matrices(change, error, text):
    matrix = np.zeros((3, 3))
    matrix[change[0], change[1]] = change[2]
    with pytest.raises(error, match=text):
        Graph.from_adjacency(matrix)
    with pytest.raises(ShapeError, match="square"):
        Graph.from_adjacency(np.zeros((3, 4)))
    with pytest.raises(DTypeError):
        Graph.from_adjacency(np.zeros((3, 3), complex))
