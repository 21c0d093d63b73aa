"""Counts of motifs of three and four nodes against the counts of any pattern, in pieces and over ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.graphs import Graph, MotifCounts, count_copies, count_motifs, motifs
from sci.graphs.motifs import MOTIFS


def random_graph(n: int, p: float, seed: int = 0) -> Graph:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < p, 1)
    return Graph(np.argwhere(upper), n)


@pytest.mark.parametrize(("n", "p"), [(30, 0.3), (12, 1.0), (40, 0.05), (5, 0.0), (0, 0.5)])
def test_counts_of_any_pattern(n, p):
    graph = random_graph(n, p, seed=3)
    found = count_motifs(graph)
    assert found.copies == {name: count_copies(graph, pattern) for name, pattern in MOTIFS.items()}
    assert found.induced == {name: count_copies(graph, pattern, induced=True) for name, pattern in MOTIFS.items()}
    assert all(type(count) is int for count in [*found.copies.values(), *found.induced.values()])


def test_pieces_and_ranks(monkeypatch):
    graph = random_graph(50, 0.2)
    expected = count_motifs(graph)
    monkeypatch.setattr(motifs, "_PATHS", 100)
    assert count_motifs(graph) == expected
    assert on_ranks(3, lambda comm: count_motifs(graph, comm=comm)) == [expected] * 3


def test_hubs_do_no_harm():
    """Two hubs that share 20,000 leaves: 2 10^8 cycles of four, and 4 10^8 paths over a hub that nobody walks."""
    d = 20_000
    leaves = np.arange(2, d + 2)
    graph = Graph(np.concatenate([np.stack([np.full(d, hub), leaves], axis=1) for hub in (0, 1)]))
    found = count_motifs(graph)
    assert found.copies["cycle4"] == found.induced["cycle4"] == math.comb(d, 2)
    assert found.copies["star4"] == 2 * math.comb(d, 3)
    assert found.copies["path4"] == 2 * d * (d - 1)
    assert found.induced["path4"] == 0
    assert found.induced["diamond"] == 0


def test_it_prints_what_it_counts():
    assert repr(MotifCounts({"path3": 1200}, {"path3": 3})) == "MotifCounts(path3 1,200 (3 induced))"
