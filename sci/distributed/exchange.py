"""Non-blocking exchange of array pieces between ranks: what halos, redistributions and reductions are made of.

Every piece is a message of its true element type; receives are posted before sends, so that no size deadlocks; empty
pieces are not sent; a piece above the count limit of MPI goes in parts. A piece for this rank itself goes nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array
from sci.distributed.communicators import Channel
from sci.distributed.nccl import exchange_on_devices, through_nccl
from sci.distributed.staging import empty_buffer, from_buffer, to_buffer, wire

__all__ = ["MAX_COUNT", "Expected", "Pending", "Piece", "exchange", "start_exchange"]

MAX_COUNT = 2**31 - 1
"""Elements of one message: counts are C ints before MPI 4."""


@dataclass(frozen=True)
class Piece:
    """An array to send to rank `peer`; `tag` tells apart several pieces for one peer."""

    peer: int
    array: Array
    tag: int = 0


@dataclass(frozen=True)
class Expected:
    """Shape of an array to be received from rank `peer` under `tag`."""

    peer: int
    shape: tuple[int, ...]
    tag: int = 0


class Pending:
    """An exchange under way; `wait` returns the arrays in the order in which they were expected."""

    def __init__(self, requests: list[Any], sent: list[Array], received: list[Array], xp: ModuleType) -> None:
        self._requests = requests
        self._sent = sent  # MPI reads these buffers until the requests complete
        self._received = received
        self._xp = xp

    def done(self) -> bool:
        """Return True if all messages have come and gone, without waiting; this also moves them on."""
        return not self._requests or bool(type(self._requests[0]).Testall(self._requests))

    def wait(self) -> list[Array]:
        """Wait for all messages and return the received arrays; a piece for this rank itself may be a view."""
        if self._requests:
            type(self._requests[0]).Waitall(self._requests)
        self._requests, self._sent = [], []
        return [from_buffer(buffer, self._xp) for buffer in self._received]


def _parts(flat: Array) -> list[Array]:
    return [flat[k : k + MAX_COUNT] for k in range(0, flat.size, MAX_COUNT)]


def start_exchange(
    channel: Channel | None,
    operation: str,
    pieces: Sequence[Piece],
    expected: Sequence[Expected],
    dtype: Any,
    xp: ModuleType = np,
) -> Pending:
    """Start sending `pieces` and receiving `expected`, all of one dtype, and return without waiting.

    Notes
    -----
    Not collective, but every piece must be expected by its peer under the same tag and shape. Exchanges that are under
    way at one time match in the order in which they were started.
    """
    rank = 0 if channel is None else channel.rank
    own = {piece.tag: piece for piece in pieces if piece.peer == rank}
    requests: list[Any] = []
    received: list[Array] = []
    for want in expected:
        if want.peer == rank:
            received.append(own[want.tag].array.astype(dtype, copy=False).reshape(want.shape))
            continue
        assert channel is not None
        received.append(empty_buffer(xp, want.shape, dtype))
        requests += [channel.comm.Irecv(part, want.peer, want.tag) for part in _parts(wire(received[-1]))]
    sent: list[Array] = []
    for piece in pieces:
        if piece.peer == rank or piece.array.size == 0:
            continue
        assert channel is not None
        sent.append(to_buffer(piece.array))
        parts = _parts(wire(sent[-1]))
        requests += [channel.comm.Isend(part, piece.peer, piece.tag) for part in parts]
        channel.count(operation, len(parts), sent[-1].nbytes)
    return Pending(requests, sent, received, xp)


def exchange(
    channel: Channel | None,
    operation: str,
    pieces: Sequence[Piece],
    expected: Sequence[Expected],
    dtype: Any,
    xp: ModuleType = np,
) -> list[Array]:
    """Send `pieces` and return what is `expected`, as `start_exchange`, in a call that all ranks make.

    Notes
    -----
    Collective; device arrays go through NCCL where the option `nccl` is on.
    """
    if channel is None or channel.size == 1 or not through_nccl(xp):
        return start_exchange(channel, operation, pieces, expected, dtype, xp).wait()
    own = {piece.tag: piece for piece in pieces if piece.peer == channel.rank}
    received, receives, sends = [], [], []
    for want in expected:
        if want.peer == channel.rank:
            received.append(own[want.tag].array.astype(dtype, copy=False).reshape(want.shape))
            continue
        received.append(xp.empty(want.shape, dtype))
        if received[-1].size:
            receives.append((want.peer, want.tag, received[-1]))
    for piece in pieces:
        if piece.peer != channel.rank and piece.array.size:
            sends.append((piece.peer, piece.tag, xp.ascontiguousarray(piece.array, dtype=dtype)))
            channel.count(operation, 1, sends[-1][2].nbytes)
    ordered = [[(peer, array) for peer, _, array in sorted(group, key=lambda m: m[:2])] for group in (sends, receives)]
    exchange_on_devices(channel, ordered[0], ordered[1], xp)
    return received
