"""Ring attention: keys and values travel past the queries, their gradients travel with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, Deferred, Message, rank_of, ring_steps, shift, size
from sci.sequence.attention.problem import Problem
from sci.sequence.attention.tiles import add_gradients, attend

__all__ = ["ring_backward", "ring_forward", "ring_gradients"]


def ring_gradients(
    arrays: Sequence[Array],
    lengths: Sequence[int],
    comm: Comm,
    add: Callable[[int, tuple[Array, ...]], Sequence[Array]],
) -> Sequence[Array]:
    """Send `arrays` round the ring, and return the sums over ranks of what `add(owner, arrays)` returned for ours.

    What this rank adds for its own arrays stays at home. The sums for those of another rank start, empty, with the
    first rank that they visit, and come home after P - 1 hops.
    """
    home: Sequence[Array] = []
    traveling: list[Message] = []
    for owner, visitors in ring_steps(arrays, lengths, comm):
        sums = add(owner, visitors)
        for own, message in zip(sums, traveling):
            own += message.wait()
        if owner == rank_of(comm):
            home = sums
            continue
        # What arrives belongs to the arrays that come next, and after the last ones to this rank's.
        length = lengths[(owner - 1) % size(comm)]
        traveling = [shift(a, shape=(*a.shape[:-2], length, a.shape[-1]), comm=comm) for a in sums]
    for own, message in zip(home, traveling):
        own += message.wait()
    return home


def ring_forward(problem: Problem, work: Deferred) -> tuple[Array, Array]:
    """Return (out, lse) of this rank's queries, in the dtype of sums; errors between messages wait in `work`."""
    xp, sequences = namespace(problem.q), problem.sequences
    q = problem.scaled_queries(problem.q)
    key_range = sequences.key_range(sequences.positions(problem.rank), xp)
    out, lse = xp.zeros(q.shape, problem.dtype), xp.full(q.shape[:2], -xp.inf, problem.dtype)
    for owner, (k, v) in ring_steps((problem.k, problem.v), sequences.lengths, problem.comm):
        with work:
            positions = to_device(sequences.positions(owner), xp)
            attend(q, problem.working(k), problem.working(v), key_range, positions, out, lse)
    return out, lse


def ring_backward(
    problem: Problem, dout: Array, lse: Array, delta: Array, work: Deferred
) -> tuple[Array, Array, Array]:
    """Return (dq, dk, dv); dq is that of the scaled queries."""
    xp, sequences = namespace(problem.q), problem.sequences
    q = problem.scaled_queries(problem.q)
    key_range = sequences.key_range(sequences.positions(problem.rank), xp)
    dq = xp.zeros(q.shape, problem.dtype)

    def add(owner: int, visitors: tuple[Array, ...]) -> list[Array]:
        sums = [xp.zeros(a.shape, problem.dtype) for a in visitors]
        with work:
            k, v = (problem.working(a) for a in visitors)
            positions = to_device(sequences.positions(owner), xp)
            add_gradients(q, k, v, dout, lse, delta, key_range, positions, dq, *sums)
        return sums

    dk, dv = ring_gradients((problem.k, problem.v), sequences.lengths, problem.comm, add)
    return dq, dk, dv
