"""Ops between ranks: Megatron's f and g, and their form for runs of tokens, which gathers and scatters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import Comm, allgather_rows, allreduce_sum, reduce_scatter_rows, size, split
from sci.nn.core.op import op

__all__ = ["copy_to_ranks", "gather_tokens", "scatter_sum", "sum_over_ranks"]


def _copy_to_ranks_vjp(douts: Any, residuals: Any) -> tuple[Array, ...]:
    """Return the sums over ranks of the gradients; zero where one was not used on a rank."""
    kinds, like, comm = residuals
    xp = namespace(like)
    given = douts if isinstance(douts, tuple) else (douts,)
    given = tuple(xp.zeros(s, t) if g is None else g for g, (s, t) in zip(given, kinds))
    if size(comm) == 1:
        return given
    flat = xp.concatenate([xp.ascontiguousarray(g).reshape(-1) for g in given])
    total, start, found = allreduce_sum(flat, comm, checked=True), 0, []
    for shape, dtype in kinds:
        count = math.prod(shape)
        found.append(total[start : start + count].reshape(shape).astype(dtype, copy=False))
        start += count
    return tuple(found)


@op(vjp=_copy_to_ranks_vjp)
def copy_to_ranks(*arrays: Array, comm: Comm = None) -> tuple[Any, Any]:
    """Return arrays that all ranks hold alike; their gradients are added over the ranks (Megatron's f).

    Parameters
    ----------
    *arrays : array
        One dtype; one array gives one, several give a tuple.
    comm : mpi4py communicator, optional

    Notes
    -----
    Forward no message; backward one all-reduce of all the arrays in one buffer. `sum_over_ranks` is its conjugate.

    References
    ----------
    Shoeybi et al., Megatron-LM (arXiv 1909.08053), section 3.
    """
    out = arrays[0] if len(arrays) == 1 else arrays
    return out, (tuple((a.shape, a.dtype) for a in arrays), arrays[0], comm)


def _sum_over_ranks_vjp(dout: Array, residuals: None) -> tuple[Array]:
    """Return the gradient of `sum_over_ranks`."""
    return (dout,)


@op(vjp=_sum_over_ranks_vjp)
def sum_over_ranks(x: Array, *, comm: Comm = None) -> tuple[Array, None]:
    """Return the sum over ranks of `x`; its gradient goes to every rank as it is (Megatron's g).

    Notes
    -----
    Forward one all-reduce, in the order of the ranks; backward no message. The gradient must be the same on all ranks.
    """
    return (x if size(comm) == 1 else allreduce_sum(x, comm, checked=True)), None


def _gather_tokens_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `gather_tokens` for this rank's run."""
    axis, comm, own = residuals
    return (dout if size(comm) == 1 else _scattered(dout, axis, comm, own),)


@op(vjp=_gather_tokens_vjp)
def gather_tokens(x: Array, *, axis: int = -2, comm: Comm = None) -> tuple[Array, Any]:
    """Return all ranks' runs of tokens one after another; the gradient is summed over ranks and cut again.

    Notes
    -----
    Forward an all-gather, backward a reduce-scatter: f in the sequence form.

    References
    ----------
    Korthikanti et al. (arXiv 2205.05198), section 4.2.2.
    """
    if size(comm) == 1:
        return x, (axis, comm, x.shape[axis])
    return _gathered(x, axis, comm), (axis, comm, x.shape[axis])


def _scatter_sum_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `scatter_sum`."""
    axis, comm = residuals
    return (dout if size(comm) == 1 else _gathered(dout, axis, comm),)


@op(vjp=_scatter_sum_vjp)
def scatter_sum(x: Array, *, axis: int = -2, comm: Comm = None) -> tuple[Array, Any]:
    """Return this rank's run of the tokens of the sum over ranks; the gradient is gathered.

    Notes
    -----
    Forward a reduce-scatter, backward an all-gather: g in the sequence form. Runs are those of `split`.
    """
    if size(comm) == 1:
        return x, (axis, comm)
    part = split(x.shape[axis], comm)
    return _scattered(x, axis, comm, part.stop - part.start), (axis, comm)


def _gathered(x: Array, axis: int, comm: Comm) -> Array:
    xp = namespace(x)
    whole = allgather_rows(xp.ascontiguousarray(xp.moveaxis(x, axis, 0)), comm)
    return xp.ascontiguousarray(xp.moveaxis(whole, 0, axis))


def _scattered(x: Array, axis: int, comm: Comm, own: int) -> Array:
    xp = namespace(x)
    lengths = allgather_rows(np.array([own]), comm).tolist()
    rows = reduce_scatter_rows(xp.ascontiguousarray(xp.moveaxis(x, axis, 0)), comm, lengths)
    return xp.ascontiguousarray(xp.moveaxis(rows, 0, axis))
