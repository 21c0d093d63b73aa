"""Sums and maxima over ranks, in one fixed order.

A reduction adds the ranks' contributions elementwise in the order of the ranks, ((a_0 + a_1) + a_2) + ..., so the
result depends on nothing but the input and the number of ranks, and is bitwise the same on all of them. `MPI_Allreduce`
promises neither: its order may depend on the message size, the algorithm chosen and the topology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sci.backend import Array, namespace
from sci.distributed.agreement import Agreement
from sci.distributed.collectives import checked_array, gather_flat
from sci.distributed.communicators import Channel, Comm, channel_of
from sci.distributed.exchange import Expected, Piece, exchange
from sci.distributed.nccl import through_nccl
from sci.distributed.ranges import split_bounds
from sci.distributed.staging import empty_buffer, from_buffer, to_buffer, wire
from sci.errors import InvalidValueError, ShapeError

__all__ = ["allreduce_max", "allreduce_sum", "reduce_scatter_rows"]

_SMALL_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 27


def _reduce_rows(parts: Sequence[Array], op: Callable[..., Array]) -> Array:
    """Return the reduction of two or more arrays, in their order, as a new array."""
    result = op(parts[0], parts[1])
    for part in parts[2:]:
        op(result, part, out=result)
    return result


def _reduce_small(channel: Channel, flat: Array, op: Callable[..., Array], name: str) -> Array:
    """Gather everything everywhere and reduce it there: one message for arrays of a few kilobytes."""
    xp = namespace(flat)
    everything = empty_buffer(xp, (channel.size, flat.size), flat.dtype)
    buffer = to_buffer(flat)
    channel.comm.Allgather(wire(buffer), wire(everything))
    channel.count(name, channel.size - 1, (channel.size - 1) * buffer.nbytes)
    return _reduce_rows(from_buffer(everything, xp), op)


def _reduce_segment(channel: Channel, flat: Array, bounds: np.ndarray, op: Callable[..., Array], name: str) -> Array:
    """Return the reduction over ranks of this rank's segment `flat[bounds[rank]:bounds[rank + 1]]`."""
    ranks = range(channel.size)
    own = int(bounds[channel.rank + 1] - bounds[channel.rank])
    pieces = [Piece(r, flat[bounds[r] : bounds[r + 1]]) for r in ranks]
    expected = [Expected(r, (own,)) for r in ranks]
    return _reduce_rows(exchange(channel, name, pieces, expected, flat.dtype, namespace(flat)), op)


def _reduce_block(channel: Channel, flat: Array, op: Callable[..., Array], name: str) -> Array:
    if flat.nbytes * channel.size <= _SMALL_BYTES and not through_nccl(namespace(flat)):
        return _reduce_small(channel, flat, op, name)
    bounds = split_bounds(flat.size, channel.size)
    return gather_flat(channel, _reduce_segment(channel, flat, bounds, op, name), np.diff(bounds), name)


def _allreduce(array: Array, comm: Comm, name: str, reduction: str, checked: bool) -> Array:
    channel = channel_of(comm)
    if checked:
        array = namespace(array).asarray(array)
    else:
        array, _ = checked_array(channel, array, name)
    xp = namespace(array)
    if array.dtype == bool:
        array = array.astype(np.int64)
    if channel is None or channel.size == 1:
        return array.copy()
    flat, op = xp.ascontiguousarray(array).reshape(-1), getattr(xp, reduction)
    step = max(1, _BLOCK_BYTES // flat.itemsize)
    if flat.size <= step:
        return _reduce_block(channel, flat, op, name).reshape(array.shape)
    result = xp.empty(flat.size, flat.dtype)
    for k in range(0, flat.size, step):
        result[k : k + step] = _reduce_block(channel, flat[k : k + step], op, name)
    return result.reshape(array.shape)


def allreduce_sum(array: Array, comm: Comm = None, *, checked: bool = False) -> Array:
    """Return the sum over ranks of `array`, bitwise the same on every rank and in every run.

    Parameters
    ----------
    array : array_like
        Numbers; one shape and dtype on all ranks (booleans are counted as integers).
    comm : mpi4py communicator, optional
    checked : bool
        True promises that shape and dtype agree, and saves the small collective that makes sure of it.

    Returns
    -------
    array
        A new array of the shape of `array`.

    Raises
    ------
    ShapeError, DTypeError
        On every rank, if shapes or dtypes differ between ranks.

    Notes
    -----
    Collective. Contributions are added in the order of the ranks. Large arrays go in blocks of 128 MiB: each rank
    receives its segment of the block from all ranks, adds, and the sums are gathered; every rank sends about twice
    the array, and needs memory for the result and two blocks. Small arrays (64 KiB over all ranks) are gathered by
    everyone and added everywhere, with the same result.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import allreduce_sum
    >>> allreduce_sum(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    return _allreduce(array, comm, "allreduce_sum", "add", checked)


def allreduce_max(array: Array, comm: Comm = None, *, checked: bool = False) -> Array:
    """Return the elementwise maximum over ranks of `array`; NaN wins. See `allreduce_sum`.

    Parameters
    ----------
    array : array
        On the host or on a device.
    comm : mpi4py communicator, optional
        None is one process.
    checked : bool
        True where the ranks have already agreed on shape and dtype.

    Returns
    -------
    array
        The maxima, the same on every rank, with the shape and dtype of `array`.
    """
    return _allreduce(array, comm, "allreduce_max", "maximum", checked)


def reduce_scatter_rows(array: Array, comm: Comm = None, counts: Sequence[int] | None = None) -> Array:
    """Return this rank's rows of the sum over ranks of `array`.

    Parameters
    ----------
    array : (n, ...) array
        One shape and dtype on all ranks.
    comm : mpi4py communicator, optional
    counts : sequence of int, optional
        Rows of each rank, n in all; by default those of `split(n, comm)`.

    Returns
    -------
    (counts[rank], ...) array
        A new array; the order of the sum is that of `allreduce_sum`, so the two agree bitwise.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank.

    Notes
    -----
    Collective. Each rank sends (P - 1) / P of the array and holds P segments.
    """
    channel = channel_of(comm)
    n_ranks = 1 if channel is None else channel.size
    array, _ = checked_array(channel, array, "reduce_scatter_rows")
    with Agreement(channel, "reduce_scatter_rows") as agreement:
        if array.ndim == 0:
            raise ShapeError("reduce_scatter_rows: the array has no axes; expected shape (n, ...)")
        if counts is not None and (len(counts) != n_ranks or min(counts) < 0 or sum(counts) != array.shape[0]):
            raise InvalidValueError(
                f"reduce_scatter_rows: counts {list(counts)}; expected {n_ranks} of them, {array.shape[0]} in all"
            )
        agreement.same(counts=counts)
    if array.dtype == bool:
        array = array.astype(np.int64)
    if channel is None or channel.size == 1:
        return array.copy()
    rows = split_bounds(array.shape[0], n_ranks) if counts is None else np.cumsum([0, *counts])
    width = int(np.prod(array.shape[1:], dtype=np.int64))
    xp = namespace(array)
    flat = xp.ascontiguousarray(array).reshape(-1)
    segment = _reduce_segment(channel, flat, rows * width, xp.add, "reduce_scatter_rows")
    return segment.reshape(int(rows[channel.rank + 1] - rows[channel.rank]), *array.shape[1:])
