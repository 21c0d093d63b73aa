"""Seeded graphs for the kernels of cliques, and graph code on arrays of a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

import sci
from sci.backend import to_device, to_host
from sci.graphs import Graph, Pattern, clique_counts, graph_polynomial
from sci.graphs.cliques import _count, _pack, _passes

Pair = tuple[np.ndarray, np.ndarray]


def random_graph(n: int, p: float, seed: int = 0) -> Graph:
    """Return a graph in which each pair of nodes is an edge with probability p."""
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < p, 1)
    return Graph(np.argwhere(upper), n)


def _graphs() -> Iterator[Graph]:
    """Few edges; one word of bits, full or not; several words; a complete graph; hubs."""
    hubs = np.array([(a, b) for a in range(3) for b in range(3, 70)] + [(0, 1), (0, 2), (1, 2)])
    yield from (random_graph(5, 0.9), random_graph(60, 0.3), random_graph(66, 1.0), random_graph(150, 0.4), Graph(hubs))


def _bits(graph: Graph) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
    ways = graph.orientation
    for arrays, words in _passes(ways, 0, 1):
        bits = np.zeros(words, np.int64)
        _pack(bits, ways.start, ways.target, *arrays[:3])
        yield bits, arrays


def _neighborhood_bits(rng: np.random.Generator) -> Iterator[Pair]:
    for graph in _graphs():
        found = []
        for kernels in ("compiled", "reference"):
            with sci.options(kernels=kernels):
                found.append(np.concatenate([bits for bits, _ in _bits(graph)]).view(np.uint8).astype(float))
        yield found[0], found[1]


def _count_cliques(rng: np.random.Generator, more: int) -> Iterator[Pair]:
    for graph in _graphs():
        if graph.n_nodes > 66 and more > 2:
            graph = random_graph(70, 0.3)
        if graph.n_nodes == 66 and more > 1:
            graph = random_graph(20, 1.0)
        for bits, (_, _, _, matrix, width, place) in _bits(graph):
            found = []
            for kernels in ("compiled", "reference"):
                with sci.options(kernels=kernels):
                    found.append(_count(bits, matrix, width, place, more + 3).astype(float))
            yield found[0], found[1]


CASES = {"neighborhood_bits": _neighborhood_bits, "count_cliques": _count_cliques}


def graphs_and_polynomials(xp: ModuleType) -> list[np.ndarray]:
    """Counts of cliques, and polynomials with diagonals, sums and gradients, on arrays of a namespace."""
    counts = clique_counts(random_graph(40, 0.4), 6, device="cpu" if xp is np else "cuda")
    x = to_device(np.random.default_rng(2).normal(size=(2, 3, 5, 5)), xp)
    answers = [np.array(list(counts.values()), float)]
    for pattern in (
        Pattern([(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)], (0,)),
        Pattern([(0, 0), (0, 2), (1, 2), (3, 3)], (0, 1), directed=True),
    ):
        out, residuals = graph_polynomial.forward(x, pattern=pattern)
        answers += [to_host(out), to_host(graph_polynomial.vjp(xp.ones_like(out), residuals)[0])]
    return answers
