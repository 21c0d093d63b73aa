"""Which keys each query of a whole sequence sees, and which rank holds what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sci.distributed import Layout, positions
from sci.errors import InvalidValueError
from sci.sequence.tiles.seen import Seen

__all__ = ["Pattern", "Window"]

Window = tuple[int | None, int | None]
"""Tokens that are seen before and after a place; None for all."""


@dataclass(frozen=True)
class Pattern:
    """The layout of queries and keys over ranks, and what a query sees, by positions.

    Parameters
    ----------
    layout : {"contiguous", "zigzag", "striped"}
    query_lengths, key_lengths : tuple of int
        Of each rank's part.
    causal : bool
        Whether a query sees no key after its place.
    window : (int or None, int or None), optional
        How far before and after its place a query sees.
    sink_tokens : int
        How many of the first keys are seen beside a window.
    blocks : tuple of int, optional
        Lengths of blocks, of which a query sees its own and those before.
    offset : int, optional
        The place of query i is i + offset. Without it the last query stands at the last key, in each document.
    query_documents, key_documents : (rows, n), (rows, m) int64, optional
        What a query sees is of its own document; negative ones see nothing and are not seen.
    placed : bool
        Whether places matter otherwise, for slopes.

    Examples
    --------
    >>> from sci.sequence.attention.pattern import Pattern
    >>> Pattern("contiguous", (2,), (5,), causal=True).ranges()[0]
    (array([[0, 0]]), array([[3, 4]]))
    """

    layout: Layout
    query_lengths: tuple[int, ...]
    key_lengths: tuple[int, ...]
    causal: bool = False
    window: Window | None = None
    sink_tokens: int = 0
    blocks: tuple[int, ...] | None = None
    offset: int | None = None
    query_documents: np.ndarray | None = None
    key_documents: np.ndarray | None = None
    placed: bool = False

    @property
    def n(self) -> int:
        """Length of the whole sequence of queries."""
        return sum(self.query_lengths)

    @property
    def m(self) -> int:
        """Length of the whole sequence of keys."""
        return sum(self.key_lengths)

    @property
    def rows(self) -> int:
        """Rows of a batch that see different keys."""
        return 1 if self.query_documents is None else self.query_documents.shape[0]

    def queries(self, rank: int) -> np.ndarray:
        """Return the positions of the queries that `rank` owns, in increasing order."""
        return _owned(self.layout, self.query_lengths, rank)

    def keys(self, rank: int) -> np.ndarray:
        """Return the positions of the keys that `rank` owns, in increasing order."""
        return _owned(self.layout, self.key_lengths, rank)

    @cached_property
    def _documents(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """First and last key of each query's document, its place, and whether a document has keys of others between."""
        if self.query_documents is None or self.key_documents is None:
            raise AssertionError("there are no documents")
        found = [_runs(q, k) for q, k in zip(self.query_documents, self.key_documents)]
        if self.query_documents is self.key_documents and self.offset is None:
            place = np.broadcast_to(np.arange(self.n), self.query_documents.shape)
        else:
            place = np.stack([self._aligned(q, *f) for q, f in zip(self.query_documents, found)])
        first, last = (np.stack([f[k] for f in found]) for k in (0, 1))
        return first, last, place, any(not f[2] for f in found)

    def _own(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return first and last key of the document of some queries, and their places, (rows, queries)."""
        if self.query_documents is None:
            place = queries[None] + (self.m - self.n if self.offset is None else self.offset)
            return np.zeros_like(place), np.full_like(place, self.m - 1), place
        first, last, place = (a[:, queries] for a in self._documents[:3])
        return first, last, place

    def _aligned(self, documents: np.ndarray, first: np.ndarray, last: np.ndarray, single: bool) -> np.ndarray:
        """Return places at which the last query of a document stands at its last key."""
        at = np.arange(documents.size)
        if self.offset is not None:
            return at + self.offset
        if not (self.causal or self.window or self.placed):
            return at
        _, end, alone = _runs(documents, documents)
        if not (single and alone):
            raise InvalidValueError(
                "a document has several runs, and queries and keys are different sequences; pass offset=, the place of "
                "the first query among the keys"
            )
        return at + np.where(documents < 0, 0, last - end)

    @property
    def told_apart(self) -> bool:
        """Whether a document has keys of others between its own."""
        return self.query_documents is not None and bool(self._documents[3])

    @cached_property
    def _last_sinks(self) -> np.ndarray:
        """Return the position of the last sink of each query's document, (rows, n)."""
        if self.query_documents is None or self.key_documents is None:
            raise AssertionError("there are no documents")
        pairs = zip(self.query_documents, self.key_documents)
        return np.stack([_at_most(self.sink_tokens, queries, keys) for queries, keys in pairs])

    def places(self, queries: np.ndarray) -> np.ndarray:
        """Return the places of queries among the keys, (rows, queries)."""
        return self._own(queries)[2]

    def ranges(self, queries: np.ndarray | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return disjoint ranges of positions, first and last, that queries see: sinks, and a window without them."""
        at = np.arange(self.n) if queries is None else queries
        low, last, place = self._own(at)
        high = np.minimum(last, place) if self.causal else last
        if self.blocks is not None:
            ends = np.cumsum(self.blocks)
            high = np.minimum(high, ends[np.searchsorted(ends, at, side="right")] - 1)
        if self.window is None:
            return [(low, high)]
        before, after = self.window
        inner = low if before is None else np.maximum(low, place - before)
        outer = high if after is None else np.minimum(high, place + after)
        if not self.sink_tokens:
            return [(inner, outer)]
        sinks = self._last_sinks[:, at] if self.told_apart else low + self.sink_tokens - 1
        return [(np.maximum(inner, sinks + 1), outer), (low, np.minimum(sinks, high))]

    def row_of(self, heads: int) -> np.ndarray:
        """Return the row of each of all heads of keys, (heads,)."""
        return np.arange(heads) // max(heads // self.rows, 1)

    def seen(self, queries: np.ndarray, keys: np.ndarray, row_of: np.ndarray) -> list[Seen]:
        """Return the keys at some positions that queries see, for heads of keys of some rows."""
        found = [Seen.of(low, high, keys, row_of) for low, high in self.ranges(queries)]
        return [one for one in found if not one.is_empty]

    def blind(self, queries: np.ndarray) -> np.ndarray:
        """Return True for queries that see nothing, (rows, queries)."""
        counts = np.stack([self._count(queries, *bounds) for bounds in self.ranges(queries)])
        return np.asarray(np.max(counts, axis=0) == 0)

    def _count(self, queries: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the number of keys of the own document in each range."""
        if not self.told_apart or self.query_documents is None or self.key_documents is None:
            return np.asarray(np.maximum(high - low + 1, 0))
        counts = np.zeros(low.shape, np.int64)
        for row, (own, others) in enumerate(zip(self.query_documents[:, queries], self.key_documents)):
            ids, index = np.unique(others, return_inverse=True)
            codes = np.sort(index.reshape(-1) * (self.m + 1) + np.arange(self.m))
            base = np.searchsorted(ids, own).clip(max=ids.size - 1) * (self.m + 1)
            found = (np.searchsorted(codes, base + high[row], "right"), np.searchsorted(codes, base + low[row], "left"))
            counts[row] = np.where(own < 0, 0, np.maximum(found[0] - found[1], 0))
        return counts

    @cached_property
    def needed(self) -> np.ndarray:
        """True where the queries of a rank (row) see keys of a rank (column), if ranks hold one run; otherwise True."""
        n_ranks = len(self.key_lengths)
        found = np.ones((n_ranks, n_ranks), bool)
        if self.layout != "contiguous" or n_ranks == 1:
            return found
        found[:] = False
        ends, starts = np.cumsum(self.key_lengths), np.cumsum([0, *self.key_lengths[:-1]])
        for rank in range(n_ranks):
            for low, high in self.ranges(self.queries(rank)):
                some = low <= high
                if some.any():
                    found[rank] |= (starts <= high[some].max()) & (ends > low[some].min()) & (ends > starts)
        return found


def _owned(layout: Layout, lengths: tuple[int, ...], rank: int) -> np.ndarray:
    """Return the positions of a rank; runs of any lengths where the layout is one run a rank."""
    if layout == "contiguous":
        return np.arange(sum(lengths[:rank]), sum(lengths[: rank + 1]), dtype=np.int64)
    return positions(sum(lengths), layout=layout, rank=rank, size=len(lengths))


def _runs(queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return the first and last key of each query's document, 0 and -1 for none, and whether all are single runs."""
    if keys.size == 0:
        return np.zeros_like(queries), np.full_like(queries, -1), True
    ids, first, counts = np.unique(keys, return_index=True, return_counts=True)
    last = keys.size - 1 - np.unique(keys[::-1], return_index=True)[1]
    where = np.searchsorted(ids, queries).clip(max=ids.size - 1)
    known = (ids[where] == queries) & (queries >= 0)
    single = bool((last - first + 1 == counts)[ids >= 0].all())
    return np.where(known, first[where], 0), np.where(known, last[where], -1), single


def _at_most(count: int, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the last of the first `count` keys of each query's document; any key for a query without one."""
    order = np.argsort(keys, kind="stable")
    first, stop = (np.searchsorted(keys[order], queries, side) for side in ("left", "right"))
    return np.asarray(order[(np.minimum(first + count, stop) - 1).clip(min=0)])
