"""Ring attention: keys and values travel past the queries, their gradients travel with them."""

from __future__ import annotations

from collections.abc import Iterator

from sci.backend import Array, namespace, to_device
from sci.distributed import Message, shift
from sci.sequence.problem import Problem
from sci.sequence.tiles import add_gradients, attend

__all__ = ["ring_backward", "ring_forward", "visits"]


def visits(problem: Problem, *arrays: Array) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Yield every rank's arrays in the order in which they come by: one's own, then those of ranks r - 1, r - 2, ...

    The next arrays are on their way while the caller works.
    """
    n_ranks, rank, comm = problem.n_ranks, problem.rank, problem.comm
    for hop in range(n_ranks):
        owner, following = (rank - hop) % n_ranks, (rank - hop - 1) % n_ranks
        last = hop == n_ranks - 1
        coming = [] if last else [shift(a, shape=problem.shape_of(following), comm=comm) for a in arrays]
        yield owner, arrays
        arrays = tuple(message.wait() for message in coming)


def ring_forward(problem: Problem) -> tuple[Array, Array]:
    """Return (out, lse) of this rank's queries, in the dtype of sums."""
    xp, sequences = namespace(problem.q), problem.sequences
    q = problem.scaled_queries(problem.q)
    view = sequences.view(sequences.places(problem.rank), xp)
    out, lse = xp.zeros(q.shape, problem.dtype), xp.full(q.shape[:2], -xp.inf, problem.dtype)
    for owner, (k, v) in visits(problem, problem.k, problem.v):
        places = to_device(sequences.places(owner), xp)
        attend(q, problem.working(k), problem.working(v), view, places, out, lse)
    return out, lse


def ring_backward(problem: Problem, dout: Array, lse: Array, delta: Array) -> tuple[Array, Array, Array]:
    """Return (dq, dk, dv); dq is that of the scaled queries.

    What this rank adds for its own keys stays at home. The sums for the keys of another rank start there, empty, with
    the first rank that they visit, and come home after P - 1 hops.
    """
    xp, sequences, comm = namespace(problem.q), problem.sequences, problem.comm
    q = problem.scaled_queries(problem.q)
    view = sequences.view(sequences.places(problem.rank), xp)
    dq = xp.zeros(q.shape, problem.dtype)
    home: list[Array] = []
    travelling: list[Message] = []
    for owner, (k, v) in visits(problem, problem.k, problem.v):
        sums = [xp.zeros(k.shape, problem.dtype) for _ in range(2)]
        places = to_device(sequences.places(owner), xp)
        add_gradients(q, problem.working(k), problem.working(v), dout, lse, delta, view, places, dq, *sums)
        for own, message in zip(sums, travelling):
            own += message.wait()
        if not home:
            home = sums
            continue
        # What arrives belongs to the keys that come next, and after the last ones to this rank's.
        shape = problem.shape_of((owner - 1) % problem.n_ranks)
        travelling = [shift(a, shape=shape, comm=comm) for a in sums]
    for own, message in zip(home, travelling):
        own += message.wait()
    return dq, home[0], home[1]
