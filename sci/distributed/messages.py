"""Messages between ranks: shifts round a ring, all-to-all exchange, and sends from one rank to another.

Nothing here blocks before `wait`: receives are posted first, so a ring of messages of any size cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.distributed.agreement import Agreement
from sci.distributed.collectives import describe
from sci.distributed.communicators import Channel, Comm, channel_of, rank_of, size
from sci.distributed.exchange import Expected, Pending, Piece, exchange, start_exchange
from sci.distributed.nccl import through_nccl
from sci.distributed.staging import element_dtype
from sci.errors import DeviceMismatchError, DTypeError, InvalidValueError, ShapeError

__all__ = ["MAX_TAG", "Message", "alltoall", "recv", "ring_steps", "send", "shift"]

_SHIFT_TAGS = 1 << 10
_SEND_TAGS = 1 << 12
MAX_TAG = 16383
_DESCRIPTION = 10


class Message:
    """A message under way; `wait` ends it and returns the array received, or None after a `send`.

    Parameters
    ----------
    pending : pending message or None
        None for one that has arrived.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import shift
    >>> shift(np.arange(3)).wait()
    array([0, 1, 2])
    """

    def __init__(self, pending: Pending | None) -> None:
        self._pending = pending
        self._result: Array = None

    def __repr__(self) -> str:
        return f"<Message {'done' if self.done() else 'under way'}>"

    def done(self) -> bool:
        """Return True if `wait` would return at once."""
        return self._pending is None or self._pending.done()

    def wait(self) -> Array:
        """Wait until the buffers are free and return the array received; a second call returns it again."""
        if self._pending is not None:
            arrays, self._pending = self._pending.wait(), None
            self._result = arrays[0] if arrays else None
        return self._result


def shift(
    array: Array,
    step: int = 1,
    *,
    shape: Sequence[int] | None = None,
    operation: str = "shift",
    comm: Comm = None,
) -> Message:
    """Start to send `array` to rank r + step of the ring and to receive the array of rank r - step.

    Parameters
    ----------
    array : array
        Of any number type, one dtype on all ranks. It must not change before `wait`.
    step : int
        1 for the next rank, -1 for the one before; ranks count modulo P.
    shape : sequence of int, optional
        Shape of the array that arrives, where it is not that of `array`. The ring knows it beforehand, for example
        from `positions(n, layout=..., rank=(r - step) % P, size=P)`.
    operation : str
        The name under which `traffic` counts the message.
    comm : mpi4py communicator, optional

    Returns
    -------
    Message
        `wait()` returns the array that arrived, on the device of `array`; on one rank `array` itself.

    Raises
    ------
    DTypeError

    Notes
    -----
    All ranks call it, and nothing waits before `wait`. Shifts by one step match in the order in which they were
    started; shifts by different steps have different tags, so that on two ranks, where next and previous are one and
    the same, they cannot be mixed up. An array goes as its true element type, above 2^31 - 1 elements in parts; an
    empty one is not sent.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import shift
    >>> shift(np.arange(3)).wait()
    array([0, 1, 2])
    """
    channel = channel_of(comm)
    rank, n_ranks = (0, 1) if channel is None else (channel.rank, channel.size)
    tag = _SHIFT_TAGS + (2 * abs(step) + (step < 0)) % _SHIFT_TAGS
    target, source = (rank + step) % n_ranks, (rank - step) % n_ranks
    arriving = tuple(array.shape if shape is None else shape)
    if source == rank and arriving != tuple(array.shape):
        raise ShapeError(f"shift: shape {arriving} is to arrive from this rank itself, which sends {array.shape}")
    dtype = element_dtype(array.dtype)
    pieces, expected = [Piece(target, array, tag)], [Expected(source, arriving, tag)]
    return Message(start_exchange(channel, operation, pieces, expected, dtype, namespace(array)))


def ring_steps(arrays: Sequence[Array], lengths: Sequence[int], comm: Comm) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Yield the arrays of every rank in the order of the ring: those of this rank r, then of r - 1, r - 2, ...

    Parameters
    ----------
    arrays : sequence of (..., n, width) arrays
        This rank's own.
    lengths : sequence of int
        n on every rank.
    comm : mpi4py communicator, optional

    Yields
    ------
    owner : int
        The rank whose arrays these are.
    arrays : tuple of arrays

    Notes
    -----
    Collective. The next arrays are on their way while the caller works; its work belongs in a `Deferred`, because a
    rank that leaves the loop leaves the others waiting.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import ring_steps
    >>> [owner for owner, (x,) in ring_steps([np.zeros((3, 2))], [3], None)]
    [0]
    """
    n_ranks, rank, present = size(comm), rank_of(comm), tuple(arrays)
    for hop in range(n_ranks):
        following = lengths[(rank - hop - 1) % n_ranks]
        coming = [
            shift(a, shape=(*a.shape[:-2], following, a.shape[-1]), comm=comm) for a in present if hop < n_ranks - 1
        ]
        yield (rank - hop) % n_ranks, present
        present = tuple(message.wait() for message in coming)


