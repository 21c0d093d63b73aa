"""Communicators: size and rank, a private duplicate, agreement on errors, counted traffic, orderly failure.

`comm` is an mpi4py intracommunicator, or None for one process; with None nothing here imports mpi4py. The library
talks over a duplicate of the caller's communicator, so that its messages never meet the caller's. The duplicate is
made once, kept as an attribute of the caller's communicator, and freed with it.
"""

from __future__ import annotations

import functools
import json
import pickle
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np

import sci.errors
from sci.errors import InvalidValueError, SciError

Comm: TypeAlias = Any
"""An mpi4py intracommunicator, or None for one process."""

__all__ = [
    "Channel",
    "Comm",
    "Traffic",
    "abort_on_error",
    "agree",
    "broadcast_object",
    "channel_of",
    "rank_of",
    "reset_traffic",
    "size",
    "traffic",
    "verdict",
]


@dataclass(frozen=True)
class Traffic:
    """Messages and bytes that this rank has sent to other ranks in one kind of operation."""

    messages: int = 0
    bytes: int = 0


@dataclass
class Channel:
    """The library's duplicate of a communicator, with a count of what went over it."""

    comm: Comm
    size: int
    rank: int
    sent: dict[str, Traffic] = field(default_factory=dict)

    def count(self, operation: str, messages: int, n_bytes: int) -> None:
        """Add to the count of `operation`."""
        before = self.sent.get(operation, Traffic())
        self.sent[operation] = Traffic(before.messages + messages, before.bytes + n_bytes)


def size(comm: Comm) -> int:
    """Return the number of ranks of `comm`, 1 for None."""
    return 1 if comm is None else int(comm.Get_size())


def rank_of(comm: Comm) -> int:
    """Return this process's rank in `comm`, 0 for None."""
    return 0 if comm is None else int(comm.Get_rank())


def _free_duplicate(comm: Comm, keyval: int, channel: Channel) -> None:
    """Free the duplicate when MPI deletes the attribute, that is when the caller's communicator is freed."""
    from mpi4py import MPI

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
    """Return what this rank has sent over `comm` through the library, by operation.

    Notes
    -----
    Not collective. Messages and bytes are those of the operation's definition: a broadcast counts one message for
    each other rank at its root, an all-gather one at every rank, whatever tree the MPI library uses. Messages of a
    rank to itself are copies and are not counted. Agreement on input is counted as "agree".
    """
    channel = None if comm is None else comm.Get_attr(_keyval())
    return {} if channel is None else dict(channel.sent)


def reset_traffic(comm: Comm) -> None:
    """Set the counts of `comm` to zero (not collective)."""
    channel = None if comm is None else comm.Get_attr(_keyval())
    if channel is not None:
        channel.sent.clear()


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


def _describe(error: BaseException | None) -> bytes:
    return b"" if error is None else json.dumps([type(error).__name__, str(error)]).encode()


def _rebuild(rank: int, class_name: str, message: str) -> SciError:
    """Return the error that the other ranks raise for one that `rank` reported."""
    found = getattr(sci.errors, class_name, SciError)
    text = f"rank {rank}: {message}"
    if isinstance(found, type) and issubclass(found, SciError):
        return found(
            text if found is not SciError or class_name == "SciError" else f"rank {rank}: {class_name}: {message}"
        )
    return SciError(text)


def _raise_agreed(channel: Channel, error: BaseException | None) -> None:
    """Exchange the errors' texts and raise on every rank; at least one rank has an error."""
    mine = np.frombuffer(_describe(error), dtype=np.uint8)
    lengths = np.empty(channel.size, dtype=np.int64)
    channel.comm.Allgather(np.array([mine.size], dtype=np.int64), lengths)
    texts = np.empty(int(lengths.sum()), dtype=np.uint8)
    channel.comm.Allgatherv(mine, [texts, lengths])
    channel.count("agree", 2 * (channel.size - 1), (channel.size - 1) * (8 + mine.size))
    if error is not None:
        raise error
    failed = int(np.flatnonzero(lengths)[0])
    start = int(lengths[:failed].sum())
    raise _rebuild(failed, *json.loads(texts[start : start + int(lengths[failed])].tobytes()))


def verdict(channel: Channel | None, error: BaseException | None, header: Sequence[int] = ()) -> np.ndarray:
    """Return the integers `header` of every rank as rows of an (n_ranks, len(header)) array, if no rank has an error.

    Raises
    ------
    SciError
        On every rank, if any rank passes an `error`: see `agree`.

    Notes
    -----
    Collective, one small all-gather. All ranks pass headers of one length.
    """
    if channel is None or channel.size == 1:
        if error is not None:
            raise error
        return np.array([header], dtype=np.int64)
    row = np.array([error is not None, *header], dtype=np.int64)
    table = np.empty((channel.size, row.size), dtype=np.int64)
    channel.comm.Allgather(row, table)
    channel.count("agree", channel.size - 1, (channel.size - 1) * row.nbytes)
    if table[:, 0].any():
        _raise_agreed(channel, error)
    return table[:, 1:]


def agree(comm: Comm, error: BaseException | None = None) -> None:
    """Raise on every rank of `comm` if any rank passes an error, and do nothing otherwise.

    Parameters
    ----------
    comm : mpi4py communicator or None
    error : Exception or None
        What this rank found wrong, caught rather than raised.

    Raises
    ------
    Exception
        A rank with an error raises that error. The others raise one of the same class of `sci.errors` (`SciError` for
        a foreign class) with the text "rank k: ...", k being the lowest rank that failed.

    Notes
    -----
    Collective. Costs one all-gather of eight bytes where nothing is wrong.

    Examples
    --------
    >>> from sci.distributed import agree
    >>> problem = None
    >>> try:
    ...     charges = [float(text) for text in "1 2".split()]
    ... except ValueError as error:
    ...     problem = error
    >>> agree(None, problem)
    """
    verdict(channel_of(comm), error)


@contextmanager
def abort_on_error(comm: Comm) -> Iterator[None]:
    """End the whole job, with this rank's traceback on stderr, if the block raises on this rank.

    A rank that dies alone leaves the others waiting for its messages, and MPI waits for ever. Also a decorator:
    `@abort_on_error(comm)`.

    Notes
    -----
    Not collective. The job's exit code is that of `SystemExit`, 130 for `KeyboardInterrupt`, 1 for other errors. With
    one rank the exception passes through unchanged.
    """
    try:
        yield
    except BaseException as error:
        code = _exit_code(error)
        if size(comm) == 1 or code == 0:
            raise
        sys.stdout.flush()
        if not isinstance(error, SystemExit):
            print(f"rank {rank_of(comm)} of {size(comm)} failed:\n{traceback.format_exc()}", file=sys.stderr)
        sys.stderr.flush()
        comm.Abort(code)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 130 if isinstance(error, KeyboardInterrupt) else 1
