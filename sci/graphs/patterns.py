"""Patterns: small multigraphs with marked nodes, their canonical form, and their automorphisms."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["Pattern"]

Edge = tuple[int, int]
Matrix = tuple[tuple[int, ...], ...]

_MOST_NODES = 16


@entry
@dataclass(frozen=True, repr=False)
class Pattern:
    """A small multigraph H with marked nodes, which stands for the polynomial P_H of a matrix X.

    P_H(X)_{j...} = sum over the unmarked nodes of prod_{(a, b) in edges} X_{i_a i_b}, the marked nodes at j....

    Parameters
    ----------
    edges : sequence of (int, int)
        Nodes are numbered from 0. An edge that stands k times is a k-th power, (a, a) a diagonal entry.
    marks : sequence of int
        0, 1 or 2 nodes, the axes of the result in order: a number, a vector or a matrix.
    n_nodes : int, optional
        Up to 16; one more than the largest number in `edges` and `marks` unless given. A node without an edge counts
        the nodes of the graph, or repeats along an axis of the result.
    directed : bool
        Whether (a, b) and (b, a) differ. For a symmetric X they do not.

    Raises
    ------
    InvalidValueError

    References
    ----------
    O. Puny et al., "Equivariant Polynomials for Graph Neural Networks", ICML 2023 (arXiv 2302.11556), equation 2.

    Examples
    --------
    >>> from sci.graphs import Pattern
    >>> clique = Pattern([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])
    >>> clique, clique.degree, clique.automorphisms()
    (Pattern(0-1 0-2 0-3 1-2 1-3 2-3), 6, 24)
    >>> Pattern([(2, 0), (2, 1)]) == Pattern([(0, 1), (1, 2)]), Pattern([(2, 0), (2, 1)]).canonical()
    (False, Pattern(0-2 1-2))
    """

    edges: Sequence[Edge]
    marks: Sequence[int] = ()
    n_nodes: int | None = None
    directed: bool = False

    def __post_init__(self) -> None:
        if any(len(edge) != 2 for edge in self.edges):
            raise InvalidValueError(f"edges {list(self.edges)}; expected pairs of nodes")
        edges = [(int(a), int(b)) if self.directed or a <= b else (int(b), int(a)) for a, b in self.edges]
        marks, largest = tuple(int(m) for m in self.marks), max([-1, *itertools.chain(*edges), *self.marks])
        count = largest + 1 if self.n_nodes is None else self.n_nodes
        if not largest < count <= _MOST_NODES or min([0, *itertools.chain(*edges), *marks]) < 0:
            raise InvalidValueError(
                f"edges {edges} and marks {marks} of {count} nodes; expected numbers from 0 to below {count}, and at "
                f"most {_MOST_NODES} nodes"
            )
        if len(marks) > 2 or len(set(marks)) != len(marks):
            raise InvalidValueError(f"marks are {marks}; expected at most two different nodes")
        for name, value in (("edges", tuple(sorted(edges))), ("marks", marks), ("n_nodes", count)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        arrow = ">" if self.directed else "-"
        said = " ".join(f"{a}{arrow}{b}" for a, b in self.edges) or f"{self.n_nodes} nodes"
        alone = f", {self.n_nodes} nodes" if self.edges and self.isolated else ""
        return f"Pattern({said}{alone}{f', marks {list(self.marks)}' if self.marks else ''})"

    @property
    def degree(self) -> int:
        """Degree of the polynomial: the number of edges."""
        return len(self.edges)

    @property
    def isolated(self) -> tuple[int, ...]:
        """Nodes without an edge."""
        touched = set(itertools.chain(*self.edges))
        return tuple(node for node in range(self.n_nodes or 0) if node not in touched)

    @property
    def is_simple(self) -> bool:
        """Whether no edge is a loop, none is there twice, and none has a direction."""
        return not self.directed and len(set(self.edges)) == len(self.edges) and all(a != b for a, b in self.edges)

    @property
    def is_connected(self) -> bool:
        """Whether a path leads from every node to every other."""
        return len(self.components()) <= 1

    def matrix(self) -> Matrix:
        """Return the multiplicity of each edge, as rows of numbers; symmetric unless directed."""
        n = self.n_nodes or 0
        rows = [[0] * n for _ in range(n)]
        for a, b in self.edges:
            rows[a][b] += 1
            if not self.directed and a != b:
                rows[b][a] += 1
        return tuple(map(tuple, rows))

    def components(self) -> list[list[int]]:
        """Return the nodes of each connected component, directions left aside."""
        beside: dict[int, set[int]] = {node: set() for node in range(self.n_nodes or 0)}
        for a, b in self.edges:
            beside[a].add(b)
            beside[b].add(a)
        found, seen = [], set[int]()
        for start in beside:
            if start in seen:
                continue
            part, todo = {start}, [start]
            while todo:
                new = beside[todo.pop()] - part
                part |= new
                todo += sorted(new)
            seen |= part
            found.append(sorted(part))
        return found

    def relabeled(self, order: Sequence[int]) -> Pattern:
        """Return the pattern with node order[k] as node k.

        Parameters
        ----------
        order : sequence of int
            Every node once.

        Returns
        -------
        Pattern
        """
        place = {node: k for k, node in enumerate(order)}
        edges = [(place[a], place[b]) for a, b in self.edges]
        return Pattern(edges, tuple(place[m] for m in self.marks), self.n_nodes, self.directed)

    def canonical(self) -> Pattern:
        """Return the pattern with its nodes in an order that isomorphic patterns share: the marked ones first."""
        matrix, colors = self.matrix(), self._colors()
        keyed = sorted(_canonical_order(matrix, colors, part) for part in self.components())
        order = [*self.marks, *(v for _, part in keyed for v in part if v not in self.marks)]
        return self.relabeled(order)

    def automorphisms(self) -> int:
        """Return the number of permutations of the nodes that keep the edges and each mark."""
        matrix, colors = self.matrix(), self._colors()
        return sum(1 for _ in _maps(matrix, colors, ()))

    def _colors(self) -> tuple[int, ...]:
        return tuple(self.marks.index(v) + 1 if v in self.marks else 0 for v in range(self.n_nodes or 0))


def _maps(matrix: Matrix, colors: tuple[int, ...], images: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the automorphisms that begin with `images`."""
    v = len(images)
    if v == len(matrix):
        yield images
        return
    for w in range(len(matrix)):
        if w in images or colors[v] != colors[w] or matrix[v][v] != matrix[w][w]:
            continue
        if all(matrix[v][u] == matrix[w][x] and matrix[u][v] == matrix[x][w] for u, x in enumerate(images)):
            yield from _maps(matrix, colors, (*images, w))


