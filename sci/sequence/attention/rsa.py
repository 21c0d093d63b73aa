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
    starts = np.cumsum([0, *problem.sequences.lengths]).tolist()
    return [slice(a, a + length) for a, length in zip(starts, problem.sequences.lengths)]


def _seen(problem: Problem) -> Array:
    """Return True where a query of this rank sees a key of the strip, (length, n)."""
    xp, sequences = namespace(problem.q), problem.sequences
    key_range = sequences.key_range(sequences.positions(problem.rank), xp)
    positions = to_device(np.concatenate([sequences.positions(r) for r in range(problem.n_ranks)]), xp)
    return (key_range.low[:, None] <= positions) & (positions <= key_range.high[:, None])


def _strip(problem: Problem) -> Array:
    heads, length, _ = problem.q.shape
    return namespace(problem.q).empty((heads, length, problem.sequences.n), problem.dtype)


def rsa_forward(problem: Problem, work: Deferred) -> tuple[Array, Array]:
    """Return (out, lse) of this rank's queries, in the dtype of sums; errors between messages wait in `work`."""
    xp, columns = namespace(problem.q), _columns(problem)
    q, scores = problem.scaled_queries(problem.q), _strip(problem)
    for owner, (k,) in ring_steps([problem.k], problem.sequences.lengths, problem.comm):
        with work:
            scores[:, :, columns[owner]] = q @ problem.working(k).swapaxes(1, 2)
    out = xp.zeros(q.shape, problem.dtype)
    if problem.sequences.n == 0:
        return out, out.sum(axis=2)
    xp.copyto(scores, -xp.inf, where=~_seen(problem))
    top = scores.max(axis=2)
    top = xp.where(top == -xp.inf, xp.zeros_like(top), top)
    scores -= top[:, :, None]
    weights = xp.exp(scores, out=scores)
    total = weights.sum(axis=2)
    some = total != 0  # True for NaN, which must not pass for a query that sees nothing
    total = xp.where(some, total, xp.ones_like(total))
    for owner, (v,) in ring_steps([problem.v], problem.sequences.lengths, problem.comm):
        with work:
            out += weights[:, :, columns[owner]] @ problem.working(v)
    return out / total[:, :, None], xp.where(some, top + xp.log(total), -xp.inf)


def rsa_backward(problem: Problem, dout: Array, lse: Array, delta: Array, work: Deferred) -> tuple[Array, Array, Array]:
    """Return (dq, dk, dv); dq is that of the scaled queries.

    A pass of the values fills the strip of weights' gradients, a pass of the keys uses it up. Each rank's part of the
    gradients of all keys and values is reduced over the ranks, and each owner gets its rows.
    """
    xp, columns, seen = namespace(problem.q), _columns(problem), _seen(problem)
    q, changes = problem.scaled_queries(problem.q), _strip(problem)
    for owner, (v,) in ring_steps([problem.v], problem.sequences.lengths, problem.comm):
        with work:
            changes[:, :, columns[owner]] = dout @ problem.working(v).swapaxes(1, 2)
    changes -= delta[:, :, None]
    dq = xp.zeros(q.shape, problem.dtype)
    heads, _, d = q.shape
    dk, dv = (xp.empty((problem.sequences.n, heads, d), problem.dtype) for _ in range(2))
    for owner, (k,) in ring_steps([problem.k], problem.sequences.lengths, problem.comm):
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
    dk, dv = (reduce_scatter_rows(a, problem.comm, problem.sequences.lengths) for a in (dk, dv))
    return dq, dk.swapaxes(0, 1), dv.swapaxes(0, 1)
