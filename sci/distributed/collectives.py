"""Reductions, gathers and broadcasts of arrays: buffers, never pickles, and sums in one fixed order.

A reduction adds the ranks' contributions elementwise in the order of the ranks, ((a_0 + a_1) + a_2) + ..., so the
result depends on nothing but the input and the number of ranks, and is bitwise the same on all of them. `MPI_Allreduce`
promises neither: its order may depend on the message size, the algorithm chosen and the topology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace, namespace_of
from sci.distributed.communicators import Channel, Comm, channel_of, verdict
from sci.distributed.decompositions import split_bounds
from sci.distributed.exchange import MAX_COUNT, Expected, Piece, start_exchange
from sci.distributed.staging import element_dtype, empty_buffer, from_buffer, to_buffer, wire
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["allgather_rows", "allreduce_max", "allreduce_sum", "broadcast", "describe", "reduce_scatter_rows"]

_MAX_NDIM = 8
_SMALL_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 27


def describe(array: Array) -> list[int]:
    """Return dtype, dimensions and shape of `array` as ten integers, for `verdict`."""
    if array.ndim > _MAX_NDIM:
        raise ShapeError(f"the array has {array.ndim} dimensions; at most {_MAX_NDIM} can be sent")
    dtype = element_dtype(array.dtype)
    padding = [0] * (_MAX_NDIM - array.ndim)
    return [256 * ord(dtype.kind) + dtype.itemsize, array.ndim, *array.shape, *padding]


def _dtype_of(code: int) -> np.dtype[Any]:
    return np.dtype(f"{chr(code // 256)}{code % 256}")


def _require_same(table: np.ndarray, first_axis: int, operation: str) -> None:
    """Raise on every rank alike if the rows of `table`, made by `describe`, differ (axes below `first_axis` may)."""
    same = np.ones(table.shape[1], dtype=bool)
    same[2 : 2 + first_axis] = False
    different = np.flatnonzero((table[:, same] != table[0, same]).any(axis=1))
    if different.size == 0:
        return
    other = int(different[0])
    (a, shape_a), (b, shape_b) = ((_dtype_of(int(r[0])), tuple(r[2 : 2 + r[1]].tolist())) for r in table[[0, other]])
    error = DTypeError if a != b else ShapeError
    raise error(
        f"{operation}: rank 0 passes shape {shape_a} of {a}, rank {other} shape {shape_b} of {b}; "
        "expected one dtype and matching shapes on all ranks"
    )


def _checked(channel: Channel | None, array: Array, operation: str, first_axis: int = 0) -> tuple[Array, np.ndarray]:
    """Return `array` as an array, and the table of `describe` of all ranks, agreed upon by all."""
    error: Exception | None = None
    header = [0] * (2 + _MAX_NDIM)
    try:
        array = namespace(array).asarray(array)
        header = describe(array)
        if array.ndim < first_axis:
            error = ShapeError(f"{operation}: the array has shape {array.shape}; expected at least {first_axis} axes")
    except Exception as caught:
        error = caught
    table = verdict(channel, error, header)
    _require_same(table, first_axis, operation)
    return array, table


def _reduce_rows(parts: Sequence[Array], op: Callable[..., Array]) -> Array:
    result = parts[0].copy()
    for part in parts[1:]:
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
    return _reduce_rows(start_exchange(channel, name, pieces, expected, flat.dtype, namespace(flat)).wait(), op)


def _gather_flat(channel: Channel, flat: Array, counts: np.ndarray, name: str) -> Array:
    """Return the concatenation of every rank's `flat`, whose sizes are `counts`."""
    xp = namespace(flat)
    total = int(counts.sum())
    if total > MAX_COUNT:
        ranks = range(channel.size)
        pieces = [Piece(r, flat) for r in ranks]
        expected = [Expected(r, (int(counts[r]),)) for r in ranks]
        return xp.concatenate(start_exchange(channel, name, pieces, expected, flat.dtype, xp).wait())
    buffer, everything = to_buffer(flat), empty_buffer(xp, (total,), flat.dtype)
    channel.comm.Allgatherv(wire(buffer), [wire(everything), counts])
    channel.count(name, channel.size - 1, (channel.size - 1) * buffer.nbytes)
    return from_buffer(everything, xp)


def _reduce_block(channel: Channel, flat: Array, op: Callable[..., Array], name: str) -> Array:
    if flat.nbytes * channel.size <= _SMALL_BYTES:
        return _reduce_small(channel, flat, op, name)
    bounds = split_bounds(flat.size, channel.size)
    return _gather_flat(channel, _reduce_segment(channel, flat, bounds, op, name), np.diff(bounds), name)


