"""Communicators: size and rank, a private duplicate, counted traffic.

`comm` is an mpi4py intracommunicator, or None for one process; with None nothing here imports mpi4py. The library
talks over a duplicate of the caller's communicator, so that its messages never meet the caller's. The duplicate is
made once, kept as an attribute of the caller's communicator, and freed with it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias, cast

from sci.errors import InvalidValueError

Comm: TypeAlias = Annotated[Any, "communicator"]
"""An mpi4py intracommunicator, or None for one process."""

__all__ = [
    "Channel",
    "Comm",
    "Traffic",
    "channel_of",
    "rank_of",
    "reset_traffic",
    "size",
    "traffic",
]


running_jobs: list[Any] = []
"""The blocks of `sci.distributed.job` that this process is in, the innermost last."""


@dataclass(frozen=True)
class Traffic:
    """Messages and bytes that this rank has sent to other ranks in one kind of operation.

    Parameters
    ----------
    messages : int
        Their number.
    bytes : int
        Their length in all.

    Examples
    --------
    >>> from sci.distributed import Traffic
    >>> Traffic(messages=2, bytes=1024)
    Traffic(messages=2, bytes=1024)
    """

    messages: int = 0
    bytes: int = 0


@dataclass
class Channel:
    """The library's duplicate of a communicator, with a count of what went over it."""

    comm: Comm
    size: int
    rank: int
    sent: dict[str, Traffic] = field(default_factory=dict)
    nccl: Any = None  # NCCL's communicator of the same ranks, once one was needed

    def count(self, operation: str, messages: int, n_bytes: int) -> None:
        """Add to the count of `operation`."""
        before = self.sent.get(operation, Traffic())
        self.sent[operation] = Traffic(before.messages + messages, before.bytes + n_bytes)


def size(comm: Comm) -> int:
    """Return the number of ranks of `comm`, 1 for None.

    Parameters
    ----------
    comm : mpi4py communicator, optional
        None is one process.

    Returns
    -------
    int
        The number of ranks.
    """
    return 1 if comm is None else int(comm.Get_size())


def rank_of(comm: Comm) -> int:
    """Return this process's rank in `comm`, 0 for None.

    Parameters
    ----------
    comm : mpi4py communicator, optional
        None is one process.

    Returns
    -------
    int
        From 0 to the number of ranks less one.
    """
    return 0 if comm is None else int(comm.Get_rank())


def _free_duplicate(comm: Comm, keyval: int, channel: Channel) -> None:
    """Free the duplicate when MPI deletes the attribute, that is when the caller's communicator is freed."""
    from mpi4py import MPI

    if channel.nccl is not None:
        channel.nccl.destroy()
        channel.nccl = None
    if not MPI.Is_finalized() and channel.comm != MPI.COMM_NULL:
        channel.comm.Free()


@functools.cache
def _keyval() -> int:
    from mpi4py import MPI

    # No copy function: a duplicate that the caller makes gets a channel of its own.
    return int(MPI.Comm.Create_keyval(delete_fn=_free_duplicate))


def channel_of(comm: Comm) -> Channel | None:
    """Return the channel of `comm`; None for one process without MPI.

    Raises
    ------
    InvalidValueError
        If `comm` is not an intracommunicator.

    Notes
    -----
    Collective on the first call for a communicator, which duplicates it; a look-up afterwards.
    """
    if comm is None:
        return None
    from mpi4py import MPI

    if not isinstance(comm, MPI.Intracomm) or comm == MPI.COMM_NULL:
        raise InvalidValueError(f"comm is {comm!r}; expected an mpi4py intracommunicator, or None for one process")
    channel = cast(Channel | None, comm.Get_attr(_keyval()))
    if channel is None:
        channel = Channel(comm.Dup(), comm.Get_size(), comm.Get_rank())
        comm.Set_attr(_keyval(), channel)
    return channel


def traffic(comm: Comm) -> dict[str, Traffic]:
    """Return the traffic that this rank has sent over `comm` through the library, by operation.

    Parameters
    ----------
    comm : mpi4py communicator, optional
        None is one process.

    Returns
    -------
    dict of Traffic

    Notes
    -----
    Not collective. Messages and bytes are those of the operation's definition: a broadcast counts one message for
    each other rank at its root, an all-gather one at every rank, whatever tree the MPI library uses. Messages of a
    rank to itself are copies and are not counted. Agreement on input is counted as "agree".
    """
    channel = None if comm is None else comm.Get_attr(_keyval())
    return {} if channel is None else dict(channel.sent)


def reset_traffic(comm: Comm) -> None:
    """Set the counts of `comm` to zero (not collective).

    Parameters
    ----------
    comm : mpi4py communicator, optional
        None is one process.
    """
    channel = None if comm is None else comm.Get_attr(_keyval())
    if channel is not None:
        channel.sent.clear()
