"""Exact numbers of the connected subgraphs of three and four nodes in large sparse graphs, over ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sci.arguments import collective_entry
from sci.distributed import Comm, Deferred, allreduce_sum, rank_of, size
from sci.graphs.cliques import clique_counts, exact_sum, pieces, places_in_runs
from sci.graphs.copies import superpatterns
from sci.graphs.graph import Graph, Orientation
from sci.graphs.patterns import Pattern

__all__ = ["MOTIFS", "MotifCounts", "count_motifs"]

MOTIFS: dict[str, Pattern] = {
    "path3": Pattern([(0, 1), (1, 2)]),
    "triangle": Pattern([(0, 1), (0, 2), (1, 2)]),
    "star4": Pattern([(0, 1), (0, 2), (0, 3)]),
    "path4": Pattern([(0, 1), (1, 2), (2, 3)]),
    "paw": Pattern([(0, 1), (0, 2), (1, 2), (2, 3)]),
    "cycle4": Pattern([(0, 1), (1, 2), (2, 3), (0, 3)]),
    "diamond": Pattern([(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]),
    "clique4": Pattern([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]),
}
"""The connected graphs of three and four nodes."""

_PATHS = 1 << 19
"""Paths of two edges that are held at once, about."""


@dataclass(frozen=True)
class MotifCounts:
    """How often each connected graph of three or four nodes is in a graph.

    Parameters
    ----------
    copies : dict of int
        By name: sets of edges of the graph that form the motif.
    induced : dict of int
        By name: sets of nodes between which the graph has exactly the edges of the motif.

    Examples
    --------
    >>> from sci.graphs import MotifCounts
    >>> MotifCounts({"path3": 3, "triangle": 1}, {"path3": 0, "triangle": 1})
    MotifCounts(path3 3 (0 induced), triangle 1 (1 induced))
    """

    copies: dict[str, int]
    induced: dict[str, int]

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {n:,} ({self.induced[name]:,} induced)" for name, n in self.copies.items())
        return f"MotifCounts({said})"


@collective_entry
def count_motifs(graph: Graph, *, comm: Comm = None) -> MotifCounts:
    """Count the connected subgraphs of three and four nodes, without listing them.

    Parameters
    ----------
    graph : Graph
        The same on all ranks.
    comm : mpi4py communicator, optional

    Returns
    -------
    MotifCounts
        Exact, Python integers.

    Raises
    ------
    InvalidValueError
        As `clique_counts`.

    Notes
    -----
    Collective. With degrees d, triangles t of an edge or a node, and common neighbors c of two nodes:
    star4 = sum binom(d, 3), path4 = sum over edges (d_u - 1)(d_v - 1) - 3 triangles, paw = sum over nodes t (d - 2),
    diamond = sum over edges binom(t, 2), cycle4 = sum over nodes v and w before v in the order of degree of
    binom(c, 2), c the common neighbors before v; cliques by `clique_counts`. Induced counts follow, as every copy lies
    in one induced graph. Work: sum over edges of the lower of two degrees, at most m (2 m)^(1/2), shared by the ranks;
    nodes of many neighbors do no harm. Memory: about six numbers an edge, and 50 MB of paths of two edges at a time.

    References
    ----------
    A. Pinar, C. Seshadhri and V. Vishal, "ESCAPE", WWW 2017, for four nodes. T. Hocevar and J. Demsar, Bioinformatics
    30, 559, 2014 (ORCA).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.graphs import Graph, count_motifs
    >>> found = count_motifs(Graph(np.array([[0, 1], [1, 2], [2, 0], [2, 3]])))
    >>> found.copies["path4"], found.induced["path4"], found.induced["paw"]
    (2, 0, 1)
    """
    cliques = clique_counts(graph, 4, comm=comm)
    rank, ranks, work = rank_of(comm), size(comm), Deferred()
    of_edges, halves = np.zeros(graph.n_edges, np.int64), np.zeros(2, np.int64)
    with work:
        of_edges = _triangles(graph.orientation, rank, ranks)
        halves = _cycles(graph.orientation, rank, ranks)
    work.settle(comm, "count_motifs")
    of_edges, halves = allreduce_sum(of_edges, comm), allreduce_sum(halves, comm)
    of_nodes = _of_nodes(graph, of_edges)
    degrees = graph.degrees.astype(object)
    lower, upper = (degrees[ends] - 1 for ends in np.asarray(graph.edges).T)
    copies = {
        "path3": int((degrees * (degrees - 1)).sum()) // 2,
        "triangle": cliques[3],
        "star4": int((degrees * (degrees - 1) * (degrees - 2)).sum()) // 6,
        "path4": int((lower * upper).sum()) - 3 * cliques[3],
        "paw": int((of_nodes.astype(object) * (degrees - 2)).sum()),
        "cycle4": (int(halves[0]) << 32) + int(halves[1]),
        "diamond": int((of_edges.astype(object) * (of_edges.astype(object) - 1)).sum()) // 2,
        "clique4": cliques[4],
    }
    return MotifCounts(copies, _induced(copies))


def _triangles(ways: Orientation, rank: int, ranks: int) -> np.ndarray:
    """Return the number of triangles of each edge, as far as they are found on the paths of this rank.

    The edges are in the order of the orientation; a triangle is a path u, x, y of rising nodes whose ends are an edge.
    """
    start, target = ways.start, ways.target
    n, m = len(start) - 1, len(target)
    source, steps = np.repeat(np.arange(n), np.diff(start)), np.diff(start)
    keys, found = source * n + target, np.zeros(m, np.int64)
    own = np.arange(rank, m, ranks)
    for first, last in pieces(steps[target[own]], _PATHS):
        edges = own[first:last]
        counts = steps[target[edges]]
        one = np.repeat(edges, counts)  # u to x
        two = places_in_runs(counts) + start[target[one]]  # x to y
        wanted = source[one] * n + target[two]
        three = np.minimum(np.searchsorted(keys, wanted), m - 1)
        closed = keys[three] == wanted
        for edge in (one, two, three):
            found += np.bincount(edge[closed], minlength=m)
    return found


def _cycles(ways: Orientation, rank: int, ranks: int) -> np.ndarray:
    """Return high and low part of the number of cycles of four whose last node is one of this rank."""
    n = len(ways.start) - 1
    up = sparse.csr_array((np.ones(len(ways.target), np.int64), ways.target, ways.start), shape=(n, n))
    down = up.T.tocsr()
    both = (up + down).tocsr()
    totals, own = np.zeros(2, np.int64), np.arange(rank, n, ranks)
    for first, last in pieces((down @ np.diff(both.indptr))[own], _PATHS):
        rows = own[first:last]
        common = (down[rows] @ both).tocoo()
        row, column = common.coords
        shared = common.data[column < rows[row]]
        totals += exact_sum(shared * (shared - 1) // 2)
    return totals


def _of_nodes(graph: Graph, of_edges: np.ndarray) -> np.ndarray:
    """Return the triangles of each node from those of edges: two edges of a triangle meet in each of its nodes."""
    ways = graph.orientation
    source = np.repeat(np.arange(len(ways.start) - 1), np.diff(ways.start))
    totals = np.zeros(len(ways.start) - 1, np.int64)
    for ends in (source, ways.target):
        np.add.at(totals, ends, of_edges)
    found = np.empty_like(totals)
    found[np.argsort(graph.degrees, kind="stable")] = totals // 2
    return found


def _induced(copies: dict[str, int]) -> dict[str, int]:
    """Return induced counts: less the copies that lie in graphs with more edges on the same nodes."""
    found: dict[str, int] = {}
    by_form = {pattern.canonical(): name for name, pattern in MOTIFS.items()}
    for name, pattern in reversed(MOTIFS.items()):
        found[name] = copies[name] - sum(
            times * found[by_form[other]] for other, times in superpatterns(pattern).items()
        )
    return {name: found[name] for name in MOTIFS}
