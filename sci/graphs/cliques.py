"""Exact numbers of cliques of a graph, by bits and counts of bits, over ranks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, Device, namespace, namespace_of, to_device, to_host
from sci.distributed import Comm, Deferred, agreed, allreduce_sum, rank_of, size
from sci.errors import InvalidValueError
from sci.graphs.graph import Graph, Orientation
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = ["clique_counts", "exact_sum", "pieces", "places_in_runs"]

_FILE = "graphs/cliques.cu"
_LARGEST = 8
_WORDS = 1 << 18
"""Words of 64 bits that the neighborhoods of one pass take, unless one alone needs more."""


@collective_entry
def clique_counts(graph: Graph, largest: int = 4, *, device: Device = "cpu", comm: Comm = None) -> dict[int, int]:
    """Count the cliques of each size: sets of nodes that are all neighbors of each other.

    Parameters
    ----------
    graph : Graph
        The same on all ranks.
    largest : int
        Largest size that is counted, 1 to 8.
    device : "cpu" or "cuda"
    comm : mpi4py communicator, optional

    Returns
    -------
    dict of int
        The number of cliques of 1 to `largest` nodes: nodes, edges, triangles, and so on. Exact, Python integers.

    Raises
    ------
    InvalidValueError
        Also where one edge may have more cliques than 2^63 - 1, so that a count could overflow.

    Notes
    -----
    Collective. Edges are directed from lower to higher degree; the neighbors that a node v leads to are a matrix of
    bits, and cliques are counted by ands and counts of bits (kernel `cliques.cu`). Nodes are dealt out to ranks one by
    one in the order of degree, so that each has about the same work. Memory: the edges twice, and about 30 MB, or the
    bits of the largest neighborhood.

    References
    ----------
    N. Chiba and T. Nishizeki, SIAM J. Comput. 14, 210, 1985, for the orientation.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.graphs import Graph, clique_counts
    >>> clique_counts(Graph.from_adjacency(1 - np.eye(5)), 5)
    {1: 5, 2: 10, 3: 10, 4: 5, 5: 1}
    """
    with agreed(comm, "clique_counts") as agreement:
        agreement.same(largest=largest, n_nodes=graph.n_nodes, edges=graph.edges)
        if not 1 <= largest <= _LARGEST:
            raise InvalidValueError(f"largest is {largest}; expected a size of 1 to {_LARGEST}")
        ways = graph.orientation
        most = int(np.diff(ways.start).max(initial=0))
        if math.comb(max(0, most - 1), max(0, largest - 2)) >= 2**63:
            raise InvalidValueError(
                f"a node leads to {most} others, so that an edge may be in more than 2^63 - 1 cliques of {largest}; "
                "expected a smaller `largest`"
            )
        xp = namespace_of(device)
    totals = {1: int(graph.n_nodes or 0), 2: graph.n_edges}
    sizes = range(3, largest + 1)
    work, halves = Deferred(), np.zeros((len(sizes), 2), np.int64)
    with work:
        halves = _own_counts(ways, sizes, xp, rank_of(comm), size(comm))
    work.settle(comm, "clique_counts")
    for k, (high, low) in zip(sizes, allreduce_sum(halves, comm).tolist()):
        totals[k] = (high << 32) + low
    return {k: totals[k] for k in range(1, largest + 1)}


def exact_sum(counts: np.ndarray) -> tuple[int, int]:
    """Return high and low part of the sum of int64 counts of at least 0: high 2^32 + low.

    Parameters
    ----------
    counts : (n,) int64
        Fewer than 2^31.

    Returns
    -------
    high, low : int
        The sums of the numbers of 2^32 and of what is left of them; neither overflows.
    """
    return int((counts >> 32).sum()), int((counts & 0xFFFFFFFF).sum())


def pieces(work: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Yield first and last of runs of items whose work adds up to at most `most`, or of one item that has more."""
    ends, first = np.cumsum(work), 0
    while first < len(work):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield first, last
        first = last


