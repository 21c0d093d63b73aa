"""Copies of patterns: all maps of nodes, complete graphs, counts beyond 64 bits, ranks, refusals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.graphs import Graph, Pattern, clique_counts, count_copies, enumerate_patterns
from sci.graphs.copies import superpatterns


def random_graph(n: int, p: float, seed: int = 0) -> Graph:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < p, 1)
    return Graph(np.argwhere(upper), n)


def by_maps(graph: Graph, pattern: Pattern) -> tuple[int, int]:
    """Copies and induced copies by all maps of the nodes."""
    a = graph.adjacency.toarray()
    copies = induced = 0
    for nodes in itertools.permutations(range(len(a)), pattern.n_nodes):
        here = all(a[nodes[u], nodes[v]] for u, v in pattern.edges)
        copies += here
        inside = sum(a[u, v] for u, v in itertools.combinations(nodes, 2))
        induced += here and inside == pattern.degree
    return copies // pattern.automorphisms(), induced // pattern.automorphisms()


PATTERNS = [p for d in (1, 3, 5) for p in enumerate_patterns(d, connected=False) if p.n_nodes <= 5]


@pytest.mark.parametrize("pattern", PATTERNS, ids=repr)
def test_all_maps(pattern):
    graph = random_graph(9, 0.55)
    copies, induced = by_maps(graph, pattern)
    assert count_copies(graph, pattern) == copies
    assert count_copies(graph, pattern, induced=True) == induced


def test_larger_patterns_in_complete_graphs():
    """Copies of a pattern of k nodes in a complete graph: binom(n, k) k! / automorphisms."""
    graph = Graph.from_adjacency(1 - np.eye(9))
    for pattern in (*enumerate_patterns(6)[:9], Pattern([(k, (k + 1) % 7) for k in range(7)])):
        expected = math.comb(9, pattern.n_nodes) * math.factorial(pattern.n_nodes) // pattern.automorphisms()
        assert count_copies(graph, pattern) == expected


def test_counts_beyond_64_bits():
    star = Pattern([(0, k) for k in range(1, 7)])
    n = 1500
    hub = np.array([(a, b) for a in range(12) for b in range(12, n)])
    degrees = Graph(hub).degrees.tolist()
    expected = sum(math.comb(d, 6) for d in degrees)
    assert expected * 720 > 2**63
    assert count_copies(Graph(hub), star) == expected


def test_cliques_agree_with_their_kernel():
    graph = random_graph(40, 0.5)
    clique = Pattern(list(itertools.combinations(range(5), 2)))
    assert count_copies(graph, clique) == clique_counts(graph, 5)[5]


def test_ranks_and_empty_graphs():
    graph, pattern = random_graph(12, 0.5), Pattern([(0, 1), (1, 2), (2, 3), (0, 3)])
    expected = count_copies(graph, pattern, induced=True)
    assert on_ranks(3, lambda comm: count_copies(graph, pattern, induced=True, comm=comm)) == [expected] * 3
    assert count_copies(Graph([]), pattern) == 0
    assert count_copies(Graph([], 5), Pattern([], n_nodes=2)) == 10


def test_superpatterns_hold_copies():
    path = Pattern([(0, 1), (1, 2), (2, 3)])
    found = {p.degree: times for p, times in superpatterns(path).items() if p.is_connected and p.degree in (4, 5, 6)}
    cycle = Pattern([(0, 1), (1, 2), (2, 3), (0, 3)]).canonical()
    assert superpatterns(path)[cycle] == 4
    assert (found[5], found[6]) == (6, 12)


def test_refusals():
    graph = random_graph(8, 0.5)
    for pattern in (
        Pattern([(0, 1)], (0,)),
        Pattern([(0, 0)]),
        Pattern([(0, 1), (0, 1)]),
        Pattern([(0, 1)], directed=True),
        Pattern([(0, k) for k in range(1, 8)]),
        Pattern([]),
    ):
        with pytest.raises(InvalidValueError, match="simple pattern without marks"):
            count_copies(graph, pattern)
    clique = Pattern(list(itertools.combinations(range(6), 2)))
    with pytest.raises(InvalidValueError, match=r"at most 2\^28"):
        count_copies(random_graph(200, 0.1), clique)
