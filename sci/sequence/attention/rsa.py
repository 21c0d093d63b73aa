"""Ring self-attention with the whole strip of scores in memory: keys go round first, then values.

The attention of Li et al., Sequence Parallelism, arXiv 2105.13120. Its published backward pass keeps the strip; here
the weights are computed again from the log-sum-exp, and gradients are sums over ranks without their division by P.
"""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.distributed import Deferred, reduce_scatter_rows, ring_steps
from sci.sequence.attention.problem import Problem

__all__ = ["rsa_backward", "rsa_forward"]


def _columns(problem: Problem) -> list[slice]:
    """Return the columns of each rank's keys in the strip."""
    lengths = problem.pattern.key_lengths
    starts = np.cumsum([0, *lengths]).tolist()
    return [slice(a, a + length) for a, length in zip(starts, lengths)]


def _seen(problem: Problem) -> Array:
    """Return True where a folded query of this rank sees a key of the strip, (group length, m)."""
    pattern, group = problem.pattern, problem.q.shape[0] // max(problem.k.shape[0], 1)
    at = np.concatenate([pattern.keys(r) for r in range(problem.n_ranks)])
    ranges = pattern.ranges(pattern.queries(problem.rank))
    table = np.any([(low[0][:, None] <= at) & (at <= high[0][:, None]) for low, high in ranges], axis=0)
    return to_device(np.tile(table, (group, 1)), namespace(problem.q))


def _folded(problem: Problem, array: Array) -> Array:
    """Return (heads, length, d) with the queries of a head of keys under one another, in the dtype of sums."""
    group = problem.q.shape[0] // max(problem.k.shape[0], 1)
    return problem.working(array).reshape(problem.k.shape[0], group * array.shape[1], *array.shape[2:])


def _strip(problem: Problem, folded: Array) -> Array:
    return namespace(folded).empty((*folded.shape[:2], problem.pattern.m), problem.dtype)


def rsa_forward(problem: Problem, work: Deferred) -> tuple[Array, Array]:
    """Return (out, lse) of this rank's queries, in the dtype of sums; errors between messages wait in `work`."""
    xp, columns, lengths = namespace(problem.q), _columns(problem), problem.pattern.key_lengths
    q = _folded(problem, problem.q) * problem.dtype.type(problem.scale)
    scores, (blank, none) = _strip(problem, q), problem.blank(problem.q)
    for owner, (k,) in ring_steps([problem.k], lengths, problem.comm):
        with work:
            scores[:, :, columns[owner]] = q @ problem.working(k).swapaxes(1, 2)
    if problem.pattern.m == 0:
        return blank, none
    xp.copyto(scores, -xp.inf, where=~_seen(problem))
    top = scores.max(axis=2)
    top = xp.where(top == -xp.inf, xp.zeros_like(top), top)
    scores -= top[:, :, None]
    weights = xp.exp(scores, out=scores)
    total = weights.sum(axis=2)
    some = total != 0  # True for NaN, which must not pass for a query that sees nothing
    total = xp.where(some, total, xp.ones_like(total))
    out = blank.reshape(*q.shape[:2], blank.shape[2])
    for owner, (v,) in ring_steps([problem.v], lengths, problem.comm):
        with work:
            out += weights[:, :, columns[owner]] @ problem.working(v)
    lse = xp.where(some, top + xp.log(total), -xp.inf)
    return (out / total[:, :, None]).reshape(blank.shape), lse.reshape(none.shape)


def rsa_backward(
    problem: Problem, dout: Array, lse: Array, delta: Array, work: Deferred
) -> tuple[Array, Array, Array, None]:
    """Return (dq, dk, dv, None).

    A pass of the values fills the strip of weights' gradients, a pass of the keys uses it up. Each rank's part of the
    gradients of all keys and values is reduced over the ranks, and each owner gets its rows.
    """
    xp, columns, lengths, seen = namespace(problem.q), _columns(problem), problem.pattern.key_lengths, _seen(problem)
    scale = problem.dtype.type(problem.scale)
    q, dout, lse, delta = (_folded(problem, a) for a in (problem.q, dout, lse, delta))
    q, changes = q * scale, _strip(problem, q)
    for owner, (v,) in ring_steps([problem.v], lengths, problem.comm):
        with work:
            changes[:, :, columns[owner]] = dout @ problem.working(v).swapaxes(1, 2)
    changes -= delta[:, :, None]
    dq = xp.zeros(q.shape, problem.dtype)
    heads, m = problem.k.shape[0], problem.pattern.m
    dk, dv = (xp.empty((m, heads, a.shape[2]), problem.dtype) for a in (problem.k, problem.v))
    for owner, (k,) in ring_steps([problem.k], lengths, problem.comm):
        with work:
            keys = columns[owner]
            key = problem.working(k)
            scores = q @ key.swapaxes(1, 2)
            scores -= lse[:, :, None]
            xp.copyto(scores, -xp.inf, where=~seen[:, keys])
            weights = xp.exp(scores, out=scores)
            change = weights * changes[:, :, keys]
            dq += change @ key
            dk[keys] = (change.swapaxes(1, 2) @ q).swapaxes(0, 1)
            dv[keys] = (weights.swapaxes(1, 2) @ dout).swapaxes(0, 1)
    dk, dv = (reduce_scatter_rows(a, problem.comm, lengths) for a in (dk, dv))
    return (dq * scale).reshape(problem.q.shape), dk.swapaxes(0, 1), dv.swapaxes(0, 1), None
