"""Which keys of a part each query sees: a range of indices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Seen"]

_FAR = 1 << 62


@dataclass(frozen=True)
class Seen:
    """Query i of a row sees the keys start[i] <= j < stop[i] of a part; an empty range is (0, 0). Arrays of the host.

    Parameters
    ----------
    start, stop : (rows, n) int64
        Rows are those of a batch whose queries see different keys; otherwise there is one.
    row_of : (key_heads,) int64
        The row of each head of keys.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence.tiles.seen import Seen
    >>> Seen.of(np.array([[0, 3, 9]]), np.array([[2, 4, 9]]), np.arange(5), np.zeros(1)).stop
    array([[3, 5, 0]])
    """

    start: np.ndarray
    stop: np.ndarray
    row_of: np.ndarray

    @classmethod
    def of(cls, low: np.ndarray, high: np.ndarray, positions: np.ndarray, row_of: np.ndarray) -> Seen:
        """Return the ranges of queries that see low <= position <= high, of keys at increasing `positions`."""
        low, high = np.atleast_2d(low), np.atleast_2d(high)
        start = np.searchsorted(positions, low, "left").astype(np.int64)
        stop = np.searchsorted(positions, high, "right").astype(np.int64)
        empty = start >= stop
        start[empty] = stop[empty] = 0
        return cls(start, stop, row_of.astype(np.int64))

    @classmethod
    def everything(cls, n: int, m: int, heads: int) -> Seen:
        """Return that n queries see all m keys."""
        return cls(np.zeros((1, n), np.int64), np.full((1, n), m, np.int64), np.zeros(heads, np.int64))

    @property
    def is_empty(self) -> bool:
        """Whether no query sees a key."""
        return not bool((self.start < self.stop).any())

    def heads(self, chosen: slice) -> Seen:
        """Return the ranges for some of the heads of keys."""
        return Seen(self.start, self.stop, self.row_of[chosen])

    def block(self, rows: slice, keys: slice) -> Seen:
        """Return the ranges of some of the queries among some of the keys."""
        low, high = (np.clip(a[:, rows], keys.start, keys.stop) - keys.start for a in (self.start, self.stop))
        empty = low >= high
        low[empty] = high[empty] = 0
        return Seen(low, high, self.row_of)

    def blocks(self, m: int, n_rows: int, n_keys: int) -> Iterator[tuple[slice, slice]]:
        """Yield the queries and keys of each block, at most (n_rows, n_keys) large, in which something is seen."""
        n = self.start.shape[1]
        for i in range(0, n, n_rows):
            rows = slice(i, min(i + n_rows, n))
            start, stop = self.start[:, rows], self.stop[:, rows]
            some = start < stop
            lowest, highest = start.min(where=some, initial=_FAR), stop.max(where=some, initial=0)
            for j in range(0, m, n_keys):
                keys = slice(j, min(j + n_keys, m))
                if lowest < keys.stop and highest > j:
                    yield rows, keys

    def table(self, rows: slice, keys: slice) -> np.ndarray | None:
        """Return (rows, queries, keys): True where a query sees a key; None if all do."""
        start, stop = (a[:, rows, None] for a in (self.start, self.stop))
        if (start <= keys.start).all() and (stop >= keys.stop).all():
            return None
        at = np.arange(keys.start, keys.stop)
        return np.asarray((start <= at) & (at < stop))

    def queries_of(self, m: int) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds (rows, m) of the queries that see each key: first <= i < last, tight where ranges increase."""
        empty = self.start >= self.stop
        reach = np.maximum.accumulate(np.where(empty, 0, self.stop), axis=1)
        begin = np.minimum.accumulate(np.where(empty, _FAR, self.start)[:, ::-1], axis=1)[:, ::-1]
        keys = np.arange(m)
        first, last = (np.stack([np.searchsorted(row, keys, "right") for row in bounds]) for bounds in (reach, begin))
        none = first >= last
        first[none] = last[none] = 0
        return first.astype(np.int64), last.astype(np.int64)
