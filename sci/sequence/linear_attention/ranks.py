"""The running state of linear attention across ranks: along a ring, or gathered by all at once."""

from __future__ import annotations

from functools import reduce

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import Comm, rank_of, recv, send, size
from sci.distributed.collectives import gather_flat
from sci.distributed.communicators import channel_of
from sci.sequence.linear_attention.kernel import SEGMENT, segment_sums

__all__ = ["everyone", "gathered_states", "local_sum", "recv_state", "send_state"]


def local_sum(k: Array, v: Array, decay: Array, reverse_weights: bool = False) -> Array:
    """Sum lam^{n-1-i} k_i v_i^T over this rank's tokens; with `reverse_weights` sum lam^{i+1} k_i v_i^T."""
    xp = namespace(k, v, decay)
    sums, ages = segment_sums(k, v, decay, SEGMENT, reverse_weights)
    order = range(sums.shape[1])
    total = xp.zeros((k.shape[0], k.shape[2], v.shape[2]), k.dtype)
    for s in reversed(order) if reverse_weights else order:
        total = ages[:, s, None, None] * total + sums[:, s]
    return total


def gathered_states(
    local: Array, decay: Array, lengths: np.ndarray, initial: Array, comm: Comm, reverse: bool = False
) -> tuple[Array, Array]:
    """Return the state that enters this rank's tokens, and the one that leaves the whole sequence.

    Parameters
    ----------
    local : (b, d, e) array
        The sum over this rank's tokens that `local_sum` returns.
    decay : (heads,) array
    lengths : (n_ranks,) int array
    initial : (b, d, e) array
        The state that enters the sequence, the same on all ranks.
    comm : mpi4py communicator or None
    reverse : bool
        The sequence is run from its end.

    Notes
    -----
    Collective, one all-gather of b d e numbers, whatever the length (LASP-2).
    """
    xp = namespace(local, decay, initial)
    rank, n_ranks = rank_of(comm), size(comm)
    sums = everyone(local, "lightning", comm)
    repeats = local.shape[0] // decay.shape[0]
    ages = [xp.tile(xp.exp(-decay * int(n)), repeats)[:, None, None] for n in lengths]
    order = list(range(n_ranks))[:: -1 if reverse else 1]

    def fold(ranks: list[int]) -> Array:
        return reduce(lambda state, r: ages[r] * state + sums[r], ranks, initial)

    entering = fold(order[: order.index(rank)])
    return entering, fold(order)


def everyone(local: Array, operation: str, comm: Comm) -> Array:
    """Return the arrays of all ranks, whose shapes they agreed upon before: (n_ranks, ...); collective."""
    channel = channel_of(comm)
    if channel is None or channel.size == 1:
        return local[None]
    flat = namespace(local).ascontiguousarray(local).reshape(-1)
    counts = np.full(channel.size, flat.size)
    return gather_flat(channel, flat, counts, operation).reshape(channel.size, *local.shape)


def recv_state(like: Array, initial: Array, comm: Comm, reverse: bool = False) -> Array:
    """Receive the state from the neighbor before this rank; return `initial` at the start of the ring."""
    step, rank = -1 if reverse else 1, rank_of(comm)
    before = rank - step
    if not 0 <= before < size(comm):
        return initial
    return recv(like.shape, like.dtype, before, xp=namespace(like), comm=comm).wait()


def send_state(state: Array, comm: Comm, reverse: bool = False) -> None:
    """Send the state to the neighbor after this rank, if there is one."""
    after = rank_of(comm) + (-1 if reverse else 1)
    if 0 <= after < size(comm):
        send(state, after, operation="lightning", comm=comm).wait()
