"""The basis of permutation-equivariant polynomials by degree: patterns up to isomorphism, and what reaches them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.graphs.patterns import Edge, Pattern

__all__ = ["PatternKind", "enumerate_patterns", "is_matrix_computable"]

PatternKind: TypeAlias = Literal["simple", "multigraph", "directed"]
"""Which matrices the polynomials are of: 0 and 1, symmetric with a zero diagonal; symmetric; any."""

_MOST_EDGES = {"simple": 8, "multigraph": 7, "directed": 5}


@entry
def enumerate_patterns(
    degree: int, marks: int = 0, *, kind: PatternKind = "simple", connected: bool = True
) -> tuple[Pattern, ...]:
    """Enumerate the basis of polynomials of one degree, each pattern once up to isomorphism.

    Parameters
    ----------
    degree : int
        Number of edges, from 0; up to 8 for simple patterns, 7 for multigraphs, 5 for directed ones.
    marks : int
        0, 1 or 2: invariant numbers, vectors and the diagonals made of them, matrices off the diagonal.
    kind : "simple", "multigraph" or "directed"
        "simple" for matrices of 0 and 1, symmetric with a zero diagonal, where powers and loops give nothing new;
        "multigraph" for symmetric matrices; "directed" for any.
    connected : bool
        Whether to leave out products of polynomials, which have more than one component. Without connection, marked
        nodes may have no edge; unmarked ones always have one.

    Returns
    -------
    tuple of Pattern
        In canonical form, the marked nodes first; sorted.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    An edge at a time is added to the patterns of one degree less; canonical forms tell the new ones. For matrices of
    n >= 2 degree + marks rows and `connected=False` these polynomials are a basis: as many as there are orbits of
    permutations on monomials.

    References
    ----------
    O. Puny et al., ICML 2023, theorem 2.

    Examples
    --------
    >>> from sci.graphs import enumerate_patterns
    >>> [len(enumerate_patterns(degree)) for degree in (3, 4, 5, 6)]
    [3, 5, 12, 30]
    >>> enumerate_patterns(2, marks=1)
    (Pattern(0-1 0-2, marks [0]), Pattern(0-2 1-2, marks [0]))
    """
    most = _MOST_EDGES[kind]
    if not 0 <= degree <= most or not 0 <= marks <= 2:
        raise InvalidValueError(
            f"degree {degree} and {marks} marks; expected a degree of 0 to {most} for {kind} patterns, and 0 to 2 marks"
        )
    found = {Pattern([], directed=kind == "directed")}
    for _ in range(degree):
        found = _unique(_grown(pattern, kind, connected) for pattern in found)
    marked = _unique(_markings(pattern, marks, connected) for pattern in found)
    return tuple(sorted(marked, key=lambda p: (p.n_nodes, p.edges, p.marks)))


def _unique(groups: Iterable[Iterable[Pattern]]) -> set[Pattern]:
    return {pattern.canonical() for pattern in set(itertools.chain(*groups))}


def _grown(pattern: Pattern, kind: PatternKind, connected: bool) -> Iterator[Pattern]:
    """Yield the patterns with one edge more."""
    n = pattern.n_nodes or 0
    new = [n, n + 1]
    places: list[Edge] = [(a, b) for a in range(n) for b in range(n)]
    places += [edge for a in range(n) for edge in ((a, n), (n, a))]
    if n == 0 or not connected:
        places += [(n, n), (n, n + 1), (n + 1, n)]
    for a, b in places:
        if kind != "directed" and a > b:
            continue
        if kind == "simple" and (a == b or (a, b) in pattern.edges):
            continue
        count = n + sum(node in (a, b) for node in new)
        yield Pattern([*pattern.edges, (a, b)], (), count, pattern.directed)


def _markings(pattern: Pattern, marks: int, connected: bool) -> Iterator[Pattern]:
    """Yield the pattern with every choice of marked nodes, also of nodes without an edge unless it is to connect."""
    n = pattern.n_nodes or 0
    more = marks if not connected or n == 0 else 0
    for chosen in itertools.permutations(range(n + more), marks):
        fresh = [node for node in chosen if node >= n]
        if fresh != list(range(n, n + len(fresh))):
            continue
        made = Pattern(pattern.edges, chosen, n + len(fresh), pattern.directed)
        if not connected or made.is_connected:
            yield made


@entry
def is_matrix_computable(pattern: Pattern) -> bool:
    """Decide if products of matrices, products of entries, transposes, diagonals and sums of rows reach P_H.

    They do if the unmarked nodes can be eliminated one at a time, each when it has at most two neighbors: a node with
    neighbors u and v leaves an edge between them. The neighbors are those in the reduced pattern.

    Parameters
    ----------
    pattern : Pattern

    Returns
    -------
    bool

    Notes
    -----
    Elimination of a node with at most two neighbors never spoils that of another, so that any order decides. Networks
    of products of matrices (PPGN; Maron et al., NeurIPS 2019) miss the patterns that get stuck; as further features
    they add to what such a network can express.

    References
    ----------
    O. Puny et al., ICML 2023, section 4. Their public code takes neighbors from the pattern as given, not from the
    reduced one, and so finds K4 with one edge subdivided twice computable, which it is not.

    Examples
    --------
    >>> from sci.graphs import Pattern, is_matrix_computable
    >>> clique = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    >>> is_matrix_computable(Pattern(clique)), is_matrix_computable(Pattern(clique[1:]))
    (False, True)
    >>> is_matrix_computable(Pattern(clique[1:], marks=(2, 3))), is_matrix_computable(Pattern(clique[1:], marks=(0, 1)))
    (True, False)
    """
    beside: dict[int, set[int]] = {node: set() for node in range(pattern.n_nodes or 0)}
    for a, b in pattern.edges:
        if a != b:
            beside[a].add(b)
            beside[b].add(a)
    unmarked = set(beside) - set(pattern.marks)
    while unmarked:
        node = next((v for v in sorted(unmarked) if len(beside[v]) <= 2), None)
        if node is None:
            return False
        around = beside.pop(node)
        for v in around:
            beside[v] = (beside[v] | around) - {v, node}
        unmarked.discard(node)
    return True
