"""Let ranks fail together: agreement on errors before work starts, an orderly end of the job afterwards."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

import sci.errors
from sci.distributed.communicators import Channel, Comm, channel_of, rank_of, size
from sci.errors import SciError

__all__ = ["abort_on_error", "agree", "verdict"]


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
    one rank the exception passes through unchanged; so it does where `Abort` returns, so that nothing after the block
    runs.
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
        raise


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 130 if isinstance(error, KeyboardInterrupt) else 1
