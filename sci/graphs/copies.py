"""Exact numbers of copies of any small pattern, by contractions modulo primes, over ranks."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array
from sci.distributed import Comm, Deferred, agreed, allreduce_sum, rank_of, size
from sci.errors import InvalidValueError
from sci.graphs.graph import Graph
from sci.graphs.patterns import Pattern
from sci.graphs.polynomials import pattern_subscripts
from sci.tensor import ContractionPlan, plan_contraction
from sci.tensor.contraction.network import run_network

__all__ = ["count_copies", "superpatterns"]

_MOST_NODES = 7
_MOST_NUMBERS = 1 << 28
"""Numbers in the largest array that a contraction may make: 2 GiB."""


@collective_entry
def count_copies(graph: Graph, pattern: Pattern, *, induced: bool = False, comm: Comm = None) -> int:
    """Count the subgraphs of a graph that are isomorphic to a pattern.

    Parameters
    ----------
    graph : Graph
        The same on all ranks; contractions are dense, for up to some thousand nodes.
    pattern : Pattern
        Simple, without marks, of up to 7 nodes, of any number of components.
    induced : bool
        Whether the nodes may have no other edges between them.
    comm : mpi4py communicator, optional

    Returns
    -------
    int
        Exact.

    Raises
    ------
    InvalidValueError
        For another pattern, or arrays of more than 2 GiB.

    Notes
    -----
    Collective. Homomorphisms are P_H of the adjacency matrix. Copies are maps that take nodes to different nodes:
    sum over partitions of the nodes into sets without an edge, mu = prod (-1)^(b - 1) (b - 1)! over the sizes b of the
    sets, times the homomorphisms of the quotient; divided by the automorphisms. Contractions run in float64 modulo
    primes so small that no sum rounds, and the residues of as many primes as the count needs give the integer. Pairs of
    quotient and prime are dealt out to ranks.

    References
    ----------
    R. Curticapean, H. Dell and D. Marx, "Homomorphisms are a good basis for counting small subgraphs", STOC 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.graphs import Graph, Pattern, count_copies
    >>> clique = Graph.from_adjacency(1 - np.eye(6))
    >>> pentagon = Pattern([(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)])
    >>> count_copies(clique, pentagon), count_copies(clique, pentagon, induced=True)
    (72, 0)
    """
    with agreed(comm, "count_copies") as agreement:
        agreement.same(pattern=repr(pattern), induced=bool(induced), n_nodes=graph.n_nodes, edges=graph.edges)
        if not pattern.is_simple or pattern.marks or not 1 <= (pattern.n_nodes or 0) <= _MOST_NODES:
            raise InvalidValueError(
                f"{pattern!r}; expected a simple pattern without marks, of 1 to {_MOST_NODES} nodes"
            )
        weights = _homomorphism_weights(pattern, bool(induced))
        n = int(graph.n_nodes or 0)
        tasks = [(form, prime) for form in weights for prime in _primes(form, n)]
    adjacency = graph.adjacency.toarray().astype(np.float64) if tasks else np.zeros((n, n))
    residues, work = np.zeros(len(tasks), np.int64), Deferred()
    with work:
        for task in range(rank_of(comm), len(tasks), size(comm)):
            residues[task] = _homomorphisms(adjacency, *tasks[task])
    work.settle(comm, "count_copies")
    found = dict(zip(tasks, allreduce_sum(residues, comm).tolist()))
    total = sum(
        weight * _combined([(p, r) for (form, p), r in found.items() if form == wanted])
        for wanted, weight in weights.items()
    )
    return total // pattern.automorphisms()


def superpatterns(pattern: Pattern) -> Counter[Pattern]:
    """Return the patterns with more edges on the same nodes, and how many copies of `pattern` each has.

    Parameters
    ----------
    pattern : Pattern
        Simple, without marks.

    Returns
    -------
    Counter of Pattern
        In canonical form.
    """
    found = Counter(p.canonical() for _, p in _with_more_edges(pattern))
    del found[pattern.canonical()]
    own = pattern.automorphisms()
    return Counter({p: times * p.automorphisms() // own for p, times in found.items()})


def _with_more_edges(pattern: Pattern) -> Iterator[tuple[int, Pattern]]:
    """Yield every pattern on the same nodes with at least the same edges, and how many it has more."""
    free = [edge for edge in itertools.combinations(range(pattern.n_nodes or 0), 2) if edge not in pattern.edges]
    for count in range(len(free) + 1):
        for more in itertools.combinations(free, count):
            yield count, Pattern([*pattern.edges, *more], (), pattern.n_nodes)


def _homomorphism_weights(pattern: Pattern, induced: bool) -> dict[Pattern, int]:
    """Return the patterns whose homomorphisms, with these weights, add up to the injective maps of `pattern`."""
    signed: Counter[Pattern] = Counter()
    for count, other in _with_more_edges(pattern) if induced else [(0, pattern)]:
        signed[other.canonical()] += (-1) ** count
    weights: Counter[Pattern] = Counter()
    for other, sign in signed.items():
        for blocks in _independent_partitions(other, 0, []):
            place = {node: k for k, block in enumerate(blocks) for node in block}
            edges = {(min(place[a], place[b]), max(place[a], place[b])) for a, b in other.edges}
            moebius = math.prod((-1) ** (len(b) - 1) * math.factorial(len(b) - 1) for b in blocks)
            weights[Pattern(sorted(edges), (), len(blocks)).canonical()] += sign * moebius
    return {form: weight for form, weight in weights.items() if weight}


def _independent_partitions(pattern: Pattern, node: int, blocks: list[list[int]]) -> Iterator[list[list[int]]]:
    """Yield the partitions of the nodes into sets without an edge."""
    if node == (pattern.n_nodes or 0):
        yield blocks
        return
    beside = {a + b - node for a, b in pattern.edges if node in (a, b)}
    for k, block in enumerate(blocks):
        if not beside & set(block):
            yield from _independent_partitions(pattern, node + 1, [*blocks[:k], [*block, node], *blocks[k + 1 :]])
    yield from _independent_partitions(pattern, node + 1, [*blocks, [node]])


def _plan(form: Pattern, n: int) -> ContractionPlan:
    subscripts = pattern_subscripts(form)
    return plan_contraction(subscripts, {i: max(1, n) for i in subscripts if i.isalpha()})


def _primes(form: Pattern, n: int) -> list[int]:
    """Return primes so small that sums of products of residues are exact in float64, their product beyond n^k.

    Raises
    ------
    InvalidValueError
        If the contraction needs an array that is too large.
    """
    if n == 0:
        return []
    plan = _plan(form, n)
    largest = max((len(step[3].partition("->")[2]) for step in plan.steps), default=2)
    if n**largest > _MOST_NUMBERS:
        raise InvalidValueError(
            f"{form!r} needs arrays of {n}^{largest} numbers; expected at most 2^28: count in a smaller graph, or use "
            "count_motifs for patterns of at most four nodes"
        )
    summed = 1
    for _, _, right, indices in plan.steps:
        given, kept = indices.split("->")
        summed = max(summed, len(set(given) - {","} - set(kept)) if right else 1)
    below, primes, product = math.isqrt(2**53 // n**summed), list[int](), 1
    while product <= n ** (form.n_nodes or 0):
        while not all(below % q for q in range(2, math.isqrt(below) + 1)):
            below -= 1
        if below < 2:
            raise InvalidValueError(f"a graph of {n} nodes is too large for {form!r}; expected fewer nodes")
        primes.append(below)
        product *= below
        below -= 1
    return primes


def _homomorphisms(adjacency: Array, form: Pattern, prime: int) -> int:
    """Return the number of homomorphisms of a pattern to the graph, modulo a prime."""
    n = len(adjacency)
    plan = _plan(form, n)
    operands = {str(k): adjacency for k in range(form.degree)}
    operands |= {str(form.degree + k): np.ones(n) for k in range(len(form.isolated))}
    values = run_network(plan.steps, operands, lambda a: np.fmod(a, float(prime)))
    return int(values[plan.result])


def _combined(residues: Sequence[tuple[int, int]]) -> int:
    """Return the least number of these residues by their primes (Chinese remainders)."""
    found, modulus = 0, 1
    for prime, residue in residues:
        found += modulus * ((residue - found) * pow(modulus, -1, prime) % prime)
        modulus *= prime
    return found