def _canonical_order(
    matrix: Matrix, colors: tuple[int, ...], part: Sequence[int]
) -> tuple[tuple[tuple[int, ...], ...], list[int]]:
    """Return the form of a component that isomorphic ones share, and the nodes in the order that gives it."""
    inner = tuple(tuple(matrix[a][b] for b in part) for a in part)
    form, order = _least_form(inner, tuple(colors[v] for v in part))
    return form, [part[k] for k in order]


@functools.lru_cache(maxsize=65536)
def _least_form(matrix: Matrix, colors: tuple[int, ...]) -> tuple[tuple[tuple[int, ...], ...], list[int]]:
    """Return the least of the forms that individualization and refinement leave."""
    cells = _refined(matrix, colors)
    by_cell: dict[int, list[int]] = {}
    for v, cell in enumerate(cells):
        by_cell.setdefault(cell, []).append(v)
    shared = [members for _, members in sorted(by_cell.items()) if len(members) > 1]
    if not shared:
        order = sorted(range(len(matrix)), key=cells.__getitem__)
        rows = tuple(tuple(matrix[a][b] for b in order) for a in order)
        return (tuple(colors[v] for v in order), *rows), order
    tried: list[int] = []
    best: tuple[tuple[tuple[int, ...], ...], list[int]] | None = None
    for v in shared[0]:
        if any(_are_twins(matrix, u, v) for u in tried):
            continue  # an automorphism takes v to u
        tried.append(v)
        found = _least_form(matrix, tuple(2 * c + (w == v) for w, c in enumerate(cells)))
        rows = (tuple(colors[w] for w in found[1]), *found[0][1:])
        if best is None or rows < best[0]:
            best = rows, found[1]
    assert best is not None
    return best


def _refined(matrix: Matrix, colors: tuple[int, ...]) -> tuple[int, ...]:
    """Return colors split until nodes of one color see the same colors over the same edges."""
    n = len(matrix)
    while True:
        seen = [
            (
                colors[v],
                matrix[v][v],
                tuple(sorted((colors[w], matrix[v][w], matrix[w][v]) for w in range(n) if w != v)),
            )
            for v in range(n)
        ]
        ranks = {key: rank for rank, key in enumerate(sorted(set(seen)))}
        found = tuple(ranks[key] for key in seen)
        if len(ranks) == len(set(colors)):
            return found
        colors = found


def _are_twins(matrix: Matrix, u: int, v: int) -> bool:
    """Decide if the exchange of two nodes of one cell keeps every edge."""
    others = (w for w in range(len(matrix)) if w not in (u, v))
    same = all(matrix[u][w] == matrix[v][w] and matrix[w][u] == matrix[w][v] for w in others)
    return same and matrix[u][u] == matrix[v][v] and matrix[u][v] == matrix[v][u]
