"""Counts beside networkx and igraph."""

from __future__ import annotations

import numpy as np
import pytest
from graph_cases import random_graph

from sci.graphs import Pattern, clique_counts, count_copies, count_motifs, enumerate_patterns

pytestmark = pytest.mark.peers


def test_triangles_and_cliques_of_networkx():
    nx = pytest.importorskip("networkx")
    graph = random_graph(60, 0.25)
    theirs = nx.Graph(graph.edges.tolist())
    found = clique_counts(graph, 6)
    assert found[3] == sum(nx.triangles(theirs).values()) // 3
    sizes = [len(c) for c in nx.enumerate_all_cliques(theirs)]
    assert [found[k] for k in range(2, 7)] == [sizes.count(k) for k in range(2, 7)]


def test_subgraphs_of_networkx():
    nx = pytest.importorskip("networkx")
    graph = random_graph(14, 0.4)
    theirs = nx.Graph(graph.edges.tolist())
    for pattern in (p for degree in (4, 5) for p in enumerate_patterns(degree)):
        maps = nx.algorithms.isomorphism.GraphMatcher(theirs, nx.Graph(list(pattern.edges)))
        copies = sum(1 for _ in maps.subgraph_monomorphisms_iter()) // pattern.automorphisms()
        induced = sum(1 for _ in maps.subgraph_isomorphisms_iter()) // pattern.automorphisms()
        assert (count_copies(graph, pattern), count_copies(graph, pattern, induced=True)) == (copies, induced)


def test_the_atlas_of_networkx():
    nx = pytest.importorskip("networkx")
    atlas = [g for g in nx.graph_atlas_g() if len(g) > 1 and nx.is_connected(g)]
    for degree in (3, 4, 5, 6):
        forms = {Pattern([*g.edges]).canonical() for g in atlas if g.number_of_edges() == degree}
        assert forms == set(enumerate_patterns(degree))


def test_motifs_of_igraph():
    ig = pytest.importorskip("igraph")
    graph = random_graph(60, 0.2)
    theirs = ig.Graph(n=60, edges=graph.edges.tolist()).motifs_randesu(4)
    found = count_motifs(graph).induced
    # The classes of igraph of connected graphs of four nodes, by number of edges.
    names = ("star4", "path4", "paw", "cycle4", "diamond", "clique4")
    assert sorted(found[name] for name in names) == sorted(int(n) for n in np.nan_to_num(theirs) if n)
