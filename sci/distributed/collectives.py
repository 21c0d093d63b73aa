"""Gathers and broadcasts of arrays: buffers, never pickles, with input that all ranks have agreed upon."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace, namespace_of
from sci.distributed.agreement import Agreement
from sci.distributed.canonical import form
from sci.distributed.communicators import Channel, Comm, channel_of
from sci.distributed.exchange import MAX_COUNT, Expected, Piece, exchange
from sci.distributed.nccl import through_nccl
from sci.distributed.staging import element_dtype, empty_buffer, from_buffer, to_buffer, wire
from sci.errors import DeviceMismatchError, InvalidValueError, ShapeError
from sci.options import get as get_option

__all__ = ["allgather_rows", "broadcast", "broadcast_object", "checked_array", "describe", "gather_flat"]

_MAX_NDIM = 8


def describe(array: Array) -> list[int]:
    """Return dtype, dimensions and shape of `array` as ten integers, which a rank that lacks the array can decode."""
    if array.ndim > _MAX_NDIM:
        raise ShapeError(f"the array has {array.ndim} dimensions; at most {_MAX_NDIM} can be sent")
    dtype = element_dtype(array.dtype)
    padding = [0] * (_MAX_NDIM - array.ndim)
    return [256 * ord(dtype.kind) + dtype.itemsize, array.ndim, *array.shape, *padding]


def _dtype_of(code: int) -> np.dtype[Any]:
    return np.dtype(f"{chr(code // 256)}{code % 256}")


def checked_array(
    channel: Channel | None, array: Array, operation: str, free_axes: int = 0
) -> tuple[Array, np.ndarray]:
    """Return `array` as an array that fits those of all ranks, and the lengths of its first free axis on each.

    Only the first `free_axes` (0 or 1) axes may differ in length between ranks.
    """
    with Agreement(channel, operation) as agreement:
        array = namespace(array).asarray(array)
        if array.ndim < free_axes:
            raise ShapeError(f"{operation}: the array has shape {array.shape}; expected at least {free_axes} axes")
        agreement.same(DeviceMismatchError, nccl=through_nccl(namespace(array)))
        agreement.same(array=form(array, range(free_axes)))
        agreement.gather(*array.shape[:free_axes])
    return array, agreement.table[:, :free_axes].reshape(-1)


def gather_flat(channel: Channel, flat: Array, counts: np.ndarray, name: str) -> Array:
    """Return the concatenation of every rank's `flat`, whose sizes are `counts`."""
    xp = namespace(flat)
    total = int(counts.sum())
    if total > MAX_COUNT or through_nccl(xp):
        ranks = range(channel.size)
        pieces = [Piece(r, flat) for r in ranks]
        expected = [Expected(r, (int(counts[r]),)) for r in ranks]
        return xp.concatenate(exchange(channel, name, pieces, expected, flat.dtype, xp))
    buffer, everything = to_buffer(flat), empty_buffer(xp, (total,), flat.dtype)
    channel.comm.Allgatherv(wire(buffer), [wire(everything), counts])
    channel.count(name, channel.size - 1, (channel.size - 1) * buffer.nbytes)
    return from_buffer(everything, xp)


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
    array, lengths = checked_array(channel, array, "allgather_rows", free_axes=1)
    if channel is None or channel.size == 1:
        return array.copy()
    xp = namespace(array)
    counts = lengths * int(np.prod(array.shape[1:], dtype=np.int64))
    flat = xp.ascontiguousarray(array).reshape(-1)
    return gather_flat(channel, flat, counts, "allgather_rows").reshape(int(lengths.sum()), *array.shape[1:])


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
    header = [0] * (3 + _MAX_NDIM)
    with Agreement(channel, "broadcast") as agreement:
        agreement.same(root=root, nccl=get_option("nccl"))
        if not 0 <= root < n_ranks:
            raise InvalidValueError(f"broadcast: root is {root}; expected a rank from 0 to {n_ranks - 1}")
        if rank == root:
            if array is None:
                raise InvalidValueError(f"broadcast: root {root} passes no array")
            array = namespace(array).asarray(array)
            header = [int(is_device_array(array)), *describe(array)]
        agreement.gather(*header)
    if channel is None or channel.size == 1:
        return array
    return _broadcast_buffer(channel, array, root, agreement.table[root].tolist())


def _broadcast_buffer(channel: Channel, array: Array, root: int, header: Sequence[int]) -> Array:
    on_device, code, ndim, *shape = header
    xp: ModuleType = namespace_of("cuda" if on_device else "cpu")
    at_root = channel.rank == root
    if through_nccl(xp):
        pieces = [Piece(r, array) for r in range(channel.size) if at_root]
        arrived = exchange(channel, "broadcast", pieces, [Expected(root, tuple(shape[:ndim]))], _dtype_of(code), xp)
        return array if at_root else arrived[0]
    buffer = to_buffer(array) if at_root else empty_buffer(xp, tuple(shape[:ndim]), _dtype_of(code))
    flat = wire(buffer)
    for k in range(0, flat.size, MAX_COUNT):
        channel.comm.Bcast(flat[k : k + MAX_COUNT], root=root)
    channel.count("broadcast", channel.size - 1 if at_root else 0, (channel.size - 1) * buffer.nbytes if at_root else 0)
    return array if at_root else from_buffer(buffer, xp)


def broadcast_object(value: Any, comm: Comm = None, root: int = 0) -> Any:
    """Return on every rank the Python object that `root` passes (pickled: for settings, never for data).

    Parameters
    ----------
    value : object
        On `root`; ignored on the others.
    comm : mpi4py communicator, optional
        None is one process.
    root : int
        The rank whose object all get.

    Returns
    -------
    object
        An equal object on every rank; on `root` the very one.

    Notes
    -----
    Collective.
    """
    channel = channel_of(comm)
    if channel is None or channel.size == 1:
        return value
    with Agreement(channel, "broadcast_object") as agreement:
        agreement.same(root=root)
        payload = pickle.dumps(value) if channel.rank == root else b""
        agreement.gather(len(payload))
    length = int(agreement.table[root, 0])
    buffer = np.frombuffer(payload, np.uint8) if channel.rank == root else np.empty(length, np.uint8)
    for k in range(0, length, MAX_COUNT):
        channel.comm.Bcast(buffer[k : k + MAX_COUNT], root=root)
    if channel.rank == root:
        channel.count("broadcast_object", channel.size - 1, (channel.size - 1) * length)
        return value
    return pickle.loads(buffer.tobytes())
