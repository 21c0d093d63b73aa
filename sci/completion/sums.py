"""Sums over observed entries of products of factor rows: the hot loop of every completion."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from sci.completion.observations import Observations

__all__ = ["EntrySums", "products"]

_BLOCK = 2**21
"""Numbers that are formed at once."""
_KEPT = 2**23
"""Numbers of a partial sum that is kept for the next axis."""
_DENSE = 0.2
"""Share of filled cells from which a dense product is faster than a sparse one."""


class EntrySums:
    """Sums s_k[i] = sum_{n: i_kn = i} c_n prod_{j != k} T_j[i_jn] over the entries of a rank, of one axis at a time.

    The axes are split in two sides. W holds the entries as a matrix, its rows the tuples of places on the left that
    occur, its columns those on the right. One product of W with the products of the tables of one side serves all axes
    of the other side: the loop over m entries runs twice for all K axes, as a matrix product, in place of K (K - 1)
    multiplications an entry. Where few sites are observed at many times, tuples repeat, and W is dense.

    Parameters
    ----------
    observations : Observations

    Notes
    -----
    4 m Q flops for tables of Q columns and all K axes, and Q K multiplications for each tuple of either side. No array
    of m Q numbers is formed: tuples are worked off in blocks.
    """

    def __init__(self, observations: Observations) -> None:
        index, self.shape = observations.index, observations.shape
        self.sides = _best_split(index, self.shape)
        pairs = [_tuples(index, side, self.shape) for side in self.sides]
        self.tuples = [tuples for tuples, _ in pairs]
        rows, columns = (inverse for _, inverse in pairs)
        y, c = observations.standardized, observations.weights
        self.total_squares = float((c * y * y).sum())
        size = (len(self.tuples[0]), len(self.tuples[1]))
        self.weights = [_matrix(values, rows, columns, size) for values in (c, c * y)]
        self.members = {
            k: _indicator(self.tuples[side][:, place], self.shape[k])
            for side, axes in enumerate(self.sides)
            for place, k in enumerate(axes)
        }
        self._kept: dict[tuple[int, bool], tuple[list[Any], np.ndarray]] = {}

    def __repr__(self) -> str:
        kind = "sparse" if sparse.issparse(self.weights[0]) else "dense"
        return f"EntrySums({kind} {self.weights[0].shape} of axes {self.sides[0]} by {self.sides[1]})"

    def __call__(self, k: int, tables: Sequence[np.ndarray], *, values: bool = False) -> np.ndarray:
        """Return the sums for all places along axis k, (n_k, Q).

        Parameters
        ----------
        k : int
            Axis.
        tables : sequence of K (n_j, Q) arrays
            That of axis k is not read. An array must not be changed in place between calls.
        values : bool
            Weigh each entry by its value, too.
        """
        side = 0 if k in self.sides[0] else 1
        tuples, axes = self.tuples[side], self.sides[side]
        out: np.ndarray = np.zeros(
            (self.shape[k], tables[axes[0] if axes[0] != k else self.sides[1 - side][0]].shape[1])
        )
        for part, partial in self._partials(side, tables, values):
            terms = partial
            for place, j in enumerate(axes):
                if j != k:
                    terms = terms * tables[j][tuples[part, place]]
            out += self.members[k][:, part] @ terms
        return out

    def _partials(self, side: int, tables: Sequence[np.ndarray], values: bool) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield sums over the tuples of the other side, for ranges of the tuples of this one."""
        used = [tables[j] for j in self.sides[1 - side]]
        kept = self._kept.get((side, values))
        if kept is not None and all(a is b for a, b in zip(kept[0], used)):
            yield slice(None), kept[1]
            return
        weights, n, width = self.weights[values], len(self.tuples[side]), used[0].shape[1]
        if side == 0 and n * width > _KEPT:
            right = products(used, self.tuples[1])
            for part in _parts(n, width):
                yield part, weights[part] @ right
            return
        found: np.ndarray = np.zeros((n, width))
        if side == 0:
            found = weights @ products(used, self.tuples[1])
        else:
            for part in _parts(len(self.tuples[0]), width):
                found += weights[part].T @ products(used, self.tuples[0][part])
        if found.size <= _KEPT:
            self._kept[side, values] = (used, found)
        yield slice(None), found


def products(tables: Sequence[np.ndarray], index: np.ndarray) -> np.ndarray:
    """Return prod_j tables[j][index[:, j]], (m, Q)."""
    out: np.ndarray = tables[0][index[:, 0]]
    for j in range(1, len(tables)):
        out *= tables[j][index[:, j]]
    return out


def _parts(n: int, width: int) -> list[slice]:
    step = max(1, _BLOCK // max(1, width))
    return [slice(start, start + step) for start in range(0, n, step)]


def _best_split(index: np.ndarray, shape: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return two sets of axes with few tuples that occur; the right one, whose sums are kept whole, always has few."""
    axes = range(len(shape))
    most = 4 * sum(shape)
    found = []
    for size in range(1, len(shape)):
        for right in itertools.combinations(axes, size):
            left = tuple(j for j in axes if j not in right)
            counts = [len(_tuples(index, side, shape)[0]) for side in (left, right)]
            if size == 1 or counts[1] <= most:
                found.append((sum(counts), size, left, right))
    _, _, left, right = min(found)
    return left, right


def _tuples(index: np.ndarray, axes: Sequence[int], shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the tuples of places along some axes that occur, and which of them each entry has."""
    part, extents = index[:, list(axes)], [shape[j] for j in axes]
    if math.prod(extents) >= 2**62:
        found, inverse = np.unique(part, axis=0, return_inverse=True)
        return found, inverse.ravel()
    keys, inverse = np.unique(np.ravel_multi_index(tuple(part.T), extents), return_inverse=True)
    return np.stack(np.unravel_index(keys, extents), axis=1).astype(np.int64), inverse.ravel()


def _matrix(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, size: tuple[int, int]) -> Any:
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=size)
    return matrix.toarray() if matrix.nnz >= _DENSE * size[0] * size[1] else matrix


def _indicator(places: np.ndarray, n: int) -> sparse.csr_matrix:
    """Return the (n, m) matrix that adds rows of one place."""
    m = len(places)
    return sparse.csr_matrix((np.ones(m), (places, np.arange(m))), shape=(n, m))
