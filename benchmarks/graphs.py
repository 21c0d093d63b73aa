"""Cliques, motifs and polynomials of graphs beside networkx and igraph, and the figures of the paper.

    OMP_NUM_THREADS=1 python benchmarks/graphs.py               # half a minute
    OMP_NUM_THREADS=1 python benchmarks/graphs.py --nodes 5000

CPU seconds of this process on one thread. The graph has edges between nodes drawn with probability k^-0.6, so that some
nodes have many. A ratio is ours over the peer's: below 1, ours is faster. A peer that is not installed is left out with
a line: pip install networkx igraph.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.graphs import (
    Graph,
    Pattern,
    clique_counts,
    count_copies,
    count_motifs,
    enumerate_patterns,
    graph_polynomial,
    is_matrix_computable,
)

PUBLISHED = {3: (3, 0), 4: (5, 0), 5: (12, 1), 6: (30, 11)}
"""By edges: connected simple graphs, and pairs of graph and marks that matrix products do not reach."""
CLIQUE = list(itertools.combinations(range(4), 2))


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a run, and its result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def peer(name: str) -> Any:
    """Return a peer's module, None with a line where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: pip install {name}")
        return None


def random_graph(nodes: int, edges: int) -> Graph:
    """Return a graph with hubs."""
    rng, weights = np.random.default_rng(0), np.arange(1, nodes + 1) ** -0.6
    ends = rng.choice(nodes, (edges, 2), p=weights / weights.sum())
    return Graph(ends[ends[:, 0] != ends[:, 1]], nodes)


def line(work: str, ours: float, found: Any, peers: dict[str, tuple[float, Any]]) -> None:
    """Print a row: CPU seconds of ours, of the peers with ratios, and whether the counts agree."""
    said = [
        f"{name} {t:.3f} ({ours / t:.3f}){'' if value == found else ' DIFFERS'}" for name, (t, value) in peers.items()
    ]
    print(f"{work:<44}{ours:>9.3f}  {', '.join(said)}")


def basis() -> None:
    """Print the sizes of the basis beside those published."""
    print("edges  connected graphs  not by matrix products (marks 0, 1, 2)")
    total = 0.0
    for degree, (graphs, missing) in PUBLISHED.items():
        taken, found = seconds(lambda d=degree: [enumerate_patterns(d, marks) for marks in (0, 1, 2)])
        stuck = [sum(not is_matrix_computable(p) for p in patterns) for patterns in found]
        total += taken
        print(f"{degree:>5}{len(found[0]):>10} ({graphs}){sum(stuck):>12} ({missing})  {stuck}")
    print(f"CPU seconds of the enumeration: {total:.2f}")


def counts(nodes: int, edges: int) -> None:
    """Print the times of counts in a sparse graph."""
    graph, nx, ig = random_graph(nodes, edges), peer("networkx"), peer("igraph")
    clique_counts(graph, 8)  # compiles
    print(f"{graph}, largest degree {graph.degrees.max()}\n{'count':<44}{'ours, s':>9}  peers, s (ratio)")
    theirs = nx.Graph(graph.edges.tolist()) if nx else None
    other = ig.Graph(n=nodes, edges=graph.edges.tolist()) if ig else None
    for size in (3, 4, 5):
        ours, found = seconds(lambda k=size: clique_counts(graph, k)[k])
        peers = {}
        if other:
            peers["igraph"] = seconds(lambda k=size: len(other.cliques(k, k)))
        if theirs and size == 3:
            peers["networkx"] = seconds(lambda: sum(nx.triangles(theirs).values()) // 3)
        line(f"cliques of {size}", ours, found, peers)
    ours, motifs = seconds(lambda: count_motifs(graph))
    print(f"{'all motifs of 3 and 4 nodes, both kinds':<44}{ours:>9.3f}  4-cycles {motifs.copies['cycle4']:,}")


def small_counts() -> None:
    """Print the time of motifs in a graph that is small enough for a peer that visits every one."""
    graph, ig = random_graph(1_000, 5_000), peer("igraph")
    ours, found = seconds(lambda: count_motifs(graph))
    peers = {}
    if ig:
        other = ig.Graph(n=1_000, edges=graph.edges.tolist())
        peers["igraph, 4 nodes induced"] = seconds(lambda: [int(n) for n in other.motifs_randesu(4)[-3:]])
    expected = [found.induced[name] for name in ("cycle4", "diamond", "clique4")]
    line(f"all motifs, {graph.n_edges:,} edges", ours, expected, peers)


def dense() -> None:
    """Print the times of polynomials and of copies of patterns in a dense graph."""
    a = np.triu(np.random.default_rng(1).random((200, 200)) < 0.3, 1)
    a = (a | a.T).astype(float)
    for name, pattern in (("K4 less an edge, marked", Pattern(CLIQUE[1:], (0, 1))), ("K4", Pattern(CLIQUE))):
        letters = ",".join("abcd"[u] + "abcd"[v] for u, v in pattern.edges) + "->" + "ab"[: len(pattern.marks)]
        graph_polynomial(a, pattern=pattern)
        ours, found = seconds(lambda p=pattern: graph_polynomial(a, pattern=p))
        operands = [a] * pattern.degree
        peers = {"NumPy's optimal path": seconds(lambda s=letters, o=operands: np.einsum(s, *o, optimize="optimal"))}
        peers = {key: (t, np.allclose(value, found)) for key, (t, value) in peers.items()}
        line(f"polynomial of {name}, 200 nodes", ours, True, peers)
    ours, found = seconds(lambda: count_copies(Graph.from_adjacency(a), Pattern([(k, (k + 1) % 5) for k in range(5)])))
    print(f"{'copies of the 5-cycle, 200 nodes':<44}{ours:>9.3f}  {found:,}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--edges", type=int, default=400_000)
    arguments = parser.parse_args()
    basis()
    counts(arguments.nodes, arguments.edges)
    small_counts()
    dense()
