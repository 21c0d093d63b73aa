"""The operators f and g between ranks, as ops: what is the same on all, and what is summed over all."""

from __future__ import annotations

import math
from typing import Any

from sci.backend import Array, namespace
from sci.distributed import Comm, allreduce_sum, size
from sci.nn.core.op import op

__all__ = ["copy_to_ranks", "sum_over_ranks"]


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
