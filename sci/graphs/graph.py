"""Simple graphs: checked edges, the adjacency in compressed rows, and an acyclic orientation by degree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from sci.arguments import entry
from sci.backend import ArrayLike
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["Graph", "Orientation"]

_MOST_NODES = 2**31


@dataclass(frozen=True, eq=False, repr=False)
class Orientation:
    """Edges of a graph, each from the end of lower degree to the other, so that no walk returns.

    Parameters
    ----------
    start : (n + 1,) int64
        Where the targets of each node begin.
    target : (m,) int64
        Ends of the edges as places in the order by degree, ascending for each node; nodes are places, too.
    """

    start: np.ndarray
    target: np.ndarray

    def __repr__(self) -> str:
        return f"Orientation({len(self.start) - 1} nodes, {len(self.target)} edges)"


@entry
@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A graph without directions, loops and parallel edges.

    Parameters
    ----------
    edges : (m, 2) array of integers
        Numbers of nodes, from 0. An edge that stands again, in either direction, counts once.
    n_nodes : int, optional
        One more than the largest number unless given.

    Attributes
    ----------
    edges : (m, 2) int64
        Each edge once, the lower node first, sorted.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError names the first row with a loop, or a number below 0 or not below `n_nodes`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.graphs import Graph
    >>> triangle = Graph(np.array([[0, 1], [1, 2], [2, 0], [0, 2]]))
    >>> triangle, triangle.degrees
    (Graph(3 nodes, 3 edges), array([2, 2, 2]))
    """

    edges: ArrayLike
    n_nodes: int | None = None

    def __post_init__(self) -> None:
        given: np.ndarray = np.asarray(self.edges)
        if given.size == 0 and (given.dtype.kind == "f" or given.shape == (0,)):
            given = given.astype(np.int64).reshape(0, 2)
        if given.dtype.kind not in "iu":
            raise DTypeError(f"edges have dtype {given.dtype}; expected integers, the numbers of nodes")
        if given.ndim != 2 or given.shape[1] != 2:
            raise ShapeError(f"edges have shape {given.shape}; expected (m, 2)")
        largest = int(given.max()) if given.size else -1
        count = max(0, largest + 1) if self.n_nodes is None else int(self.n_nodes)
        if count > _MOST_NODES:
            raise InvalidValueError(
                f"edges name node {largest}; expected at most {_MOST_NODES} nodes: number them by "
                "np.unique(edges, return_inverse=True)"
            )
        if self.n_nodes == 0 and len(given):
            raise InvalidValueError(f"n_nodes is 0, and there are {len(given)} edges; expected more nodes, or no edge")
        if count < 0:
            raise InvalidValueError(f"n_nodes is {count}; expected 0 or more")
        outside = np.logical_or(given < 0, given >= count)
        fix = f"expected nodes from 0 to {count - 1}" if count else "expected nodes from 0 on"
        _require_none(outside.any(axis=1), given, fix)
        _require_none(given[:, 0] == given[:, 1], given, "expected no loops: leave the edge out")
        low, high = given.astype(np.int64).min(axis=1), given.astype(np.int64).max(axis=1)
        keys = np.unique(low * max(1, count) + high)
        edges = np.stack([keys // max(1, count), keys % max(1, count)], axis=1)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "n_nodes", count)

    @classmethod
    @entry
    def from_adjacency(cls, matrix: ArrayLike) -> Graph:
        """Return the graph of a matrix of 0 and 1.

        Parameters
        ----------
        matrix : (n, n) array
            Symmetric, with a zero diagonal.

        Returns
        -------
        Graph

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            InvalidValueError, for NaN, other numbers, a loop or a matrix that is not symmetric, names the entry.
        """
        found = np.asarray(matrix)
        if found.dtype.kind not in "biuf":
            raise DTypeError(f"matrix has dtype {found.dtype}; expected numbers 0 and 1")
        if found.ndim != 2 or found.shape[0] != found.shape[1]:
            raise ShapeError(f"matrix has shape {found.shape}; expected a square, (n, n)")
        faults = (
            (~((found == 0) | (found == 1)), "expected 0 or 1"),
            (found != found.T, "expected a symmetric matrix: the graph has no directions"),
            (np.diag(np.diagonal(found) != 0), "expected a zero diagonal: the graph has no loops"),
        )
        for bad, expected in faults:
            if bad.any():
                i, j = (int(k) for k in np.argwhere(bad)[0])
                raise InvalidValueError(
                    f"matrix[{i}, {j}] is {found[i, j]} and matrix[{j}, {i}] {found[j, i]}; {expected}"
                )
        return cls(np.argwhere(np.triu(found)), len(found))

    def __repr__(self) -> str:
        return f"Graph({self.n_nodes:,} nodes, {len(self.edges):,} edges)"

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return len(self.edges)

    @cached_property
    def degrees(self) -> np.ndarray:
        """Number of neighbors of each node (n,), int64."""
        return np.bincount(self.edges.ravel(), minlength=self._count)

    @cached_property
    def adjacency(self) -> sparse.csr_array:
        """Adjacency matrix (n, n) in compressed rows, int64."""
        a, b = self.edges.T
        ones = np.ones(2 * len(a), np.int64)
        where = np.concatenate([a, b]), np.concatenate([b, a])
        return sparse.csr_array((ones, where), shape=(self._count, self._count))

    @cached_property
    def orientation(self) -> Orientation:
        """The edges from the end of lower degree, or of lower number where degrees are equal, to the other.

        No node has more than (2 m)^(1/2) of them.
        """
        n = self._count
        place = np.empty(n, np.int64)
        place[np.argsort(self.degrees, kind="stable")] = np.arange(n)
        ends = place[self.edges]
        low, high = ends.min(axis=1), ends.max(axis=1)
        order = np.lexsort((high, low))
        start = np.concatenate([[0], np.cumsum(np.bincount(low, minlength=n))])
        return Orientation(start.astype(np.int64), high[order])

    @property
    def _count(self) -> int:
        return int(self.n_nodes or 0)


def _require_none(bad: Any, edges: np.ndarray, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidValueError(f"edges[{row}] is ({edges[row, 0]}, {edges[row, 1]}); {expected}")
