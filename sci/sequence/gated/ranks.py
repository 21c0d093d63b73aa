"""The linear map and the sum by which a rank changes the state that enters it, gathered and folded by all ranks."""

from __future__ import annotations

from sci.backend import Array, namespace
from sci.distributed import Comm, rank_of, size
from sci.sequence.gated.kernel import run_forward

__all__ = ["fold_adjoints", "fold_states", "local_map"]


def local_map(q: Array, k: Array, v: Array, gate: Array, beta: Array | None) -> Array:
    """Return the state (b, d, e) that this rank's tokens form from zero, beside the map of states through them.

    Returns
    -------
    (b, d, e + d) array, or (b, d, e + 1) without beta
        The map is a matrix: the run of the recurrence from the identity, with values of 0, as d more columns. Without
        beta it is diagonal: the product of the gates.
    """
    xp, (b, n, d), e = namespace(q), q.shape, v.shape[2]
    if beta is None:
        state = run_forward(q, k, v, gate, None, xp.zeros((b, d, e), q.dtype))[2][:, -1]
        whole = xp.broadcast_to(xp.prod(gate, axis=1)[..., None], (b, d, 1))
        return xp.concatenate([state, whole], axis=2)
    values = xp.concatenate([v, xp.zeros((b, n, d), q.dtype)], axis=2)
    eye = xp.broadcast_to(xp.eye(d, dtype=q.dtype), (b, d, d))
    start = xp.concatenate([xp.zeros((b, d, e), q.dtype), eye], axis=2)
    return run_forward(q, k, values, gate, beta, start)[2][:, -1]


def fold_states(maps: Array, e: int, initial: Array, delta: bool, comm: Comm) -> tuple[Array, Array]:
    """Return the state that enters this rank, and the one after the last token of all; `maps` as from `local_map`."""
    entering = state = initial
    for r in range(size(comm)):
        entering = state if r == rank_of(comm) else entering
        through = maps[r, :, :, e:]
        state = maps[r, :, :, :e] + (through @ state if delta else through * state)
    return entering, state


def fold_adjoints(maps: Array, e: int, own: Array, last: Array, delta: bool, comm: Comm) -> tuple[Array, Array]:
    """Return the adjoint of the state after this rank's tokens, and that of the first state.

    `own` (n_ranks, b, d, e) holds each rank's adjoint of the state that enters it, where none comes from later ranks.
    """
    leaving = adjoint = last
    for r in reversed(range(size(comm))):
        leaving = adjoint if r == rank_of(comm) else leaving
        through = maps[r, :, :, e:]
        adjoint = own[r] + (through.swapaxes(1, 2) @ adjoint if delta else through * adjoint)
    return leaving, adjoint
