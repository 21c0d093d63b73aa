"""Ring attention: keys and values travel past the queries, their gradients travel with them.

Where ranks need the keys of a few others only, as in a window or causal attention in one run a rank, each pair that
needs it exchanges them without detours, and all other hops are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, Deferred, Message, rank_of, ring_steps, shift, size
from sci.sequence.attention.problem import Problem
from sci.sequence.tiles.attend import add_gradients, attend

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


def _visits(problem: Problem) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Yield the keys and values of every rank that this rank's queries see, its own first."""
    needed, lengths = problem.pattern.needed, problem.pattern.key_lengths
    arrays, rank, n_ranks = (problem.k, problem.v), problem.rank, problem.n_ranks
    if _all_needed(problem):
        yield from ring_steps(arrays, lengths, problem.comm)
        return
    coming = [_direct(problem, arrays, 1)] if n_ranks > 1 else []
    yield rank, arrays
    for step in range(1, n_ranks):
        owner = (rank - step) % n_ranks
        present = tuple(message.wait() for message in coming.pop())
        if step + 1 < n_ranks:
            coming.append(_direct(problem, arrays, step + 1))
        if needed[rank, owner]:
            yield owner, present


def _all_needed(problem: Problem) -> bool:
    needed, n_ranks = problem.pattern.needed, problem.n_ranks
    return all(needed[r, o] for r in range(n_ranks) for o in range(n_ranks) if r != o)


def _direct(problem: Problem, arrays: Sequence[Array], step: int) -> list[Message]:
    """Start to send this rank's arrays `step` ranks on and to receive those of `step` ranks before, where needed."""
    needed, rank, n_ranks = problem.pattern.needed, problem.rank, problem.n_ranks
    target, owner = (rank + step) % n_ranks, (rank - step) % n_ranks
    length = problem.pattern.key_lengths[owner] if needed[rank, owner] else 0
    found = []
    for array in arrays:
        leaving = array if needed[target, rank] else array[:, :0]
        shape = (array.shape[0], length, array.shape[2])
        found.append(shift(leaving, step, shape=shape, comm=problem.comm))
    return found


def _direct_gradients(problem: Problem, add: Callable[[int, tuple[Array, ...]], Sequence[Array]]) -> Sequence[Array]:
    """Return the sums over ranks of what `add` returned for this rank's arrays, as `ring_gradients` does."""
    needed, rank, n_ranks = problem.pattern.needed, problem.rank, problem.n_ranks
    home: Sequence[Array] = []
    posted: list[tuple[int, list[Message]]] = []

    def collect() -> None:
        source, messages = posted.pop()
        for own, message in zip(home, messages):
            change = message.wait()
            if needed[source, rank]:
                own += change

    def post(step: int, sums: Sequence[Array]) -> None:
        visited, messages = (rank + step) % n_ranks, []
        for a, own in zip(sums, home):
            length = own.shape[1] if needed[visited, rank] else 0
            messages.append(shift(a, -step, shape=(own.shape[0], length, own.shape[2]), comm=problem.comm))
        if posted:
            collect()
        posted.append((visited, messages))

    done = 0
    for owner, visitors in _visits(problem):
        sums = add(owner, visitors)
        if owner == rank:
            home = sums
            continue
        step = (rank - owner) % n_ranks
        for idle in range(done + 1, step):
            post(idle, [a[:, :0] for a in home])
        post(step, sums)
        done = step
    for idle in range(done + 1, n_ranks):
        post(idle, [a[:, :0] for a in home])
    if posted:
        collect()
    return home


def ring_forward(problem: Problem, work: Deferred) -> tuple[Array, Array]:
    """Return (out, lse) of this rank's queries, in the dtype of sums; errors between messages wait in `work`."""
    q = problem.operand(problem.q)
    out, lse = problem.blank(q)
    for owner, (k, v) in _visits(problem):
        with work:
            keys, values = problem.operand(k), problem.operand(v)
            for seen in problem.seen(owner):
                attend(q, keys, values, seen, out, lse, scale=problem.scale, rules=problem.rules(owner))
    return out, lse


def ring_backward(
    problem: Problem, dout: Array, lse: Array, delta: Array, work: Deferred
) -> tuple[Array, Array, Array, Array | None]:
    """Return (dq, dk, dv, dbias)."""
    q, bias = problem.operand(problem.q), problem.scores.bias
    xp = namespace(q)
    dq, dbias = xp.zeros(q.shape, problem.dtype), None if bias is None else xp.zeros_like(bias.array)

    def add(owner: int, visitors: tuple[Array, ...]) -> list[Array]:
        sums = [xp.zeros(a.shape, problem.dtype) for a in visitors]
        with work:
            keys, values = (problem.operand(a) for a in visitors)
            for seen in problem.seen(owner):
                rules = problem.rules(owner)
                own = bias is not None and rules.bias is not None and rules.bias.array is not bias.array
                change = xp.zeros_like(rules.bias.array) if own and rules.bias is not None else dbias
                given = (q, keys, values, dout, lse, delta, seen, dq, *sums)
                add_gradients(*given, scale=problem.scale, rules=rules, dbias=change)
                if own and dbias is not None:
                    dbias[:, :, to_device(problem.pattern.keys(owner), xp)] += change
        return sums

    if _all_needed(problem):
        dk, dv = ring_gradients((problem.k, problem.v), problem.pattern.key_lengths, problem.comm, add)
    else:
        dk, dv = _direct_gradients(problem, add)
    return dq, dk, dv, dbias
