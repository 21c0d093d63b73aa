"""Device arrays in collective calls through NCCL: an option, for ranks that have a GPU each.

One primitive serves all collectives: a group of sends and receives of bytes. NCCL has no tags, so between two ranks the
messages of a group go in the order of their tags on both sides. The group runs on the current stream and is finished
before the call returns: MPI and NCCL are never under way at one time.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, nccl
from sci.distributed.agreement import Agreement
from sci.distributed.communicators import Channel
from sci.errors import DeviceUnavailableError
from sci.options import get as get_option

__all__ = ["exchange_on_devices", "through_nccl"]

_ID_LENGTH = 128
_FIX = "use nccl='off' (SCI_NCCL=off): device arrays then go through MPI"


def through_nccl(xp: ModuleType) -> bool:
    """Return True if collectives of arrays of `xp` go through NCCL: device arrays, with the option `nccl` on."""
    return xp is not np and bool(get_option("nccl") == "on")


def exchange_on_devices(
    channel: Channel, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], xp: ModuleType
) -> None:
    """Send contiguous device arrays to ranks and fill others from ranks, in one group.

    Parameters
    ----------
    channel : Channel
    sends, receives : sequence of (rank, array)
        Between two ranks in the same order on both; none of this rank itself, none empty.
    xp : module
        cupy.

    Raises
    ------
    DeviceUnavailableError
        On every rank at the first call: without NCCL, or where two ranks share a device.

    Notes
    -----
    Collective.
    """
    if channel.nccl is None:
        channel.nccl = _connect(channel, xp)
    library, stream = nccl(), xp.cuda.get_current_stream()
    library.groupStart()
    try:
        for peer, array in sends:
            channel.nccl.send(array.data.ptr, array.nbytes, library.NCCL_UINT8, peer, stream.ptr)
        for peer, array in receives:
            channel.nccl.recv(array.data.ptr, array.nbytes, library.NCCL_UINT8, peer, stream.ptr)
    finally:
        library.groupEnd()
    stream.synchronize()


def _connect(channel: Channel, xp: ModuleType) -> Any:
    """Return NCCL's communicator of the ranks of `channel`, after all agreed that each has a device of its own."""
    name = np.zeros(_ID_LENGTH, dtype=np.int64)
    with Agreement(channel, "nccl") as agreement:
        try:
            library = nccl()
            agreement.gather(_place(xp))
            if channel.rank == 0:
                name[:] = library.get_unique_id()
        except Exception as error:
            raise DeviceUnavailableError(f"nccl='on', and {error}; {_FIX}") from error
    places = agreement.table[:, 0].tolist()
    for rank, other in enumerate(places):
        if other in places[:rank]:
            raise DeviceUnavailableError(
                f"nccl='on', and ranks {places.index(other)} and {rank} share a GPU; give each its own, or {_FIX}"
            )
    channel.comm.Bcast(name, root=0)
    return nccl().NcclCommunicator(channel.size, tuple(name.tolist()), channel.rank)


def _place(xp: ModuleType) -> int:
    """Return a number that tells this rank's current device from those of all nodes."""
    runtime = xp.cuda.runtime
    text = f"{platform.node()} {runtime.deviceGetPCIBusId(runtime.getDevice())}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