def _allreduce(array: Array, comm: Comm, name: str, reduction: str, checked: bool) -> Array:
    channel = channel_of(comm)
    if checked:
        array = namespace(array).asarray(array)
    else:
        array, _ = _checked(channel, array, name)
    xp = namespace(array)
    if array.dtype == bool:
        array = array.astype(np.int64)
    if channel is None or channel.size == 1:
        return array.copy()
    flat, op = xp.ascontiguousarray(array).reshape(-1), getattr(xp, reduction)
    result = xp.empty(flat.size, flat.dtype)
    step = max(1, _BLOCK_BYTES // flat.itemsize)
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
    """Return the elementwise maximum over ranks of `array`; NaN wins. See `allreduce_sum`."""
    return _allreduce(array, comm, "allreduce_max", "maximum", checked)


def allgather_rows(array: Array, comm: Comm = None) -> Array:
    """Return the ranks' arrays joined along axis 0, in the order of the ranks, on every rank.

    Parameters
    ----------
    array : (n_local, ...) array
        `n_local` may differ between ranks and may be 0; the other axes and the dtype may not.
    comm : mpi4py communicator, optional

    Returns
    -------
    (sum of n_local, ...) array

    Raises
    ------
    ShapeError, DTypeError
        On every rank, if the ranks' arrays do not fit together.

    Notes
    -----
    Collective. Buffers of any size; above 2^31 - 1 elements they go in parts.
    """
    channel = channel_of(comm)
    array, table = _checked(channel, array, "allgather_rows", first_axis=1)
    if channel is None or channel.size == 1:
        return array.copy()
    xp = namespace(array)
    counts = table[:, 2] * int(np.prod(array.shape[1:], dtype=np.int64))
    flat = xp.ascontiguousarray(array).reshape(-1)
    return _gather_flat(channel, flat, counts, "allgather_rows").reshape(int(table[:, 2].sum()), *array.shape[1:])


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
    array, _ = _checked(channel, array, "reduce_scatter_rows")
    error: Exception | None = None
    if array.ndim == 0:
        error = ShapeError("reduce_scatter_rows: the array has no axes; expected shape (n, ...)")
    elif counts is not None and (len(counts) != n_ranks or min(counts) < 0 or sum(counts) != array.shape[0]):
        error = InvalidValueError(
            f"reduce_scatter_rows: counts {list(counts)}; expected {n_ranks} of them, {array.shape[0]} in all"
        )
    verdict(channel, error)
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


def broadcast(array: Array | None, comm: Comm = None, root: int = 0) -> Array:
    """Return on every rank the array that `root` passes.

    Parameters
    ----------
    array : array or None
        The array at `root`; ignored elsewhere, where None will do.
    comm : mpi4py communicator, optional
    root : int

    Returns
    -------
    array
        At `root` the array itself, elsewhere a new one on the same kind of device.

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError
        On every rank.

    Notes
    -----
    Collective.
    """
    channel = channel_of(comm)
    rank, n_ranks = (0, 1) if channel is None else (channel.rank, channel.size)
    error: Exception | None = None
    header = [0] * (4 + _MAX_NDIM)
    try:
        if not 0 <= root < n_ranks:
            raise InvalidValueError(f"broadcast: root is {root}; expected a rank from 0 to {n_ranks - 1}")
        if rank == root:
            if array is None:
                raise InvalidValueError(f"broadcast: root {root} passes no array")
            array = namespace(array).asarray(array)
            header = [root, int(is_device_array(array)), *describe(array)]
        header[0] = root
    except Exception as caught:
        error = caught
    table = verdict(channel, error, header)
    if (table[:, 0] != root).any():
        raise InvalidValueError(f"broadcast: the ranks name different roots: {table[:, 0].tolist()}")
    if channel is None or channel.size == 1:
        return array
    return _broadcast_buffer(channel, array, root, table[root].tolist())


def _broadcast_buffer(channel: Channel, array: Array, root: int, header: Sequence[int]) -> Array:
    _, on_device, code, ndim, *shape = header
    xp: ModuleType = namespace_of("cuda" if on_device else "cpu")
    at_root = channel.rank == root
    buffer = to_buffer(array) if at_root else empty_buffer(xp, tuple(shape[:ndim]), _dtype_of(code))
    flat = wire(buffer)
    for k in range(0, flat.size, MAX_COUNT):
        channel.comm.Bcast(flat[k : k + MAX_COUNT], root=root)
    channel.count("broadcast", channel.size - 1 if at_root else 0, (channel.size - 1) * buffer.nbytes if at_root else 0)
    return array if at_root else from_buffer(buffer, xp)
