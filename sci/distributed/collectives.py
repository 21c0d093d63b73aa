"""Gathers and broadcasts of arrays: buffers, never pickles, with input that all ranks have agreed upon."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace, namespace_of
from sci.distributed.agreement import verdict
from sci.distributed.communicators import Channel, Comm, channel_of
from sci.distributed.exchange import MAX_COUNT, Expected, Piece, exchange
from sci.distributed.nccl import through_nccl
from sci.distributed.staging import element_dtype, empty_buffer, from_buffer, to_buffer, wire
from sci.errors import DeviceMismatchError, DTypeError, InvalidValueError, ShapeError
from sci.options import get as get_option

__all__ = ["allgather_rows", "broadcast", "broadcast_object", "checked_array", "describe", "gather_flat"]

_MAX_NDIM = 8
_NCCL = 1 << 16
"""Marks the code of a dtype where the array goes through NCCL: all ranks must agree on that too."""


def describe(array: Array) -> list[int]:
    """Return dtype, dimensions and shape of `array` as ten integers, for `verdict`."""
    if array.ndim > _MAX_NDIM:
        raise ShapeError(f"the array has {array.ndim} dimensions; at most {_MAX_NDIM} can be sent")
    dtype = element_dtype(array.dtype)
    padding = [0] * (_MAX_NDIM - array.ndim)
    code = 256 * ord(dtype.kind) + dtype.itemsize + _NCCL * through_nccl(namespace(array))
    return [code, array.ndim, *array.shape, *padding]


def _dtype_of(code: int) -> np.dtype[Any]:
    return np.dtype(f"{chr(code % _NCCL // 256)}{code % 256}")


def _require_same(table: np.ndarray, first_axis: int, operation: str) -> None:
    """Raise on every rank alike if the rows of `table`, made by `describe`, differ (axes below `first_axis` may)."""
    same = np.ones(table.shape[1], dtype=bool)
    same[2 : 2 + first_axis] = False
    different = np.flatnonzero((table[:, same] != table[0, same]).any(axis=1))
    if different.size == 0:
        return
    other = int(different[0])
    (a, shape_a), (b, shape_b) = ((_dtype_of(int(r[0])), tuple(r[2 : 2 + r[1]].tolist())) for r in table[[0, other]])
    if (table[:, 0] // _NCCL != table[0, 0] // _NCCL).any():
        raise DeviceMismatchError(
            f"{operation}: on some ranks only nccl is 'on' and the array on a device; expected the same on all"
        )
    error = DTypeError if a != b else ShapeError
    raise error(
        f"{operation}: rank 0 passes shape {shape_a} of {a}, rank {other} shape {shape_b} of {b}; "
        "expected one dtype and matching shapes on all ranks"
    )


def checked_array(
    channel: Channel | None, array: Array, operation: str, first_axis: int = 0
) -> tuple[Array, np.ndarray]:
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
    array, table = checked_array(channel, array, "allgather_rows", first_axis=1)
    if channel is None or channel.size == 1:
        return array.copy()
    xp = namespace(array)
    counts = table[:, 2] * int(np.prod(array.shape[1:], dtype=np.int64))
    flat = xp.ascontiguousarray(array).reshape(-1)
    return gather_flat(channel, flat, counts, "allgather_rows").reshape(int(table[:, 2].sum()), *array.shape[1:])


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
        header[1] += 2 * (get_option("nccl") == "on")
    except Exception as caught:
        error = caught
    table = verdict(channel, error, header)
    if (table[:, 0] != root).any():
        raise InvalidValueError(f"broadcast: the ranks name different roots: {table[:, 0].tolist()}")
    if (table[:, 1] // 2 != table[0, 1] // 2).any():
        raise InvalidValueError("broadcast: the option nccl differs between ranks; expected one value")
    if channel is None or channel.size == 1:
        return array
    return _broadcast_buffer(channel, array, root, table[root].tolist())


def _broadcast_buffer(channel: Channel, array: Array, root: int, header: Sequence[int]) -> Array:
    _, place, code, ndim, *shape = header
    xp: ModuleType = namespace_of("cuda" if place % 2 else "cpu")
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

    Notes
    -----
    Collective.
    """
    channel = channel_of(comm)
    if channel is None or channel.size == 1:
        return value
    error: Exception | None = None
    payload = b""
    try:
        payload = pickle.dumps(value) if channel.rank == root else b""
    except Exception as caught:
        error = caught
    length = int(verdict(channel, error, [len(payload)])[root, 0])
    buffer = np.frombuffer(payload, np.uint8) if channel.rank == root else np.empty(length, np.uint8)
    channel.comm.Bcast(buffer, root=root)
    if channel.rank == root:
        channel.count("broadcast_object", channel.size - 1, (channel.size - 1) * length)
        return value
    return pickle.loads(buffer.tobytes())
