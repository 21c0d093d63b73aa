"""Attention by all-to-all: each rank gets whole sequences of some heads, attends, and returns the tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.distributed import Deferred, alltoall, split
from sci.sequence.attention.problem import Problem
from sci.sequence.tiles.attend import add_gradients, attend
from sci.sequence.tiles.rules import Rules
from sci.sequence.tiles.seen import Seen

__all__ = ["ulysses_backward", "ulysses_forward"]


class _Heads:
    """The heads of queries of each rank, whose numbers may differ by one, and the heads of keys that they need."""

    def __init__(self, problem: Problem) -> None:
        heads, own = problem.q.shape[0], problem.k.shape[0]
        self.group = heads // max(own, 1)
        self.queries = [split(heads, rank=r, size=problem.n_ranks) for r in range(problem.n_ranks)]
        self.keys = [self._near(share) for share in self.queries]

    def _near(self, share: slice) -> slice:
        """Return the heads of keys of a run of heads of queries."""
        first = share.start // max(self.group, 1)
        return slice(first, -(-share.stop // self.group) if share.stop > share.start else first)

    def pieces(self, rank: int) -> Iterator[tuple[slice, slice]]:
        """Yield runs of a rank's heads, of queries and of keys, counted from its first: groups, or part of one."""
        queries, keys = self.queries[rank], self.keys[rank]
        start = queries.start
        while start < queries.stop:
            whole = start % self.group == 0 and start + self.group <= queries.stop
            stop = queries.stop - queries.stop % self.group if whole else start - start % self.group + self.group
            stop = min(stop, queries.stop)
            near = slice(start // self.group - keys.start, -(-stop // self.group) - keys.start)
            yield slice(start - queries.start, stop - queries.start), near
            start = stop


def _to_heads(
    problem: Problem, array: Array, shares: Sequence[slice], lengths: Sequence[int], at: Callable[[int], np.ndarray]
) -> Array:
    """Return (own heads, n, width) in the order of positions, from (heads, length, width) of this rank's tokens."""
    xp, own, width = namespace(array), shares[problem.rank], array.shape[2]
    count = own.stop - own.start
    shapes = [(count, length, width) for length in lengths]
    parts = alltoall([array[share] for share in shares], shapes=shapes, comm=problem.comm)
    whole = xp.empty((count, sum(lengths), width), array.dtype)
    for rank, part in enumerate(parts):
        whole[:, to_device(at(rank), xp)] = part
    return whole


def _to_tokens(
    problem: Problem, array: Array, shares: Sequence[slice], length: int, at: Callable[[int], np.ndarray]
) -> Array:
    """Return (heads, length, width) of this rank's tokens, sums over the ranks that share a head: `_to_heads` back."""
    xp, width = namespace(array), array.shape[2]
    shapes = [(share.stop - share.start, length, width) for share in shares]
    positions = [to_device(at(r), xp) for r in range(problem.n_ranks)]
    parts = alltoall([array[:, p] for p in positions], shapes=shapes, comm=problem.comm)
    whole = xp.zeros((max(s.stop for s in shares), length, width), array.dtype)
    for share, part in zip(shares, parts):
        whole[share] += part
    return whole


class _Exchange:
    """The arrays of a problem on the way to heads and back."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.heads, self.pattern = problem, _Heads(problem), problem.pattern

    def queries(self, array: Array) -> Array:
        """Return whole sequences of this rank's heads of queries."""
        return _to_heads(self.problem, array, self.heads.queries, self.pattern.query_lengths, self.pattern.queries)

    def keys(self, array: Array) -> Array:
        """Return whole sequences of the heads of keys that this rank needs."""
        return _to_heads(self.problem, array, self.heads.keys, self.pattern.key_lengths, self.pattern.keys)

    def back(self, array: Array) -> Array:
        """Return this rank's queries of all heads."""
        length = self.pattern.query_lengths[self.problem.rank]
        return _to_tokens(self.problem, array, self.heads.queries, length, self.pattern.queries)

    def keys_back(self, array: Array) -> Array:
        """Return this rank's keys of all heads."""
        length = self.pattern.key_lengths[self.problem.rank]
        return _to_tokens(self.problem, array, self.heads.keys, length, self.pattern.keys)

    def pieces(self) -> Iterator[tuple[slice, slice, Seen, Rules]]:
        """Yield heads of queries, heads of keys, what is seen and the rules, of each piece of this rank's work."""
        problem, pattern, rank = self.problem, self.pattern, self.problem.rank
        queries, keys = np.arange(pattern.n), np.arange(pattern.m)
        rules, origin = problem.scores.rules(pattern, queries, keys, []), self.heads.queries[rank].start
        row_of, first = pattern.row_of(problem.k.shape[0]), self.heads.keys[rank].start
        for own, near in self.heads.pieces(rank):
            chosen = rules.heads(slice(origin + own.start, origin + own.stop))
            for seen in pattern.seen(queries, keys, row_of[first + near.start : first + near.stop]):
                yield own, near, seen, chosen


def ulysses_forward(problem: Problem, work: Deferred) -> tuple[Array, Array]:
    """Return (out, lse) of this rank's tokens, in the dtype of sums; errors between messages wait in `work`."""
    exchange = _Exchange(problem)
    q, k, v = exchange.queries(problem.q), exchange.keys(problem.k), exchange.keys(problem.v)
    out, lse = problem.blank(q)
    with work:
        q, k, v = (problem.operand(a) for a in (q, k, v))
        for own, near, seen, rules in exchange.pieces():
            attend(q[own], k[near], v[near], seen, out[own], lse[own], scale=problem.scale, rules=rules)
    return exchange.back(out), exchange.back(lse[:, :, None])[:, :, 0]


def ulysses_backward(
    problem: Problem, dout: Array, lse: Array, delta: Array, work: Deferred
) -> tuple[Array, Array, Array, None]:
    """Return (dq, dk, dv, None)."""
    xp, exchange = namespace(problem.q), _Exchange(problem)
    q, k, v = exchange.queries(problem.q), exchange.keys(problem.k), exchange.keys(problem.v)
    dout = exchange.queries(dout)
    rows = exchange.queries(xp.stack([lse, delta], axis=2))
    dq, dk, dv = (xp.zeros(a.shape, problem.dtype) for a in (q, k, v))
    lse, delta = (xp.ascontiguousarray(rows[:, :, i]) for i in (0, 1))
    with work:
        q, k, v = (problem.operand(a) for a in (q, k, v))
        for own, near, seen, rules in exchange.pieces():
            given = (q[own], k[near], v[near], dout[own], lse[own], delta[own], seen)
            add_gradients(*given, dq[own], dk[near], dv[near], scale=problem.scale, rules=rules)
    return exchange.back(dq), exchange.keys_back(dk), exchange.keys_back(dv), None