def places_in_runs(counts: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... count - 1 for each of the counts, one run after another."""
    found: np.ndarray = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return found


def _own_counts(ways: Orientation, sizes: range, xp: ModuleType, rank: int, ranks: int) -> np.ndarray:
    """Return high and low part of the counts of the cliques whose first node is dealt to this rank, for each size."""
    totals = np.zeros((len(sizes), 2), np.int64)
    start, target = (to_device(a, xp) for a in (ways.start, ways.target))
    for arrays in _passes(ways, rank, ranks) if sizes else ():
        edge, source, offset, matrix, width, place = (to_device(a, xp) for a in arrays[0])
        bits = namespace(edge).zeros(arrays[1], np.int64)
        _pack(bits, start, target, edge, source, offset)
        for row, k in enumerate(sizes):
            counts = to_host(_count(bits, matrix, width, place, k))
            totals[row] += exact_sum(counts)
            if not bool(counts.any()):
                break  # no clique of this size, so none that is larger
    return totals


def _passes(ways: Orientation, rank: int, ranks: int) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
    """Yield the edges of some nodes, with the places of their bits, and how many words these take in all."""
    degrees = np.diff(ways.start)
    nodes = np.arange(rank, len(degrees), ranks)
    nodes = nodes[degrees[nodes] > 1]  # a clique of 3 needs two later nodes
    words = degrees[nodes] * -(-degrees[nodes] // 64)
    for first, last in pieces(words, _WORDS):
        chosen, counts, sizes = nodes[first:last], degrees[nodes[first:last]], words[first:last]
        source, place = np.repeat(chosen, counts), places_in_runs(counts)
        edge = ways.start[source] + place
        width = np.repeat(-(-counts // 64), counts)
        matrix = np.repeat(np.cumsum(sizes) - sizes, counts)
        yield (edge, source, matrix + place * width, matrix, width, place), int(sizes.sum())


def _pack(bits: Array, start: Array, target: Array, edge: Array, source: Array, offset: Array) -> None:
    """Set the bits of the neighborhoods."""
    kernel = get_kernel(_FILE, "neighborhood_bits", np.int64)
    if use_compiled(kernel, bits):
        launch(kernel, -(-len(edge) // block_size(bits)), start, target, edge, source, offset, bits, len(edge))
        return
    neighborhood_bits_reference(start, target, edge, source, offset, bits)


def neighborhood_bits_reference(
    start: Array, target: Array, edge: Array, source: Array, offset: Array, bits: Array
) -> None:
    """Reference of the kernel `neighborhood_bits`, by sets of Python."""
    start, target, edge, source, offset = (to_host(a) for a in (start, target, edge, source, offset))
    words = np.zeros(len(bits), np.uint64)
    for e, v, row in zip(edge.tolist(), source.tolist(), offset.tolist()):
        u = int(target[e])
        own = target[start[v] : start[v + 1]]
        both = np.flatnonzero(np.isin(own, target[start[u] : start[u + 1]]))
        np.bitwise_or.at(words, row + both // 64, np.uint64(1) << (both % 64).astype(np.uint64))
    bits[...] = to_device(words.view(np.int64), namespace(bits))


def _count(bits: Array, matrix: Array, width: Array, place: Array, k: int) -> Array:
    """Return the number of cliques of k nodes whose first two nodes are each edge."""
    xp = namespace(bits)
    kernel = get_kernel(_FILE, "count_cliques", np.int64, k - 3)
    if not use_compiled(kernel, bits):
        return count_cliques_reference(bits, matrix, width, place, k)
    counts = xp.empty(len(matrix), np.int64)
    launch(kernel, -(-len(matrix) // block_size(bits)), bits, matrix, width, place, counts, len(matrix))
    return counts


def count_cliques_reference(bits: Array, matrix: Array, width: Array, place: Array, k: int) -> Array:
    """Reference of the kernel `count_cliques`, by integers of Python as sets of bits."""
    words = to_host(bits).view(np.uint64)

    def row(begin: int, count: int, number: int) -> int:
        return int.from_bytes(words[begin + number * count : begin + (number + 1) * count].tobytes(), "little")

    def extensions(begin: int, count: int, common: int, more: int) -> int:
        if more == 0:
            return common.bit_count()
        found = 0
        for j in itertools.compress(range(common.bit_length()), map(int, reversed(bin(common)[2:]))):
            found += extensions(begin, count, common & row(begin, count, j), more - 1)
        return found

    given = (to_host(a).tolist() for a in (matrix, width, place))
    counts = [extensions(begin, count, row(begin, count, number), k - 3) for begin, count, number in zip(*given)]
    return to_device(np.array(counts, np.int64), namespace(bits))