def send(array: Array, target: int, *, tag: int = 0, operation: str = "send", comm: Comm = None) -> Message:
    """Start to send `array` to rank `target`, which calls `recv` with the same tag, shape and dtype.

    Parameters
    ----------
    array : array
        It must not change before `wait`.
    target : int
        Another rank.
    tag : int
        From 0 to 16383; messages of one tag between two ranks match in the order in which they were started.
    operation : str
        The name under which `traffic` counts the message.
    comm : mpi4py communicator

    Returns
    -------
    Message
        `wait()` returns None once the buffer is free.

    Raises
    ------
    InvalidValueError, DTypeError

    Notes
    -----
    Not collective. A sender that waits before its partner has called `recv` may wait for it: start receives first.
    """
    channel = _partner(comm, target, tag, "send")
    dtype = element_dtype(array.dtype)
    return Message(start_exchange(channel, operation, [Piece(target, array, _SEND_TAGS + tag)], [], dtype))


def recv(
    shape: Sequence[int], dtype: Any, source: int, *, tag: int = 0, xp: ModuleType = np, comm: Comm = None
) -> Message:
    """Start to receive an array of `shape` and `dtype` from rank `source`; see `send`.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype
        Those of the array that is sent.
    source : int
        Another rank.
    tag : int
        That of the message, as the sender gave it.
    xp : module
        numpy or cupy: where the array is to lie.
    comm : mpi4py communicator

    Returns
    -------
    Message
        `wait()` returns the array.

    Raises
    ------
    InvalidValueError, DTypeError

    Notes
    -----
    Not collective.
    """
    channel = _partner(comm, source, tag, "recv")
    expected = [Expected(source, tuple(shape), _SEND_TAGS + tag)]
    return Message(start_exchange(channel, "recv", [], expected, element_dtype(dtype), xp))


def _partner(comm: Comm, peer: int, tag: int, name: str) -> Channel | None:
    channel = channel_of(comm)
    rank, n_ranks = (0, 1) if channel is None else (channel.rank, channel.size)
    if not 0 <= peer < n_ranks or peer == rank:
        raise InvalidValueError(f"{name}: the partner of rank {rank} of {n_ranks} is {peer}; expected another rank")
    if not 0 <= tag <= MAX_TAG:
        raise InvalidValueError(f"{name}: tag {tag}; expected 0 to {MAX_TAG}")
    return channel


def alltoall(
    parts: Sequence[Array],
    *,
    shapes: Sequence[Sequence[int]] | None = None,
    operation: str = "alltoall",
    comm: Comm = None,
) -> list[Array]:
    """Send `parts[s]` to each rank s and return what each rank sent here, in the order of the ranks.

    Parameters
    ----------
    parts : sequence of arrays
        One for each rank, of one dtype and any shapes; empty ones are not sent.
    shapes : sequence of shapes, optional
        Shapes of the arrays that arrive, one for each rank. Given, they save the small collective that exchanges
        and checks them.
    operation : str
        The name under which `traffic` counts the messages.
    comm : mpi4py communicator, optional

    Returns
    -------
    list of arrays
        The part for this rank itself may be a view.

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError
        On every rank, unless `shapes` are given.

    Notes
    -----
    Collective. Each rank sends up to P - 1 messages, all at once.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import alltoall
    >>> alltoall([np.arange(2)])
    [array([0, 1])]
    """
    channel = channel_of(comm)
    n_ranks = 1 if channel is None else channel.size
    if shapes is None:
        shapes = _agreed_shapes(channel, parts, n_ranks)
    xp, dtype = namespace(*parts), element_dtype(parts[0].dtype)
    pieces = [Piece(r, part) for r, part in enumerate(parts)]
    expected = [Expected(r, tuple(shape)) for r, shape in enumerate(shapes)]
    return exchange(channel, operation, pieces, expected, dtype, xp)


def _agreed_shapes(channel: Channel | None, parts: Sequence[Array], n_ranks: int) -> list[tuple[int, ...]]:
    """Return the shapes that arrive, after all ranks agreed that what they send is sound."""
    descriptions = np.zeros((n_ranks, _DESCRIPTION), dtype=np.int64)
    with Agreement(channel, "alltoall") as agreement:
        if len(parts) != n_ranks:
            raise ShapeError(f"alltoall: {len(parts)} parts for {n_ranks} ranks; expected one for each")
        namespace(*parts)
        descriptions[:] = [describe(part) for part in parts]
        if (descriptions[:, 0] != descriptions[0, 0]).any():
            raise DTypeError(f"alltoall: parts of {sorted({str(p.dtype) for p in parts})}; expected one dtype")
        agreement.same(DTypeError, dtype=element_dtype(parts[0].dtype).name)
        agreement.same(DeviceMismatchError, nccl=through_nccl(namespace(*parts)))
    arriving = descriptions
    if channel is not None and n_ranks > 1:
        arriving = np.empty_like(descriptions)
        channel.comm.Alltoall(descriptions, arriving)
        channel.count("agree", n_ranks - 1, (n_ranks - 1) * descriptions[0].nbytes)
    return [tuple(row[2 : 2 + row[1]].tolist()) for row in arriving]
