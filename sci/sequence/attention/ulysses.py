"""Attention by all-to-all: each rank gets whole sequences of some heads, attends, and returns the tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.distributed import Deferred, alltoall, split
from sci.sequence.attention.problem import Problem
from sci.sequence.attention.tiles import KeyRange, add_gradients, attend

__all__ = ["ulysses_backward", "ulysses_forward"]


def _shares(problem: Problem) -> list[slice]:
    """Return the heads of each rank; their numbers may differ by one."""
    return [split(problem.q.shape[0], rank=r, size=problem.n_ranks) for r in range(problem.n_ranks)]


def _to_heads(problem: Problem, array: Array) -> Array:
    """Return (own heads, n, width) in the order of positions, from (heads, length, width) of this rank's tokens."""
    xp, shares, sequences = namespace(array), _shares(problem), problem.sequences
    own, width = shares[problem.rank], array.shape[2]
    count = own.stop - own.start
    shapes = [(count, length, width) for length in sequences.lengths]
    parts = alltoall([array[share] for share in shares], shapes=shapes, comm=problem.comm)
    whole = xp.empty((count, sequences.n, width), array.dtype)
    for rank, part in enumerate(parts):
        whole[:, to_device(sequences.positions(rank), xp)] = part
    return whole


def _to_tokens(problem: Problem, array: Array) -> Array:
    """Return (heads, length, width) of this rank's tokens: the inverse of `_to_heads`."""
    xp, sequences = namespace(array), problem.sequences
    length, width = sequences.lengths[problem.rank], array.shape[2]
    shapes = [(share.stop - share.start, length, width) for share in _shares(problem)]
    positions: Sequence[Array] = [to_device(sequences.positions(r), xp) for r in range(problem.n_ranks)]
    return xp.concatenate(alltoall([array[:, p] for p in positions], shapes=shapes, comm=problem.comm))


def _key_range(problem: Problem) -> tuple[KeyRange, Array]:
    """Return the key range of every token of the sequence, and the positions of all tokens."""
    xp, positions = namespace(problem.q), np.arange(problem.sequences.n, dtype=np.int64)
    return problem.sequences.key_range(positions, xp), to_device(positions, xp)


def ulysses_forward(problem: Problem, work: Deferred) -> tuple[Array, Array]:
    """Return (out, lse) of this rank's tokens, in the dtype of sums; errors between messages wait in `work`."""
    xp = namespace(problem.q)
    q, k, v = (_to_heads(problem, a) for a in (problem.q, problem.k, problem.v))
    key_range, positions = _key_range(problem)
    out, lse = xp.zeros(q.shape, problem.dtype), xp.full(q.shape[:2], -xp.inf, problem.dtype)
    with work:
        attend(problem.scaled_queries(q), problem.working(k), problem.working(v), key_range, positions, out, lse)
    return _to_tokens(problem, out), _to_tokens(problem, lse[:, :, None])[:, :, 0]


def ulysses_backward(
    problem: Problem, dout: Array, lse: Array, delta: Array, work: Deferred
) -> tuple[Array, Array, Array]:
    """Return (dq, dk, dv); dq is that of the scaled queries."""
    xp = namespace(problem.q)
    q, k, v, dout = (_to_heads(problem, a) for a in (problem.q, problem.k, problem.v, dout))
    rows = _to_heads(problem, xp.stack([lse, delta], axis=2))
    key_range, positions = _key_range(problem)
    gradients = [xp.zeros(q.shape, problem.dtype) for _ in range(3)]
    lse, delta = (xp.ascontiguousarray(rows[:, :, i]) for i in (0, 1))
    with work:
        given = (problem.scaled_queries(q), problem.working(k), problem.working(v), dout, lse, delta)
        add_gradients(*given, key_range, positions, *gradients)
    dq, dk, dv = (_to_tokens(problem, a) for a in gradients)
    return dq, dk, dv
