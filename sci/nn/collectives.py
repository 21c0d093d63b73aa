"""Ops between ranks (Megatron's f and g, gathers and scatters of tokens), and sums of gradients.

f is the identity whose gradient is summed over ranks, g the sum whose gradient is the identity: `copy_to_ranks` and
`sum_over_ranks`. In the sequence form, where each rank holds a run of the tokens, `gather_tokens` takes the place of f
and `scatter_sum` that of g.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.arguments import Computed, collective_entry
from sci.backend import Array, namespace
from sci.distributed import Comm, agreed, allgather_rows, allreduce_sum, form, reduce_scatter_rows, size, split
from sci.nn.core.op import op
from sci.nn.core.packing import kinds_of, packed, real_view, unpacked
from sci.nn.core.trees import Tree, named_arrays, unflatten_tree
from sci.nn.ops.checks import normalized_axis

__all__ = ["allreduce_gradients", "copy_to_ranks", "gather_tokens", "scatter_sum", "sum_over_ranks"]


_LOSS = "the loss"


def _sum_together(
    named: Callable[[], Mapping[str, Array]], weight: float, comm: Comm, operation: str
) -> dict[str, Array]:
    """Return the sums over ranks of `weight` times the arrays, by one all-reduce of all their real numbers."""
    with agreed(comm, operation) as agreement:
        arrays = named()
        agreement.same(names=list(arrays))
        agreement.same(**{name: form(array) for name, array in arrays.items()})
    whole = packed(arrays)
    total = allreduce_sum(whole if weight == 1 else whole * weight, comm, checked=True)
    return unpacked(total, kinds_of(arrays))


@collective_entry
def allreduce_gradients(gradients: Tree, loss: Computed, weight: float, *, comm: Comm = None) -> tuple[Any, float]:
    """Return the sums over ranks of `weight` times the gradients and the loss.

    Parameters
    ----------
    gradients : dict of arrays, or of dicts and lists of them
        The same names in the same order, shapes and dtypes on all ranks.
    loss : float
    weight : float
        This rank's fraction of the batch, so that means over its samples add up to the mean over all.
    comm : mpi4py communicator, optional

    Returns
    -------
    (arrays in the form of `gradients`, float)

    Notes
    -----
    Collective. One all-reduce of a buffer of all the real numbers, in float64 if any gradient is; contributions are
    added in the order of the ranks, so that all ranks get the same bits.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import allreduce_gradients
    >>> allreduce_gradients({"w": np.ones(2)}, 0.5, 1.0)
    ({'w': array([1., 1.])}, 0.5)
    """
    if size(comm) == 1:
        return gradients, loss

    def named() -> dict[str, Array]:
        leaves = named_arrays(gradients, "gradients")
        dtype = np.result_type(*(real_view(g.reshape(-1)[:0]).dtype for g in leaves.values()))
        return {**leaves, _LOSS: namespace(*leaves.values()).asarray([loss], dtype=dtype)}

    sums = _sum_together(named, weight, comm, "allreduce_gradients")
    value = float(sums.pop(_LOSS)[0])
    return unflatten_tree(sums, gradients), value


def _copy_to_ranks_vjp(douts: Any, residuals: Any) -> tuple[Array, ...]:
    """Return the sums over ranks of the gradients; zero for an array that was not used on a rank."""
    kinds, like, comm = residuals
    xp = namespace(like)
    given = douts if isinstance(douts, tuple) else (douts,)
    given = tuple(xp.zeros(s, t) if g is None else g for g, (s, t) in zip(given, kinds))
    if size(comm) == 1:
        return given
    named = {f"the gradient of array {k}": gradient for k, gradient in enumerate(given)}
    return tuple(_sum_together(lambda: named, 1.0, comm, "the gradient of copy_to_ranks").values())


@op(vjp=_copy_to_ranks_vjp)
def copy_to_ranks(*arrays: Array, comm: Comm = None) -> tuple[Any, Any]:
    """Return arrays that are the same on all ranks; their gradients are summed over the ranks (Megatron's f).

    Parameters
    ----------
    *arrays : array
        One array is returned as one, several as a tuple.
    comm : mpi4py communicator, optional

    Returns
    -------
    array or variable

    Notes
    -----
    Collective backward only: one all-reduce of all the arrays in one buffer. `sum_over_ranks` is its conjugate.

    References
    ----------
    Shoeybi et al., Megatron-LM (arXiv 1909.08053), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import copy_to_ranks
    >>> copy_to_ranks(np.ones(2))
    array([1., 1.])
    """
    out = arrays[0] if len(arrays) == 1 else arrays
    return out, (tuple((a.shape, a.dtype) for a in arrays), arrays[0], comm)


def _sum_over_ranks_vjp(dout: Array, residuals: None) -> tuple[Array]:
    return (dout,)


@op(vjp=_sum_over_ranks_vjp, collective=True)
def sum_over_ranks(x: Array, *, comm: Comm = None) -> tuple[Array, None]:
    """Return the sum over ranks of `x`; every rank gets the gradient unchanged (Megatron's g).

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    comm : mpi4py communicator, optional
        None is one process.

    Returns
    -------
    array or variable

    Notes
    -----
    Collective forward only: one all-reduce, in the order of the ranks. The gradient must be the same on all ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import sum_over_ranks
    >>> sum_over_ranks(np.ones(2))
    array([1., 1.])
    """
    return (x if size(comm) == 1 else allreduce_sum(x, comm)), None


def _gather_tokens_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    axis, comm, own = residuals
    return (dout if size(comm) == 1 else _scattered(dout, axis, comm, own),)


@op(vjp=_gather_tokens_vjp, collective=True)
def gather_tokens(x: Array, *, axis: int = -2, comm: Comm = None) -> tuple[Array, Any]:
    """Return the runs of tokens of all ranks, one after another; the gradient is summed over ranks and cut again.

    Parameters
    ----------
    x : (..., n, width) array
        This rank's run of the tokens, along `axis`; runs may differ in length.
    axis : int
    comm : mpi4py communicator, optional

    Returns
    -------
    array or variable

    Notes
    -----
    Collective. Forward an all-gather, backward a reduce-scatter: f in the sequence form.

    References
    ----------
    Korthikanti et al. (arXiv 2205.05198), section 4.2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import gather_tokens
    >>> gather_tokens(np.ones((3, 2))).shape
    (3, 2)
    """
    with agreed(comm, "gather_tokens") as agreement:
        axis = normalized_axis(axis, x.ndim, "gather_tokens")
        agreement.same(axis=axis, x=form(x, free=[axis]))
    if size(comm) == 1:
        return x, (axis, comm, x.shape[axis])
    return _gathered(x, axis, comm), (axis, comm, x.shape[axis])


def _scatter_sum_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    axis, comm = residuals
    return (dout if size(comm) == 1 else _gathered(dout, axis, comm),)


@op(vjp=_scatter_sum_vjp, collective=True)
def scatter_sum(x: Array, *, axis: int = -2, comm: Comm = None) -> tuple[Array, Any]:
    """Return this rank's run of the tokens of the sum over ranks of `x`; the gradient is gathered.

    Parameters
    ----------
    x : (..., n, width) array
        This rank's contribution to all tokens.
    axis : int
    comm : mpi4py communicator, optional

    Returns
    -------
    array or variable

    Notes
    -----
    Collective. Forward a reduce-scatter, backward an all-gather: g in the sequence form. Runs are those of
    `sci.distributed.split`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import scatter_sum
    >>> scatter_sum(np.ones((3, 2))).shape
    (3, 2)
    """
    with agreed(comm, "scatter_sum") as agreement:
        axis = normalized_axis(axis, x.ndim, "scatter_sum")
        agreement.same(axis=axis, x=form(x))
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
